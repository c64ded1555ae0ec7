"""Calibration over time and the evidence of a change: the picture of a `Monitoring`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.analysis.monitoring.period import Monitoring
from calibtool.analysis.monitoring.wording import highest_of, limit_text
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import numbers
from calibtool.diagrams.scales import MEAN_NAMES, time_axis
from calibtool.diagrams.style import DASHES, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY = 60  # periods; of more, the points would touch and are left out
# what the e-values are evidence against, by `Monitoring.against`
NULL = {"first": "nothing changes", "calibrated": "scores are calibrated"}
_LOWEST = -3.0  # decimal logarithm; lower e-values are drawn there, and are no evidence anyway
_BEYOND = 0.6  # decades above the largest e-value with a place of its own: where larger ones stand
_ARROWS = 12  # most arrows that show e-values beyond the axis; the line shows the others
_TICKS = 5.5  # ticks that the axis of e-values has room for


def height(data: Monitoring, width: float, style: Style) -> float:
    """Return the height of the three panels in inches."""
    return 0.9 * width


def draw(data: Monitoring, axes: Axes, style: Style) -> None:
    """Draw mean score and mean outcome, ECE, and the evidence of a change, one below the other."""
    place = panels.inside(axes)
    upper, middle, lower = place.subplots(3, 1, sharex=True, height_ratios=(1.5, 1, 1.1))
    names = [period.name for period in data.periods]
    x = times(names, data.every)
    for panel in (upper, middle, lower):
        change(panel, data, x, style)
    crowded = len(x) > MANY
    means(upper, data, x, style, crowded=crowded)
    _errors(middle, data, x, style, crowded=crowded)
    highest = highest_of(data.alpha)
    evidence(lower, data, x, style, highest, crowded=crowded)
    evidence_axis(lower, [data], style, highest)
    lower.set_ylabel("e-value")
    ticks(lower, names, data.every, x, style)
    level = "" if data.level is None else f"Bars: {100 * data.level:g} % intervals. "
    grey = "" if data.changed is None else "Grey: most probable time of the change. "
    marks.foot(
        place,
        style,
        f"{level}{grey}If {NULL[data.against]}, the probability that e ever reaches "
        f"{limit_text(data.alpha)} is at most {data.alpha:.3g}. {data.rows:,} rows",
    )


def times(names: Sequence[str], every: str) -> Any:
    """Return the x of each period: its date, or its number."""
    if every == "day":
        return np.array(names, "datetime64[D]")
    if every == "month":
        return np.array([f"{name}-01" for name in names], "datetime64[D]")
    if every == "week":
        pairs = ((int(name[:4]), int(name[6:])) for name in names)
        return np.array([date.fromisocalendar(*pair, 1) for pair in pairs], "datetime64[D]")
    return np.arange(len(names))


def change(axes: Axes, data: Monitoring, x: Any, style: Style) -> None:
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


def _marker(crowded: bool, style: Style) -> dict[str, Any]:
    """Return the look of points."""
    size = 0.0 if crowded else 0.45 * style.text
    return {"ms": size, "mec": style.paper, "mew": style.line * 0.3, "zorder": 4}


def means(
    axes: Axes, data: Monitoring, x: Any, style: Style, *, crowded: bool, key: bool = True
) -> None:
    """Draw mean score and mean outcome, with the interval of the outcome.

    If the picture is `crowded`, periods have no points, here and in the other panels.
    """
    score, outcome = numbers(data.periods, "said"), numbers(data.periods, "was")
    # bias is the mean score minus the mean outcome: its interval, subtracted from the score
    ends = [[p.bias.low, p.bias.high] for p in data.periods]
    low, high = (score - np.array(ends, float)[:, k] for k in (1, 0))
    thin = style.line * (0.4 if crowded else 0.8)
    marks.bars(axes, x, low, high, colour=style.colour(0), width=thin, gid="bars-0")
    look: dict[str, Any] = {"lw": style.line, **_marker(crowded, style)}
    handles = [
        axes.plot(x, outcome, color=style.colour(0), marker="o", gid="curve-0", **look)[0],
        axes.plot(x, score, color=style.colour(1), marker="s", ls=DASHES[1], gid="curve-1", **look)[
            0
        ],
    ]
    score_name, outcome_name = MEAN_NAMES[data.view]
    if key:
        marks.key(axes, style, handles, [outcome_name, score_name])
    marks.percent_axis(axes)
    axes.yaxis.set_major_locator(marks.few_ticks(5))


def _errors(axes: Axes, data: Monitoring, x: Any, style: Style, *, crowded: bool) -> None:
    """Draw the corrected ECE with its intervals, in which it lies."""
    errors = [period.ece for period in data.periods]
    value, low, high = (numbers(errors, name) for name in ("best", "low", "high"))
    thin = style.line * (0.4 if crowded else 0.8)
    marks.bars(axes, x, low, high, colour=style.ink, width=thin, gid="bars-1")
    look: dict[str, Any] = {"lw": style.line * 0.7, **_marker(crowded, style)}
    axes.plot(x, value, color=style.ink, marker="D", gid="curve-2", **look)
    axes.set_ylim(0, None)
    axes.yaxis.set_major_locator(marks.few_ticks(4))
    axes.set_ylabel("ECE" if data.level is None else "ECE, corrected")


def evidence(
    axes: Axes, data: Monitoring, x: Any, style: Style, highest: int, *, crowded: bool
) -> None:
    """Draw the e-values, with what raises an alarm and when it did.

    `highest` is the decimal logarithm of the largest e-value with a place of its own; larger ones
    are arrows above it.
    """
    log_e = numbers(data.periods, "log10_e")
    beyond = np.flatnonzero(log_e > highest)
    shown = np.maximum(log_e, _LOWEST)
    shown[beyond] = highest + _BEYOND
    look: dict[str, Any] = {"lw": style.line, **_marker(crowded, style)}
    axes.plot(
        x,
        shown,
        color=style.colour(2),
        marker="v",
        gid="curve-3",
        markevery=log_e <= highest,
        **look,
    )
    if len(beyond):
        some = beyond[np.linspace(0, len(beyond) - 1, min(len(beyond), _ARROWS)).astype(int)]
        size = 0.6 * style.text
        arrows: dict[str, Any] = {"color": style.colour(2), "ms": size, "mew": 0, "zorder": 5}
        axes.plot(x[some], shown[some], ls="", marker="^", gid="beyond", **arrows)
    limit = -math.log10(data.alpha)
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


def evidence_axis(axes: Axes, shown: Sequence[Monitoring], style: Style, highest: int) -> None:
    """Set limits and ticks of a logarithmic axis of the e-values of all that is shown."""
    values = np.concatenate([numbers(data.periods, "log10_e") for data in shown])
    limit = -math.log10(shown[0].alpha)
    low = max(min(float(values.min()), -0.5), _LOWEST) - 0.15
    beyond = bool((values > highest).any())
    most = max(-math.log10(data.alpha) for data in shown)
    high = highest + 2 * _BEYOND if beyond else max(most, float(values.max())) * 1.12 + 0.4
    at = {limit: limit_text(shown[0].alpha)}
    if beyond:
        at[highest + _BEYOND] = f"> 1e{highest}"
    # powers of 100, then of 10, where there is room for them
    room = (high - low) / _TICKS
    whole = range(math.ceil(low), math.floor(high) + 1)
    for power in sorted(whole, key=lambda k: (k % 2, abs(k))):
        if min(abs(power - other) for other in at) >= room and power <= highest:
            at[power] = _power(power)
    axes.set_ylim(low, high)
    axes.set_yticks(list(at), list(at.values()))


def _power(value: int) -> str:
    """Return a power of ten as text."""
    if value <= _LOWEST:
        return "\N{LESS-THAN OR EQUAL TO} 0.001"
    return f"{10.0**value:,.6g}" if value <= 4 else f"1e{value}"


def ticks(axes: Axes, names: Sequence[str], every: str, x: Any, style: Style) -> None:
    """Name the periods on the x axis: by date, or as many of their names as there is room for."""
    if x.dtype.kind == "M":
        time_axis(axes, fewest=2)
        return
    shown = [marks.long_name(name, 14) for name in names]
    wide = 0.52 * style.text / 72 * (max(map(len, shown)) + 2)
    room = max(int(0.8 * marks.width_of(axes) / wide), 1)
    step = -(-len(x) // room)
    axes.set_xticks(x[::step], shown[::step])
    axes.set_xlabel(every)
