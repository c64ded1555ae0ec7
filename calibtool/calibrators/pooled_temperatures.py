"""Temperatures of groups, partially pooled: ln T_g = ln T + d_g.

T is the temperature of all rows, and each d_g minimises

    the sum of the NLL of the rows of g at T exp(d_g)  +  d_g**2 / (2 spread**2)

which is the most likely d_g if they are normal with the standard deviation `spread`. Cross-fitting
chooses the spread; 0 gives every group T. A group of few rows stays near T, since its NLL weighs
little beside the ridge, and it needs no optimum of its own.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.confidences import as_classes
from calibtool.calibrators.crossfit import FOLDS, folds
from calibtool.calibrators.fit_rows import MemoryRows
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.groups import require_few
from calibtool.calibrators.inputs import weights_of
from calibtool.calibrators.maps import Map, Power
from calibtool.calibrators.nested_maps import ByGroup, group_names
from calibtool.calibrators.temperature import best, moments
from calibtool.data.predictions import Predictions
from calibtool.errors import FitError
from calibtool.types import Array

# Standard deviations of ln T_g that are tried: groups that differ by 5 % to a factor of five, each
# twice the one before. Below, no split of rows tells them from 0; above, there is no pooling left.
SPREADS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
STEPS = 100  # of Newton; a fit takes about 5, and a bracket halves at worst
# Step in d_g after which the search stops: Newton's steps square the error, so that about 1e-10 is
# left, far below what T_g is printed with.
LAST = 1e-5
LONGEST = 1.0  # step in ln T, so that no step leaves where the NLL is known to be smooth


def fit(predictions: Predictions, columns: list[str]) -> Calibrator:
    """Fit a temperature for each combination of values of some columns, towards that of all rows.

    Args:
        predictions: N rows with labels, or confidences with hits, and the columns in `extra`.
        columns: their names.

    Raises FitError if all rows have no best temperature, UsageError for too many groups, and
    InputError for a column that is not there, or too few rows to cross-fit.
    """
    rows = as_classes(predictions)
    require_fit(rows)
    fold = folds(rows)
    names = np.stack([group_names(rows, column) for column in columns], axis=1)
    keys, codes = np.unique(names, axis=0, return_inverse=True)
    require_few(len(keys), ",".join(columns))
    codes = codes.reshape(-1)
    spread = _best_spread(rows, codes, fold)
    temperature, before, _ = best(rows)
    groups = _groups(rows, codes, len(keys))
    d = np.array([_deviation(group, temperature, spread) for group in groups])
    total = sum(_nll(g, temperature * np.exp(x)) for g, x in zip(groups, d.tolist(), strict=True))
    each = dict(zip(map(tuple, keys.tolist()), (temperature * np.exp(d)).tolist(), strict=True))
    note = f"the temperature of all rows is {temperature:.5g}; " + (
        f"those of {len(keys):,} groups are drawn to it by a standard deviation of ln T of "
        f"{spread:g}, which cross-fitting chose"
        if spread
        else f"{len(keys):,} groups have it too, since in cross-fitting their own did no better"
    )
    record = FitRecord(
        objective="nll",
        nll_before=before,
        nll_after=float(total / weights_of(rows).sum()),
        options={"objective": "nll", "pooled": True, "by": ",".join(columns)},
        notes=(note,),
    )
    return finish("temperature", predictions, _nested(columns, each, temperature), record)


def _best_spread(rows: Predictions, codes: Array, fold: Array) -> float:
    """Return the spread of least NLL on rows that a fit has not seen, the least among equals."""
    nll = np.zeros(len(SPREADS))
    count = int(codes.max()) + 1
    for k in range(FOLDS):
        fitted, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        seen, unseen = rows.take(fitted), rows.take(held)
        temperature = best(seen)[0]
        inside = _groups(seen, codes[fitted], count)
        outside = _groups(unseen, codes[held], count)
        for group, test in zip(inside, outside, strict=True):
            if not test.rows:
                continue
            d = 0.0  # each search starts at the deviation of the spread before
            for at, spread in enumerate(SPREADS):
                d = _deviation(group, temperature, spread, d)
                nll[at] += _nll(test, temperature * np.exp(d))
    return SPREADS[int(nll.argmin())]


def _groups(rows: Predictions, codes: Array, count: int) -> list[Predictions]:
    """Return the rows of each group, in the order of the codes; some may have none."""
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(count + 1))
    return [rows.take(order[ends[k] : ends[k + 1]]) for k in range(count)]


def _nll(group: Predictions, temperature: float) -> float:
    """Return the sum of the NLL of a group, by weight."""
    weight = float(weights_of(group).sum())
    if not weight:
        return 0.0
    return weight * moments(MemoryRows(group), 1 / temperature, and_at_1=False).loss


def _deviation(group: Predictions, temperature: float, spread: float, start: float = 0.0) -> float:
    """Return d of one group: Newton's steps from `start`, kept inside a bracket.

    With b = 1 / (T exp(d)), the NLL's derivatives in d are -b L' and b L' + b**2 L''.
    """
    weight = float(weights_of(group).sum())
    if not spread or not weight:
        return 0.0
    rows, ridge = MemoryRows(group), 1 / spread**2
    d, low, high = start, -np.inf, np.inf
    for _ in range(STEPS):
        b = float(np.exp(-d)) / temperature
        at = moments(rows, b, and_at_1=False)
        slope = -weight * b * at.slope + ridge * d
        curve = weight * (b * at.slope + b * b * at.curve) + ridge
        low, high = (d, high) if slope < 0 else (low, d)
        step = -slope / curve if curve > 0 else -float(np.sign(slope))
        new = d + float(np.clip(step, -LONGEST, LONGEST))
        if not low <= new <= high:
            new = (low + high) / 2
        if abs(new - d) <= LAST:
            return new
        d = new
    raise FitError(f"{group.source}: the temperature of a group did not converge in {STEPS} steps")


def _nested(columns: list[str], temperatures: dict[tuple[str, ...], float], other: float) -> Map:
    """Return the map of groups inside groups, one level per column; `other` is for other values."""
    if not columns:
        return Power(temperatures[()])
    inner: dict[str, dict[tuple[str, ...], float]] = {}
    for (first, *rest), temperature in temperatures.items():
        inner.setdefault(first, {})[tuple(rest)] = temperature
    maps = {name: _nested(columns[1:], one, other) for name, one in inner.items()}
    return ByGroup(columns[0], maps, Power(other))
