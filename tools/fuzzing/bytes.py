"""Damage to the bytes of a file of any format: what disks, networks and hostile hands do."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

Damage = Callable[[Random, bytes], bytes]
# values at which lengths and offsets go wrong
EDGES = (0, 1, 5, 1000, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)


def set_bytes(rng: Random, data: bytes) -> bytes:
    """Overwrite some bytes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20, 100)) if data else 0):
        out[rng.randrange(len(out))] = rng.choice((0, 255, 127, 128, rng.randrange(256)))
    return bytes(out)


def flip_bits(rng: Random, data: bytes) -> bytes:
    """Flip one bit, or three."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 3)) if data else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def truncate(rng: Random, data: bytes) -> bytes:
    """Cut the end off: anywhere, or a few bytes."""
    if rng.random() < 0.7:
        return data[: rng.randrange(len(data) + 1)]
    return data[: max(0, len(data) - rng.randrange(1, 40))]


def behead(rng: Random, data: bytes) -> bytes:
    """Cut the beginning off."""
    return data[rng.randrange(1, min(len(data), 60) + 1) :] if data else data


def splice(rng: Random, data: bytes) -> bytes:
    """Repeat a range elsewhere, or leave it out."""
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    if rng.random() < 0.5:
        at = rng.randrange(len(data) + 1)
        return data[:at] + data[start:end] + data[at:]
    return data[:start] + data[end:]


def blank(rng: Random, data: bytes) -> bytes:
    """Fill a range with zeros, as a lost block of a disk, or with ones."""
    start = rng.randrange(len(data) + 1)
    length = min(rng.randrange(1, 200), len(data) - start)
    return data[:start] + bytes([rng.choice((0, 255))]) * length + data[start + length :]


def set_tail(rng: Random, data: bytes) -> bytes:
    """Overwrite bytes near the end, where parquet, Arrow and zip keep their index."""
    at = max(0, len(data) - rng.randrange(1, 300))
    return data[:at] + set_bytes(rng, data[at:])


def set_head(rng: Random, data: bytes) -> bytes:
    """Overwrite bytes near the beginning."""
    at = rng.randrange(1, 200)
    return set_bytes(rng, data[:at]) + data[at:]


def set_number(rng: Random, data: bytes) -> bytes:
    """Overwrite 4 or 8 bytes with a number at which lengths go wrong."""
    size = rng.choice((4, 8))
    if len(data) < size:
        return set_bytes(rng, data)
    at = rng.randrange(len(data) - size + 1)
    value = rng.choice(EDGES) & (2 ** (8 * size) - 1)
    return data[:at] + struct.pack("<Q", value)[:size] + data[at + size :]


DAMAGES: tuple[Damage, ...] = (
    *(set_bytes, flip_bits, truncate, behead, splice, blank, set_tail, set_head, set_number),
)
# where an index at the end of the file decides, more of the damage goes there
INDEXED: tuple[Damage, ...] = (set_tail, set_tail, set_head, set_number, *DAMAGES)


def damage(rng: Random, data: bytes, ways: tuple[Damage, ...] = DAMAGES) -> bytes:
    """Return the bytes, damaged in one of the ways."""
    return rng.choice(ways)(rng, data)
