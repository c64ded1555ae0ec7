"""The table of what is fuzzed, and the cases that follow from a seed and a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from calibtool.data.files.find import ARROW_FORMATS
from fuzzing import commands, tree
from fuzzing.archives import bomb, damage_archive, members
from fuzzing.arrays import SEVERAL, edit_header, npy, npz, odd_array, odd_predictions
from fuzzing.bytes import damage
from fuzzing.documents import damage_costs, damage_json, damage_toml
from fuzzing.seeds import GOOD, Seed, of_documents, of_readers
from fuzzing.tables import (
    WRITERS,
    array_lines,
    damage_binary,
    damage_lines,
    damage_rows,
    damage_text,
    odd_table,
)


@dataclass(frozen=True)
class Case:
    """One command and the file that it reads.

    Attributes:
        number: its number among the cases of its seed.
        kind: what is fuzzed.
        file: the name of the file; "" if the command reads good files only.
        data: the content of the file.
        argv: the command's arguments.
    """

    number: int
    kind: str
    file: str
    data: bytes
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """Something that is fuzzed.

    Attributes:
        weight: how often, beside the others.
        suffix: of its files; "" for commands over good files.
        make: returns the content of a file, and the good file that it belongs to or "".
        command: returns a command, from the names of the file, the output and the good file.
    """

    weight: float
    suffix: str
    make: Callable[[Random], tuple[bytes, str]]
    command: Callable[[Random, str, str, str], list[str]]


# How often files of a reader are tried; a reader that is not named here, as often as the least.
WEIGHTS = {
    ".npz": 20.0,
    ".parquet": 12.0,
    ".csv": 10.0,
    ".npy": 6.0,
    ".arrow": 8.0,
    ".feather": 6.0,
    ".jsonl": 6.0,
}
LEAST = 2.0
# suffix of a format that is neither numpy's nor Arrow's -> how its files are damaged
LOGS: dict[str, Callable[[Random, bytes], bytes]] = {
    **dict.fromkeys((".jsonl", ".ndjson", ".jevl"), damage_lines),
    ".json": lambda rng, data: (damage_json if rng.random() < 0.7 else damage_lines)(rng, data),
    ".eval": damage_archive,
    **dict.fromkeys((".safetensors", ".pt", ".pth", ".h5", ".hdf5"), damage),
}
BOMBS = 0.003  # share of npz files that are kilobytes and unpack to gigabytes: they take seconds


def kinds(folder: Path, only: Iterable[str] = ()) -> dict[str, Kind]:
    """Return the table, or the named lines of it. Good files are written into `folder`."""
    readers, documents = of_readers(), of_documents(folder)
    table = {suffix[1:]: _of_reader(suffix, seeds) for suffix, seeds in readers.items()}
    table |= {
        "labels": _document(4, ".npy", documents["labels"], _damage_npy, "labels"),
        "calibrator": _document(12, ".json", documents["calibrator"], _damage_json, "calibrator"),
        "threshold": _document(6, ".json", documents["threshold"], _damage_json, "threshold"),
        "sets": _document(6, ".json", documents["sets"], _damage_json, "sets"),
        "report": _document(6, ".json", documents["report"], _damage_json, "report"),
        "cells": _document(8, ".cells", documents["cells"], damage_archive, "cells"),
        "state": _document(4, ".state", documents["state"], damage_archive, "state"),
        "toml": _document(6, ".toml", documents["toml"], damage_toml, "toml"),
        "costs": _document(4, ".toml", documents["costs"], damage_costs, "costs"),
        "lighteval": _document(3, ".parquet", documents["lighteval"], damage_rows, "logs"),
        "arrays": Kind(10, ".npz", _odd_arrays, _structured),
        "tables": Kind(6, ".parquet", _odd_table, _structured),
        **_several(),
        "train": Kind(0.2, ".npz", _training, partial(_reading, "train")),
        "commands": Kind(12, "", lambda rng: (b"", ""), _nearly_right),
    }
    unknown = [name for name in only if name not in table]
    if unknown:
        raise SystemExit(f"--only {','.join(unknown)}: use some of {', '.join(table)}")
    return {name: kind for name, kind in table.items() if not only or name in only}


def draw_kind(seed: str, number: int, table: dict[str, Kind]) -> tuple[Random, str]:
    """Return what a case is about, and the state of randomness from which it follows."""
    rng = Random(f"{seed}/{number}")
    (name,) = rng.choices(list(table), [kind.weight for kind in table.values()])
    return rng, name


def case(seed: str, number: int, table: dict[str, Kind]) -> Case:
    """Return a case: always the same for a seed, a number and a table."""
    rng, name = draw_kind(seed, number, table)
    kind = table[name]
    data, partner = kind.make(rng)
    file = f"case{kind.suffix}" if kind.suffix else ""
    argv = kind.command(rng, file, "out", partner)
    return Case(number, name, file, data, tuple(argv))


def _of_reader(suffix: str, seeds: list[Seed]) -> Kind:
    weight = WEIGHTS.get(suffix, LEAST)
    if suffix == ".npz":
        return _document(weight, suffix, seeds, _damage_npz, "rows")
    if suffix == ".npy":
        return _document(weight, suffix, seeds, _damage_npy, "array")
    if suffix in LOGS:
        return _document(weight, suffix, seeds, LOGS[suffix], "logs")
    format_ = ARROW_FORMATS[suffix]
    if format_ in ("csv", "tsv"):
        return _document(weight, suffix, seeds, damage_text, "rows")
    return _document(weight, suffix, seeds, partial(damage_binary, write=WRITERS[format_]), "rows")


def _document(
    weight: float,
    suffix: str,
    seeds: list[Seed],
    change: Callable[[Random, bytes], bytes],
    templates: str,
) -> Kind:
    def make(rng: Random) -> tuple[bytes, str]:
        seed = rng.choice(seeds)
        return change(rng, seed.data), seed.partner

    return Kind(weight, suffix, make, partial(_reading, templates))


def _reading(kind: str, rng: Random, file: str, out: str, partner: str) -> list[str]:
    return commands.reading(rng, kind, file, out, partner)


def _structured(
    rng: Random, file: str, out: str, partner: str, told: Sequence[str] = ("",)
) -> list[str]:
    return tree.structured(rng, file, out, told=told)


def _nearly_right(rng: Random, file: str, out: str, partner: str) -> list[str]:
    """Return a command on a good file, with more options than a damaged one needs."""
    good = f"{GOOD}/{rng.choice(tree.FILES_GOOD)}"
    return tree.structured(rng, good, out, most=4, told=tree.TOLD.get(good, ("",)))


def _damage_npz(rng: Random, data: bytes) -> bytes:
    draw = rng.random()
    if draw < BOMBS:
        return bomb("logits.npy", members(data) or [])
    if draw < 0.45:
        return damage_archive(rng, data)
    if draw < 0.7:
        return npz(odd_predictions(rng), compressed=rng.random() < 0.5)
    return edit_header(rng, data) if draw < 0.75 else damage(rng, data)


def _damage_npy(rng: Random, data: bytes) -> bytes:
    draw = rng.random()
    if draw < 0.5:
        return edit_header(rng, data)
    return npy(odd_array(rng)) if draw < 0.75 else damage(rng, data)


def _damage_json(rng: Random, data: bytes) -> bytes:
    return damage_json(rng, data) if rng.random() < 0.85 else damage(rng, data)


def _odd_arrays(rng: Random) -> tuple[bytes, str]:
    if rng.random() < BOMBS:
        return bomb("logits.npy", [("labels.npy", npy(np.zeros(3, int)))]), ""
    return npz(odd_predictions(rng), compressed=rng.random() < 0.2), ""


def _several() -> dict[str, Kind]:
    """Return kinds of files whose rows hold several predictions, levels or soft labels."""
    table = {}
    for name, (roles, told) in SEVERAL.items():
        command = partial(_structured, told=told)
        table[name] = Kind(2.5, ".npz", partial(_odd_several, roles=roles, write=npz), command)
        if name != "dense":  # no table holds lists of lists of lists
            table[f"{name}-lines"] = Kind(
                1.5, ".jsonl", partial(_odd_several, roles=roles, write=array_lines), command
            )
    return table


def _odd_several(
    rng: Random, roles: tuple[str, ...], write: Callable[[dict[str, Any]], bytes]
) -> tuple[bytes, str]:
    return write(odd_predictions(rng, [roles])), ""


def _odd_table(rng: Random) -> tuple[bytes, str]:
    import pyarrow as pa

    try:
        return WRITERS["parquet"](odd_table(rng), rng), ""
    except (pa.ArrowException, NotImplementedError):
        return b"", ""


def _training(rng: Random) -> tuple[bytes, str]:
    """Return odd arrays under the names of training data."""
    arrays = odd_predictions(rng)
    roles = {"logits": "x", "probs": "x", "score": "x", "labels": "y"}
    return npz({roles.get(name, name): array for name, array in arrays.items()}), ""
