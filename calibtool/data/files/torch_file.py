"""Torch files of plain tensors: torch reads them with `weights_only`, so that no code can run."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.data.files.archive import open_archive
from calibtool.data.files.array_table import ArrayTable, Converted, Rows, StoredArray
from calibtool.data.files.bit_types import from_bfloat16, from_flags
from calibtool.data.files.store import open_checked
from calibtool.errors import InputError, brief

_ZIP = b"PK\x03\x04"  # how files begin that torch has written since version 1.6
_PAIR = ("logits", "labels")  # what a tuple of two tensors holds
_DEEPEST = 2  # levels of names: "test.logits"
# What torch.load raises for damaged files. UnpicklingError: of what weights_only forbids;
# RuntimeError: of torch's own reader; the others: of a pickle whose parts do not fit together.
_DAMAGE = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, OSError, ImportError, MemoryError),
    *(ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError),
    struct.error,
)


def open_torch(path: Path, max_unpacked: float | None = None) -> ArrayTable:
    """Open a torch file: a tensor, a pair of logits and labels, or a dict of tensors, whose parts
    may be dicts or pairs.

    Raises InputError without torch, and for a file that is damaged or holds other objects.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path}: reading it needs the extra train: pip install 'calibtool[train]'; or convert "
            "it where torch is: np.savez('file.npz', logits=logits.numpy(), labels=labels.numpy())"
        ) from error
    with open_checked(path, str(path)) as file:
        zipped = file.read(len(_ZIP)) == _ZIP
    if zipped:
        _require_stored(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of other protocols of pickle, and then fails
            # only a tensor in a zip can be mapped
            document = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except _DAMAGE as error:
        raise InputError(
            f"{path}: not a torch file of plain tensors ({_reason(error)}). Other objects are "
            "pickles, which can run code and are never read: save tensors, such as "
            "torch.save({'logits': logits, 'labels': labels}, path)"
        ) from error
    arrays: dict[str, StoredArray] = {}
    for name, tensor in _named(document, str(path), path.stem):
        if name in arrays:
            raise InputError(f"{path}: two tensors are called {name!r}; rename one of them")
        arrays[name] = _stored(tensor, mapped=zipped)
    if not arrays:
        raise InputError(
            f"{path}: holds no tensors; write them with torch.save({{'logits': logits, "
            "'labels': labels}, path)"
        )
    return ArrayTable(path, arrays, open_torch, max_unpacked)


def _require_stored(path: Path) -> None:
    """Check that no member of the zip is compressed: torch maps what is there, and takes packed
    bytes for values."""
    with open_archive(path) as (_, archive):
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                raise InputError(
                    f"{path}: {brief(member.filename)} is compressed, which torch does not write; "
                    "save it again with torch.save"
                )


def _reason(error: BaseException) -> str:
    """Return what is wrong with a file: the rest of torch's text tells how to run its code."""
    text = str(error).strip() or type(error).__name__
    if other := re.search(r"Unsupported (?:global|class)\W+(?:GLOBAL )?([\w.]+)", text):
        return f"it holds {brief(other[1])}"
    found = re.search(r"WeightsUnpickler error: ([^\n]+)", text)
    return brief(found[1] if found else text.splitlines()[0])


def _named(document: Any, where: str, stem: str) -> Iterator[tuple[str, Any]]:
    """Yield names and tensors of a document; a single tensor is called after the file."""
    import torch

    if isinstance(document, torch.Tensor):
        yield stem, document
        return
    if isinstance(document, (list, tuple)) and not _is_pair(document):
        raise InputError(
            f"{where}: holds {_described(document)}; expected two tensors, logits and labels, or a "
            "dict of tensors"
        )
    yield from _below(document, "", 1)


def _below(value: Any, prefix: str, level: int) -> Iterator[tuple[str, Any]]:
    """Yield names and tensors of a dict or a pair; what is neither a tensor nor, up to the deepest
    level, one of these, is no array: numbers and settings stand beside tensors."""
    import torch

    parts: Mapping[Any, Any] = {}
    if isinstance(value, Mapping):
        parts = value
    elif _is_pair(value):
        parts = dict(zip(_PAIR, value, strict=True))
    for key, part in parts.items():
        name = f"{prefix}{key}"
        if isinstance(part, torch.Tensor):
            yield name, part
        elif level < _DEEPEST:
            yield from _below(part, f"{name}.", level + 1)


def _is_pair(value: Any) -> bool:
    import torch

    return (
        isinstance(value, (list, tuple))
        and len(value) == len(_PAIR)
        and all(isinstance(part, torch.Tensor) for part in value)
    )


def _described(values: Any) -> str:
    kinds = [type(value).__name__ for value in values[:4]]
    more = ", ..." if len(values) > len(kinds) else ""
    return f"a {type(values).__name__} of {len(values)} ({', '.join(kinds)}{more})"


def _stored(tensor: Any, *, mapped: bool) -> StoredArray:
    """Return a tensor as a table knows it, of a type without values if numpy has none like it."""
    import torch

    shape, kind = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or kind not in _KINDS:
        unread = np.dtype("V1")
        empty = np.broadcast_to(np.zeros((), unread), shape)
        return StoredArray(shape, unread, lambda: empty, stored=f"{kind} tensor")
    tensor = tensor.detach()
    if kind == "bfloat16":
        values: Rows = Converted(tensor.view(torch.int16).numpy().view(np.uint16), from_bfloat16)
        return StoredArray(shape, np.dtype("f4"), lambda: values, stored=kind)
    if kind == "bool":
        values = Converted(tensor.view(torch.uint8).numpy(), from_flags)
        return StoredArray(shape, np.dtype(bool), lambda: values)
    array = tensor.resolve_neg().numpy()
    return StoredArray(shape, array.dtype, lambda: array, mapped=mapped and array.size > 0)


# torch's types that are read
_KINDS = {
    *("float64", "float32", "float16", "bfloat16", "bool"),
    *("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64"),
}
