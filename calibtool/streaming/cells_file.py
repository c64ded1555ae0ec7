"""Files of cells: a summary as a zip of a JSON header and plain arrays. Nothing is unpickled.

Cells without rows are left out, so that the file of a day takes a few kilobytes. The format:
`header.json` holds the field names of `DataShape` and `Layout` and the shape of each sum;
`NAME/at.u4`, `NAME/high.f8` and, where any is not 0, `NAME/low.f8` hold its entries that are not 0.
In version 1 the Brier score of two classes was the sum over both; since version 2 it is half of it.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TypeAlias, get_args

import numpy as np

from calibtool.data.files.archive import Archive
from calibtool.data.files.document import Document, Entry
from calibtool.data.files.write import whole_file
from calibtool.data.predictions import Kind
from calibtool.errors import InputError
from calibtool.streaming.exact import Exact, scaled
from calibtool.streaming.layout import always_kept
from calibtool.streaming.summary import VIEWS, DataShape, Layout, Summary, size_of
from calibtool.types import Array
from calibtool.version import __version__

VERSION = 2
READ = (1, 2)  # versions that can be read
SUFFIX = ".cells"
FORMAT = "calibtool cells"
# The modification time of all members, the earliest that a zip can hold: the same sums then make
# the same bytes, whenever they are written.
_WHEN = (1980, 1, 1, 0, 0, 0)
MOST_ROWS = 1 << 50  # more than anyone has; their sums still are exact in the two floats of a sum
_HEADER = 1 << 24  # most bytes of the header: the names of 100,000 classes take a few MB
# Most cells of all sums together, 4 GiB in memory. 1,000 classes on the full grid are a twentieth.
_MOST_CELLS = 1 << 28
# Cells without rows take no room in the file, and 16 bytes each in memory. A small file may ask for
# 256 MiB of them, a larger one for so many per cell that it fills: on the grids of many classes,
# each of 3,000 cells, a row fills at least one.
_FREE_CELLS = 1 << 24
_PER_FILLED = 1 << 12
# Largest values of a score and weight of a row, with room to spare: NLLs of logits of 1e38, and
# HEAVIEST of data/validation.py. The sums of their powers stay far below the largest float64.
_HIGHEST = 1e39
_HEAVIEST = 1e31
_LARGEST = 1e170  # of any sum: weight times cube of the above, for 2**50 rows, is 1e163
_SHARES = ("accuracy", "mean-confidence")  # means that are 1 at most
_SLACK = 1e-6  # relative error of sums of rounded values, as cells of many classes hold
# Views to be read, or what tells them of a summary without its sums; None for all there are.
Views: TypeAlias = Collection[str] | Callable[[Summary], Collection[str]] | None


def save_cells(state: Summary, path: str | Path) -> None:
    """Write a summary to a file, atomically.

    Raises UsageError if the file cannot be written.
    """
    with whole_file(path) as file:
        write(state, file)


def load_cells(path: str | Path, views: Views = None) -> Summary:
    """Read a summary from a file.

    Args:
        path: the file.
        views: what is read, such as ("top",), and what the summary then holds: no other view, no
            scores and no counts; or a function that returns them, given the summary without its
            sums; None for all that the file holds. What is not read is not checked, either.

    Raises InputError if the file is missing, damaged, or no file of cells.
    """
    document = _document(str(path))

    def chosen(header: Summary) -> Collection[str] | None:
        if lacking := {*always_kept(header.shape)} - {*header.keep.views}:
            document.refuse(f"the views lack {', '.join(sorted(lacking))}")
        return views(header) if callable(views) else views

    with document.open() as file:
        return _read(document, file, chosen)


def to_bytes(summary: Summary) -> bytes:
    """Return a summary as the bytes of a file of cells."""
    buffer = io.BytesIO()
    write(summary, buffer)
    return buffer.getvalue()


def from_bytes(data: bytes, source: str = "cells") -> Summary:
    """Return the summary that `to_bytes` turned into bytes; `source` is what to call it.

    Raises InputError for any other bytes.
    """
    return _read(_document(source), io.BytesIO(data), lambda header: None)


def write(summary: Summary, file: IO[bytes]) -> None:
    """Write a summary to an open binary file."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "calibtool": __version__,
        "rows": summary.rows,
        "shape": asdict(summary.shape),
        "keep": asdict(summary.keep),
        "skipped": summary.skipped,
        "sums": {name: list(value.high.shape) for name, value in sorted(summary.sums.items())},
    }
    with zipfile.ZipFile(file, "w") as archive:
        _write_member(archive, "header.json", json.dumps(header, indent=1).encode())
        for name, value in sorted(summary.sums.items()):
            at = np.flatnonzero((value.high != 0) | (value.low != 0))
            # distances between neighbours are small numbers, which deflate compresses better
            distance = np.diff(at.astype(np.uint32), prepend=np.uint32(0))
            _write_array(archive, f"{name}/at", distance)
            _write_array(archive, f"{name}/high", value.high.ravel()[at])
            low = value.low.ravel()[at]
            if low.any():
                _write_array(archive, f"{name}/low", low)


def _document(source: str) -> Document:
    return Document(source, "a whole file of cells", "make it again with `calibtool cells`")


def _read(
    document: Document, file: IO[bytes], choose: Callable[[Summary], Collection[str] | None]
) -> Summary:
    archive = Archive(document, file)
    header = document.parse_json(archive.read("header.json", _HEADER))
    header["format"].text((FORMAT,))
    version = header["version"].whole()
    if version not in READ:
        raise InputError(
            f"{document.file}: cells of version {version}, this calibtool ({__version__}) reads "
            f"versions {' and '.join(map(str, READ))}; make them again, or update calibtool"
        )
    shape, layout = _shape(header["shape"]), _layout(header["keep"])
    if shape.kind == "confidence" and not {*layout.views} <= {"top"}:
        header["keep"]["views"].refuse("name views that confidences do not have")
    skipped = (entry.items(2) for entry in header["skipped"].items())
    summary = Summary(
        shape,
        layout,
        header["rows"].whole(most=MOST_ROWS),
        {},
        document.file,
        tuple((file.text(), reason.text()) for file, reason in skipped),
    )
    views = choose(summary)
    sums = _sums(archive, header["sums"], layout, shape, views)
    if version == 1 and shape.classes == 2:
        for name in sums.keys() & {"score/brier", "pair/brier"}:
            sums[name] = scaled(sums[name], 0.5)
    if views is not None:
        held = tuple(view for view in layout.views if view in views)
        layout = replace(layout, views=held, scores=(), counts=False)
    summary = replace(summary, keep=layout, sums=sums)
    _require_sound(summary, header["sums"])
    return summary


def _shape(entry: Entry) -> DataShape:
    kind: Kind = entry["kind"].text(get_args(Kind))  # type: ignore[assignment]
    one_column = entry["one_column"].flag()
    names = entry.get("class_names")
    if kind == "confidence":
        if entry.get("classes") or names or one_column:
            entry.refuse("has classes, and its kind is confidence")
        return DataShape(kind, None, one_column=False)
    classes = entry["classes"].whole(2)
    if one_column and classes != 2:
        entry["one_column"].refuse(f"is true, with {classes:,} classes")
    texts = tuple(name.text() for name in names.items(classes)) if names else None
    return DataShape(kind, classes, one_column, texts)


def _layout(entry: Entry) -> Layout:
    edges = {}
    for key in ("edges", "class_edges"):
        values = entry[key].numbers(least=0, most=1)
        inside = not len(values) or (values[0] > 0 and values[-1] < 1)
        if not (inside and (values[1:] > values[:-1]).all()):
            entry[key].refuse("must increase, between 0 and 1")
        edges[key] = tuple(values.tolist())
    views = tuple(view.text(VIEWS) for view in entry["views"].items())
    return Layout(views, **edges, scores=entry["scores"].texts(), counts=entry["counts"].flag())


def _sums(
    archive: Archive,
    entry: Entry,
    layout: Layout,
    shape: DataShape,
    views: Collection[str] | None,
) -> dict[str, Exact]:
    """Return the sums by name, of the views that are asked for.

    Sizes are compared with what the layout asks for before anything is unpacked or made.
    """
    sizes: dict[str, tuple[int, ...]] = {}
    for name, held in entry.entries().items():
        if views is not None and name.partition("/")[0] not in views:
            continue
        wanted = size_of(name, layout, shape)
        if wanted is None:
            held.refuse("is no sum of these views, scores and counts")
        if [axis.whole() for axis in held.items()] != [*wanted]:
            held.fail(f"the size {[*wanted]}")
        sizes[name] = wanted
    total = sum(math.prod(size) for size in sizes.values())
    if total > _MOST_CELLS:
        entry.refuse(f"have {total:,} cells; at most {_MOST_CELLS:,} can be read")
    places = {name: _places(archive, name, math.prod(size)) for name, size in sizes.items()}
    filled = sum(map(len, places.values()))
    if total > max(_FREE_CELLS, _PER_FILLED * filled):
        entry.refuse(f"have {total:,} cells, of which the file fills {filled:,}")
    return {name: _values(archive, name, places[name], size) for name, size in sizes.items()}


def _places(archive: Archive, name: str, size: int) -> Array:
    """Return where the values of a sum stand in it, increasing."""
    distance = _read_array(archive, f"{name}/at", size)  # unsigned, from the place before
    at = np.cumsum(distance, dtype=np.int64)
    if len(at) and (at[-1] >= size or not distance[1:].all()):
        archive.document.refuse(f"{name} does not increase, or runs past its end")
    return at


def _values(archive: Archive, name: str, at: Array, size: tuple[int, ...]) -> Exact:
    out = np.zeros((2, math.prod(size)))
    for row, part in enumerate(("high", "low")):
        if part == "low" and f"{name}/low.f8" not in archive:
            continue
        values = _read_array(archive, f"{name}/{part}", len(at))
        if len(values) != len(at):
            archive.document.refuse(f"{name} has {len(values):,} values for {len(at):,} places")
        # the low half of a sum is what rounding took from the high one
        most = _LARGEST if part == "high" else np.abs(out[0, at])
        if not (np.abs(values) <= most).all():
            archive.document.refuse(f"{name} holds values that are not finite, or too large")
        out[row, at] = values
    return Exact(out[0].reshape(size), out[1].reshape(size))


def _require_sound(summary: Summary, entry: Entry) -> None:
    """Check that the sums are those of the rows: that each view is whole, that no mass exceeds its
    weight, and that scores and counts weigh as much. Raises InputError."""
    mass = None if summary.weighted else float(summary.rows)
    for view in sorted({name.rpartition("/")[0] for name in summary.sums} & {*VIEWS}):
        held = {kind: entry[f"{view}/{kind}"] for kind in "npy"}  # refused if one is missing
        n = summary.sums[f"{view}/n"].high
        own = float(n.sum())
        if n.ndim == 1:  # every row once
            if mass is not None and abs(own - mass) > _SLACK * (1 + own):
                entry.document.refuse(f"rows is {summary.rows:,}, and {view} holds {own:,.0f}")
            mass = own
        # the lowest bin of many classes is a difference of sums in float32 precision
        slack = _SLACK * (1 + n)
        least, most = -slack, n + slack
        for kind, of_kind in held.items():
            value = summary.sums[f"{view}/{kind}"].high
            if ((value < least) | (value > most)).any():
                of_kind.refuse("is larger than the weight of its cell, or negative")
        if own > _HEAVIEST * n.shape[0] * summary.rows:
            held["n"].refuse("is more than its rows can weigh")
    for name, sums in summary.sums.items():
        head, _, score = name.partition("/")
        if head == "score":
            infinite = summary.sums.get(f"infinite/{score}")
            none = infinite is None or not infinite.high[0] > 0
            _require_moments(entry[name], sums.high, mass, every=none)
            if score in _SHARES and sums.high[1] > sums.high[0] * (1 + _SLACK):
                entry[name].refuse("is a share of more than all rows")
        elif head == "count":
            _require_counts(entry[name], sums.high, mass, whole=score != "correct")


def _require_moments(entry: Entry, sums: Array, mass: float | None, *, every: bool) -> None:
    """Check the sums of a score that `exact.moments` keeps, of rows of this weight in all: of
    every row, or of those on which the score is finite."""
    if (sums < 0).any():
        entry.refuse("is negative")
    weight = float(sums[0])
    _require_weight(entry, weight, mass, whole=False)
    if every and mass != 0 and not weight:
        entry.refuse("is of no rows")
    for lower, higher, most in (
        (0, 4, _HEAVIEST),
        *((k, k + 1, _HIGHEST) for k in (0, 1, 2, 4, 5)),
    ):
        # powers of small scores are rounded to 0, or to more than they are: `exact.moments`
        if sums[higher] > most * float(sums[lower]) + weight:
            entry.refuse("is of larger scores or weights than there are")


def _require_counts(entry: Entry, counts: Array, mass: float | None, *, whole: bool) -> None:
    """Check the weight per class of labels, predictions or hits, of rows of this weight in all."""
    if (counts < 0).any():
        entry.refuse("is negative")
    _require_weight(entry, float(counts.sum()), mass, whole=whole)


def _require_weight(entry: Entry, weight: float, mass: float | None, *, whole: bool) -> None:
    """Check that something weighs no more than the rows, or as much as they do, if `whole`."""
    if mass is None:
        return
    if weight > mass * (1 + _SLACK) or (whole and weight < mass * (1 - _SLACK)):
        entry.refuse(f"is of a weight of {weight:g}, and all rows weigh {mass:g}")


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def _write_array(archive: zipfile.ZipFile, name: str, values: Array) -> None:
    """Write plain little-endian numbers, the first byte of all of them first, then the second, and
    so on: deflate compresses planes of similar bytes better than mixed ones."""
    kind = "u4" if values.dtype.kind == "u" else "f8"
    raw = np.ascontiguousarray(values, dtype=f"<{kind}").view(np.uint8).reshape(-1, int(kind[1]))
    _write_member(archive, f"{name}.{kind}", raw.T.tobytes())


def _read_array(archive: Archive, name: str, most: int) -> Array:
    """Return up to `most` numbers, as `_write_array` wrote them."""
    kind = "u4" if name.endswith("/at") else "f8"
    width = int(kind[1])
    raw = np.frombuffer(archive.read(f"{name}.{kind}", most * width), np.uint8)
    if len(raw) % width:
        archive.document.refuse(f"{name} ends in the middle of a number")
    planes = raw.reshape(width, len(raw) // width)
    return np.ascontiguousarray(planes.T).view(f"<{kind}").ravel()
