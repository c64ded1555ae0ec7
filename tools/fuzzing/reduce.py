"""Shrink a case as long as the same defect stays."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePath

import numpy as np

from fuzzing.archives import archive, members
from fuzzing.arrays import npy
from fuzzing.documents import paths, without
from fuzzing.kinds import Case

TRIES = 300  # commands that are tried at most
SECONDS = 60.0  # that they may take in all
Shrink = Callable[[Case], Iterator[Case]]


def reduced(this: Case, same: Callable[[Case], bool]) -> Case:
    """Return the smallest case found of which `same` is true, as it is of `this`."""
    end, tries = time.monotonic() + SECONDS, 0
    progress = True
    while progress:
        progress = False
        for shrink in (fewer_arguments, smaller_content, fewer_bytes):
            again = True
            while again:
                again = False
                for smaller in shrink(this):
                    tries += 1
                    if tries > TRIES or time.monotonic() > end:
                        return this
                    if same(smaller):
                        this, progress, again = smaller, True, True
                        break
    return this


def fewer_arguments(this: Case) -> Iterator[Case]:
    """Yield the case without one option, with its value or alone."""
    for at, token in enumerate(this.argv):
        if token.startswith("-") and len(token) > 1:
            for length in (2, 1):
                yield replace(this, argv=this.argv[:at] + this.argv[at + length :])
    for at, token in enumerate(this.argv):
        if len(token) > 40:
            for shorter in (token[: len(token) // 2], token[len(token) // 2 :]):
                yield replace(this, argv=(*this.argv[:at], shorter, *this.argv[at + 1 :]))


def smaller_content(this: Case) -> Iterator[Case]:
    """Yield the case with less in its file, which stays a file of its format."""
    if not this.file:
        return
    for suffix, shrink in CONTENT.items():
        if PurePath(this.file).suffix in suffix:
            for data in shrink(this.data):
                if len(data) < len(this.data):
                    yield replace(this, data=data)


def fewer_bytes(this: Case) -> Iterator[Case]:
    """Yield the case without a range of its file: halves first, then ever smaller pieces."""
    size = len(this.data) // 2
    while size >= 1 and this.file:
        for start in range(0, len(this.data), size):
            yield replace(this, data=this.data[:start] + this.data[start + size :])
        if len(this.data) // size > 64:
            return
        size //= 2


def _json(data: bytes) -> Iterator[bytes]:
    """Yield the document without one of its values."""
    try:
        ways = list(paths(json.loads(data)))
    except (ValueError, RecursionError):
        return
    for way in ways[1:]:
        yield json.dumps(without(json.loads(data), way)).encode()


def _zip(data: bytes) -> Iterator[bytes]:
    """Yield the archive without a member, stored plainly, or with fewer rows in its arrays."""
    content = members(data)
    if content is None:
        return
    for at in range(len(content)):
        yield archive(content[:at] + content[at + 1 :])
    yield archive(content)
    yield archive(content, zipfile.ZIP_STORED)
    for keep in (lambda a: a[: len(a) // 2], lambda a: a[len(a) // 2 :], lambda a: a[:-1]):
        yield archive([(name, _fewer_rows(raw, keep)) for name, raw in content])
    for at, (name, raw) in enumerate(content):
        for inner in _json(raw) if name.endswith(".json") else ():
            yield archive([*content[:at], (name, inner), *content[at + 1 :]])


def _fewer_rows(raw: bytes, keep: Callable[[np.ndarray], np.ndarray]) -> bytes:
    try:
        array = np.load(io.BytesIO(raw))
    except (ValueError, EOFError, SyntaxError, MemoryError):
        return raw
    return npy(keep(array)) if getattr(array, "ndim", 0) and len(array) > 1 else raw


def _lines(data: bytes) -> Iterator[bytes]:
    """Yield the text without some of its lines."""
    lines = data.splitlines(keepends=True)
    size = len(lines) // 2
    while size >= 1:
        for start in range(1, len(lines), size):
            yield b"".join(lines[:start] + lines[start + size :])
        size //= 2


def _table(data: bytes) -> Iterator[bytes]:
    """Yield the table without a column, or with half of its rows, as parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
        smaller = [table.drop_columns([name]) for name in table.column_names]
        half = table.num_rows // 2
        smaller += [table.slice(0, half), table.slice(half)] if half else []
    except (pa.ArrowException, OSError):
        return
    for other in smaller:
        file = io.BytesIO()
        pq.write_table(other, file)
        yield file.getvalue()


CONTENT: dict[tuple[str, ...], Callable[[bytes], Iterator[bytes]]] = {
    (".json",): _json,
    (".npz", ".cells", ".state"): _zip,
    (".csv", ".tsv", ".toml"): _lines,
    (".parquet", ".pq"): _table,
}
