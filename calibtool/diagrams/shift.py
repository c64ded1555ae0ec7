"""Calibration over a column: time, age, length; whatever may shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.predictions import DataInfo
from calibtool.data.readable import Variant
from calibtool.diagrams import marks
from calibtool.diagrams.curve import Parts, data_columns, estimate_columns, stacked
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.inputs import How, Named, column, only, whole
from calibtool.diagrams.reliability_curves import binomial_range, clopper_pearson, informative_rows
from calibtool.diagrams.style import Style
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import RowResults, evaluate_rows
from calibtool.intervals.estimate import Estimate
from calibtool.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {"top": ("mean confidence", "accuracy"), "positive": ("mean score", "frequency")}


@dataclass(frozen=True, eq=False)
class Stretch:
    """Some neighbouring rows.

    Attributes:
        low, high, middle: the values of the column there, as numbers: of times, seconds since 1970.
        text: the same for people.
        rows: how many.
        said, was: mean score and mean outcome.
        was_low, was_high: interval of the mean outcome.
        least, most: where the mean outcome of a perfect model would lie.
        estimates: the ECE of these rows.
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
    """Calibration over a column, a stretch of it after the other."""

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
                {"column": self.column, **{name: getattr(s, name) for name in (*names, *more)}}
                for s in self.stretches
            ),
            "estimate": stacked(
                {"text": s.text, "middle": s.middle, **estimate_columns(s.estimates)}
                for s in self.stretches
            ),
        }


def compute(
    predictions: Named,
    *,
    over: str,
    groups: int = 10,
    bins: int = 15,
    view: str = "auto",
    **how: Unpack[How],
) -> Shift:
    """Mean score, mean outcome and ECE of the rows in each stretch of a column.

    Args:
        predictions: one set that carries the column.
        over: a column of numbers or times.
        groups: stretches of about as many rows each; rows of equal value stay together.
        bins: of the ECE, of equal width.
        view: "top", "positive", or "auto" for what the data are.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.

    Raises UsageError where the column holds neither numbers nor times.
    """
    rows = whole(only(predictions))
    values, is_time = _numbers(column(rows, over, "--over"), rows.source, over)
    where = _stretches(values, groups)
    at = "" if view == "auto" else f",view={view}"
    stretches = []
    for k in range(int(where.max()) + 1):
        own = np.flatnonzero(where == k)
        found = evaluate_rows(rows.take(own), [f"ece(bins={bins}{at})"], [Variant()], **how)
        stretches.append(_stretch(found, values[own], is_time))
    whole_data = DataInfo(rows.source, rows.rows, rows.classes, rows.kind, rows.weights is not None)
    level = found.settings.level
    return Shift(over, is_time, tuple(stretches), (whole_data,), found.view, level)


def _numbers(values: Array, source: str, name: str) -> tuple[Array, bool]:
    """The column as numbers, and whether they are times."""
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]").astype(np.int64) / 1e6, True
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
    return times.astype(np.int64) / 1e6, True


def _stretches(values: Array, groups: int) -> Array:
    """The stretch of each row: of about as many rows each, equal values together."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) <= groups:
        return np.asarray(inverse)
    heap = np.cumsum(counts)
    share = (heap - counts / 2) / heap[-1]
    stretch = np.minimum((share * groups).astype(int), groups - 1)
    _, number = np.unique(stretch, return_inverse=True)
    return np.asarray(number[inverse])


def _stretch(found: RowResults, values: Array, is_time: bool) -> Stretch:
    said, was = found.means()
    cells, squares = found.binned(0, np.ones(1))
    held = informative_rows(cells.n, squares)
    level = found.settings.level
    low, high = clopper_pearson(np.array([was]), held, level)
    least, most = binomial_range(np.array([said]), held, level)
    first, last = float(values.min()), float(values.max())
    return Stretch(
        low=first,
        high=last,
        middle=float(np.median(values)),
        text=_text(first, last, is_time=is_time),
        rows=found.data.rows,
        said=said,
        was=was,
        was_low=float(low[0]),
        was_high=float(high[0]),
        least=float(least[0]),
        most=float(most[0]),
        estimates=found.estimates(),
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
    """Two panels."""
    return 0.9 * width + 7 * style.text / 72


def draw(data: Shift, axes: Axes, style: Style) -> None:
    """What was said and what was above; the ECE below."""
    place = marks.inside(axes)
    upper, lower = place.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    x: Any = _column(data, "middle")
    if data.is_time:
        x = (x * 1e6).astype("datetime64[us]")
    said, was = _column(data, "said"), _column(data, "was")
    marks.bars(
        *(upper, x, _column(data, "least"), _column(data, "most")),
        colour=style.faint,
        width=style.line * 4.5,
        gid="expected-0",
        zorder=1,
    )
    marks.bars(
        *(upper, x, _column(data, "was_low"), _column(data, "was_high")),
        colour=style.colour(0),
        width=style.line * 0.8,
        gid="bars-0",
    )
    shape: dict[str, Any] = {"ms": 0.55 * style.text, "mec": style.paper, "mew": style.line * 0.3}
    names = NAMES[data.view]
    handles = [
        upper.plot(x, was, color=style.colour(0), marker="o", lw=style.line, zorder=4, **shape)[0],
        upper.plot(
            x,
            said,
            color=style.colour(1),
            marker="s",
            ls=(0, (4, 1.6)),
            lw=style.line,
            zorder=4,
            **shape,
        )[0],
    ]
    for handle, gid in zip(handles, ("curve-0", "curve-1"), strict=True):
        handle.set_gid(gid)
    marks.key(upper, style, handles, [names[1], names[0]])
    marks.percent_axis(upper)
    ece = [s.estimates[0] for s in data.stretches]
    value, low, high = (
        np.array([getattr(one, name) for one in ece], float) for name in ("value", "low", "high")
    )
    marks.bars(lower, x, low, high, colour=style.ink, width=style.line * 0.8, gid="bars-1")
    lower.plot(x, value, color=style.ink, marker="D", lw=style.line * 0.7, gid="curve-2", **shape)
    lower.set_ylim(0, None)
    lower.set_ylabel("ECE")
    if data.is_time:
        from matplotlib import dates

        calendar: Any = dates
        locator = calendar.AutoDateLocator(maxticks=6)
        lower.xaxis.set_major_locator(locator)
        lower.xaxis.set_major_formatter(calendar.ConciseDateFormatter(locator))
    elif not (x % 1).any():
        from matplotlib.ticker import MaxNLocator

        lower.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    lower.set_xlabel(data.column)
    rows = [s.rows for s in data.stretches]
    level = f"{100 * data.level:g} %"
    size = f"{min(rows):,}" + (f" to {max(rows):,}" if max(rows) > min(rows) else "")
    marks.foot(
        place,
        style,
        f"Bars: {level} intervals; grey: {level} of models that are right on average; "
        f"{len(rows)} stretches of {size} rows",
    )


def _column(data: Shift, name: str) -> Array:
    return np.array([getattr(s, name) for s in data.stretches], float)
