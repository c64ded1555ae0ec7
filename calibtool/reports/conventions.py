"""Other libraries' numbers, in each format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from calibtool.formatting import number
from calibtool.metrics.conventions.convention import LibraryRange, LibraryValue
from calibtool.metrics.conventions.registry import named
from calibtool.reports.table import Table, render


def reproduced(
    found: Sequence[LibraryValue], source: str, format_: str, *, width: int, colour: bool
) -> str:
    """A library's numbers on a file."""
    convention = named(found[0].library)
    known = [one for one in found if one.value is not None]
    cells = [[one.metric, one.view, number(one.value), one.note] for one in known]
    none = [f"No {one.metric}: {one.note}." for one in found if one.value is None]
    title = f"{convention.title} {convention.version}"
    listing = Table(
        kind="calibtool-convention",
        head=f"{source}: as {title} has it",
        titles=("metric", "view", "value", "note"),
        cells=cells,
        records=[asdict(one) for one in found],
        key="metrics",
        below=[f"ECE: {convention.rule}. {convention.note}".strip(), *none],
        body={"source": source, "library": convention.name, "library_version": convention.version},
    )
    return render(listing, format_, width=width, colour=colour)


def spread(
    found: Sequence[LibraryRange],
    own: tuple[float, float | None, float | None],
    source: str,
    format_: str,
    *,
    width: int,
    colour: bool,
) -> str:
    """The ECE of every library on a file; `own` is calibtool's, with its interval."""
    known = [one for one in found if one.value is not None]
    cells = [
        [one.library, one.view, number(one.value), f"{number(one.low)} to {number(one.high)}"]
        for one in known
    ]
    alike = [one for one in known if one.view != "class"]  # the others measure something else
    values = [one.value for one in alike if one.value is not None]
    lows = [one.low for one in alike if one.low is not None]
    highs = [one.high for one in alike if one.high is not None]
    value, low, high = own
    interval = f", 95 % interval [{number(low)}, {number(high)}]" if low is not None else ""
    definition = (
        f"With 15 bins the number lies between {number(min(values))} and {number(max(values))}, "
        f"with 5 to 100 bins between {number(min(lows))} and {number(max(highs))}: so much of it "
        f"is definition. calibtool's own: {number(value)}{interval}."
    )
    below = [definition]
    if len(alike) < len(known):
        others = ", ".join(one.library for one in known if one.view == "class")
        below.append(f"Not counted in, since what it calls ECE is class-wise: {others}.")
    none = [one.library for one in found if one.value is None]
    if none:
        below.append(f"No number from: {', '.join(none)}.")
    listing = Table(
        kind="calibtool-conventions",
        head=f"{source}: one metric, ECE, as {len(known)} libraries define it",
        titles=("library", "view", "15 bins", "5 to 100 bins"),
        cells=cells,
        records=[asdict(one) for one in found],
        key="libraries",
        below=below,
        body={"source": source, "own": {"value": value, "low": low, "high": high}},
    )
    return render(listing, format_, width=width, colour=colour)
