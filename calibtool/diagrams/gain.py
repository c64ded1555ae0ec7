"""What every calibrator gains: NLL and ECE before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Unpack

from calibtool.asked import System
from calibtool.calibrators import METHODS, fit, module_of
from calibtool.calibrators.calibrator import require_fit
from calibtool.crossfit import FOLDS, cross_fit, numbered
from calibtool.diagrams.named import How, Named, only, whole
from calibtool.diagrams.record import Parts, data_columns, stacked
from calibtool.errors import CalibtoolError, FitError
from calibtool.evaluation import examine
from calibtool.measure import Progress
from calibtool.predictions import Predictions
from calibtool.report import Data, Estimate

METRICS = ("nll", "ece")
NAMES = ("name", "value", "low", "high", "signature")


@dataclass(frozen=True)
class Gain:
    """A calibrator: its numbers, and how they changed."""

    method: str
    after: tuple[Estimate, ...]
    change: tuple[Estimate, ...]


@dataclass(frozen=True)
class GainDiagram:
    """Before and after, for every calibrator; the least NLL first.

    Attributes:
        before: NLL and ECE of the predictions as they are.
        gains: those that could be fitted.
        how: how the rows were kept apart.
        data: what was measured.
        level: of the intervals.
        notes: those that could not be fitted, and why.
    """

    before: tuple[Estimate, ...]
    gains: tuple[Gain, ...]
    how: str
    data: tuple[Data, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""

        def columns(estimates: Sequence[Estimate]) -> dict[str, list[object]]:
            return {name: [getattr(one, name) for one in estimates] for name in NAMES}

        return {
            "data": data_columns(self.data),
            "before": stacked([columns(self.before)]),
            "after": stacked({"method": g.method, **columns(g.after)} for g in self.gains),
            "change": stacked({"method": g.method, **columns(g.change)} for g in self.gains),
        }


def compute(
    predictions: Named,
    *,
    methods: Sequence[str] | None = None,
    test: Predictions | None = None,
    **how: Unpack[How],
) -> GainDiagram:
    """NLL and ECE before and after every calibrator, on rows that it has not seen, paired.

    Args:
        predictions: one set, with labels; cross-fitted in 5 stratified folds unless there is a test
            set.
        methods: names of calibrators, or None for all.
        test: rows to measure on, instead of cross-fitting.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises FitError where not one can be fitted.
    """
    rows = whole(only(predictions))
    require_fit(rows)
    names = list(METHODS if methods is None else dict.fromkeys(methods))
    for name in names:
        module_of(name)
    systems, notes = [System()], []
    judged = numbered(rows) if test is None else test
    say: Progress = how.get("progress") or (lambda stage, share: None)
    for done, name in enumerate(names, start=1):
        try:
            systems.append(_system(name, rows, crossed=test is None))
        except CalibtoolError as error:
            notes.append(f"{name} is left out: {error}")
        say("fitting", done / len(names))
    if len(systems) == 1:
        raise FitError(f"no calibrator could be fitted: {'; '.join(notes)}")
    found = examine(judged, METRICS, systems, **how)
    gains = [
        Gain(system.title, found.estimates(k), found.change(k))
        for k, system in enumerate(systems)
        if k
    ]
    gains.sort(key=lambda gain: gain.after[0].value if gain.after[0].value is not None else 1e300)
    told = f"cross-fitted in {FOLDS} folds" if test is None else f"fitted on {rows.source}"
    return GainDiagram(
        found.estimates(0),
        tuple(gains),
        told,
        (found.data,),
        found.settings.level,
        tuple(notes),
    )


def _system(name: str, rows: Predictions, *, crossed: bool) -> System:
    if not crossed:
        return System(fit(name, rows), name)
    _, crossfitted = cross_fit(partial(fit, name), rows, name)
    return System(crossfitted, name)
