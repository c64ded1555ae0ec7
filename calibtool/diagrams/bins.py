"""ECE against the number of bins: the same rows under many numbers of bins and conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.diagrams import marks, texts
from calibtool.diagrams.curve import Parts, columns_of, data_columns, numbers, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, only, request
from calibtool.diagrams.style import DASHES, DOTTED, Style
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.conventions import reproduce

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED_FROM = 5.0  # inches of width from which there is room for the names of libraries
RULES = {"equal width": "ece", "equal mass": "ada-ece"}
NUMBERS = (5, 10, 15, 20, 30, 50, 100)
LIBRARY_ROWS = 200_000  # bounds the time of other libraries' rules, each tried at 7 numbers of bins


@dataclass(frozen=True, eq=False)
class BinsDiagram(Drawn):
    """ECE against the number of bins.

    Attributes:
        numbers: of bins.
        estimates: by rule, one for each number.
        libraries: the ECE of each library at each number; None if it gives none.
        binless: smooth ECE, which has no bins.
        data: what was read.
        level: of the intervals.
    """

    numbers: tuple[int, ...]
    estimates: dict[str, tuple[Estimate, ...]]
    libraries: dict[str, tuple[float | None, ...]]
    binless: Estimate
    data: tuple[DataInfo, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        names = ("name", "value", "corrected", "low", "high", "signature")
        return {
            "data": data_columns(self.data),
            "curve": stacked(
                {
                    "rule": rule,
                    "bins": self.numbers,
                    **columns_of(estimates, names),
                }
                for rule, estimates in self.estimates.items()
            ),
            "smooth": columns_of([self.binless], names),
            "library": stacked(
                {"library": library, "bins": self.numbers, "value": values}
                for library, values in self.libraries.items()
            ),
        }

    @property
    def agreeing(self) -> dict[tuple[str, ...], tuple[float | None, ...]]:
        """The libraries in groups that give the same numbers everywhere, with these numbers."""
        together: dict[tuple[float | None, ...], list[str]] = {}
        for library, values in self.libraries.items():
            key = tuple(None if v is None else float(f"{v:.6g}") for v in values)
            together.setdefault(key, []).append(library)
        return {tuple(names): self.libraries[names[0]] for names in together.values()}


def compute(predictions: Named, **shared: Unpack[SharedOptions]) -> BinsDiagram:
    """Compute the ECE over 5 to 100 bins of equal width and of equal mass, with intervals; that of
    every library that `evaluate --conventions` knows; and smooth ECE.

    Args:
        predictions: one set.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.
    """
    rows = only(predictions).load()
    specs = [f"{name}(bins={number})" for name in RULES.values() for number in NUMBERS]
    results = evaluate_rows(request(rows, [*specs, "smece"], **shared))
    estimates = results.estimates()
    size = len(NUMBERS)
    by_rule = {rule: estimates[k * size : (k + 1) * size] for k, rule in enumerate(RULES)}
    notes = []
    sample = rows
    if rows.rows > LIBRARY_ROWS:
        sample = rows.take(slice(0, LIBRARY_ROWS))
        notes.append(f"other libraries' rules are tried on the first {LIBRARY_ROWS:,} rows")
    reproduced = reproduce.by_bins(sample, NUMBERS)
    libraries = {
        name: tuple(values[number].value for number in NUMBERS)
        for name, values in reproduced.items()
        if any(ece.value is not None for ece in values.values())
    }
    return BinsDiagram(
        numbers=NUMBERS,
        estimates=by_rule,
        libraries=libraries,
        binless=estimates[-1],
        data=(results.data,),
        level=results.settings.level,
        notes=tuple(notes),
    )


def height(data: BinsDiagram, width: float, style: Style) -> float:
    """Return the height of the panel in inches: less than the width."""
    return (0.56 if width < NAMED_FROM else 0.5) * width


def draw(data: BinsDiagram, axes: Axes, style: Style) -> None:
    """Draw the two rules with their bands, smooth ECE, and every library as a thin line."""
    from matplotlib.lines import Line2D

    x = np.array(data.numbers, float)
    ends: list[tuple[float, str]] = []
    for k, (names, values) in enumerate(data.agreeing.items()):
        y = np.array(values, float)
        look: dict[str, Any] = {"color": style.muted, "lw": style.line * 0.45, "alpha": 0.85}
        axes.plot(x, y, zorder=2, gid=f"library-{k}", **look)
        if np.isfinite(y[-1]):
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            ends.append((float(y[-1]), ", ".join(names[:3]) + more))
    handles, labels = [], []
    for index, (rule, estimates) in enumerate(data.estimates.items()):
        colour = style.colour(index)
        value, best, low, high = (
            numbers(estimates, name) for name in ("value", "best", "low", "high")
        )
        marks.band(axes, x, low, high, colour=colour, gid=f"band-{index}")
        thin: dict[str, Any] = {"color": colour, "lw": style.line * 0.7, "ls": DOTTED}
        axes.plot(x, best, zorder=3, gid=f"corrected-{index}", **thin)
        look = {"color": colour, "lw": style.line, "marker": style.marker(index)}
        look |= {"ms": 0.5 * style.text, "mec": style.paper, "mew": style.line * 0.3}
        axes.plot(x, value, zorder=4, gid=f"curve-{index}", **look)
        handles.append(Line2D([], [], **look))
        usual = estimates[data.numbers.index(15)]
        labels.append((f"bins of {rule}", f"at 15, {marks.estimate_text(usual)}"))
    smooth = data.binless
    if smooth.value is not None:
        look = {"color": style.colour(2), "lw": style.line, "ls": DASHES[1]}
        axes.axhline(smooth.value, gid="curve-2", **look)
        handles.append(Line2D([], [], **look))
        labels.append(("no bins", marks.estimate_text(smooth)))
    handles.append(Line2D([], [], color=style.muted, lw=style.line * 0.45))
    labels.append((f"{len(data.libraries)} other libraries' ECE of these rows", ""))
    marks.key(axes, style, handles, labels)
    _frame(axes, data)
    if marks.width_of(axes) >= NAMED_FROM * style.text / 7.5:
        texts.end_labels(axes, style, float(x[-1]), ends)
    else:
        taken = [estimates[-1].value or 0.0 for estimates in data.estimates.values()]
        texts.inner_labels(axes, style, ends, taken)
    marks.small_print(
        axes,
        style,
        f"Colour: {100 * data.level:g} % intervals; dotted: corrected for bias; "
        f"n = {data.data[0].rows:,}",
    )


def _frame(axes: Axes, data: BinsDiagram) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    shown = sorted(data.numbers, key=lambda number: number in (20, 30, 50))
    marks.ticks(axes.xaxis, {number: str(number) for number in shown})
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(data.numbers[0], data.numbers[-1])
    values = [v for library in data.libraries.values() for v in library if v is not None]
    values += [e.high or e.value or 0.0 for rule in data.estimates.values() for e in rule]
    axes.set_ylim(0, 1.08 * max(values))
    axes.set_xlabel("Number of bins")
    axes.set_ylabel("ECE")
