"""Reliability diagrams: binned, smoothed or isotonic, of one set of predictions or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Readable
from calibtool.data.slicing import MOST, load_with
from calibtool.diagrams import histograms, marks, panels, reliability_curves, series
from calibtool.diagrams.curve import Curve, Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.digits import brief, intervals_note
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import (
    Named,
    SharedOptions,
    named,
    only,
    request,
    shared_names,
    view_option,
    with_calibrators,
)
from calibtool.diagrams.options import Bins, Calibrators, Option, View, require_choices
from calibtool.diagrams.scales import AXIS_NAMES, Scale, scale_of
from calibtool.diagrams.slices import PANELS, slices, worst
from calibtool.diagrams.style import Style
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import evaluate_variants
from calibtool.formatting import percent
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

LIMITS = ("low", "high")  # of intervals
# words for the mean score and the mean outcome in the corner, by view
MEANS = {"top": ("mean confidence", "accuracy"), "positive": ("mean prediction", "observed")}
# what a parameter of `compute` may be, and how it is typed on the command line
Form: TypeAlias = Annotated[
    Literal["binned", "smooth", "corp", "loess"],
    Option(
        flags={
            "smooth": "Kernel curve, with smooth ECE.",
            "corp": "Isotonic, with MCB, DSC and UNC.",
            "loess": "Local regression, with its ICI.",
        }
    ),
]
Logit: TypeAlias = Annotated[
    bool, Option("Logit axes, which separate 0.99 from 0.999.", name="logit-axis")
]
By: TypeAlias = Annotated[
    str | None,
    Option(
        "A small diagram for each value of COLUMN; also country,device, `predicted` or "
        "`confidence`.",
        typed="column",
    ),
]
Top: TypeAlias = Annotated[
    int | None,
    Option(
        f"Largest number of diagrams of --by: of more, the worst. By default {PANELS}.",
        within=(1, MOST),
    ),
]
Profile: TypeAlias = Annotated[
    Literal["equal_width", "equal_mass"] | None,
    Option("Kind of bins; by default equal mass on logit axes, otherwise equal width."),
]
Intervals: TypeAlias = Annotated[
    Literal["clopper-pearson", "bootstrap"], Option("Intervals of the bins.")
]
Bands: TypeAlias = Annotated[
    Literal["confidence", "consistency", "both", "none"] | None,
    Option(
        "Where the curve could lie, or where that of a perfect model would; by default both "
        "for one curve, confidence for several."
    ),
]


@dataclass(frozen=True, eq=False)
class Reliability(Drawn):
    """A reliability diagram.

    Attributes:
        curves: the curves, panel by panel.
        data: what was read, one entry per set of predictions.
        view: "top" or "positive".
        form: "binned", "smooth", "corp" or "loess".
        logit: whether the axes are on the logit scale.
        level: of the intervals and bands.
        bands: which of the bands are drawn: "confidence", "consistency", "both" or "none".
        notes: what was left out, in words.
        class_names: of the two classes, if they have names.
    """

    curves: tuple[Curve, ...]
    data: tuple[DataInfo, ...]
    view: str
    form: str
    logit: bool
    level: float
    bands: str
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] | None = None

    @property
    def panels(self) -> dict[str, tuple[Curve, ...]]:
        """The curves of each small diagram, by its name."""
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
    form: Form = "binned",
    logit: Logit = False,
    by: By = None,
    top: Top = None,
    bins: Bins = 15,
    profile: Profile = None,
    intervals: Intervals = "clopper-pearson",
    bands: Bands = None,
    view: View = "auto",
    **shared: Unpack[SharedOptions],
) -> Reliability:
    """Compute a reliability diagram (Murphy & Winkler 1977; Niculescu-Mizil & Caruana 2005).

    Args:
        predictions: one set, or several by name.
        calibrators: the predictions after each of these are drawn as well.
        form: "binned"; "smooth", a kernel curve (Blasiok & Nakkiran 2024); "corp", isotonic
            (Dimitriadis, Gneiting & Jordan 2021); or "loess", a local regression, that of the ICI
            (Austin & Steyerberg 2019).
        logit: use logit axes, which separate 0.99 from 0.999.
        by: a column; each of its values with at least 30 rows gets a panel.
        top: largest number of panels, 12 by default; of more, those with the highest lower end of
            the error's interval, the worst first.
        bins: number of bins of the binned form.
        profile: bins of "equal_width" or "equal_mass"; by default equal mass on logit axes, and
            equal width otherwise.
        intervals: of the mean outcome of a bin: "clopper-pearson" or "bootstrap".
        bands: "confidence", "consistency" (where a perfect model would lie), "both" or "none"; by
            default both for a single curve, confidence alone for several.
        view: "positive", P(class 1); "top", the confidence of the predicted class; or "auto",
            positive for two classes and top otherwise.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError for options that the data do not allow, InputError for cells that do not end
    at the edges of the bins.
    """
    chosen = {"form": form, "profile": profile, "intervals": intervals, "bands": bands}
    require_choices(compute, view=view, **chosen)
    rule = profile or ("equal_mass" if logit else "equal_width")
    if top is not None and by is None:
        raise UsageError("--top chooses among the diagrams of --by; give both")
    files = len(named(predictions))
    if by is not None and files > 1:
        raise UsageError(f"--by draws the slices of one set of predictions, not of {files}")
    parts = None if by is None else slices(load_with(only(predictions), [by]), by)
    sets: dict[str, Readable] = named(predictions) if parts is None else parts.rows
    variants = with_calibrators(calibrators)
    panels_: list[list[Curve]] = []
    data = []
    for name, rows in sets.items():
        option = view_option(view, rows, *sets.values())
        specs = reliability_curves.specs(form, bins, rule, logit=logit, view=option)
        results = evaluate_variants(request(rows, specs, variants, bias=False, **shared))
        data.append(results.data)
        panels_.append([])
        for number, variant in enumerate(variants):
            points = reliability_curves.points(
                results, number, form, logit=logit, intervals=intervals
            )
            title = variant.title or "as given"
            label = title if len(sets) == 1 or by is not None else f"{name}, {title}"
            label = name if len(variants) == 1 else label
            panel = name if by is not None else ""
            panels_[-1].append(
                reliability_curves.curve_of(results, number, points, label=label, panel=panel)
            )
    notes: tuple[str, ...] = ()
    if parts is not None:
        shown = worst([panel_[0].estimates[0] for panel_ in panels_], top or PANELS)
        panels_, data = [panels_[k] for k in shown], [data[k] for k in shown]
        notes = tuple(note for note in (parts.left_out(shown), *parts.notes) if note)
    curves = [curve for panel_ in panels_ for curve in panel_]
    per_panel = len(variants) if by is not None else len(curves)
    bands = bands or ("both" if per_panel == 1 else "confidence")
    level = results.settings.level
    return Reliability(
        *(tuple(curves), tuple(data), results.view, form, logit, level, bands, notes),
        class_names=shared_names(*sets.values()),
    )


def pages(data: Reliability, width: float, style: Style) -> list[Reliability]:
    """Return the diagram page by page: as many panels on each as a sheet of paper holds."""
    names = list(data.panels)
    return [
        replace(data, curves=tuple(curve for k in page for curve in data.panels[names[k]]))
        for page in panels.pages(len(names), width, style)
    ]


def height(data: Reliability, width: float, style: Style) -> float:
    """Return the height in inches; panels are square, `figure` takes their width."""
    return width


def draw(data: Reliability, axes: Axes, style: Style) -> None:
    """Draw one diagram, or a small one for each panel."""
    panel, *others = data.panels.values()
    if not others and not panel[0].panel:
        lower = _panel(axes, data, panel, style)
        marks.small_print(lower, style, _small_print(data, panel))
        return
    place = panels.inside(axes)
    _small_panels(place, data, style)
    if len(panel) > 1:
        handles = [series.handle(k, style) for k in range(len(panel))]
        panels.shared_key(place, style, handles, [curve.label for curve in panel])
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
        handles.append(series.handle(index, style, line=data.form != "binned"))
    axes.set_ylabel(y_name)
    lower.set_xlabel(x_name)
    scale.x_frame(lower)
    bars = [curve.histogram for curve in curves]
    histograms.draw(lower, bars, style, log=_on_log(data), scale=scale)
    if name:
        marks.header(axes, style, _numbers(curves), name=name, small=True)
    elif crowd == 1:
        lines, wide = _corner(data, curves[0]), marks.inner_width(axes)
        place = marks.corner_place(lines, _taken(curves, scale), wide, style)
        if place == "above":  # wide enough for two numbers per line
            *estimates, last, mean_score, mean_outcome, rows = lines
            fits = 0.56 * style.text * len(f"{last}; {rows}") / 72 <= wide  # as `corner_place` does
            pair = [f"{last}; {rows}"] if fits else [last, rows]
            lines = [*estimates, *pair, f"{mean_score}, {mean_outcome}"]
        marks.corner(axes, style, lines, place)
    else:
        marks.key(axes, style, handles, _labels(curves))
    return lower


def _on_log(data: Reliability) -> bool:
    """Return whether the histograms of all panels are on a log scale."""
    return histograms.needs_log([curve.histogram.mass for curve in data.curves])


def _corner(data: Reliability, curve: Curve) -> list[str]:
    """Return the numbers: errors with their intervals, mean score, mean outcome, rows."""
    estimates = [marks.estimate_text(estimate) for estimate in curve.estimates]
    score_name, outcome_name = MEANS[data.view]
    means = [f"{score_name} {percent(curve.said, 1)}", f"{outcome_name} {percent(curve.was, 1)}"]
    return [*estimates, *means, f"n = {curve.rows:,}"]


def _numbers(curves: tuple[Curve, ...]) -> list[str]:
    """Return the numbers above a small panel."""
    if len(curves) > 1:
        values = ", ".join(brief(c.estimates[0].value or 0.0) for c in curves)
        return [f"{marks.short(curves[0].estimates[0])} {values}", f"n = {curves[0].rows:,}"]
    return [
        *(marks.estimate_text(e, alone=True) for e in curves[0].estimates),
        f"n = {curves[0].rows:,}",
    ]


def _taken(curves: tuple[Curve, ...], scale: Scale) -> list[tuple[Array, Array]]:
    """Return the places of the marks, as shares of the axes."""
    taken = [scale.share(scale.even(), scale.even())]
    for curve in curves:
        taken.append(scale.share(curve.score, curve.outcome))
        taken.append(marks.spans(*scale.share(curve.score, curve.low, curve.high)))
    return taken


def _labels(curves: tuple[Curve, ...]) -> list[marks.Entry]:
    """Return one line of the key per curve: its name and its numbers."""
    labels: list[marks.Entry] = []
    for curve in curves:
        numbers = ", ".join(marks.estimate_text(estimate) for estimate in curve.estimates)
        labels.append((curve.label, numbers))
    return labels


def _small_print(data: Reliability, curves: tuple[Curve, ...]) -> str:
    """Return the explanation of the marks."""
    level = f"{100 * data.level:g} %"
    mark = "bars" if data.form == "binned" else "colour"
    words = []
    if data.bands in ("confidence", "both") and any(np.isfinite(c.low).any() for c in curves):
        if len(curves) <= marks.WITH_INTERVALS:
            low, high = (np.concatenate([getattr(c, end) for c in curves]) for end in LIMITS)
            words.append(intervals_note(mark, data.level, low, high, points=data.form == "binned"))
        else:
            words.append("too many curves to show intervals: see --data")
    grey = data.bands in ("consistency", "both") and len(curves) == 1
    if grey and np.isfinite(curves[0].least).any():
        words.append(f"grey: {level} of perfect models")
    if data.form == "binned":
        words.append("size: share of rows")
    elif data.form == "smooth" and len(curves) == 1:
        words.append("thickness: density")
    if series.are_side_by_side(len(curves)) and data.form == "binned":
        words.append("models set apart along the diagonal, which keeps their gaps")
    if _on_log(data):
        words.append("histogram: log scale")
    if len(data.panels) > 1 and len(curves) == 1:
        shown = (e for panel in data.panels.values() for e in panel[0].estimates)
        words += [note for note in [marks.corrected_note(shown)] if note]
    text = "; ".join(words)
    return ". ".join([text[:1].upper() + text[1:], *(note.rstrip(".") for note in data.notes)])
