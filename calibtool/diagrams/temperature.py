"""NLL and ECE against the temperature T."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.calibrators.maps import Power
from calibtool.calibrators.temperature import best
from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import Parts, columns_of, data_columns, numbers, stacked
from calibtool.diagrams.digits import brief
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, request, with_classes
from calibtool.diagrams.options import Bins
from calibtool.diagrams.style import DOTTED, Style
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100)
STEPS = 12  # temperatures on either side of the middle: smooth curves, and 25 evaluations


@dataclass(frozen=True, eq=False)
class Temperature(Drawn):
    """NLL and ECE against T.

    Attributes:
        temperature: (M,) increasing; 1 and the optimum are among them.
        nll, ece: M estimates each.
        optimum: T with the lowest NLL on these rows.
        data: what was read.
        level: of the intervals.
    """

    temperature: Array
    nll: tuple[Estimate, ...]
    ece: tuple[Estimate, ...]
    optimum: float
    data: tuple[DataInfo, ...]
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
                    **columns_of(estimates, names),
                }
                for estimates in (self.nll, self.ece)
            ),
        }

    def at(self, temperature: float) -> tuple[Estimate, Estimate]:
        """Return NLL and ECE at the grid point closest to a temperature."""
        index = int(np.argmin(np.abs(self.temperature - temperature)))
        return self.nll[index], self.ece[index]


def compute(predictions: Named, *, bins: Bins = 15, **shared: Unpack[SharedOptions]) -> Temperature:
    """Compute NLL and ECE after division of the logits by T (Guo et al. 2017, sec. 4.2).

    Args:
        predictions: one set, with whole rows of logits or probabilities.
        bins: number of bins of the ECE, of equal width.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises FitError if no T is best, UsageError for confidences alone.
    """
    source = with_classes(predictions, "a temperature")
    rows = source.load()
    optimum = best(rows)[0]
    grid = _grid(optimum)
    variants = [Variant(Power(float(t)), f"T = {t:.4g}") for t in grid]
    results = evaluate_rows(request(rows, ["nll", f"ece(bins={bins})"], variants, **shared))
    pairs = [results.estimates(k) for k in range(len(grid))]
    nll, ece = zip(*pairs, strict=True)
    return Temperature(grid, nll, ece, optimum, (results.data,), results.settings.level)


def _grid(optimum: float) -> Array:
    """Return temperatures even in log T, from 1.6 times below to 1.6 times above 1 and the optimum.

    Both are among them; grid points very close to either are left out.
    """
    low, high = min(optimum, 1.0) / 1.6, max(optimum, 1.0) * 1.6
    even = np.geomspace(low, high, 2 * STEPS + 1)
    near = np.abs(np.log(even[:, None] / np.array([1.0, optimum]))).min(axis=1)
    apart = even[near > 0.3 * np.log(high / low) / (2 * STEPS)]
    return np.unique(np.concatenate([apart, [1.0, optimum]]))


def height(data: Temperature, width: float, style: Style) -> float:
    """Return the height of both panels in inches."""
    return 0.86 * width


def draw(data: Temperature, axes: Axes, style: Style) -> None:
    """Draw NLL above and ECE below, with the optimum through both."""
    place = panels.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True)
    _panel(upper, data, data.nll, 0, style)
    _panel(lower, data, data.ece, 1, style)
    upper.set_ylabel("NLL")
    lower.set_ylabel("ECE")
    upper.set_xscale("log")
    low, high = float(data.temperature[0]), float(data.temperature[-1])
    ticks = [tick for tick in TICKS if low <= tick <= high]
    marks.ticks(lower.xaxis, {tick: f"{tick:g}" for tick in sorted(ticks, key=_distance)})
    upper.xaxis.set_minor_locator(_no_ticks())
    upper.set_xlim(low, high)
    lower.set_xlabel("Temperature T")
    lines = [_words("as given, T = 1", data.at(1.0))]
    if abs(data.optimum - 1) > 1e-6:
        lines.append(_words(f"best NLL, T = {data.optimum:.3g}", data.at(data.optimum)))
    lines.append(f"n = {data.data[0].rows:,}")
    marks.header(upper, style, lines, small=True)
    words = [f"Colour: {100 * data.level:g} % intervals", "bar: the best T by NLL"]
    note = marks.corrected_note((*data.nll, *data.ece))
    marks.foot(place, style, "; ".join([*words, *([note] if note else [])]))


def _panel(
    axes: Axes, data: Temperature, estimates: Sequence[Estimate], index: int, style: Style
) -> None:
    colour, t = style.colour(0), data.temperature
    value, low, high = (numbers(estimates, name) for name in ("best", "low", "high"))
    axes.axvline(1, color=style.muted, lw=style.line * 0.6, ls=DOTTED, zorder=1)
    axes.axvline(data.optimum, color=style.colour(1), lw=style.line * 0.9, zorder=1.5)
    marks.band(axes, t, low, high, colour=colour, gid=f"band-{index}")
    axes.plot(t, value, color=colour, lw=style.line, zorder=4, gid=f"curve-{index}")
    at = [int(np.argmin(np.abs(t - x))) for x in (1.0, data.optimum)]
    look: dict[str, Any] = {"color": colour, "ls": "", "marker": "o", "ms": 0.5 * style.text}
    axes.plot(t[at], value[at], mec=style.paper, mew=style.line * 0.35, zorder=5, **look)
    known = np.concatenate([value, low, high])
    axes.set_ylim(0 if index else None, _top(known, value[at]))


def _top(known: Array, at: Array) -> float | None:
    """Return the upper end of an axis; None for the default, if the curve stays near the points.

    A curve that rises steeply at its ends may leave the frame, which ends at four times the
    distance between its lowest point and the points at T = 1 and at the optimum.
    """
    highest, lowest = float(np.nanmax(known)), float(np.nanmin(known))
    top = lowest + 4 * (float(np.nanmax(at)) - lowest)
    return None if highest <= top or top <= lowest else top


def _words(title: str, pair: tuple[Estimate, Estimate]) -> str:
    nll, ece = pair
    return f"{title}: NLL {brief(nll.value or 0)}, {marks.estimate_text(ece, alone=True)}"


def _distance(temperature: float) -> float:
    """Return how far a temperature is from 1, by ratio."""
    return abs(math.log(temperature))


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
