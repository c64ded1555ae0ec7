"""Reliability diagrams: binned, smoothed or isotonic, of one set of predictions or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from calibtool.asked import Calibrator, Readable, System
from calibtool.checks import Array
from calibtool.diagrams import curves
from calibtool.diagrams.named import How, Named, groups, named, only, whole
from calibtool.diagrams.record import (
    Curve,
    Parts,
    data_columns,
    estimate_columns,
    stacked,
)
from calibtool.errors import InputError, UsageError
from calibtool.estimates import Measures
from calibtool.evaluation import measures
from calibtool.report import Data
from calibtool.statistic import Cells

FORMS = ("binned", "smooth", "corp")
INTERVALS = ("clopper-pearson", "bootstrap")
VIEWS = ("auto", "top", "positive")


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
    data: tuple[Data, ...]
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
    calibrators: Sequence[Calibrator] = (),
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
    systems = [System(), *(System.of(one) for one in calibrators)]
    drawn: list[Curve] = []
    data = []
    for name, one in sets.items():
        specs = _specs(form, bins, rule, logit=logit, view=_view(view, one))
        found = measures(one, specs, systems, bias=False, **how)
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
    found: Measures, system: int, form: str, *, logit: bool, intervals: str
) -> curves.Points:
    if form == "smooth":
        return curves.smooth(found, system, _bandwidth(found, system), logit=logit)
    if form == "corp":
        return curves.corp(found, system, logit=logit)
    return curves.binned(found, system, _edges(found, system), intervals, logit=logit)


def _bandwidth(found: Measures, system: int) -> float:
    return found.measured[system][0].value or 0.0


def _edges(found: Measures, system: int) -> Array:
    spec = found.specs[0]
    if spec.one_edge_for_all:
        missing = found.measured[system][0].missing
        if missing:  # cells that do not end there
            raise InputError(f"{found.data.source}: {missing}")
        return spec.edges(Cells.empty())
    return spec.edges(found.panels(system).exact(0))


def _paired(
    sets: dict[str, Readable], systems: list[System], drawn: list[Curve]
) -> list[tuple[str, Curve]]:
    names = [name for name in sets for _ in systems]
    return list(zip(names, drawn, strict=True))
