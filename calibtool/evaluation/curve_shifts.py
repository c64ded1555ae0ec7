"""How far all scores of a view may be off, and what the errors of its curves are then."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from calibtool.evaluation.binary_problems import RowProblems
from calibtool.intervals import shift
from calibtool.intervals.inversion import Inverted
from calibtool.metrics.cells import Cells
from calibtool.metrics.spec import Spec
from calibtool.types import Array


class CurveShifts:
    """The largest shifts of all scores, or of all log odds, that are not refuted
    (`intervals.shift`)."""

    def __init__(self, problems: RowProblems, noise: Array, level: float) -> None:
        """Take the problems of a view, and the mean gaps of calibrated data sets: (problems, R)."""
        self.problems, self.noise, self.level = problems, noise, level
        self.cells = [fine.cells for fine in problems.fine]
        self.score = [np.clip(cells.centres(), 0, 1) for cells in self.cells]
        self.rows = [problems.informative(index) for index in range(len(self.cells))]
        self.gap = np.array([float((c.y - c.p).sum() / c.total) for c in self.cells])

    def raised(self, specs: Sequence[Spec], found: Inverted) -> Inverted:
        """Return the interval of an error, whose options are settled for each problem, that reaches
        what the error is if all scores are off by a shift."""
        shifts = zip(specs, self.cells, self._by, strict=True)
        values = [spec.of_shift(cells, float(by)) for spec, cells, by in shifts]
        reach = float(self.problems.combine(np.array(values)))
        # of some errors a shift is not what they are, but its square is, say
        drift = self._drift
        if drift is not None and reach != drift.largest:
            drift = None
        if specs[0].counterpart and len(self.cells) == 1:  # the mean of squared gaps
            cells = self.cells[0]
            every = [
                Cells(cells.at, cells.n, cells.p, cells.n * rate, cells.row) for rate in self._odds
            ]
            reach = max(reach, *(float(specs[0].of_truth(moved)) for moved in every))
        return found._replace(high=max(found.high, reach), drift=drift)

    @cached_property
    def _drift(self) -> shift.Drift | None:
        """The shifts of the only problem; None of several."""
        if len(self.cells) > 1:
            return None
        return shift.ends(self.score[0], self.rows[0], float(self.gap[0]), self.level)

    @cached_property
    def _by(self) -> Array:
        """How far all scores of each problem may be off, (problems,)."""
        if self._drift is not None:
            return np.array([self._drift.largest])

        def deviation(shifts: Array) -> Array:
            """Return the standard deviation of each problem's mean gap under shifts."""
            moved = [np.clip(c + by, 0, 1) for c, by in zip(self.score, shifts, strict=True)]
            variance = [n @ (q * (1 - q)) for n, q in zip(self.rows, moved, strict=True)]
            return np.sqrt(variance) / np.array([n.sum() for n in self.rows])

        still = np.maximum(deviation(np.zeros(len(self.cells))), 1e-12)
        return shift.largest_of_many(
            self.gap, self.noise, lambda s: deviation(s) / still, self.problems.combine, self.level
        )

    @cached_property
    def _odds(self) -> list[Array]:
        """The rates of the only problem's cells under shifts of all log odds."""
        cells = self.cells[0]
        outcome = np.divide(cells.y, cells.n, out=self.score[0].copy(), where=cells.n > 0)
        return shift.of_odds(self.score[0], self.rows[0], outcome, self.level)
