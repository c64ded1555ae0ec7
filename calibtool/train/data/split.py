"""The split into training, validation and test rows: by seed, stratified by class; torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibtool.errors import InputError
from calibtool.intervals.streams import Stream, generator
from calibtool.train.data.dataset import PARTS, Data, Rows
from calibtool.train.data.repeats import repeated
from calibtool.types import Array

LEAST = 2  # rows per part: the network is checked on two, and one row measures nothing
FEW = 3  # rows per class, one for each part; the rows of smaller classes are all trained on


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts; they have no row in common."""

    train: Rows
    val: Rows
    test: Rows
    notes: tuple[str, ...] = ()


def split(data: Data, *, val_share: float, test_share: float, seed: int) -> Splits:
    """Return the parts of the data; parts that are missing are cut from the training rows.

    Shares are of the rows that the data call "train". Raises InputError if a part has too few
    rows, or if all training rows are of one class.
    """
    existing: Mapping[str, Rows] = data.parts
    rows = existing["train"]
    val_share = 0.0 if "val" in existing else val_share
    test_share = 0.0 if "test" in existing else test_share
    if rows.groups is None:
        part, few = deal(rows.labels, val_share, test_share, seed)
    else:
        part, few = deal_groups(rows.labels, rows.groups, val_share, test_share, seed), 0
    cut = {name: rows.take(np.flatnonzero(part == k)) for k, name in enumerate(PARTS)}
    parts = {**cut, **{name: rows for name, rows in existing.items() if name != "train"}}
    for name, rows in parts.items():
        if len(rows) < LEAST:
            raise InputError(
                f"{data.source}: {len(rows)} rows for {name}, at least {LEAST} are needed; give "
                "more rows or larger shares"
            )
    if len(np.unique(parts["train"].labels)) < 2:
        raise InputError(f"{data.source}: all training rows are of one class")
    _require_whole_groups(parts, data.source)
    notes = data.notes + repeated(parts)
    if few:
        classes = "1 class has" if few == 1 else f"{few} classes have"
        notes += (f"{classes} fewer than {FEW} rows, which are all used for training",)
    return Splits(parts["train"], parts["val"], parts["test"], notes)


def deal_groups(
    labels: Array, groups: Array, val_share: float, test_share: float, seed: int
) -> Array:
    """Return the part of each row, as `deal` does, with the rows of a group in one part.

    Groups are dealt out from the largest to the smallest, equal ones in random order, each to the
    part that lacks most of the group's classes.

    >>> part = deal_groups(np.array([0, 1] * 50), np.arange(100) // 5, 0.2, 0.2, seed=0)
    >>> np.bincount(part).tolist()
    [60, 20, 20]
    """
    _, group = np.unique(groups, return_inverse=True)
    _, k = np.unique(labels, return_inverse=True)
    counts = np.zeros((group.max() + 1, k.max() + 1))
    np.add.at(counts, (group, k), 1)
    shares = np.array([1 - val_share - test_share, val_share, test_share])
    wanted = shares[:, None] * counts.sum(axis=0)
    held = np.zeros_like(wanted)
    order = generator(Stream.SPLIT, seed, counts.shape[1]).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    part = np.zeros(len(counts), np.int8)
    for one in order.tolist():
        lacks = 1 - np.divide(held, wanted, out=np.ones_like(held), where=wanted > 0)
        part[one] = np.argmax(np.where(shares > 0, lacks @ counts[one], -np.inf))
        held[part[one]] += counts[one]
    return part[group]


def _require_whole_groups(parts: Mapping[str, Rows], source: str) -> None:
    """Check that no group of --group is in two parts; raise InputError otherwise."""
    seen: dict[object, str] = {}
    for name, rows in parts.items():
        for group in () if rows.groups is None else np.unique(rows.groups).tolist():
            if (other := seen.setdefault(group, name)) != name:
                raise InputError(
                    f"{source}: --group: {group!r} has rows for {other} and for {name}; a split "
                    "that the data bring must keep a group in one part"
                )


def deal(labels: Array, val_share: float, test_share: float, seed: int) -> tuple[Array, int]:
    """Return the part of each row and the number of classes that are too small to split.

    The (N,) int8 parts are 0 for train, 1 for val and 2 for test. Within a class, rows in random
    order are spread evenly over [0, 1) with a random offset; those below `test_share` are test
    rows, the next `val_share` validation rows. Each class thereby has its shares to within a row,
    and the offset keeps rounding from favouring a part in every class.

    >>> part, _ = deal(np.array([0, 1] * 50), 0.2, 0.2, seed=0)
    >>> np.bincount(part).tolist()
    [60, 20, 20]
    """
    part = np.zeros(len(labels), np.int8)
    few = 0
    if val_share == 0 and test_share == 0:
        return part, few
    for k in np.unique(labels).tolist():
        rng = generator(Stream.SPLIT, seed, k)
        rows = rng.permutation(np.flatnonzero(labels == k))
        if len(rows) < FEW:
            few += 1
            continue
        position = (np.arange(len(rows)) + rng.random()) / len(rows)
        part[rows[position < test_share + val_share]] = 1
        part[rows[position < test_share]] = 2
    return part, few
