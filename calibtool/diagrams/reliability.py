"""Reliability diagrams: binned, smoothed or isotonic, of one set of predictions or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, Unpack

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable, Variant
from calibtool.diagrams import marks, panels, reliability_curves, series
from calibtool.diagrams.curve import Curve, Parts, Points, data_columns, estimate_columns, stacked
from calibtool.diagrams.inputs import How, Named, groups, named, only, whole
from calibtool.diagrams.options import Bins, Calibrators, Option, View, require_choices
from calibtool.diagrams.scales import AXIS_NAMES, Scale, scale_of
from calibtool.diagrams.style import Style
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.evaluate import evaluate_variants
from calibtool.evaluation.results import Results
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

Form: TypeAlias = Literal["binned", "smooth", "corp"]
Profile: TypeAlias = Literal["equal_width", "equal_mass"]
Intervals: TypeAlias = Literal["clopper-pearson", "bootstrap"]
Bands: TypeAlias = Literal["confidence", "consistency", "both", "none"]


@dataclass(frozen=True, eq=False)
class Reliability:
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
    calibrators: Calibrators = (),
    form: Annotated[
        Form,
        Option(
            flags={"smooth": "A kernel curve: smooth ECE.", "corp": "Isotonic: MCB, DSC and UNC."}
        ),
    ] = "binned",
    logit: Annotated[bool, Option("Tell 0.99 from 0.999.", name="logit-axis")] = False,
    by: Annotated[
        str | None,
        Option(
            "A small diagram for each of its values; also country,device, `predicted` or "
            "`confidence`.",
            typed="column",
        ),
    ] = None,
    bins: Bins = 15,
    profile: Annotated[
        Profile | None,
        Option("Which bins; of equal width, unless the axis is a logit axis."),
    ] = None,
    intervals: Annotated[Intervals, Option("Of the bins.")] = "clopper-pearson",
    bands: Annotated[
        Bands | None,
        Option(
            "Where the curve could be, or where that of a perfect model would be; both, unless "
            "several curves are overlaid."
        ),
    ] = None,
    view: View = "auto",
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
    require_choices(
        compute, form=form, profile=profile, intervals=intervals, bands=bands, view=view
    )
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


def _points(found: Results, system: int, form: str, *, logit: bool, intervals: str) -> Points:
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
    """Draw one diagram, or a small one for each panel."""
    panel, *others = data.panels.values()
    if not others:
        lower = _panel(axes, data, panel, style)
        marks.small_print(lower, style, _small_print(data, panel))
        return
    place = panels.inside(axes)
    _small_panels(place, data, style)
    if len(panel) > 1:
        place.legend(
            [series.handle(k, style) for k in range(len(panel))],
            [curve.label for curve in panel],
            loc="outside upper left",
            frameon=False,
            fontsize=style.small,
        )
    marks.foot(place, style, _small_print(data, panel))


def _small_panels(place: SubFigure, data: Reliability, style: Style) -> None:
    """Draw the panels as a grid; axis labels stand at its left and lower edge alone."""
    named_panels = list(data.panels.items())
    rows, columns = panels.grid_shape(len(named_panels), place.bbox.width / place.dpi, style)
    grid = place.subplots(rows, columns, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index >= len(named_panels):
            axes.remove()
            continue
        name, curves = named_panels[index]
        lower = _panel(axes, data, curves, style, name)
        if index % columns:
            axes.set_ylabel("")
        if index + columns < len(named_panels):
            lower.set_xlabel("")


def _panel(
    axes: Axes, data: Reliability, curves: tuple[Curve, ...], style: Style, name: str = ""
) -> Axes:
    """Draw the curves of a panel, and their histogram, whose axes are returned."""
    scale = scale_of(curves, logit=data.logit)
    x_name, y_name = AXIS_NAMES[data.view]
    lower = panels.beneath(axes, space=2 * panels.SPACE if name else panels.SPACE)
    panels.square(axes, scale, style)
    crowd = len(curves)
    with_intervals = crowd <= marks.WITH_INTERVALS and data.bands in ("confidence", "both")
    draw_curve = series.draw_bins if data.form == "binned" else series.draw_line
    handles = []
    for index, curve in enumerate(curves):
        if data.bands in ("consistency", "both") and crowd == 1:
            series.draw_expected(axes, curve, scale, style)
        draw_curve(axes, curve, index, scale, style, intervals=with_intervals, crowd=crowd)
        series.draw_histogram(lower, curve, index, scale, style, crowd=crowd)
        handles.append(series.handle(index, style, line=data.form != "binned"))
    axes.set_ylabel(y_name)
    lower.set_xlabel(x_name)
    scale.x_frame(lower)
    marks.top_of(lower, max(float(curve.histogram.mass.max()) for curve in curves))
    if name:
        marks.header(axes, style, [marks.long_name(name, 26), *_numbers(curves)], small=True)
    elif crowd == 1:
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
    said, was = marks.percent(curve.said), marks.percent(curve.was)
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


def _small_print(data: Reliability, curves: tuple[Curve, ...]) -> str:
    """What the marks are."""
    level = f"{100 * data.level:g} %"
    mark = "bars" if data.form == "binned" else "colour"
    words = []
    if data.bands in ("confidence", "both"):
        if len(curves) <= marks.WITH_INTERVALS:
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
