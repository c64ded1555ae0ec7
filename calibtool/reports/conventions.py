"""The numbers of other libraries, and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from calibtool.formatting import DEFAULT_LEVEL, number
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.conventions.convention import LibraryRange, LibraryValue
from calibtool.metrics.conventions.registry import named
from calibtool.reports.evaluation import in_words
from calibtool.reports.table import Table
from calibtool.types import Shown


@dataclass(frozen=True)
class LibraryReport(Shown):
    """The numbers that one library gives for the predictions of `source`."""

    source: str
    values: Sequence[LibraryValue]


@dataclass(frozen=True)
class LibraryComparison(Shown):
    """The ECE of every library for the predictions of `source`, beside calibtool's own."""

    source: str
    ranges: Sequence[LibraryRange]
    ece: Estimate


def table(result: LibraryReport | LibraryComparison, width: int | None) -> Table:
    """Return a row per number of a library, or per library."""
    return _report(result) if isinstance(result, LibraryReport) else _comparison(result)


def _report(report: LibraryReport) -> Table:
    convention = named(report.values[0].library)
    missing = [value for value in report.values if value.value is None]
    return Table(
        kind="calibtool-convention",
        head=f"{report.source}: as {convention.title} {convention.version} computes it",
        titles=("metric", "view", "value", "note"),
        cells=[
            [value.metric, value.view, number(value.value), value.note]
            for value in report.values
            if value.value is not None
        ],
        records=[asdict(value) for value in report.values],
        key="metrics",
        notes=[
            f"ECE: {convention.rule}. {convention.note}".strip(),
            *(f"No {value.metric}: {value.note}." for value in missing),
        ],
        body={
            "source": report.source,
            "library": convention.name,
            "library_version": convention.version,
        },
    )


def _comparison(comparison: LibraryComparison) -> Table:
    known = [library for library in comparison.ranges if library.value is not None]
    own = {name: getattr(comparison.ece, name) for name in ("value", "corrected", "low", "high")}
    return Table(
        kind="calibtool-conventions",
        head=f"{comparison.source}: one metric, ECE, as {len(known)} libraries define it",
        titles=("library", "view", "15 bins", "5 to 100 bins"),
        cells=[_cells(library) for library in known],
        records=[asdict(library) for library in comparison.ranges],
        key="libraries",
        notes=_notes(comparison, known),
        body={"source": comparison.source, "own": own},
    )


def _cells(library: LibraryRange) -> list[str]:
    ends = f"{number(library.low)} to {number(library.high)}"
    return [library.library, library.view, number(library.value), ends]


def _notes(comparison: LibraryComparison, known: Sequence[LibraryRange]) -> list[str]:
    """Return how far the libraries differ, and which of them could not be compared."""
    values = [library.value for library in known if library.value is not None]
    lows = [library.low for library in known if library.low is not None]
    highs = [library.high for library in known if library.high is not None]
    own = in_words(comparison.ece, DEFAULT_LEVEL)
    definition = (
        f"With 15 bins the number lies between {number(min(values))} and {number(max(values))}, "
        f"with 5 to 100 bins between {number(min(lows))} and {number(max(highs))}: that "
        f"much depends on the definition. calibtool's own: {own}."
    )
    none = [library.library for library in comparison.ranges if library.value is None]
    return [definition, *([f"No number from: {', '.join(none)}."] if none else [])]
