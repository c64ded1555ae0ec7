"""Profiles that are inverted together have the digits of one by one."""

from __future__ import annotations

import numpy as np
import pytest

from calibtool.intervals.inversion import Inversion
from calibtool.intervals.stack import invert_each
from calibtool.types import Array


def l1(gap: Array, mass: Array) -> Array:
    return np.asarray(np.abs(gap).sum(-1))


def profiles(seed: int, replicates: int) -> dict[str, Array]:
    """Profiles of few and many rows, of rare and of common outcomes, off and calibrated, some with
    empty bins."""
    rng = np.random.default_rng(seed)
    size, bins = 24, 7
    rows = rng.choice([12, 60, 400, 5000], size)[:, None]
    share = rng.dirichlet(np.full(bins, 0.7), size) * (rng.random((size, bins)) < 0.8)
    share[:, 0] += 0.1
    mass = np.rint(rows * share / share.sum(1, keepdims=True)) / rows
    score = np.sort(rng.random((size, bins)), axis=1)
    score[3], score[4, 0], score[5, -1] = 0.004, 0, 1  # rare outcomes, and certain ones
    truth = np.clip(score + rng.choice([0, 0.02, 0.3], (size, 1)), 0, 1)
    hits = rng.binomial(np.rint(rows * mass).astype(int), truth) / rows
    shape = (replicates, size, bins)
    drawn_mass = rng.poisson(rows * mass, shape) / rows
    drawn_hits = rng.binomial(np.rint(rows * drawn_mass).astype(int), truth) / rows
    return {
        "gap": hits - mass * score,
        "mass": mass,
        "score": score,
        "drawn_gap": drawn_hits - drawn_mass * score,
        "drawn_mass": drawn_mass,
        "count": rows * mass,
    }


@pytest.mark.parametrize(("seed", "replicates"), [(0, 60), (1, 60), (2, 450)])
def test_every_digit_is_that_of_each_alone(seed: int, replicates: int) -> None:
    of_all = profiles(seed, replicates)
    how = {"level": 0.9, "seed": 7}
    alone = []
    for k in range(len(of_all["gap"])):
        of_one = {name: x[..., k, :].copy() for name, x in of_all.items()}
        alone.append(Inversion(**of_one, **how).of(l1))
    together = invert_each(**of_all, norm=l1, **how)
    assert together == alone
    assert any(found.low > 0 for found in alone)
    assert any(found.low == 0 < found.high for found in alone)


def test_two_profiles_are_no_two_classes() -> None:
    """Two classes that mirror one another share their noise; two profiles never do."""
    of_all = profiles(3, 60)
    pair = {name: x[..., [0, 0], :].copy() for name, x in of_all.items()}
    for name in ("gap", "mass"):
        pair[name][1] = pair[name][0, ::-1] * (-1 if name == "gap" else 1)
    alone = Inversion(**{n: x[..., 1, :].copy() for n, x in pair.items()}, level=0.9, seed=0).of(l1)
    assert invert_each(**pair, norm=l1, level=0.9, seed=0)[1] == alone
