"""Rejection: how much the accuracy of the rows that are kept rises as unsure ones are rejected."""

from __future__ import annotations

import numpy as np

from calibtool.metrics.cells import Cells, quotient
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.ranking import ORDER, aurc
from calibtool.types import Array


def auarc(cells: Cells) -> Array:
    """Return the area under the accuracy-rejection curve, 1 - AURC (Nadeem et al. 2009).

    That is the accuracy of the rows that are kept, averaged over the share that is rejected.

    >>> float(auarc(Cells.from_rows(np.array([0.9, 0.8]), np.array([0, 0]))))
    0.0
    """
    return 1 - aurc(cells)


def prr(cells: Cells, *, rejected: float = 1.0) -> Array:
    """Return the prediction rejection ratio of the accuracy of the rows that are kept.

    The error rate of the most confident share c of the rows is averaged over c, down to 1 -
    `rejected`. The ratio is how much that lies below the error rate of all rows, its value in a
    random order, as a share of how much the best order lies below it (Vashurin et al. 2025).
    Below 0, errors are more confident than right answers. NaN where all rows are right, or all
    wrong. LM-Polygraph's `prr_0.5_normalized` rejects up to half of the rows. Malinin's own curve
    counts rejected rows as right; that ratio is 2 `auroc-correct` - 1.

    >>> right = np.array([1, 0])
    >>> [round(float(prr(Cells.from_rows(np.array([x, 0.8]), right)))) for x in (0.9, 0.8, 0.7)]
    [1, 0, -1]
    """
    right = cells.y.sum(axis=-1) / cells.total
    # In the best order, the error rate of a share c is 1 - right / c above c = right, 0 below.
    # Its integral from m to 1 is 1 - m + right ln m.
    least = np.maximum(right, 1 - rejected)
    logs = np.log(least, out=np.zeros_like(least), where=least > 0)
    gain = 1 - right - (1 - least + right * logs) / rejected
    some = (right > 0) & (right < 1)
    return quotient(1 - right - _kept(cells, rejected), np.where(some, gain, 0))


def _kept(cells: Cells, rejected: float) -> Array:
    """Return the error rate of the most confident share c, averaged over c from 1 - `rejected`."""
    wrong, rows = (cells.n - cells.y)[..., ::-1], cells.n[..., ::-1]
    taken, missed = np.cumsum(rows, axis=-1), np.cumsum(wrong, axis=-1)
    before = taken - rows
    rate = np.divide(wrong, rows, out=np.zeros_like(wrong), where=rows > 0)
    # as for `aurc`, of the part of a cell above the least share that is kept
    start = np.clip((1 - rejected) * taken[..., -1:], before, taken)
    ratio = np.divide(
        taken - start, start, out=np.zeros_like(start), where=start > 1e-9 * taken[..., -1:]
    )
    excess = missed - wrong - rate * before
    area = rate * (taken - start) + excess * np.log1p(ratio)
    return np.asarray(area.sum(axis=-1) / (rejected * taken[..., -1]))


REJECTION: tuple[CellMetric, ...] = (
    CellMetric(
        "auarc",
        "Area under the accuracy-rejection curve",
        "accuracy of the most confident share c of the rows, averaged over c: 1 - aurc",
        "Nadeem et al. 2009; Lin et al. 2024",
        auarc,
        least=0,
        most=1,
        view="top",
        better="higher",
        ideal=1,
        sees="errors among the most confident rows most, as aurc does",
        blind=ORDER,
    ),
    CellMetric(
        "prr",
        "Prediction rejection ratio",
        "(r - A) / (r - A of the best order); A: error rate of the most confident share c, mean "
        "over c from 1 - rejected to 1; r: error rate of all rows",
        "Vashurin et al. 2025, LM-Polygraph",
        prr,
        most=1,
        view="top",
        better="higher",
        ideal=1,
        sees="how near the order of the confidences comes to the best one",
        blind=ORDER,
    ),
)
