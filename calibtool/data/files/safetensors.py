"""safetensors: a header of names and offsets, and the bytes of tensors, which stay in the file."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from calibtool.data.files.array_table import (
    ArrayTable,
    Converted,
    Rows,
    StoredArray,
    map_array,
    require_possible,
)
from calibtool.data.files.bit_types import BFLOAT16, FLAG, from_bfloat16, from_flags
from calibtool.data.files.document import Document, Entry
from calibtool.errors import InputError

_LENGTH = struct.Struct("<Q")  # bytes of the header, before it
# Most bytes of a header: the format's own limit.
# https://github.com/huggingface/safetensors/blob/main/README.md#format
LONGEST_HEADER = 100_000_000
METADATA = "__metadata__"  # texts beside the tensors, which say nothing of predictions
# Types of one byte, which nobody keeps predictions in: such tensors may stand beside them.
_EIGHT_BITS = ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
# The types of the format, with the dtype of their values in the file.
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": FLAG,
    "C64": np.dtype("<c8"),
    **dict.fromkeys(_EIGHT_BITS, np.dtype("V1")),
}
_CONVERTED = {
    "BF16": (np.dtype("f4"), from_bfloat16, "bfloat16"),
    "BOOL": (np.dtype(bool), from_flags, ""),
}


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file, by its header.

    Attributes:
        name: its key.
        kind: its type, a key of DTYPES.
        shape: its shape.
        begin, end: its bytes, counted from the end of the header.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def stored(self, path: Path, start: int) -> StoredArray:
        """Return the tensor as a table knows it; `start` is where the header ends."""
        dtype, kept = DTYPES[self.kind], ""
        if self.kind in _CONVERTED:
            dtype, _, kept = _CONVERTED[self.kind]
        elif dtype.kind == "V":
            kept = self.kind
        read = partial(_values, str(path), self, start)
        mapped = self.end > self.begin and self.kind not in _CONVERTED
        return StoredArray(self.shape, dtype, read, mapped=mapped, stored=kept)


def open_safetensors(path: Path, max_unpacked: float | None = None) -> ArrayTable:
    """Open a safetensors file; its tensors are mapped.

    Raises InputError if it cannot be opened or is damaged.
    """
    document = Document(
        str(path), "a safetensors file", "it may be truncated, or of another format: save it again"
    )
    with document.open() as file:
        root = _header(file, document)
        start, size = file.tell(), os.fstat(file.fileno()).st_size
    tensors = [_tensor(name, entry) for name, entry in root.entries().items() if name != METADATA]
    if not tensors:
        raise InputError(f"{path}: holds no tensors")
    _require_whole(tensors, size - start, document)
    arrays = {tensor.name: tensor.stored(path, start) for tensor in tensors}
    return ArrayTable(path, arrays, open_safetensors, max_unpacked)


def _header(file: IO[bytes], document: Document) -> Entry:
    """Return the header, and leave the file at its end."""
    size = os.fstat(file.fileno()).st_size
    if size < _LENGTH.size:
        document.refuse(f"it has {size} bytes")
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    if length > LONGEST_HEADER:
        document.refuse(f"its header would have {length:,} bytes, more than {LONGEST_HEADER:,}")
    if length > size - _LENGTH.size:
        document.refuse(f"its header of {length:,} bytes runs past the end of the file")
    try:
        data = file.read(length)
    except OSError as error:
        raise InputError(f"{document.file}: {error.strerror or error}") from error
    return document.parse_json(data)


def _tensor(name: str, entry: Entry) -> Tensor:
    """Return a tensor after checking that its bytes are as many as its shape asks for."""
    kind = entry["dtype"].text(DTYPES)
    shape = tuple(item.whole() for item in entry["shape"].items())
    begin, end = (item.whole() for item in entry["data_offsets"].items(2))
    dtype = DTYPES[kind]
    require_possible(shape, dtype.itemsize, f"{entry.document.file}: {name}")
    if end - begin != math.prod(shape) * dtype.itemsize:
        entry.refuse(
            f"has {end - begin:,} bytes, its shape {shape} of {kind} has "
            f"{math.prod(shape) * dtype.itemsize:,}"
        )
    return Tensor(name, kind, shape, begin, end)


def _require_whole(tensors: list[Tensor], size: int, document: Document) -> None:
    """Check that the tensors fill the bytes after the header, without gaps and overlaps."""
    at = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != at:
            fault = "overlaps the one before it" if tensor.begin < at else "leaves a gap before it"
            document.refuse(f"the tensor {tensor.name!r} {fault}")
        at = tensor.end
    if at != size:
        document.refuse(f"its tensors have {at:,} bytes, the file holds {size:,} of them")


def _values(path: str, tensor: Tensor, start: int) -> Rows:
    """Return the values of a tensor: mapped, or converted when they are read."""
    dtype = DTYPES[tensor.kind]
    values = map_array(path, tensor.name, dtype, start + tensor.begin, tensor.shape)
    if tensor.kind not in _CONVERTED:
        return values
    return Converted(values, _CONVERTED[tensor.kind][1])
