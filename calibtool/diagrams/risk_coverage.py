"""Risk-coverage curves: how often a model errs on the rows that it is most confident of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from calibtool.asked import Calibrator, System
from calibtool.checks import Array
from calibtool.diagrams.curves import percentiles
from calibtool.diagrams.named import How, Named, named
from calibtool.diagrams.record import Parts, data_columns, estimate_columns, stacked
from calibtool.estimates import Measures
from calibtool.evaluation import measures
from calibtool.metrics.profiles import equal_mass
from calibtool.metrics.ranking import accuracy_at_coverage
from calibtool.report import Data, Estimate
from calibtool.statistic import Cells

COVERAGE = np.arange(1, 201) / 200
FINE = 4096  # cells that stand for the rows


@dataclass(frozen=True, eq=False)
class Risk:
    """The curve of one system.

    Attributes:
        label: what it shows.
        risk: (200,) error rate of the most confident share of the rows, at each coverage.
        low, high: (200,) its band.
        best: (200,) the risk if every error were less confident than every right answer.
        estimates: AURC and E-AURC, with their intervals.
    """

    label: str
    risk: Array
    low: Array
    high: Array
    best: Array
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Risk against coverage."""

    curves: tuple[Risk, ...]
    data: tuple[Data, ...]
    level: float
    coverage: Array
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        names = ("risk", "low", "high", "best")
        columns = [{name: getattr(c, name) for name in names} for c in self.curves]
        heads = [{"curve": curve.label} for curve in self.curves]
        return {
            "data": data_columns(self.data),
            "estimate": stacked(
                {**head, **estimate_columns(curve.estimates)}
                for head, curve in zip(heads, self.curves, strict=True)
            ),
            "curve": stacked(
                {**head, "coverage": self.coverage, **own}
                for head, own in zip(heads, columns, strict=True)
            ),
        }


def compute(
    predictions: Named, *, calibrators: Sequence[Calibrator] = (), **how: Unpack[How]
) -> RiskCoverage:
    """Risk against coverage (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).

    Args:
        predictions: one set, or several by what to call them.
        calibrators: what each makes of the predictions is drawn beside them.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.
    """
    sets = named(predictions)
    systems = [System(), *(System.of(one) for one in calibrators)]
    curves, data = [], []
    for name, one in sets.items():
        found = measures(one, ["aurc", "e-aurc"], systems, **how)
        data.append(found.data)
        for number, system in enumerate(systems):
            own = system.title or "as given"
            label = name if len(systems) == 1 else own if len(sets) == 1 else f"{name}, {own}"
            curves.append(of_system(found, number, label))
    return RiskCoverage(tuple(curves), tuple(data), found.settings.level, COVERAGE)


def of_system(found: Measures, number: int, label: str) -> Risk:
    """The curve of one of several systems, with its band."""
    panels, draws = found.panels(number, "top"), found.settings.draws
    exact = panels.exact(0)
    cells = exact if len(exact.at) <= FINE else exact.pool(equal_mass(exact, bins=FINE))
    risk = _risk(cells)
    low = high = np.full(len(COVERAGE), np.nan)
    if draws is not None:
        (drawn,) = panels.bootstrapped(draws, found.settings.threads, lambda share: None)
        moved = _risk(drawn) + (risk - _risk(panels.fine[0].cells))
        low, high = percentiles(np.clip(moved, 0, 1), found.settings.level)
    right = float(exact.y.sum() / exact.total)
    best = np.maximum(0, 1 - right / COVERAGE)
    return Risk(label, risk, low, high, best, found.estimates(number))


def _risk(cells: Cells) -> Array:
    """Error rate at each coverage, (..., 200)."""
    with np.errstate(invalid="ignore"):  # a replicate may hold no row that weighs anything
        rates = [accuracy_at_coverage(cells, coverage=float(share)) for share in COVERAGE]
    return 1 - np.stack(rates, axis=-1)
