"""Checkpoint: the progress of a pass, in a file. A resumed pass gives the same digits.

The file is a zip of a JSON header and, for each level of the tree, its pending sums as cells (see
`fold.Fold`). It is written atomically, so that a crash while writing leaves the previous one. It
stays when the pass is complete: the same command then has nothing to read.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibtool.data.files.archive import Archive
from calibtool.data.files.document import Document, Entry
from calibtool.data.files.reader import Part
from calibtool.data.files.roles import Choice
from calibtool.data.files.source import Source
from calibtool.data.files.write import require_writable, whole_file
from calibtool.errors import InputError
from calibtool.streaming.cells_file import from_bytes, to_bytes
from calibtool.streaming.engines.engine import PartResult, RunOptions, Task
from calibtool.streaming.engines.fold import Fold
from calibtool.streaming.engines.tree import Node, levels_held
from calibtool.version import __version__

# Most bytes of the header and of the cells of one sum, and most sums held at a depth: far above
# what a run writes. What a damaged or hostile file declares is refused before it takes memory.
_HEADER = 1 << 24
_LARGEST = 1 << 30
_MOST_HELD = 1 << 10
FORMAT = "calibtool run"
VERSION = 1
# A crash loses at most EVERY seconds of reading or, if that is more, LEAST_SHARE times the seconds
# of the last write: writing then takes at most a hundredth of the time, on a slow disk too.
EVERY = 10.0
LEAST_SHARE = 100
# options of reading that were added since the files of version 1
SINCE_VERSION_1 = (
    *("reader", "split", "id", "join", "scale", "drop_missing", "skip_bad_rows"),
    *("norm", "scorer", "options", "question"),
    *("multilabel", "layout", "ignore", "ordinal", "cut_points", "soft_labels"),
)


class Checkpoint:
    """Reads and writes the checkpoint file of a pass; does nothing if there is no such file."""

    def __init__(
        self, options: RunOptions, source: Source, task: Task, parts: Sequence[Part]
    ) -> None:
        self.path, self.say = options.state, options.say
        self._identity = {} if self.path is None else identity_of(source, task, parts)
        self._written, self._due = 0, time.monotonic() + EVERY

    def resume(self, fold: Fold, share: Callable[[int], float]) -> None:
        """Load the pending sums of an interrupted pass into `fold`.

        `share` gives the share of the rows in a number of parts. Raises InputError if the file is
        damaged or belongs to another pass, UsageError if it cannot be written.
        """
        if self.path is None:
            return
        if not self.path.exists():
            require_writable(self.path)
            return
        fold.pending, fold.done = _read(self.path, self._identity, fold.root)
        self._written = fold.done
        if fold.done == fold.root.stop:
            self.say(f"{self.path}: the whole run is in it; nothing is left to read")
        elif fold.done:
            self.say(f"{self.path}: the run continues at {100 * share(fold.done):.0f} %")

    def write_if_due(self, fold: Fold) -> None:
        """Write the file if the last write is long enough ago."""
        if self.path is not None and time.monotonic() >= self._due:
            self._write(fold)

    def close(self, fold: Fold) -> None:
        """Write the sums that are not written yet, also after an error or Ctrl-C."""
        if self.path is not None and fold.done > self._written:
            self._write(fold)

    def _write(self, fold: Fold) -> None:
        assert self.path is not None
        began = time.monotonic()
        _save(self.path, self._identity, fold)
        seconds = time.monotonic() - began
        self._written = fold.done
        self._due = time.monotonic() + max(EVERY, LEAST_SHARE * seconds)


def identity_of(source: Source, task: Task, parts: Sequence[Part]) -> dict[str, str]:
    """Return everything that could change a digit of a pass, by what messages call it.

    Sizes and times of files stand for their content, hashes for long values.
    """
    description = task.describe()
    files = source.table.stamps()
    size = sum(size or 0 for _, size, _ in files)
    side = None if source.side_labels is None else _hash(source.side_labels.tobytes())
    options = {**asdict(source.choice), "extra": source.extra, "side": side}
    if source.joined is not None:
        tied = [*source.joined.position, *map(str, source.joined.labels.tolist())]
        options["joined"] = _digest(tied)
    unfolding = getattr(source.table, "unfolding", None)
    if unfolding is not None:
        options["unfolding"] = repr(unfolding)
    del options["max_unpacked"]  # it changes no result
    # files of before these options existed are those of runs without them
    plain = Choice()
    for name in SINCE_VERSION_1:
        if options[name] == getattr(plain, name):
            del options[name]
    cuts = [(part.file, part.number, part.first_row, part.rows) for part in parts]
    return {
        "versions of calibtool": __version__,
        "input files": f"{len(files):,} files of {size:,} bytes, sha256 {_digest([files, cuts])}",
        "options of reading": f"sha256 {_digest(options)}",
        "roles of columns": f"sha256 {_digest(asdict(source.roles))}",
        **{name: f"sha256 {_digest(value)}" for name, value in description.items()},
    }


def _digest(value: Any) -> str:
    return _hash(json.dumps(value, sort_keys=True).encode())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _save(path: Path, identity: dict[str, str], fold: Fold) -> None:
    levels = {
        str(depth): {"bad": result.bad, "sums": len(result.sums)}
        for depth, result in fold.pending.items()
    }
    header = {
        "format": FORMAT,
        "version": VERSION,
        "run": identity,
        "done": fold.done,
        "held": levels,
    }
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("header.json", json.dumps(header, indent=1))
        for depth, result in fold.pending.items():
            for k, summary in enumerate(result.sums):
                archive.writestr(f"{depth}/{k}.cells", to_bytes(summary))


def _read(path: Path, identity: dict[str, str], root: Node) -> tuple[dict[int, PartResult], int]:
    """Return the pending sums and the number of parts that are in them."""
    document = Document(
        str(path), "the state of a run", "name another file, or delete it to start again"
    )
    with document.open() as file:
        archive = Archive(document, file)
        header = document.parse_json(archive.read("header.json", _HEADER))
        _require_same(header, identity)
        pending = {
            _depth(depth, level): PartResult(
                [
                    from_bytes(archive.read(f"{depth}/{k}.cells", _LARGEST), str(path))
                    for k in range(level["sums"].whole(most=_MOST_HELD))
                ],
                tuple(
                    (n.whole(), name.text(), reason.text())
                    for n, name, reason in (bad.items(3) for bad in level["bad"].items())
                ),
            )
            for depth, level in header["held"].entries().items()
        }
        done = header["done"].whole(most=root.stop)
        levels = levels_held(root, done)
        if set(pending) != levels:
            expected = ", ".join(map(str, sorted(levels))) or "none"
            header["held"].refuse(f"must hold sums of the depths {expected}, for {done:,} parts")
        return pending, done


def _depth(text: str, level: Entry) -> int:
    if not (text.isdecimal() and len(text) < 3):
        level.refuse("is not the depth of a sum")
    return int(text)


def _require_same(header: Entry, identity: dict[str, str]) -> None:
    """Check that the file belongs to this pass. Raises InputError."""
    path = header.document.file
    header["format"].text((FORMAT,))
    version = header["version"].whole()
    if version != VERSION:
        raise InputError(
            f"{path}: the state of a run of version {version}, this calibtool reads "
            f"version {VERSION}; delete it to start again"
        )
    for name, value in identity.items():
        said = header["run"].get(name)
        before = "nothing" if said is None else said.text()
        if before == value:
            continue
        change = "" if "sha256" in value or len(value) > 80 else f" ({before} then, {value} now)"
        if name == "input files":
            change = f" ({_without_hash(before)} then, {_without_hash(value)} now)"
        raise InputError(
            f"{path}: belongs to a run with other {name}{change}; name another file, or delete it "
            "to start again"
        )


def _without_hash(value: str) -> str:
    return value.partition(", sha256")[0]
