"""What a threshold accepts, and what can be promised of it, against the threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.decisions.choose import choose_threshold
from calibtool.decisions.losses import Losses, losses_of
from calibtool.decisions.promise import line_text
from calibtool.decisions.target import Target, parse_target
from calibtool.decisions.threshold import Threshold
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import Parts, data_columns
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, only
from calibtool.diagrams.options import Calibrators, Option
from calibtool.diagrams.scales import LINEAR, NEAREST, Scale
from calibtool.diagrams.style import DOTTED, Style
from calibtool.errors import InputError, UsageError
from calibtool.formatting import percent
from calibtool.intervals import shares
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 400  # most thresholds of a curve: closer together than a line is wide


@dataclass(frozen=True, eq=False)
class ThresholdDiagram(Drawn):
    """What every threshold accepts.

    Attributes:
        target: what is to be promised.
        delta: how often the promise may be broken.
        chosen: the threshold that keeps it; None if none does.
        accepts: the share of the rows that it accepts.
        data: what was read.
        level: of the band.
        logit: whether thresholds are on the logit scale.
        threshold: (M,) thresholds.
        value, low, high: (M,) the target's subject on what each accepts, with its interval.
        proven: (M,) the limit that each by itself proves at delta.
        coverage: (M,) share of the rows that each accepts.
        notes: what was left out, in words.
        class_names: of the two classes, if they have names.
    """

    target: Target
    delta: float
    chosen: float | None
    accepts: float
    data: tuple[DataInfo, ...]
    level: float
    logit: bool
    threshold: Array
    value: Array
    low: Array
    high: Array
    proven: Array
    coverage: Array
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        names = ("threshold", "value", "low", "high", "proven", "coverage")
        return {
            "data": data_columns(self.data),
            "promise": {
                "target": [self.target.name],
                "limit": [self.target.limit],
                "delta": [self.delta],
                "threshold": [self.chosen],
                "accepts": [self.accepts],
            },
            "curve": {name: getattr(self, name).tolist() for name in names},
        }


def compute(
    predictions: Named,
    *,
    target: Annotated[
        str, Option('What is promised, such as "risk <= 5 %" or "precision >= 0.9".')
    ] = "accuracy >= 0.95",
    logit: Annotated[
        bool, Option("Logit axis, which separates 0.99 from 0.999.", name="logit-axis")
    ] = False,
    calibrators: Calibrators = (),
    **shared: Unpack[SharedOptions],
) -> ThresholdDiagram:
    """Compute what every threshold accepts, and what it proves.

    Args:
        predictions: one set, with labels.
        target: what is promised, with a probability of at least 95 %.
        logit: use a logit axis for thresholds.
        calibrators: at most one, fitted on other rows; the predictions after it are drawn.
        shared: `level` of the band, and `seed`.
    """
    if len(calibrators) > 1:
        raise UsageError("plot threshold draws one set of predictions; give one --calibrator")
    rows = only(predictions).load()
    calibrator: Any = calibrators[0] if calibrators else None
    goal = parse_target(target)
    found = choose_threshold(rows, target=goal, calibrator=calibrator, seed=shared.get("seed", 0))
    after = rows if calibrator is None else calibrator(rows)
    return _diagram(found, losses_of(after, goal, None), shared.get("level", 0.95), logit=logit)


def _diagram(found: Threshold, every: Losses, level: float, *, logit: bool) -> ThresholdDiagram:
    """Return the diagram: sums of the rows that each threshold accepts."""
    target = found.target
    order = np.argsort(-every.scores, kind="stable")
    rows = every.take(order)
    weights = np.ones(len(order)) if rows.weights is None else rows.weights
    ends = np.flatnonzero(np.append(rows.scores[:-1] != rows.scores[1:], True))
    if len(ends) > POINTS:  # evenly spread over the rows
        ends = np.unique(ends[np.linspace(0, len(ends) - 1, POINTS).round().astype(np.int64)])
    coverage = np.cumsum(weights)[ends] / weights.sum()
    if target.name == "recall":  # of all rows of class 1
        if not weights[rows.counts].sum():
            needs = found.named("recall needs rows of class 1; there are none")
            raise InputError(f"{found.data.source}: {needs}")
        mass = np.full(len(ends), weights[rows.counts].sum())
        squares = np.full(len(ends), (weights[rows.counts] ** 2).sum())
        losses = mass - np.cumsum(weights * rows.counts)[ends]
    else:
        mass, squares = np.cumsum(weights)[ends], np.cumsum(weights**2)[ends]
        losses = np.cumsum(weights * rows.losses)[ends]
    rate, effective = losses / mass, mass**2 / squares
    low, high = shares.clopper_pearson(rate, effective, level)
    bounds = [_of(target, end) for end in (low, high)]
    line = rows.scores[ends]
    return ThresholdDiagram(
        target,
        found.delta,
        found.points[0].threshold,
        found.points[0].accepted.share,
        (found.data,),
        level,
        logit,
        -line if target.subject.accepts == "low" else line,
        _of(target, rate),
        np.minimum(*bounds),
        np.maximum(*bounds),
        _of(target, shares.upper(rate * effective, effective, found.delta)),
        coverage,
        () if found.found else (f"no threshold keeps {target.text} on these rows",),
        class_names=found.class_names,
    )


def _of(target: Target, loss: Array) -> Array:
    """Return the subject of a target at mean losses."""
    return loss if target.upper else 1 - loss


def height(data: ThresholdDiagram, width: float, style: Style) -> float:
    """Return the height of both panels in inches."""
    return 0.84 * width


def draw(data: ThresholdDiagram, axes: Axes, style: Style) -> None:
    """Draw the subject of the target above, and the coverage below."""
    place = panels.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    scale = _scale(data)
    x = scale.on_x(data.threshold)
    name, limit = data.target.name, data.target.limit
    marks.band(upper, x, data.low, data.high, colour=style.colour(0), gid="band-0")
    upper.plot(x, data.value, color=style.colour(0), lw=style.line, gid="curve-0", zorder=4)
    upper.plot(
        x, data.proven, color=style.colour(1), lw=style.line * 0.8, ls=style.dash(1), gid="proven"
    )
    upper.axhline(limit, color=style.muted, lw=style.line * 0.7, ls=DOTTED, gid="limit")
    lower.plot(x, data.coverage, color=style.colour(0), lw=style.line, gid="coverage")
    if data.chosen is not None:
        at = scale.on_x(np.array([data.chosen]))[0]
        for panel in (upper, lower):
            panel.axvline(at, color=style.colour(2), lw=style.line * 0.8, gid="chosen")
    upper.set_ylim(*_ends(data))
    lower.set_ylim(0, 1)
    for panel in (upper, lower):
        marks.percent_axis(panel)
        scale.x_frame(panel)
    upper.yaxis.set_major_locator(marks.few_ticks(5))
    upper.set_ylabel(name.upper() if name == "npv" else name.capitalize())
    lower.set_ylabel("Coverage")
    confident = data.target.subject.accepts == "confident"
    lower.set_xlabel("Threshold of the confidence" if confident else "Threshold of P(class 1)")
    marks.header(upper, style, _header(data))
    foot = (
        f"Band: {100 * data.level:g} % intervals; dashed: what one threshold proves at "
        f"delta {percent(data.delta)}; dotted: the target; upright: the threshold chosen"
    )
    marks.foot(place, style, foot)


def _header(data: ThresholdDiagram) -> list[str]:
    if data.chosen is None:
        return [f"{data.target.text}: no threshold keeps it", f"n = {data.data[0].rows:,}"]
    return [
        f"{data.target.text}: threshold {line_text(data.chosen)}",
        f"accepts {percent(data.accepts, 1)}; n = {data.data[0].rows:,}",
    ]


def _scale(data: ThresholdDiagram) -> Scale:
    x = data.threshold
    if not data.logit:
        least = float(min(x.min(), 1 if data.chosen is None else data.chosen))
        return Scale((least if least < 1 else 0.0, 1.0), LINEAR, logit=False)
    inner = np.clip(x, NEAREST, 1 - NEAREST)
    ends = float(inner.min()), float(inner.max())
    # of one score alone, an axis has no ends
    return Scale(ends if ends[0] < ends[1] else (NEAREST, 1 - NEAREST), LINEAR, logit=True)


def _ends(data: ThresholdDiagram) -> tuple[float, float]:
    """Return the ends of the axis of the subject, without the first rows, which prove little."""
    steady = data.coverage >= min(0.05, data.accepts or 1.0)
    shown = np.concatenate([data.value[steady], data.proven[steady], [data.target.limit]])
    shown = shown[np.isfinite(shown)]
    room = 0.06 * (shown.max() - shown.min() or 0.1)
    return max(0.0, float(shown.min() - room)), min(1.0, float(shown.max() + room))
