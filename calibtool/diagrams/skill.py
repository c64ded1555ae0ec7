"""Skill against complexity: the picture of a `Selection`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibtool.analysis.candidate import Candidate
from calibtool.analysis.selection import Selection
from calibtool.diagrams import marks
from calibtool.diagrams.lines import Lines, lines_of
from calibtool.diagrams.style import Style
from calibtool.formatting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = {"nll": "NLL", "brier": "Brier score"}


def height(data: Selection, width: float, style: Style) -> float:
    """Return the height of the panel in inches: one line per candidate."""
    return _lines(data, width, style).height


def _lines(data: Selection, width: float, style: Style) -> Lines:
    """Return the lines of the panel: each method and how many numbers it keeps."""
    names = [f"{candidate.method}  {candidate.numbers:,}" for candidate in _drawn(data)]
    return lines_of(names, [""] * len(names), width, style)


def draw(data: Selection, axes: Axes, style: Style) -> None:
    """Draw the skill of each candidate, from the simplest to the most complex, with the interval of
    its distance to the best. An arrow stands for a skill that is too low for the axis."""
    drawn = _drawn(data)
    best = data.skill(data[data.best]) or 0.0
    chosen = style.colour(1)
    skills = [data.skill(candidate) for candidate in drawn]
    shown = [s for s in skills if s is not None and np.isfinite(s)]
    # six times the median distance from the best: one failure must not squeeze all others
    floor = max(min(shown), best - 6 * _reach(best, shown), 0.0) if shown else 0.0
    for y, (candidate, skill) in enumerate(zip(drawn, skills, strict=True)):
        colour = chosen if candidate.method == data.chosen else style.colour(0)
        if skill is None or not np.isfinite(skill) or skill < floor:
            axes.plot([floor], [y], marker="<", color=colour, markersize=4, clip_on=False)
            text = "infinite NLL" if skill is None or not np.isfinite(skill) else f"{skill:.3f}"
            axes.annotate(
                text,
                (floor, y),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                size=style.small,
            )
            continue
        if candidate.low is not None and candidate.high is not None:
            ends = [max(best - x / data.prior, floor) for x in (candidate.high, candidate.low)]
            axes.plot(ends, [y, y], color=colour, linewidth=1.2, solid_capstyle="butt")
        axes.plot([skill], [y], marker="o", color=colour, markersize=4)
    axes.axvline(best, color=style.muted, linewidth=0.6, zorder=0)
    named = _lines(data, marks.width_of(axes), style).draw(axes, style)
    for name, candidate in zip(named, drawn, strict=True):
        if candidate.method == data.chosen:
            name.set_color(chosen)
            name.set_fontweight("bold")
    axes.set_xlabel(f"Skill: 1 - {TITLES[data.rank_by]} / that of the class shares")
    axes.set_ylabel("simple to complex (numbers kept)")
    level = percent(data.level)
    marks.small_print(axes, style, f"Bars: {level} intervals of the distance to the best, paired")


def _drawn(data: Selection) -> list[Candidate]:
    """Return the candidates that could be fitted, the simplest last, which is at the bottom."""
    fitted = [candidate for candidate in data.candidates if not candidate.failed]
    return sorted(fitted, key=lambda one: (one.numbers or 0, one.method), reverse=True)


def _reach(best: float, shown: list[float]) -> float:
    """Return the distance of the median candidate from the best."""
    return max(best - float(np.median(shown)), 1e-3)
