"""Zips that are put together in an odd way: npz files, cells and states."""

from __future__ import annotations

import io
import os
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random

import numpy as np

from fuzzing.arrays import edit_header, npy, odd_array
from fuzzing.bytes import EDGES, damage, set_bytes
from fuzzing.documents import damage_json

Members = list[tuple[str, bytes]]
# the file that appears if something is unpickled
PICKLED = "unpickled"
NAMES = (
    *("/etc/passwd.npy", "../../x.npy", "a/b/c.npy", "\u202egnp.npy", ".npy", "x" * 3000 + ".npy"),
    *("C:\\x.npy", "logits\n.npy", "logits\x1b[2J.npy", "header.json"),
)
# signature of a record -> offset and size of its fields: flags, method, sums and lengths
FIELDS = {
    b"PK\x01\x02": ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)),
    b"PK\x03\x04": ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x05\x06": ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
ODD_METHODS = (*METHODS, zipfile.ZIP_LZMA)


class Bomb:
    """An object whose pickle writes a file when it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {PICKLED}",)


def members(data: bytes) -> Members | None:
    """Return names and contents of a zip; None if it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        return None


def archive(content: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of these members, in this order, repeated names included."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(file, "w", method) as out:
            for name, data in content:
                info = zipfile.ZipInfo(name)  # of 1980, so that a case is the same at any time
                info.compress_type = method
                out.writestr(info, data)
    return file.getvalue()


def damage_archive(rng: Random, data: bytes) -> bytes:
    """Return the zip with members, headers or contents that are not as they were."""
    content = members(data)
    if not content:
        return set_bytes(rng, data)
    way = rng.choice(WAYS)
    out = archive(way(rng, content), rng.choice(METHODS if rng.random() < 0.9 else ODD_METHODS))
    return set_field(rng, out) if way is _same or rng.random() < 0.15 else out


def _same(rng: Random, content: Members) -> Members:
    return content


def _twice(rng: Random, content: Members) -> Members:
    """Repeat a member, perhaps with other content."""
    name, data = rng.choice(content)
    return [*content, (name, data if rng.random() < 0.5 else set_bytes(rng, data))]


def _other_name(rng: Random, content: Members) -> Members:
    at = rng.randrange(len(content))
    return [(rng.choice(NAMES) if k == at else n, d) for k, (n, d) in enumerate(content)]


def _without(rng: Random, content: Members) -> Members:
    at = rng.randrange(len(content))
    return content[:at] + content[at + 1 :]


def _other_content(rng: Random, content: Members) -> Members:
    """Change what one member holds, in a way that suits it."""
    at = rng.randrange(len(content)) if rng.random() < 0.7 else 0
    name, data = content[at]
    if name.endswith(".json"):
        data = damage_json(rng, data)
    elif name.endswith(".cells"):
        data = damage_archive(rng, data)
    elif name.endswith(".npy") and rng.random() < 0.7:
        data = edit_header(rng, data) if rng.random() < 0.6 else npy(odd_array(rng))
    else:
        data = damage(rng, data)
    return [*content[:at], (name, data), *content[at + 1 :]]


def _padded(rng: Random, content: Members) -> Members:
    return [(name, data + bytes(rng.choice((1, 8, 60)))) for name, data in content]


def _nested(rng: Random, content: Members) -> Members:
    return [(name, archive([("logits.npy", data)])) for name, data in content]


def _pickled(rng: Random, content: Members) -> Members:
    """Put pickles where arrays were: bare, and as arrays of objects."""
    bare = pickle.dumps(Bomb())
    file = io.BytesIO()
    np.save(file, np.array([Bomb()], object), allow_pickle=True)
    name, _ = rng.choice(content)
    return [(n, rng.choice((bare, file.getvalue())) if n == name else d) for n, d in content]


def _more(rng: Random, content: Members) -> Members:
    return [*content, rng.choice((("extra.npy", b""), ("zeros.npy", npy(np.zeros(1 << 20)))))]


WAYS: tuple[Callable[[Random, Members], Members], ...] = (
    *(_same, _same, _twice, _other_name, _without, _padded, _nested, _pickled, _more),
    *(_other_content,) * 5,
)


BLOCK = 1 << 20  # bytes of zeros, which deflate turns into a thousand
BOMB = 1500  # blocks: more than the memory that any command may take


def bomb(name: str, rest: Members) -> bytes:
    """Return a zip of kilobytes whose first member, an array of zeros, takes more than a gigabyte.

    Its sum is wrong: whoever finds that out has unpacked it.
    """
    shape = f"({BOMB * BLOCK // 8 // 3}, 3)"
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = deflate.compress(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode())
    start += deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(BLOCK)) + deflate.flush(zlib.Z_FULL_FLUSH)
    packed = start + BOMB * block + deflate.flush(zlib.Z_FINISH)
    title = name.encode()
    sizes = (len(packed), BOMB * BLOCK + 10 + len(header), len(title))
    whole = archive(rest)
    tail = whole.rindex(b"PK\x05\x06")
    entries, _, at = struct.unpack("<HII", whole[tail + 10 : tail + 20])
    first = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 33, 0, *sizes, 0) + title + packed
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, 0, *sizes, 0, 0, 0, 0, 0, at
    )
    listing = whole[at:tail] + entry + title
    end = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, entries + 1, entries + 1, len(listing), at + len(first), 0
    )
    return whole[:at] + first + listing + end


def set_field(rng: Random, data: bytes) -> bytes:
    """Overwrite sizes, flags or methods in the records of a zip."""
    out = bytearray(data)
    for signature, fields in FIELDS.items():
        at = [match.start() for match in re.finditer(re.escape(signature), data)]
        if at and rng.random() < 0.6:
            offset, size = rng.choice(fields)
            value = rng.choice((*EDGES, 8, 9, 12, 99, 0x41, 0xFFFF, rng.getrandbits(32)))
            start = rng.choice(at) + offset
            out[start : start + size] = (value & (2 ** (8 * size) - 1)).to_bytes(size, "little")
    return bytes(out)
