"""Part files: what is being written, beside the file that it replaces once it is whole.

A writer holds a lock on its part file as long as it lives: the system releases it however the
process ends. A part file without a lock was left by a process that was killed, and the next writer
of the same file removes it. A process number in the name would not do: another machine or container
may use the folder, and numbers are given out again.

Where a file system has no locks, nothing is removed.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked and nothing removed
    fcntl = None  # type: ignore[assignment]

_OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_TOKEN_BYTES = 4  # enough that two writers rarely draw the same; if they do, one draws again


@contextmanager
def part_file(target: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `target` when the block ends without an error, and is
    removed otherwise. It takes over permissions and, as far as it may, owner and group of `target`.

    Raises OSError.
    """
    remove_leftovers(target)
    descriptor, path = _created(target)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
            if fcntl is None:
                file.close()  # Windows renames no open file
            # before it is closed: without its lock, it could be taken for a leftover
            path.replace(target)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def remove_leftovers(target: Path) -> None:
    """Remove the part files of `target` that no process holds. What cannot be removed stays."""
    if fcntl is None:
        return
    # `_created` makes these names
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.part")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if name.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_if_free(entry.path)


def _remove_if_free(path: str) -> None:
    """Remove a file that no process has locked; raise OSError if one has."""
    # neither a link is followed nor a pipe waited for
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            # shared, since NFS gives an exclusive lock only to who may write
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            Path(path).unlink()
    finally:
        os.close(descriptor)


def _created(target: Path) -> tuple[int, Path]:
    """Create the part file of `target`, locked; return its descriptor and path."""
    old = None
    with suppress(FileNotFoundError):
        old = target.stat()
    # never more open to others than the file that it replaces, not for a moment
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(_TOKEN_BYTES)}.part")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, mode)
        except FileExistsError:
            continue
        try:
            if _locked(descriptor):
                if old is not None:
                    _resemble(descriptor, old)
                return descriptor, path
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        os.close(descriptor)  # another writer took it for a leftover, and removes it


def _locked(descriptor: int) -> bool:
    """Lock a new file; return False if another writer took it for a leftover before that."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nobody removes anything either
        return True
    return os.fstat(descriptor).st_nlink > 0


def _resemble(descriptor: int, old: os.stat_result) -> None:
    """Give a file the group, owner and permissions of another, as far as this process may."""
    if not hasattr(os, "fchown"):  # Windows
        return
    # one by one: only root may give a file away, others may choose among their groups
    for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
        with suppress(OSError):
            os.fchown(descriptor, owner, group)
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if os.fstat(descriptor).st_gid != old.st_gid:  # another group may do no more than others
        mode = mode & 0o707 | (mode & 0o007) << 3
    with suppress(OSError):  # file systems without permissions
        os.fchmod(descriptor, mode)
