"""The table of tests of perfect calibration."""

from __future__ import annotations

from dataclasses import asdict

from calibtool.analysis.significance.registry import TESTS
from calibtool.analysis.significance.result import TestResults
from calibtool.formatting import joined, number
from calibtool.reports.table import Table

TITLES = ("test", "view", "statistic", "p", "p, Holm")


def table(results: TestResults, width: int | None) -> Table:
    """Return a row per test, the smallest p-value there can be, and the reading."""
    shown = [result for result in results.results if not result.missing]
    return Table(
        kind="calibtool-tests",
        head=results.data.describe(),
        titles=TITLES,
        cells=[
            [r.name, r.view, number(r.statistic), number(r.p_value), number(r.adjusted)]
            for r in shown
        ],
        records=[
            asdict(result)
            | {"sensitive_to": TESTS[result.name].sensitive, "source": TESTS[result.name].source}
            for result in results.results
        ],
        key="tests",
        notes=[
            *_missing(results),
            *_smallest(results),
            *(f"Warning: {text}" for text in results.warnings),
            results.reading,
        ],
        body=_body(results),
        tones={
            (row, None): "alarm"
            for row, result in enumerate(shown)
            if result.name in results.rejecting
        },
    )


def _body(results: TestResults) -> dict[str, object]:
    return {
        "data": asdict(results.data),
        "view": results.view,
        "rejecting": list(results.rejecting),
        "detectable_ece": results.detectable,
        "resamples": results.resamples,
        "seed": results.seed,
        "reading": results.reading,
        "warnings": list(results.warnings),
    }


def _missing(results: TestResults) -> list[str]:
    return [f"Not available: {r.name} ({r.missing})" for r in results.results if r.missing]


def _smallest(results: TestResults) -> list[str]:
    """Return how many redrawn outcomes the p-values rest on, and the smallest there can be."""
    counts = sorted({result.draws for result in results.results if result.draws}, reverse=True)
    if not counts:
        return []
    fewer = [result.name for result in results.results if 0 < result.draws < counts[0]]
    others = f" ({counts[-1]:,} for {joined(fewer)})" if fewer else ""
    smallest = number(1 / (counts[0] + 1))
    return [f"Outcomes redrawn {counts[0]:,} times{others}: no p can be below {smallest}."]
