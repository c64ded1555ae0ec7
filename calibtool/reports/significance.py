"""Tests of perfect calibration, in each format."""

from __future__ import annotations

from dataclasses import asdict

from calibtool.analysis.significance.registry import TESTS
from calibtool.analysis.significance.result import TestResults
from calibtool.formatting import joined, number
from calibtool.reports import table

TITLES = ("test", "view", "statistic", "p", "p, Holm")


def render(found: TestResults, format_: str, *, width: int, colour: bool) -> str:
    """A line a test, the smallest p there can be, and what it comes to."""
    shown = [result for result in found.results if not result.missing]
    rejecting = (index for index, one in enumerate(shown) if one.name in found.rejecting)
    made = table.Table(
        kind="calibtool-tests",
        head=found.data.describe(),
        titles=TITLES,
        cells=[
            [r.name, r.view, number(r.statistic), number(r.p_value), number(r.adjusted)]
            for r in shown
        ],
        records=[
            asdict(result)
            | {"sensitive_to": TESTS[result.name].sensitive, "source": TESTS[result.name].source}
            for result in found.results
        ],
        key="tests",
        below=[*_missing(found), *_smallest(found), found.reading],
        body=_body(found),
        marked=frozenset(rejecting),
    )
    return table.render(made, format_, width=width, colour=colour)


def _body(found: TestResults) -> dict[str, object]:
    """What JSON says besides."""
    return {
        "data": asdict(found.data),
        "view": found.view,
        "rejecting": list(found.rejecting),
        "detectable_ece": found.detectable,
        "resamples": found.resamples,
        "seed": found.seed,
        "reading": found.reading,
    }


def _missing(found: TestResults) -> list[str]:
    return [f"Not available: {r.name} ({r.missing})" for r in found.results if r.missing]


def _smallest(found: TestResults) -> list[str]:
    """What the p-values are made of."""
    counts = sorted({result.draws for result in found.results if result.draws}, reverse=True)
    if not counts:
        return []
    fewer = [result.name for result in found.results if 0 < result.draws < counts[0]]
    some = f" ({counts[-1]:,} for {joined(fewer)})" if fewer else ""
    least = number(1 / (counts[0] + 1))
    return [f"Outcomes redrawn {counts[0]:,} times{some}: no p can be below {least}."]
