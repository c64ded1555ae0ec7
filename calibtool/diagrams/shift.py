"""Calibration over a column of numbers or times, along which it may shift."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.slicing import load_with
from calibtool.diagrams import marks, panels
from calibtool.diagrams.curve import (
    Parts,
    columns_of,
    data_columns,
    estimate_columns,
    numbers,
    stacked,
)
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import Named, SharedOptions, column, only, request, view_option
from calibtool.diagrams.options import Bins, Option, View
from calibtool.diagrams.reliability_curves import binomial_range, informative_rows
from calibtool.diagrams.scales import MEAN_NAMES, time_axis
from calibtool.diagrams.style import DASHES, Style
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import RowResults, evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.intervals.shares import clopper_pearson
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST_YEAR, LAST_YEAR = 1000, 9000  # matplotlib draws 1 to 9999, and its axes reach beyond the data


@dataclass(frozen=True, eq=False)
class Stretch:
    """The rows in a stretch of the column.

    Attributes:
        low, high, middle: smallest, largest and median value; times in seconds since 1970.
        text: the range in words.
        rows: number of rows.
        said, was: mean score and mean outcome.
        was_low, was_high: interval of the mean outcome.
        least, most: where the mean outcome of a perfect model would lie.
        estimates: ECE of these rows.
    """

    low: float
    high: float
    middle: float
    text: str
    rows: int
    said: float
    was: float
    was_low: float
    was_high: float
    least: float
    most: float
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, eq=False)
class Shift(Drawn):
    """Calibration over a column, stretch by stretch.

    Attributes:
        column: name of the column.
        is_time: whether it holds times.
        stretches: in the order of the column.
        data: what was read.
        view: "top" or "positive".
        level: of the intervals and ranges.
        notes: what was left out, in words.
    """

    column: str
    is_time: bool
    stretches: tuple[Stretch, ...]
    data: tuple[DataInfo, ...]
    view: str
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        names = ("text", "low", "high", "middle", "rows", "said", "was")
        more = ("was_low", "was_high", "least", "most")
        return {
            "data": data_columns(self.data),
            "stretch": stacked(
                [{"column": self.column, **columns_of(self.stretches, (*names, *more))}]
            ),
            "estimate": stacked(
                {"text": s.text, "middle": s.middle, **estimate_columns(s.estimates)}
                for s in self.stretches
            ),
        }


def compute(
    predictions: Named,
    over: Annotated[str, Option("Column of numbers or times.", typed="column")],
    *,
    groups: Annotated[
        int, Option("Number of stretches, of about as many rows each.", within=(2, 1000))
    ] = 10,
    bins: Bins = 15,
    view: View = "auto",
    **shared: Unpack[SharedOptions],
) -> Shift:
    """Compute mean score, mean outcome and ECE of the rows in each stretch of a column.

    Args:
        predictions: one set, with the column carried along.
        over: a column of numbers or times.
        groups: number of stretches, each with about as many rows; equal values stay together.
        bins: number of bins of the ECE, of equal width.
        view: "positive", P(class 1); "top", the confidence of the predicted class; or "auto",
            positive for two classes and top otherwise.
        shared: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError if the column holds neither numbers nor times.
    """
    rows = load_with(only(predictions), [over])
    values, is_time = _numbers(column(rows, over, "--over"), rows.source, over)
    where = _stretches(values, groups)
    options = ",".join(filter(None, (f"bins={bins}", view_option(view, rows))))
    stretches = []
    for k in range(int(where.max()) + 1):
        members = np.flatnonzero(where == k)
        results = evaluate_rows(request(rows.take(members), [f"ece({options})"], **shared))
        stretches.append(_stretch(results, values[members], is_time))
    data = DataInfo.of(rows)
    level = results.settings.level
    return Shift(over, is_time, tuple(stretches), (data,), results.view, level)


def _numbers(values: Array, source: str, name: str) -> tuple[Array, bool]:
    """Return the column as numbers, and whether they are times."""
    if values.dtype.kind == "M":
        return _seconds(values.astype("datetime64[us]"), source, name), True
    if values.dtype.kind in "SU":
        with contextlib.suppress(ValueError):  # names of classes such as "0" are no years
            values = values.astype(np.float64)
    if values.dtype.kind in "iufb":
        numbers = values.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise UsageError(f"{source}: --over {name}: some values are not finite")
        return numbers, False
    try:
        times = values.astype("datetime64[us]")
    except ValueError as error:
        raise UsageError(
            f"{source}: --over {name}: {str(values[0])!r} is neither a number nor a time such as "
            "2026-01-31 or 2026-01-31T12:00; --by draws a diagram for each value"
        ) from error
    return _seconds(times, source, name), True


def _seconds(times: Array, source: str, name: str) -> Array:
    """Return times in seconds since 1970; raise UsageError for years that no calendar draws."""
    years = times.astype("datetime64[Y]").astype(np.int64) + 1970
    if len(years) and not (years.min() >= FIRST_YEAR and years.max() <= LAST_YEAR):
        raise UsageError(
            f"{source}: --over {name}: holds times before the year {FIRST_YEAR} or after "
            f"{LAST_YEAR}, which are not drawn"
        )
    return np.asarray(times.astype(np.int64) / 1e6)


def _stretches(values: Array, groups: int) -> Array:
    """Return the stretch of each row: of about as many rows each, equal values together."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) <= groups:
        return np.asarray(inverse)
    total = np.cumsum(counts)
    # the share of rows below the middle of each value decides its stretch; empty ones are dropped
    share = (total - counts / 2) / total[-1]
    stretch = np.minimum((share * groups).astype(int), groups - 1)
    _, number = np.unique(stretch, return_inverse=True)
    return np.asarray(number[inverse])


def _stretch(results: RowResults, values: Array, is_time: bool) -> Stretch:
    mean_score, mean_outcome = results.means()
    cells, squares = results.binned(0, np.ones(1))  # one bin holds all rows
    rows = informative_rows(cells.n, squares)
    level = results.settings.level
    low, high = clopper_pearson(np.array([mean_outcome]), rows, level)
    least, most = binomial_range(np.array([mean_score]), rows, level)
    first, last = float(values.min()), float(values.max())
    return Stretch(
        low=first,
        high=last,
        middle=float(np.median(values)),
        text=_text(first, last, is_time=is_time),
        rows=results.data.rows,
        said=mean_score,
        was=mean_outcome,
        was_low=float(low[0]),
        was_high=float(high[0]),
        least=float(least[0]),
        most=float(most[0]),
        estimates=results.estimates(),
    )


def _text(low: float, high: float, *, is_time: bool) -> str:
    ends: list[Any] = [low, high]
    if is_time:
        times = [np.datetime64(int(end), "s") for end in ends]
        long = (high - low) > 86400
        names = [str(t.astype("datetime64[D]")) if long else str(t) for t in times]
    else:
        names = [f"{end:.6g}" for end in ends]
    return names[0] if names[0] == names[1] else f"{names[0]} to {names[1]}"


def height(data: Shift, width: float, style: Style) -> float:
    """Return the height of both panels in inches."""
    return 0.8 * width


def draw(data: Shift, axes: Axes, style: Style) -> None:
    """Draw mean score and mean outcome above, ECE below."""
    place = panels.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    x: Any = numbers(data.stretches, "middle")
    if data.is_time:
        x = (x * 1e6).astype("datetime64[us]")
    _means(upper, data, x, style)
    _errors(lower, data, x, style)
    if data.is_time:
        time_axis(lower)
    elif not (x % 1).any():
        from matplotlib.ticker import MaxNLocator

        lower.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    lower.set_xlabel(data.column)
    rows = [stretch.rows for stretch in data.stretches]
    level = f"{100 * data.level:g} %"
    size = f"{min(rows):,}" + (f" to {max(rows):,}" if max(rows) > min(rows) else "")
    marks.foot(
        place,
        style,
        f"Bars: {level} intervals; grey: {level} of models that are right on average; "
        f"{len(rows)} stretches of {size} rows",
    )


def _marker(style: Style) -> dict[str, Any]:
    """Return the look of points."""
    return {"ms": 0.55 * style.text, "mec": style.paper, "mew": style.line * 0.3}


def _means(axes: Axes, data: Shift, x: Any, style: Style) -> None:
    """Draw mean score and mean outcome, with the interval and the range of the outcome."""
    columns = ("said", "was", "was_low", "was_high", "least", "most")
    score, outcome, low, high, least, most = (numbers(data.stretches, name) for name in columns)
    expected: dict[str, Any] = {"colour": style.faint, "width": style.line * 4.5, "zorder": 1}
    marks.bars(axes, x, least, most, gid="expected-0", **expected)
    marks.bars(axes, x, low, high, colour=style.colour(0), width=style.line * 0.8, gid="bars-0")
    look: dict[str, Any] = {"lw": style.line, "zorder": 4, **_marker(style)}
    handles = [
        *axes.plot(x, outcome, color=style.colour(0), marker="o", gid="curve-0", **look),
        *axes.plot(
            x, score, color=style.colour(1), marker="s", ls=DASHES[1], gid="curve-1", **look
        ),
    ]
    score_name, outcome_name = MEAN_NAMES[data.view]
    marks.key(axes, style, handles, [outcome_name, score_name])
    marks.percent_axis(axes)


def _errors(axes: Axes, data: Shift, x: Any, style: Style) -> None:
    """Draw the ECE with its intervals."""
    estimates = [stretch.estimates[0] for stretch in data.stretches]
    value, low, high = (numbers(estimates, name) for name in ("value", "low", "high"))
    marks.bars(axes, x, low, high, colour=style.ink, width=style.line * 0.8, gid="bars-1")
    look: dict[str, Any] = {"lw": style.line * 0.7, **_marker(style)}
    axes.plot(x, value, color=style.ink, marker="D", gid="curve-2", **look)
    axes.set_ylim(0, None)
    axes.set_ylabel("ECE")
