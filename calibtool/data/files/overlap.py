"""Overlap: an output that is one of the files that are read, whatever names lead to both."""

from __future__ import annotations

import os
from pathlib import Path

from calibtool.data.files import store
from calibtool.data.files.find import find
from calibtool.errors import CalibtoolError, UsageError


def file_replaced(output: str | Path, text: str | Path) -> str | None:
    """Return the file among those that `text` stands for which `output` would replace, or None.

    `text` names a file, a folder, a glob or an address. Files are the same if they exist and the
    system says so, which sees through links.
    """
    target, name = Path(output), str(text)
    if not _is_file(target) or store.is_remote(name):
        return None
    local = store.local_path(name)
    if _is_file(Path(local)):
        return local if target.samefile(local) else None
    try:
        paths = find(name).paths
    except CalibtoolError:  # opening it will say what is wrong
        return None
    return next((p for p in paths if _is_file(Path(p)) and target.samefile(p)), None)


def same_target(output: str | Path, other: str | Path) -> bool:
    """Return whether two outputs lead to one file, whether it exists or not."""
    a, b = Path(output), Path(other)
    if _is_file(a) and _is_file(b):
        return a.samefile(b)
    return not a.exists() and not b.exists() and os.path.realpath(a) == os.path.realpath(b)


def require_apart(output: str | Path, text: str | Path) -> None:
    """Check that `output` replaces none of the files that `text` stands for.

    Raises UsageError.
    """
    file = file_replaced(output, text)
    if file is not None:
        raise UsageError(f"{output}: would replace {file}, which is read; give another name")


def _is_file(path: Path) -> bool:
    """Return whether there is a regular file: devices and pipes are not replaced."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name of a file at all, which opening it will say
        return False
