"""Tensors in files: safetensors, written whole; torch files only as plain weights. No pickle."""

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
    """A safetensors file, whole or not at all; `meta` is kept beside the tensors as JSON."""
    from safetensors.torch import save

    own = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    text = {META: json.dumps(meta)} if meta is not None else None
    with whole_file(path) as file:
        file.write(save(own, metadata=text))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a safetensors file, and what was kept beside them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads((file.metadata() or {}).get(META, "{}"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from error
    return tensors, meta


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights of any checkpoint that holds nothing but tensors: safetensors, or torch's own file
    read with weights_only=True. A state dict below "state_dict" or "model" is found."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return read(path)[0]
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch's reader meets: each is a file that is not read
        raise InputError(
            f"{path}: not read: it is no torch checkpoint of plain weights (it may hold pickled "
            "objects, which can run code). Save model.state_dict() with torch.save, or better with "
            "safetensors.torch.save_file"
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    tensors = {k: v for k, v in found.items() if isinstance(v, Tensor)} if _is_dict(found) else {}
    if not tensors:
        raise InputError(f"{path}: holds no weights by name; save model.state_dict()")
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _is_dict(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(key, str) for key in found)
