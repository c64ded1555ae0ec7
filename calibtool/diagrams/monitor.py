"""Calibration over time and the evidence of a change: the picture of a `Monitoring`."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.analysis.monitoring.period import Monitoring
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import numbers
from calibtool.diagrams.scales import MEAN_NAMES, time_axis
from calibtool.diagrams.style import DASHES, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MANY = 60  # periods; of more, the points would touch and are left out
# what the e-values are evidence against, by `Monitoring.against`
_NULL = {"first": "nothing changes", "calibrated": "scores are calibrated"}
_LOWEST = -3.0  # decimal logarithm; lower e-values are drawn there, and are no evidence anyway


def height(data: Monitoring, width: float, style: Style) -> float:
    """Return the height of the three panels in inches."""
    return 0.9 * width


def draw(data: Monitoring, axes: Axes, style: Style) -> None:
    """Draw mean score and mean outcome, ECE, and the evidence of a change, one below the other."""
    place = panels.inside(axes)
    upper, middle, lower = place.subplots(3, 1, sharex=True, height_ratios=(1.5, 1, 1.1))
    x = _times(data)
    for panel in (upper, middle, lower):
        _change(panel, data, x, style)
    _means(upper, data, x, style)
    _errors(middle, data, x, style)
    _evidence(lower, data, x, style)
    _ticks(lower, data, x, style)
    level = "" if data.level is None else f"Bars: {100 * data.level:g} % intervals. "
    change = "" if data.changed is None else "Grey: most probable time of the change. "
    marks.foot(
        place,
        style,
        f"{level}{change}If {_NULL[data.against]}, the probability that e ever reaches "
        f"{1 / data.alpha:g} is at most {data.alpha:g}. {data.rows:,} rows",
    )


def _times(data: Monitoring) -> Any:
    """Return the x of each period: its date, or its number."""
    names = [period.name for period in data.periods]
    if data.every == "day":
        return np.array(names, "datetime64[D]")
    if data.every == "month":
        return np.array([f"{name}-01" for name in names], "datetime64[D]")
    if data.every == "week":
        pairs = ((int(name[:4]), int(name[6:])) for name in names)
        return np.array([date.fromisocalendar(*pair, 1) for pair in pairs], "datetime64[D]")
    return np.arange(len(names))


def _change(axes: Axes, data: Monitoring, x: Any, style: Style) -> None:
    """Draw when the change came, as a grey stretch that starts half a period before."""
    if data.changed is None:
        return
    _, low, high = data.changed
    if high == 0:
        return
    numbers = x.astype(float)
    ends = [(numbers[max(k - 1, 0)] + numbers[k]) / 2 for k in (low, min(high + 1, len(x) - 1))]
    if high + 1 == len(x):
        ends[1] = numbers[-1]
    axes.axvspan(*ends, color=style.faint, lw=0, zorder=0, gid="change")


def _marker(data: Monitoring, style: Style) -> dict[str, Any]:
    """Return the look of points."""
    size = 0.0 if len(data.periods) > _MANY else 0.45 * style.text
    return {"ms": size, "mec": style.paper, "mew": style.line * 0.3, "zorder": 4}


def _means(axes: Axes, data: Monitoring, x: Any, style: Style) -> None:
    """Draw mean score and mean outcome, with the interval of the outcome."""
    score, outcome = numbers(data.periods, "said"), numbers(data.periods, "was")
    # bias is the mean score minus the mean outcome: its interval, subtracted from the score
    ends = [[p.bias.low, p.bias.high] for p in data.periods]
    low, high = (score - np.array(ends, float)[:, k] for k in (1, 0))
    thin = style.line * (0.8 if len(x) <= _MANY else 0.4)
    marks.bars(axes, x, low, high, colour=style.colour(0), width=thin, gid="bars-0")
    look: dict[str, Any] = {"lw": style.line, **_marker(data, style)}
    handles = [
        axes.plot(x, outcome, color=style.colour(0), marker="o", gid="curve-0", **look)[0],
        axes.plot(x, score, color=style.colour(1), marker="s", ls=DASHES[1], gid="curve-1", **look)[
            0
        ],
    ]
    score_name, outcome_name = MEAN_NAMES[data.view]
    marks.key(axes, style, handles, [outcome_name, score_name])
    marks.percent_axis(axes)
    axes.yaxis.set_major_locator(marks.few_ticks(5))


def _errors(axes: Axes, data: Monitoring, x: Any, style: Style) -> None:
    """Draw the corrected ECE with its intervals, in which it lies."""
    errors = [period.ece for period in data.periods]
    value, low, high = (numbers(errors, name) for name in ("best", "low", "high"))
    thin = style.line * (0.8 if len(x) <= _MANY else 0.4)
    marks.bars(axes, x, low, high, colour=style.ink, width=thin, gid="bars-1")
    look: dict[str, Any] = {"lw": style.line * 0.7, **_marker(data, style)}
    axes.plot(x, value, color=style.ink, marker="D", gid="curve-2", **look)
    axes.set_ylim(0, None)
    axes.yaxis.set_major_locator(marks.few_ticks(4))
    axes.set_ylabel("ECE" if data.level is None else "ECE, corrected")


def _evidence(axes: Axes, data: Monitoring, x: Any, style: Style) -> None:
    """Draw the e-values on a logarithmic axis, with the limit that raises an alarm."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    log_e = numbers(data.periods, "log10_e")
    limit = -math.log10(data.alpha)
    look: dict[str, Any] = {"lw": style.line, **_marker(data, style)}
    axes.plot(
        x, np.maximum(log_e, _LOWEST), color=style.colour(2), marker="^", gid="curve-3", **look
    )
    axes.axhline(limit, color=style.muted, lw=style.line * 0.6, ls=DASHES[1], gid="limit")
    if data.alarmed is not None:
        axes.axvline(x[data.alarmed], color=style.colour(2), lw=style.line * 0.6, gid="alarm")
        axes.annotate(
            "alarm",
            (x[data.alarmed], 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-0.4 * style.text, -0.3 * style.text),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=style.small,
            color=style.colour(2),
        )
    low = max(min(float(log_e.min()), -1.0), _LOWEST)
    axes.set_ylim(low - 0.15, max(limit, float(log_e.max())) * 1.12 + 0.4)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_power))
    axes.set_ylabel("e-value")


def _power(value: float, at: int | None = None) -> str:
    """Return a number by its decimal logarithm, as text."""
    if value <= _LOWEST:
        return "≤ 0.001"
    return f"{10**value:,.6g}" if value <= 4 else f"1e{value:.0f}"


def _ticks(axes: Axes, data: Monitoring, x: Any, style: Style) -> None:
    """Name the periods on the x axis: by date, or as many of their names as there is room for."""
    if x.dtype.kind == "M":
        time_axis(axes, fewest=2)
        return
    names = [marks.long_name(period.name, 14) for period in data.periods]
    wide = 0.52 * style.text / 72 * (max(map(len, names)) + 2)
    room = max(int(0.8 * marks.width_of(axes) / wide), 1)
    step = -(-len(x) // room)
    axes.set_xticks(x[::step], names[::step])
    axes.set_xlabel(data.every)
