"""Tensors in files: safetensors, and torch files if they hold plain weights. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calibtool.data.files.write import whole_file
from calibtool.errors import InputError

META = "calibtool"


def write(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any] | None = None) -> None:
    """Write a safetensors file atomically, with `meta` as JSON in its header."""
    from safetensors.torch import save

    # copies, since safetensors refuses tensors that share memory
    copies = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    text = {META: json.dumps(meta)} if meta is not None else None
    with whole_file(path) as file:
        file.write(save(copies, metadata=text))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a safetensors file and the JSON in its header.

    Raises InputError if the file does not exist or is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads((file.metadata() or {}).get(META, "{}"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a complete safetensors file ({error})") from error
    if not isinstance(meta, dict):
        raise InputError(f"{path}: {META} in its header is no object")
    return tensors, meta


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that holds nothing but tensors.

    Either safetensors, or a torch file, read with weights_only=True; its state dict may be below
    "state_dict", "model" or "model_state_dict", and its names may begin with "module.", as
    DistributedDataParallel saves them. Raises InputError.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return read(path)[0]
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types, each for a file that cannot be read
        raise InputError(
            f"{path}: not a torch checkpoint of plain weights (it may hold pickled objects, which "
            "can run code). Save model.state_dict() with torch.save, or better with "
            "safetensors.torch.save_file"
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(document, dict) and isinstance(document.get(key), dict):
            document = document[key]
    named = document.items() if _has_names(document) else ()
    tensors = {name: value for name, value in named if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f"{path}: holds no named weights; save model.state_dict()")
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _has_names(document: object) -> bool:
    return isinstance(document, dict) and all(isinstance(key, str) for key in document)
