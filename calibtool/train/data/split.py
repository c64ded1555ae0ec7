"""Rows dealt into train, validation and test: by seed, stratified by class; torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibtool.errors import InputError
from calibtool.train.data.dataset import PARTS, Data, Rows
from calibtool.types import Array

LEAST = 2  # rows of validation and of test
FEW = 3  # rows a class: with fewer, all are trained on


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts. No row is in two of them."""

    train: Rows
    val: Rows
    test: Rows
    notes: tuple[str, ...] = ()


def split(data: Data, *, val_share: float, test_share: float, seed: int) -> Splits:
    """The parts that the data come in; what is missing is cut from the training rows.

    Raises InputError where a part has too few rows to be measured.
    """
    given: Mapping[str, Rows] = data.parts
    shares = [0.0 if "val" in given else val_share, 0.0 if "test" in given else test_share]
    rows = given["train"]
    part, few = deal(rows.labels, shares[0], shares[1], seed)
    cut = {name: rows.take(np.flatnonzero(part == k)) for k, name in enumerate(PARTS)}
    parts = {name: given[name] if name in given and name != "train" else cut[name] for name in cut}
    for name, found in parts.items():
        if len(found) < LEAST:
            raise InputError(
                f"{data.source}: {len(found)} rows for {name}, {LEAST} are the least; "
                "give more rows or larger shares"
            )
    if len(np.unique(parts["train"].labels)) < 2:
        raise InputError(f"{data.source}: the rows to train on are all of one class")
    notes = data.notes
    if few:
        notes += (f"{few} classes have fewer than {FEW} rows: all of theirs are trained on",)
    return Splits(parts["train"], parts["val"], parts["test"], notes)


def deal(labels: Array, val_share: float, test_share: float, seed: int) -> tuple[Array, int]:
    """A part for each row, 0 train, 1 val, 2 test, and how many classes were too small to split.

    Within a class, rows in random order lie evenly in [0, 1), shifted by a random offset: test are
    those below `test_share`, validation the next. So each class has its shares, to within a row.

    >>> part, _ = deal(np.array([0, 1] * 50), 0.2, 0.2, seed=0)
    >>> np.bincount(part).tolist()
    [60, 20, 20]
    """
    part = np.zeros(len(labels), np.int8)
    few = 0
    if val_share == 0 and test_share == 0:
        return part, few
    for k in np.unique(labels).tolist():
        generator = np.random.default_rng([seed, k])
        own = generator.permutation(np.flatnonzero(labels == k))
        if len(own) < FEW:
            few += 1
            continue
        place = (np.arange(len(own)) + generator.random()) / len(own)
        part[own[place < test_share + val_share]] = 1
        part[own[place < test_share]] = 2
    return part, few
