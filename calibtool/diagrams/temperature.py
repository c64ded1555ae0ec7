"""What a temperature does: NLL and ECE against T."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np

from calibtool.asked import System
from calibtool.calibrators.maps import Power
from calibtool.calibrators.temperature import best
from calibtool.checks import Array
from calibtool.diagrams.named import How, Named, only, whole
from calibtool.diagrams.record import Parts, data_columns, stacked
from calibtool.errors import UsageError
from calibtool.evaluation import examine
from calibtool.report import Data, Estimate

STEPS = 12  # temperatures on either side


@dataclass(frozen=True, eq=False)
class Temperature:
    """NLL and ECE against T.

    Attributes:
        temperature: (M,) increasing; 1 and the optimum are among them.
        nll, ece: M estimates each.
        optimum: the T of least NLL on these rows.
        data: what was read.
        level: of the intervals.
    """

    temperature: Array
    nll: tuple[Estimate, ...]
    ece: tuple[Estimate, ...]
    optimum: float
    data: tuple[Data, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        names = ("name", "value", "low", "high", "signature")
        return {
            "data": data_columns(self.data),
            "optimum": {"temperature": [self.optimum]},
            "curve": stacked(
                {
                    "temperature": self.temperature,
                    **{name: [getattr(one, name) for one in own] for name in names},
                }
                for own in (self.nll, self.ece)
            ),
        }

    def at(self, temperature: float) -> tuple[Estimate, Estimate]:
        """NLL and ECE at a temperature of the grid."""
        index = int(np.argmin(np.abs(self.temperature - temperature)))
        return self.nll[index], self.ece[index]


def compute(predictions: Named, *, bins: int = 15, **how: Unpack[How]) -> Temperature:
    """NLL and ECE after division of the logits by T (Guo et al. 2017, sec. 4.2).

    Args:
        predictions: one set, with whole rows of logits or probabilities.
        bins: of the ECE, of equal width.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises FitError where no T is best, UsageError for confidences alone.
    """
    one = only(predictions)
    if one.kind == "confidence":
        raise UsageError(
            f"{one.source}: a temperature needs whole rows of logits or probabilities; there are "
            "confidences only"
        )
    rows = whole(one)
    optimum = best(rows)[0]
    grid = _grid(optimum)
    systems = [System(Power(float(t)), f"T = {t:.4g}") for t in grid]
    found = examine(rows, ["nll", f"ece(bins={bins})"], systems, **how)
    pairs = [found.estimates(k) for k in range(len(grid))]
    nll, ece = zip(*pairs, strict=True)
    return Temperature(grid, nll, ece, optimum, (found.data,), found.settings.level)


def _grid(optimum: float) -> Array:
    """Evenly in log T, past 1 and the optimum on either side by half as much again."""
    low, high = min(optimum, 1.0) / 1.6, max(optimum, 1.0) * 1.6
    even = np.geomspace(low, high, 2 * STEPS + 1)
    near = np.abs(np.log(even[:, None] / np.array([1.0, optimum]))).min(axis=1)
    apart = even[near > 0.3 * np.log(high / low) / (2 * STEPS)]
    return np.unique(np.concatenate([apart, [1.0, optimum]]))
