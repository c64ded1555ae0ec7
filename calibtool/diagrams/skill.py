"""Skill against complexity, in ink: what `calibtool select` found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibtool.analysis.selection import Candidate, Selection
from calibtool.diagrams.style import Style
from calibtool.formatting import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES = {"nll": "NLL", "brier": "Brier score"}


def height(found: Selection, width: float, style: Style) -> float:
    """A line a candidate."""
    return (5.2 + 1.9 * len(_drawn(found))) * style.text / 72


def draw(found: Selection, axes: Axes, style: Style) -> None:
    """Skill a candidate, from the simplest to the most complex, with the interval of its distance
    to the best. Where the skill is worse than that of the class shares, an arrow says so."""
    drawn = _drawn(found)
    best = found.skill(found[found.best]) or 0.0
    chosen = style.colour(1)
    skills = [found.skill(one) for one in drawn]
    shown = [s for s in skills if s is not None and np.isfinite(s)]
    floor = max(min(shown), best - 6 * _reach(found, best, shown), 0.0) if shown else 0.0
    for y, (one, skill) in enumerate(zip(drawn, skills, strict=True)):
        colour = chosen if one.method == found.chosen else style.colour(0)
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
        if one.low is not None and one.high is not None:
            ends = [max(best - x / found.prior, floor) for x in (one.high, one.low)]
            axes.plot(ends, [y, y], color=colour, linewidth=1.2, solid_capstyle="butt")
        axes.plot([skill], [y], marker="o", color=colour, markersize=4)
    axes.axvline(best, color=style.muted, linewidth=0.6, zorder=0)
    labels = [f"{one.method}  {one.numbers:,}" for one in drawn]
    axes.set_yticks(range(len(drawn)), labels)
    for tick, one in zip(axes.get_yticklabels(), drawn, strict=True):
        if one.method == found.chosen:
            tick.set_color(chosen)
            tick.set_fontweight("bold")
    axes.set_ylim(-0.6, len(drawn) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        f"Skill: 1 - {TITLES[found.rank_by]} / that of the class shares\n"
        f"bars: {percent(found.level)} interval of the distance to the best, paired"
    )
    axes.set_ylabel("simple to complex (numbers kept)")


def _drawn(found: Selection) -> list[Candidate]:
    """The simplest at the bottom."""
    alive = [one for one in found.candidates if not one.failed]
    return sorted(alive, key=lambda one: (one.numbers or 0, one.method))


def _reach(found: Selection, best: float, shown: list[float]) -> float:
    """How far from the best the middling candidates lie."""
    return max(best - float(np.median(shown)), 1e-3)
