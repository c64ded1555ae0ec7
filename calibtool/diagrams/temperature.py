"""What a temperature does: NLL and ECE against T."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.calibrators.maps import Power
from calibtool.calibrators.temperature import best
from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, only, whole
from calibtool.diagrams.style import Style
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100)
STEPS = 12  # temperatures on either side


@dataclass(frozen=True, eq=False)
class Temperature(Drawn):
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
    systems = [Variant(Power(float(t)), f"T = {t:.4g}") for t in grid]
    found = evaluate_rows(rows, ["nll", f"ece(bins={bins})"], systems, **how)
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


def height(data: Temperature, width: float, style: Style) -> float:
    """Two panels."""
    return 0.95 * width + 7 * style.text / 72


def draw(data: Temperature, axes: Axes, style: Style) -> None:
    """NLL above, ECE below, the optimum through both."""
    place = marks.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True)
    for index, (ax, own, name) in enumerate(((upper, data.nll, "NLL"), (lower, data.ece, "ECE"))):
        _panel(ax, data, own, index, style)
        ax.set_ylabel(name)
    upper.set_xscale("log")
    low, high = float(data.temperature[0]), float(data.temperature[-1])
    ticks = [tick for tick in TICKS if low <= tick <= high]
    upper.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    upper.xaxis.set_minor_locator(_no_ticks())
    upper.set_xlim(low, high)
    lower.set_xlabel("Temperature T")
    lines = [_words("as given, T = 1", data.at(1.0))]
    if abs(data.optimum - 1) > 1e-6:
        lines.append(_words(f"best NLL, T = {data.optimum:.3g}", data.at(data.optimum)))
    lines.append(f"n = {data.data[0].rows:,}")
    marks.header(upper, style, lines, small=True)
    marks.foot(place, style, f"Colour: {100 * data.level:g} % intervals; bar: the best T by NLL")


def _panel(
    axes: Axes, data: Temperature, own: Sequence[Estimate], index: int, style: Style
) -> None:
    colour, t = style.colour(0), data.temperature
    value, low, high = (_column(own, name) for name in ("value", "low", "high"))
    axes.axvline(1, color=style.muted, lw=style.line * 0.6, ls=(0, (2, 1.5)), zorder=1)
    axes.axvline(data.optimum, color=style.colour(1), lw=style.line * 0.9, zorder=1.5)
    marks.band(axes, t, low, high, colour=colour, gid=f"band-{index}")
    axes.plot(t, value, color=colour, lw=style.line, zorder=4, gid=f"curve-{index}")
    at = [int(np.argmin(np.abs(t - x))) for x in (1.0, data.optimum)]
    how: dict[str, Any] = {
        "color": colour,
        "ls": "",
        "marker": "o",
        "ms": 0.5 * style.text,
        "zorder": 5,
    }
    axes.plot(t[at], value[at], mec=style.paper, mew=style.line * 0.35, **how)
    known = np.concatenate([value, low, high])
    axes.set_ylim(0 if index else None, _top(known, value[at]))


def _top(known: Array, at: Array) -> float | None:
    """Room for what matters: a curve that explodes at the end may leave the frame."""
    most, least = float(np.nanmax(known)), float(np.nanmin(known))
    wanted = least + 4 * (float(np.nanmax(at)) - least)
    return None if most <= wanted or wanted <= least else wanted


def _column(own: Sequence[Estimate], name: str) -> Array:
    return np.array([getattr(one, name) for one in own], dtype=np.float64)


def _words(what: str, pair: tuple[Estimate, Estimate]) -> str:
    nll, ece = pair
    return f"{what}: NLL {marks.brief(nll.value or 0)}, {marks.estimate_text(ece)}"


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()
