"""How far a pass has come, in a file: an interrupted one goes on where it was, to the same digits.

The file is a zip of a JSON header and the sums of each level of the tree as cells; it is written
beside its place and renamed. It stays when the pass is done: run again, there is nothing to read.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.data.files.write import require_writable, whole_file
from calibtool.errors import InputError, UsageError
from calibtool.streaming.cells_file import from_bytes, to_bytes
from calibtool.streaming.engines.engine import PartResult, RunOptions, Task
from calibtool.streaming.engines.fold import Fold
from calibtool.streaming.summary import Summary
from calibtool.version import __version__

FORMAT = "calibtool run"
VERSION = 1
EVERY = 10.0  # seconds between two writes
LEAST_SHARE = 100  # and so many times what the last one took


class Checkpoint:
    """Writes and reads the file of a pass; does nothing where none was asked for."""

    def __init__(self, how: RunOptions, source: Source, work: Task, parts: Sequence[Part]) -> None:
        self.path, self.say = how.state, how.say
        self.was = {} if self.path is None else what(source, work, parts)
        self._kept, self._due = 0, time.monotonic() + EVERY

    def resume(self, fold: Fold, share: Callable[[int], float]) -> None:
        """Go on where the file says.

        Raises InputError where it is of another pass.
        """
        if self.path is None:
            return
        if not self.path.exists():
            require_writable(self.path)
            return
        fold.held, fold.done = _read(self.path, self.was)
        self._kept = fold.done
        if fold.done == fold.root.stop:
            self.say(f"{self.path}: the whole run is in it; nothing is left to read")
        elif fold.done:
            self.say(f"{self.path}: the run continues at {100 * share(fold.done):.0f} %")

    def keep(self, fold: Fold) -> None:
        """Write, if it is time."""
        if self.path is not None and time.monotonic() >= self._due:
            self._write(fold)

    def close(self, fold: Fold) -> None:
        """Write what is not written yet, also where the pass was cut short."""
        if self.path is not None and fold.done > self._kept:
            self._write(fold)

    def _write(self, fold: Fold) -> None:
        assert self.path is not None
        began = time.monotonic()
        _save(self.path, self.was, fold)
        took = time.monotonic() - began
        self._kept, self._due = fold.done, time.monotonic() + max(EVERY, LEAST_SHARE * took)


def what(source: Source, work: Task, parts: Sequence[Part]) -> dict[str, str]:
    """What a pass is over and what it makes, by what to call it in messages."""
    keep = getattr(work, "keep", None)
    if keep is None:
        raise UsageError("--state: this pass keeps more than cells, and cannot be resumed")
    systems = [_described(system) for system in getattr(work, "systems", ())]
    files = source.table.stamps()
    size = sum(size or 0 for _, size, _ in files)
    side = None if source.side_labels is None else _hash(source.side_labels.tobytes())
    options = {**asdict(source.choice), "extra": source.extra, "side": side}
    cut = [(part.file, part.number, part.first_row, part.rows) for part in parts]
    return {
        "versions of calibtool": __version__,
        "input files": f"{len(files):,} files of {size:,} bytes, sha256 {_digest([files, cut])}",
        "options of reading": f"sha256 {_digest(options)}",
        "roles of columns": f"sha256 {_digest(asdict(source.roles))}",
        "metrics": f"sha256 {_digest(asdict(keep))}",
        "calibrators": f"sha256 {_digest(systems)}",
    }


def _described(system: Any) -> Any:
    """A calibrator by its numbers."""
    if hasattr(system, "document"):
        return system.document()
    name = getattr(system, "__qualname__", None)
    if name is None:
        raise UsageError("--state: goes with calibrators of calibtool alone")
    return name


def _digest(value: Any) -> str:
    return _hash(json.dumps(value, sort_keys=True).encode())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _save(path: Path, was: dict[str, str], fold: Fold) -> None:
    held = {
        str(depth): {"bad": found.bad, "sums": len(found.sums)}
        for depth, found in fold.held.items()
    }
    header = {"format": FORMAT, "version": VERSION, "run": was, "done": fold.done, "held": held}
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("header.json", json.dumps(header, indent=1))
        for depth, found in fold.held.items():
            for k, state in enumerate(found.sums):
                archive.writestr(f"{depth}/{k}.cells", to_bytes(state))


def _read(path: Path, was: dict[str, str]) -> tuple[dict[int, PartResult], int]:
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("header.json"))
            _require_same(path, header, was)
            held = {
                int(depth): PartResult(
                    [
                        _state(archive, f"{depth}/{k}.cells", str(path))
                        for k in range(int(said["sums"]))
                    ],
                    tuple((int(n), str(file), str(why)) for n, file, why in said["bad"]),
                )
                for depth, said in header["held"].items()
            }
            return held, int(header["done"])
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not the state of a run ({error}); name another file, or delete it to begin "
            "anew"
        ) from error


def _state(archive: zipfile.ZipFile, name: str, source: str) -> Summary:
    return from_bytes(archive.read(name), source)


def _require_same(path: Path, header: dict[str, Any], was: dict[str, str]) -> None:
    """Whether the file is of the same pass."""
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {header['format']!r}")
    if header["version"] != VERSION:
        raise InputError(
            f"{path}: the state of a run of version {header['version']}, this calibtool reads "
            f"version {VERSION}; delete it to begin anew"
        )
    for name, value in was.items():
        then = str(header["run"].get(name))
        if then == value:
            continue
        said = "" if "sha256" in value or len(value) > 80 else f" ({then} then, {value} now)"
        if name == "input files":
            said = f" ({_human(then)} then, {_human(value)} now)"
        raise InputError(
            f"{path}: is of a run with other {name}{said}; name another file, or delete it to "
            "begin anew"
        )


def _human(value: str) -> str:
    return value.partition(", sha256")[0]
