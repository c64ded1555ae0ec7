"""Reliability diagrams: binned, smoothed or isotonic, of one set of predictions or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable, Recalibrator, Variant
from calibtool.diagrams import marks, reliability_curves
from calibtool.diagrams.curve import Curve, Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, groups, named, only, whole
from calibtool.diagrams.scales import Scale, scale_of
from calibtool.diagrams.style import Style
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.evaluate import evaluate_variants
from calibtool.evaluation.results import Results
from calibtool.formatting import percent
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "top": ("Confidence", "Accuracy"),
    "positive": ("P(class 1)", "Frequency of class 1"),
}
LOWER = 0.2  # height of the histogram, of that of the diagram
SPACE = 0.05
WITH_BARS = 4  # curves in one panel whose intervals are drawn; those of more would hide one another
FORMS = ("binned", "smooth", "corp")
INTERVALS = ("clopper-pearson", "bootstrap")
VIEWS = ("auto", "top", "positive")


@dataclass(frozen=True, eq=False)
class Reliability(Drawn):
    """A reliability diagram.

    Attributes:
        curves: what is drawn, those of a panel one after the other.
        data: what was read, a set of predictions each.
        view: "top" or "positive".
        form: "binned", "smooth" or "corp".
        logit: whether the axes are on the logit scale.
        level: of the intervals and bands.
        bands: which of them to draw: "confidence", "consistency", "both" or "none".
        notes: what was left out, in words.
    """

    curves: tuple[Curve, ...]
    data: tuple[DataInfo, ...]
    view: str
    form: str
    logit: bool
    level: float
    bands: str
    notes: tuple[str, ...] = ()

    @property
    def panels(self) -> dict[str, tuple[Curve, ...]]:
        """The curves of each small diagram."""
        names = dict.fromkeys(curve.panel for curve in self.curves)
        return {name: tuple(c for c in self.curves if c.panel == name) for name in names}

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        heads = [{"panel": c.panel, "curve": c.label} for c in self.curves]
        pairs = list(zip(heads, self.curves, strict=True))
        return {
            "data": data_columns(self.data),
            "summary": stacked(
                {**head, "rows": c.rows, "said": c.said, "was": c.was} for head, c in pairs
            ),
            "estimate": stacked({**head, **estimate_columns(c.estimates)} for head, c in pairs),
            "curve": stacked({**head, **c.columns()} for head, c in pairs),
            "histogram": stacked({**head, **c.histogram.columns()} for head, c in pairs),
        }


def compute(
    predictions: Named,
    *,
    form: str = "binned",
    bins: int = 15,
    profile: str | None = None,
    intervals: str = "clopper-pearson",
    view: str = "auto",
    logit: bool = False,
    by: str | None = None,
    bands: str | None = None,
    calibrators: Sequence[Recalibrator] = (),
    **how: Unpack[How],
) -> Reliability:
    """The data of a reliability diagram (Murphy & Winkler 1977; Niculescu-Mizil & Caruana 2005).

    Args:
        predictions: one set, or several by what to call them.
        form: "binned"; "smooth", a kernel curve (Blasiok & Nakkiran 2024); or "corp", isotonic
            (Dimitriadis, Gneiting & Jordan 2021).
        bins, profile: of the binned form; "equal_width", or "equal_mass", which is the default
            under `logit`.
        intervals: of a bin's outcome: "clopper-pearson" or "bootstrap".
        view: "top", "positive", or "auto" for what the data are.
        logit: scores on the logit scale, on which 0.99 and 0.999 are apart.
        by: a column of which each value gets a panel.
        bands: "confidence", "consistency" (where a perfect model would be), "both" or "none"; by
            default both for a single curve.
        calibrators: what each makes of the predictions is drawn beside them.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError, InputError.
    """
    _require(form, intervals, view, bands, profile)
    rule = profile or ("equal_mass" if logit else "equal_width")
    sets: dict[str, Readable] = named(predictions)
    notes: tuple[str, ...] = ()
    if by is not None:
        sets, notes = groups(whole(only(predictions)), by)
    systems = [Variant(), *(Variant.of(one) for one in calibrators)]
    drawn: list[Curve] = []
    data = []
    for name, one in sets.items():
        specs = _specs(form, bins, rule, logit=logit, view=_view(view, one))
        found = evaluate_variants(one, specs, systems, bias=False, **how)
        data.append(found.data)
        for number, system in enumerate(systems):
            points = _points(found, number, form, logit=logit, intervals=intervals)
            said, was = found.means(number)
            curve = Curve(
                label=(system.title or "as given") if len(systems) > 1 else name,
                panel=name if by is not None else "",
                **vars(points),
                estimates=found.estimates(number),
                rows=found.data.rows,
                said=said,
                was=was,
            )
            drawn.append(curve)
    per_panel = len(systems) if by is not None else len(drawn)
    if len(sets) > 1 and len(systems) > 1 and by is None:
        drawn = [replace(c, label=f"{n}, {c.label}") for n, c in _paired(sets, systems, drawn)]
    bands = bands or ("both" if per_panel == 1 else "confidence")
    return Reliability(
        tuple(drawn), tuple(data), found.view, form, logit, found.settings.level, bands, notes
    )


def _require(form: str, intervals: str, view: str, bands: str | None, profile: str | None) -> None:
    chosen = {
        "form": (form, FORMS),
        "intervals": (intervals, INTERVALS),
        "view": (view, VIEWS),
        "profile": (profile or "equal_width", ("equal_width", "equal_mass")),
        "bands": (bands or "none", ("confidence", "consistency", "both", "none")),
    }
    for name, (value, known) in chosen.items():
        if value not in known:
            raise UsageError(f"{name} {value!r}: there are {', '.join(known)}")


def _view(view: str, predictions: Readable) -> str:
    """The view that was asked for; "" for that of the data."""
    if view == "auto":
        return ""
    if view == "positive" and predictions.classes != 2:
        raise UsageError(f"{predictions.source}: the positive view needs the scores of two classes")
    return view


def _specs(form: str, bins: int, profile: str, *, logit: bool, view: str) -> list[str]:
    """The numbers in the corner: those that the form shows."""
    at = f"view={view}" if view else ""
    if form == "smooth":
        return [_spec("smece", "kernel=logit" if logit else "", at)]
    if form == "corp":
        return [_spec(name, at) for name in ("mcb", "dsc", "unc")]
    if profile == "equal_mass":
        return [_spec("ada-ece", f"bins={bins}", at)]
    return [_spec("ece", f"bins={bins}", at)]


def _spec(name: str, *options: str) -> str:
    return f"{name}({','.join(option for option in options if option)})"


def _points(
    found: Results, system: int, form: str, *, logit: bool, intervals: str
) -> reliability_curves.Points:
    if form == "smooth":
        return reliability_curves.smooth(found, system, _bandwidth(found, system), logit=logit)
    if form == "corp":
        return reliability_curves.corp(found, system, logit=logit)
    return reliability_curves.binned(found, system, _edges(found, system), intervals, logit=logit)


def _bandwidth(found: Results, system: int) -> float:
    return found.measured[system][0].value or 0.0


def _edges(found: Results, system: int) -> Array:
    spec = found.specs[0]
    if spec.one_edge_for_all:
        missing = found.measured[system][0].missing
        if missing:  # cells that do not end there
            raise InputError(f"{found.data.source}: {missing}")
        return spec.edges(Cells.empty())
    return spec.edges(found.panels(system).exact(0))


def _paired(
    sets: dict[str, Readable], systems: list[Variant], drawn: list[Curve]
) -> list[tuple[str, Curve]]:
    names = [name for name in sets for _ in systems]
    return list(zip(names, drawn, strict=True))


def height(data: Reliability, width: float, style: Style) -> float:
    """Panels are square: the height follows."""
    return width


def draw(data: Reliability, axes: Axes, style: Style) -> None:
    """One diagram, or a small one for each panel."""
    panels = list(data.panels.items())
    if len(panels) == 1:
        lower = _panel(axes, data, panels[0][1], style)
        marks.small_print(lower, style, _small_print(data, panels[0][1]))
        return
    place = marks.inside(axes)
    rows, columns = shape(len(panels), place.bbox.width / place.dpi, style)
    grid = place.subplots(rows, columns, squeeze=False)
    for index, ax in enumerate(grid.flat):
        if index >= len(panels):
            ax.remove()
            continue
        name, curves = panels[index]
        lower = _panel(ax, data, curves, style, name)
        if index % columns:
            ax.set_ylabel("")
        if index + columns < len(panels):
            lower.set_xlabel("")
    if len(panels[0][1]) > 1:
        place.legend(
            [_handle(k, style) for k in range(len(panels[0][1]))],
            [curve.label for curve in panels[0][1]],
            loc="outside upper left",
            frameon=False,
            fontsize=style.small,
        )
    marks.foot(place, style, _small_print(data, panels[0][1]))


def shape(panels: int, width: float, style: Style) -> tuple[int, int]:
    """Rows and columns of small panels."""
    most = max(1, min(panels, int(width / (0.215 * style.text)), 4))
    rows = -(-panels // most)
    return rows, -(-panels // rows)


def _panel(
    axes: Axes, data: Reliability, curves: tuple[Curve, ...], style: Style, name: str = ""
) -> Axes:
    """A diagram with its histogram, which is returned."""
    scale = scale_of(curves, logit=data.logit)
    x_name, y_name = AXES[data.view]
    lower = marks.beneath(axes, LOWER, 2 * SPACE if name else SPACE)
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    scale.frame(axes)
    marks.diagonal(axes, style, scale.even())
    shown = len(curves) <= WITH_BARS
    handles, crowd = [], len(curves)
    for index, curve in enumerate(curves):
        if data.bands in ("consistency", "both") and len(curves) == 1:
            _expected(axes, curve, scale, style)
        whole = shown and data.bands in ("confidence", "both")
        draw_one = _binned if data.form == "binned" else _continuous
        handles.append(draw_one(axes, curve, index, scale, style, whole=whole, crowd=crowd))
        _histogram(lower, curve, index, scale, style, crowd=crowd)
    axes.set_ylabel(y_name)
    lower.set_xlabel(x_name)
    scale.x_frame(lower)
    top = max(float(curve.histogram.mass.max()) for curve in curves)
    marks.top_of(lower, top)
    if name:
        marks.header(axes, style, [marks.long_name(name, 26), *_numbers(curves)], small=True)
    elif len(curves) == 1:
        lines, wide = _corner(data, curves[0]), marks.width_of(axes) * axes.get_position().width
        place = marks.corner_place(lines, _taken(curves, scale), wide, style)
        if place == "above":
            lines = [*lines[:-2], f"{lines[-1]}; {lines[-2]}"]
        marks.corner(axes, style, lines, place)
    else:
        marks.key(axes, style, handles, _labels(curves))
    return lower


def _corner(data: Reliability, curve: Curve) -> list[str]:
    """The numbers: the errors with their intervals, what was said and what was, n."""
    lines = [marks.estimate_text(one) for one in curve.estimates]
    said, was = percent(curve.said, 1), percent(curve.was, 1)
    is_ = "is right" if data.view == "top" else "is"
    return [*lines, f"says {said}, {is_} {was}", f"n = {curve.rows:,}"]


def _numbers(curves: tuple[Curve, ...]) -> list[str]:
    """The numbers of a small panel."""
    if len(curves) > 1:
        values = ", ".join(marks.brief(c.estimates[0].value or 0.0) for c in curves)
        return [f"{marks.short(curves[0].estimates[0])} {values}", f"n = {curves[0].rows:,}"]
    return [*(marks.estimate_text(e) for e in curves[0].estimates), f"n = {curves[0].rows:,}"]


def _taken(curves: tuple[Curve, ...], scale: Scale) -> list[tuple[Array, Array]]:
    """Where there are marks, as shares of the axes."""
    taken = [scale.share(scale.even(), scale.even())]
    for curve in curves:
        taken.append(scale.share(curve.score, curve.outcome))
        taken.append(marks.spans(*scale.share(curve.score, curve.low, curve.high)))
    return taken


def _labels(curves: tuple[Curve, ...]) -> list[str]:
    """A line of the key a curve: its name and its numbers."""
    out = []
    for curve in curves:
        numbers = ", ".join(marks.estimate_text(one) for one in curve.estimates)
        out.append(f"{marks.long_name(curve.label, 60)}: {numbers}")
    return out


def _expected(axes: Axes, curve: Curve, scale: Scale, style: Style) -> None:
    """Where a perfect model would lie."""
    least, most = scale.on_y(curve.least), scale.on_y(curve.most)
    if curve.edges is None:
        marks.band(
            *(axes, scale.on_x(curve.score), least, most),
            colour=style.faint,
            alpha=1.0,
            zorder=1,
            gid="expected-0",
        )
        return
    marks.expected(axes, scale.on_x(curve.edges), least, most, style)


def _binned(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, whole: bool, crowd: int
) -> Any:
    """Points as large as their share of the rows, with their intervals."""
    colour, some = style.colour(index), np.isfinite(curve.outcome)
    x, y = scale.on_x(curve.score[some]), scale.on_y(curve.outcome[some])
    share = curve.mass[some] / curve.mass.max()
    thick = np.sqrt(share)
    if crowd > 1:  # a line holds the points of a series together, thin where there are few rows
        marks.thick_line(
            axes,
            x,
            y,
            style.line * (0.1 + 0.9 * np.minimum(thick, 0.6)),
            color=colour,
            linestyle=style.dash(index),
            alpha=0.8,
            zorder=2.5,
            gid=f"curve-{index}",
        )
    if whole:
        low, high = scale.on_y(curve.low[some]), scale.on_y(curve.high[some])
        width = style.line * (0.35 + 0.65 * thick)
        marks.bars(axes, x, low, high, colour=colour, width=width, gid=f"bars-{index}")
    grow = 0.95 if crowd <= WITH_BARS else 0.6
    area = (0.34 * style.text) ** 2 + share * ((grow * style.text) ** 2 - (0.34 * style.text) ** 2)
    axes.scatter(
        x,
        y,
        s=area,
        color=colour,
        marker=style.marker(index),
        edgecolors=style.paper,
        linewidths=style.line * 0.35,
        zorder=5,
        clip_on=False,
        gid=f"points-{index}",
    )
    return _handle(index, style)


def _handle(index: int, style: Style) -> Any:
    """A series in the key."""
    from matplotlib.lines import Line2D

    return Line2D(
        *([], []),
        color=style.colour(index),
        lw=style.line,
        ls=style.dash(index),
        marker=style.marker(index),
        ms=0.6 * style.text,
        mec=style.paper,
        mew=style.line * 0.3,
    )


def _continuous(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, whole: bool, crowd: int
) -> Any:
    """A line as thick as the density of the scores, with its band."""
    from matplotlib.lines import Line2D

    colour = style.colour(index)
    x, y = scale.on_x(curve.score), scale.on_y(curve.outcome)
    if whole:
        low, high = scale.on_y(curve.low), scale.on_y(curve.high)
        marks.band(axes, x, low, high, colour=colour, gid=f"band-{index}")
    thick = np.full(len(x), style.line)
    if _is_density(curve):
        grow = 2.2 if crowd <= WITH_BARS else 0.8
        thick = style.line * (0.55 + grow * np.sqrt(curve.mass / curve.mass.max()))
    marks.thick_line(
        axes, x, y, thick, color=colour, capstyle="round", zorder=4, gid=f"curve-{index}"
    )
    return Line2D([], [], color=colour, lw=1.6 * style.line, ls=style.dash(index))


def _is_density(curve: Curve) -> bool:
    """Whether `mass` is a density: that of a smooth curve is, that of isotonic cells is not."""
    return len(curve.score) > 2 and not np.isclose(curve.mass.sum(), 1.0)


def _histogram(
    axes: Axes, curve: Curve, index: int, scale: Scale, style: Style, *, crowd: int
) -> None:
    edges = scale.on_x(curve.histogram.edges)
    how: dict[str, Any] = {"gid": f"histogram-{index}", "color": style.colour(index)}
    if crowd == 1:
        axes.stairs(curve.histogram.mass, edges, fill=True, alpha=0.55, lw=0, **how)
    else:
        axes.stairs(
            curve.histogram.mass,
            edges,
            lw=style.line * (0.75 if crowd <= WITH_BARS else 0.4),
            ls=style.dash(index),
            **how,
        )


def _small_print(data: Reliability, curves: tuple[Curve, ...]) -> str:
    """What the marks are."""
    level = f"{100 * data.level:g} %"
    mark = "bars" if data.form == "binned" else "colour"
    words = []
    if data.bands in ("confidence", "both"):
        if len(curves) <= WITH_BARS:
            words.append(f"{mark}: {level} intervals")
        else:
            words.append("intervals of so many curves would hide them: see --data")
    if data.bands in ("consistency", "both") and len(curves) == 1:
        words.append(f"grey: {level} of perfect models")
    if data.form == "binned":
        words.append("size: share of rows")
    elif data.form == "smooth":
        words.append("thickness: density")
    text = "; ".join(words)
    return text[:1].upper() + text[1:]
