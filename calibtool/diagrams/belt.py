"""Calibration belts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np

from calibtool.asked import System
from calibtool.checks import Array
from calibtool.diagrams.curves import FINE_BARS, histogram
from calibtool.diagrams.named import How, Named, only
from calibtool.diagrams.record import (
    Histogram,
    Parts,
    data_columns,
    estimate_columns,
    plain,
    stacked,
)
from calibtool.errors import InputError
from calibtool.evaluation import examine
from calibtool.metrics import clinical
from calibtool.report import Data, Estimate
from calibtool.statistic import Cells

LEVELS = (0.8, 0.95)


@dataclass(frozen=True, eq=False)
class BeltDiagram:
    """A calibration belt.

    Attributes:
        belt: the curve, its bands, and the test of the diagonal.
        histogram: of the scores.
        estimates: the numbers that go with it.
        data: what was read.
        view: "top" or "positive".
    """

    belt: clinical.Belt
    histogram: Histogram
    estimates: tuple[Estimate, ...]
    data: tuple[Data, ...]
    view: str
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        belt = self.belt
        bands: dict[str, Array] = {}
        for k, level in enumerate(belt.level):
            bands |= {f"low_{100 * level:g}": belt.low[k], f"high_{100 * level:g}": belt.high[k]}
        test = {"degree": [belt.degree], "statistic": [belt.statistic], "p_value": [belt.p_value]}
        curve = {"score": belt.grid, "outcome": belt.curve, **bands}
        return {
            "data": data_columns(self.data),
            "estimate": estimate_columns(self.estimates),
            "test": {name: list(plain(x)) for name, x in test.items()},
            "curve": stacked([curve]),
            "histogram": stacked([self.histogram.columns()]),
        }


def compute(predictions: Named, *, view: str = "auto", **how: Unpack[How]) -> BeltDiagram:
    """The belt of Nattino, Finazzi & Bertolini 2014, at 80 % and at the level asked for.

    Args:
        predictions: one set.
        view: "top", "positive", or "auto" for what the data are.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises InputError where no score lies between 0 and 1.
    """
    one = only(predictions)
    at = "" if view == "auto" else f"(view={view})"
    found = examine(one, [f"ici{at}"], [System()], **how)
    rows = found.collected[0].rows
    found_view = found.specs[0].view
    score, outcome = rows.view(found_view)
    cells = Cells.from_rows(score, outcome, rows.weights)
    levels = tuple(sorted({LEVELS[0], found.settings.level}))
    belt = clinical.belt(cells, level=levels)
    if belt is None:
        raise InputError(f"{one.source}: no score lies between 0 and 1; there is no belt")
    bars = histogram(found, 0, np.arange(1, FINE_BARS + 1) / FINE_BARS)
    return BeltDiagram(belt, bars, found.estimates(), (found.data,), found_view)
