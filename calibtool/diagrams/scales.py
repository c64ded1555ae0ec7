"""Scales of scores: linear from 0 to 1, or logit, which separates 0.99 from 0.999."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams import marks
from calibtool.diagrams.curve import Curve
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# names of the x and the y axis, by view
AXIS_NAMES = {
    "top": ("Confidence", "Accuracy"),
    "positive": ("P(class 1)", "Frequency of class 1"),
}
# names of mean score and mean outcome, by view
MEAN_NAMES = {"top": ("mean confidence", "accuracy"), "positive": ("mean score", "frequency")}
TICKS = {f"{10.0**-k:g}": 10.0**-k for k in range(8, 3, -1)}
TICKS |= {"0.001": 0.001, "0.01": 0.01, "0.1": 0.1, "0.5": 0.5, "0.9": 0.9}
TICKS |= {f"0.{'9' * k}": 1 - 10.0**-k for k in range(2, 9)}
NEAREST = 1e-8  # how close to 0 and 1 a logit axis reaches: its outermost ticks
LINEAR = (0.0, 1.0)
LINEAR_TICKS: tuple[dict[float, str], ...] = (
    {0: "0", 0.2: "0.2", 0.4: "0.4", 0.6: "0.6", 0.8: "0.8", 1: "1"},
    {0: "0", 0.5: "0.5", 1: "1"},
    {0: "0", 1: "1"},
)
MARGIN = 0.4  # beyond the outermost values of a logit axis, in logits, so that marks are not cut


@dataclass(frozen=True)
class Scale:
    """The scales of the x and the y axis.

    Attributes:
        x, y: ends of each axis; marks beyond them are drawn on the frame.
        logit: whether both are on the logit scale.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    logit: bool

    def on_x(self, values: Array) -> Array:
        """Return x values within the axis: on a logit axis, 0 and 1 are infinitely far away."""
        return np.clip(values, *self.x) if self.logit else np.asarray(values, np.float64)

    def on_y(self, values: Array) -> Array:
        """Return y values within the axis, as `on_x`."""
        return np.clip(values, *self.y) if self.logit else np.asarray(values, np.float64)

    def share(self, x: Array, *ys: Array) -> Any:
        """Return x, and each of `ys`, as shares of the axes."""
        return (self._share(x, self.x), *(self._share(y, self.y) for y in ys))

    def at_share(self, share: Array) -> Array:
        """Return the x values at shares of the x axis: the inverse of `share`."""
        if not self.logit:
            return np.asarray(share)
        low, high = _logit(np.array(self.x))
        return np.asarray(1 / (1 + np.exp(-(low + share * (high - low)))))

    @property
    def slope(self) -> float:
        """How steep the diagonal is on a square."""
        (x0, x1), (y0, y1) = self.x, self.y
        if not self.logit:
            return (x1 - x0) / (y1 - y0)
        ends = _logit(np.array([x0, x1, y0, y1]))
        return float((ends[1] - ends[0]) / (ends[3] - ends[2]))

    def _share(self, values: Array, ends: tuple[float, float]) -> Array:
        if not self.logit:
            return np.asarray(values)
        low, high = _logit(np.array(ends))
        return np.asarray((_logit(np.clip(values, *ends)) - low) / (high - low))

    def even(self) -> Array:
        """Return (200,) evenly spaced places along the x axis."""
        if not self.logit:
            return np.linspace(*self.x, 200)
        low, high = _logit(np.array(self.x))
        return np.asarray(1 / (1 + np.exp(-np.linspace(low, high, 200))))

    def x_frame(self, axes: Axes) -> None:
        """Set limits and ticks of the x axis."""
        self._frame(axes, "x", self.x)

    def frame(self, axes: Axes) -> None:
        """Set limits and ticks of both axes."""
        self._frame(axes, "x", self.x)
        self._frame(axes, "y", self.y)

    def _frame(self, axes: Axes, which: str, ends: tuple[float, float]) -> None:
        axis = axes.xaxis if which == "x" else axes.yaxis
        if self.logit:
            from matplotlib.ticker import NullLocator

            getattr(axes, f"set_{which}scale")("logit")
            shown = {at: name for name, at in TICKS.items() if ends[0] <= at <= ends[1]}
            # 0.9 and 0.999, not 0.99 between them; where even these meet, those that are nearest
            # to 0.5 come first
            odd = {at: name for at, name in shown.items() if _decade(at) % 2 or at == 0.5}
            nearest = dict(sorted(odd.items(), key=lambda tick: abs(_logit(np.array(tick[0])))))
            marks.ticks(axis, *([shown] if len(shown) <= 6 else []), nearest)
            axis.set_minor_locator(NullLocator())
        else:
            marks.ticks(axis, *LINEAR_TICKS)
        getattr(axes, f"set_{which}lim")(*ends)


def _decade(at: float) -> int:
    """Return the number of zeros or nines: 1 for 0.9, 3 for 0.001."""
    return round(-np.log10(min(at, 1 - at)))


def scale_of(curves: Iterable[Curve], *, logit: bool) -> Scale:
    """Return scales on which the curves fit."""
    if not logit:
        return Scale(LINEAR, LINEAR, logit=False)
    curves = list(curves)
    some = [np.isfinite(curve.outcome) for curve in curves]
    x = [curve.score[at] for curve, at in zip(curves, some, strict=True)]
    y = [
        values[at]
        for curve, at in zip(curves, some, strict=True)
        for values in (curve.outcome, curve.low, curve.high)
    ]
    return Scale(_ends(np.concatenate(x)), _ends(np.concatenate(y)), logit=True)


def time_axis(axes: Axes, *, fewest: int = 5) -> None:
    """Print the x axis as times, with up to 6 ticks, and finer units for less than `fewest`."""
    from matplotlib import dates

    calendar: Any = dates  # which has no types
    locator = calendar.AutoDateLocator(minticks=fewest, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(calendar.ConciseDateFormatter(locator))


def _ends(values: Array) -> tuple[float, float]:
    """Return the ends of a logit axis for these values; the frame holds those close to 0 or 1."""
    inner = values[np.isfinite(values) & (values > NEAREST) & (values < 1 - NEAREST)]
    z = _logit(inner) if len(inner) else np.array([-2.0, 2.0])
    ends = 1 / (1 + np.exp(-np.array([z.min() - MARGIN, z.max() + MARGIN])))
    return float(ends[0]), float(ends[1])


def _logit(p: Array) -> Array:
    return np.asarray(np.log(p) - np.log1p(-p))
