"""Reliability diagrams in ink. `calibtool.diagram` computes what is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibtool.diagram import Curve, Reliability
from calibtool.errors import UsageError
from calibtool.render.numbers import interval, number
from calibtool.render.paper import COLOURS, STYLE, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s")
AXES = {
    "top": ("Confidence", "Accuracy"),
    "positive": ("P(class 1)", "Frequency of class 1"),
}


def require_width(width: float) -> None:
    """Whether a picture can be that wide."""
    if not 2 <= width <= 20:
        raise UsageError(f"--width must lie between 2 and 20 inches, not {width:g}")


def save(data: Reliability, path: str | Path, *, width: float, title: str | None) -> None:
    """Draw and write a picture, whole or not at all; the same data give the same bytes."""
    write_figure(lambda: figure(data, width=width, title=title), path)


def figure(data: Reliability, *, width: float = 4.0, title: str | None = None) -> Figure:
    """The diagram above, the histogram of scores below, small print at the foot."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        drawn = Figure(figsize=(width, width * 1.4), layout="constrained")
        FigureCanvasAgg(drawn)
        upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=(4.2, 1))
        _diagram(upper, data)
        _histogram(lower, data)
        if title:
            upper.set_title(title)
        small = _small_print(data, width)
        drawn.supxlabel(small, fontsize=5, color="0.35", x=0.01, ha="left")
        return drawn


def _diagram(axes: Axes, data: Reliability) -> None:
    axes.plot([0, 1], [0, 1], color="0.5", lw=0.8, ls=(0, (4, 3)), zorder=1)
    for index, curve in enumerate(data.curves):
        _curve(axes, curve, index, several=len(data.curves) > 1)
    axes.set(xlim=(0, 1), ylim=(0, 1.015), ylabel=AXES[data.view][1])
    axes.tick_params(labelbottom=False)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles if len(data.curves) > 1 else handles[::-1],
        labels if len(data.curves) > 1 else labels[::-1],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        fontsize=7,
        handlelength=1.6,
        borderaxespad=0.1,
    )


def _curve(axes: Axes, curve: Curve, index: int, *, several: bool) -> None:
    colour = COLOURS[index]
    some = np.isfinite(curve.outcome)
    x, y = curve.score[some], curve.outcome[some]
    if not several:
        lows = np.concatenate([[0.0], curve.edges[:-1]])[some]
        widths = curve.edges[some] - lows
        axes.bar(lows, y, widths, align="edge", color=colour, alpha=0.18, lw=0, zorder=0)
        axes.bar(
            lows,
            x - y,
            widths,
            bottom=y,
            align="edge",
            facecolor="none",
            edgecolor=colour,
            alpha=0.55,
            hatch="/////",
            lw=0,
            zorder=0,
        )
        label = f"gap between {AXES['top'][0].lower()} and {AXES['top'][1].lower()}"
        if several is False and curve.estimate.view == "positive":
            label = "gap between prediction and frequency"
        axes.bar(
            [0],
            [0],
            facecolor="none",
            edgecolor=colour,
            alpha=0.55,
            hatch="/////",
            lw=0,
            label=label,
        )
    low, high = np.minimum(curve.low[some], y), np.maximum(curve.high[some], y)
    container = axes.errorbar(
        x,
        y,
        yerr=[y - low, high - y],
        color=colour,
        marker=MARKERS[index],
        ms=3.2,
        mfc="white" if index else colour,
        mew=0.9,
        lw=0,
        elinewidth=0.9,
        capsize=0,
        zorder=3 + index,
        label=_legend(curve, several),
    )
    container.lines[0].set_clip_on(False)  # points on the frame are shown whole


def _legend(curve: Curve, several: bool) -> str:
    estimate = curve.estimate
    name = f"{curve.label}: " if several else ""
    return f"{name}ECE {number(estimate.value)} {interval(estimate.low, estimate.high)}"


def _histogram(axes: Axes, data: Reliability) -> None:
    for index, curve in enumerate(data.curves):
        lows = np.concatenate([[0.0], curve.edges[:-1]])
        if len(data.curves) == 1:
            axes.bar(
                lows,
                curve.mass,
                curve.edges - lows,
                align="edge",
                color=COLOURS[0],
                alpha=0.6,
                lw=0,
            )
        else:
            axes.stairs(
                curve.mass,
                np.append(lows, 1.0),
                color=COLOURS[index],
                lw=1.1,
                ls="-" if index == 0 else (0, (3, 1.5)),
            )
    axes.set(xlim=(0, 1), xlabel=AXES[data.view][0], ylabel="Share of rows")
    axes.set_ylim(0, None)


def _small_print(data: Reliability, width: float) -> str:
    import textwrap

    level = f"{100 * (data.report.level or 0.95):g} % intervals"
    lines = [f"{data.report.data.describe()}; {level}"]
    if data.report.calibrator:
        lines.append(f"after: {data.report.calibrator}")
    room = int(width * 28)
    wrapped = [part for line in lines for part in textwrap.wrap(line, room)]
    signature = data.curves[0].estimate.signature.replace("|", "| ")
    wrapped += [part.replace("| ", "|") for part in textwrap.wrap(signature, room)]
    return "\n".join(wrapped)
