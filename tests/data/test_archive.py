"""Zips of our own formats: every way to write one is read, and every damage is named."""

from __future__ import annotations

import io
import zipfile

import pytest

from calibtool.data.files.archive import Archive
from calibtool.data.files.document import Document
from calibtool.errors import InputError

MEMBERS = {"a": b"", "b/c.f8": bytes(range(256)) * 40, "\u00fc": b"one" * 3}


def written(method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, data in MEMBERS.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def streamed() -> bytes:
    """A zip whose writer could not go back: sizes stand behind each member."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    buffer = Pipe()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in MEMBERS.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    archive = Archive(Document("x.zip", "a zip"), io.BytesIO(data))
    return {name: archive.read(name, 1 << 20) for name in MEMBERS}


@pytest.mark.parametrize(
    "data",
    [
        *(written(), written(zipfile.ZIP_STORED)),
        *(written(comment=b"of a hundred days"), b"#!" + written(), streamed()),
    ],
    ids=["deflated", "stored", "with a comment", "behind other bytes", "streamed"],
)
def test_a_zip_is_read_however_it_was_written(data: bytes) -> None:
    assert read(data) == MEMBERS


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_byte_that_is_changed_is_seen_or_does_not_matter(method: int) -> None:
    data = written(method)
    named = 0
    for at in [*range(120), *range(len(data) - 260, len(data))]:
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        try:
            assert read(bytes(damaged)) == MEMBERS
        except InputError as error:
            named += str(error).startswith("x.zip: not a zip: ")
    assert named > 200


@pytest.mark.parametrize("end", [0, 10, 100, -1, -30])
def test_a_zip_that_is_cut_is_named(end: int) -> None:
    with pytest.raises(InputError, match="not a whole zip"):
        read(written()[:end])


def test_a_member_that_stands_twice_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(InputError, match="the member 'a' stands twice"):
        read(buffer.getvalue())
