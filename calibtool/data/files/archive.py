"""Archives: zips of our own formats, whose members are read within limits that the caller knows."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import IO

from calibtool.data.files.document import Document

# What zipfile and zlib raise for damaged files. NotImplementedError stands for flags and versions
# that zipfile does not know, RuntimeError for encrypted members.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError),
    *(ValueError, OverflowError, struct.error),
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that writers of ours use


class Archive:
    """A zip that is open for reading. Raises InputError if it is none.

    Attributes:
        document: what to call the file, and what it should be.
    """

    def __init__(self, document: Document, file: IO[bytes]) -> None:
        self.document = document
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGE as error:
            document.refuse(f"not a whole zip: {error}")
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            if member.filename in self._members:
                document.refuse(f"the member {member.filename!r} stands twice in the zip")
            self._members[member.filename] = member

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Return the number of bytes of a member, which must be there."""
        if name not in self._members:
            self.document.refuse(f"the member {name} is missing")
        return self._members[name].file_size

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a member. Raises InputError if it has more than `most`, or is
        damaged."""
        size = self.size(name)
        if size > most:
            self.document.refuse(f"the member {name} has {size:,} bytes; at most {most:,} can be")
        member = self._members[name]
        if member.compress_type not in _METHODS:
            self.document.refuse(
                f"the member {name} is compressed by method {member.compress_type}; stored or "
                "deflated is expected"
            )
        try:
            with self._zip.open(member) as file:
                # of a limit: what is unpacked is else as long as the packed bytes make it
                data = file.read(max(size, 1))
        except _DAMAGE as error:
            self.document.refuse(f"the member {name} is damaged: {error}")
        if len(data) != size:
            self.document.refuse(f"the member {name} has {len(data):,} of its {size:,} bytes")
        return data
