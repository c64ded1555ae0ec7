"""The table of metrics as people read it: on the terminal, and in docs/metrics.md."""

from __future__ import annotations

import inspect
from typing import Any

from calibtool.calibrators import METHODS
from calibtool.metrics import METRICS, NORMS, PROFILES, VIEWS, CalibrationError, Metric
from calibtool.render import to_csv, to_json, to_markdown, to_table
from calibtool.spec import parse

TITLES = ("metric", "options", "definition", "source")


def metrics(format_: str, **terminal: Any) -> str:
    """Every metric: its options with their defaults, its definition and its source."""
    rows = [_row(metric) for metric in METRICS.values()]
    if format_ == "table":
        items = [
            (metric.name, metric.title, [metric.definition, *(text for text in row[1::2] if text)])
            for metric, row in zip(METRICS.values(), rows, strict=True)
        ]
        return to_table.entries(items, **terminal)
    if format_ == "markdown":
        return "\n".join(to_markdown.table(TITLES, rows, words=True)) + "\n"
    entries = [dict(zip(TITLES, row, strict=True)) for row in rows]
    if format_ == "csv":
        return to_csv.write(list(TITLES), entries)
    return to_json.document("calibtool-metrics", {"metrics": entries})


def page() -> str:
    """docs/metrics.md, whole."""
    lines = [
        "# Metrics",
        "",
        "Made from the code by `just docs`; do not edit.",
        "",
        "A metric is written as a spec: `ece`, `ece(bins=20)`, `ece(profile=equal_mass,norm=l2)`.",
        "The same text is the argument of `--metrics`, the key of a report and the name in JSON.",
        "",
        *to_markdown.table(TITLES, [_row(metric) for metric in METRICS.values()], words=True),
        "",
        "## The grammar of calibration errors",
        "",
        "A calibration error is where it looks and how it sums: `norm(profile(view))`.",
        "",
    ]
    for title, table in (("view", VIEWS), ("profile", PROFILES), ("norm", NORMS)):
        rows = [
            [name, what if isinstance(what, str) else _first(what)] for name, what in table.items()
        ]
        lines += [*to_markdown.table((title, "what it is"), rows), ""]
    lines += [
        "Without `view=`, a calibration error looks at `positive` where two classes are given as",
        "one column, and at `top` otherwise. Reports name the view beside every number.",
        "",
        "Bins are (lo, hi]: 0 lies in the first, 1 in the last, and no row is dropped. Edges are",
        "compared in the precision of the scores: a float32 0.3 lies on the edge 3/10. Bins of",
        "equal mass cut the sorted weight at multiples of N/bins; rows of equal score stay",
        "together, on the side of the cut on which most of them lie. Empty bins count for nothing.",
    ]
    return "\n".join(lines) + "\n"


def calibrators() -> list[str]:
    """The table of calibrators, in Markdown."""
    rows = [
        [
            name,
            line.when,
            line.numbers,
            f"{line.enough} K",
            "kept" if line.keeps_order else "",
            line.source,
        ]
        for name, line in METHODS.items()
    ]
    titles = ("name", "when to use it", "numbers", "rows", "order", "source")
    return to_markdown.table(titles, rows, words=True)


def _row(metric: Metric) -> list[str]:
    spec = parse(metric.name)
    options = [f"{key}={value}" for key, value in spec.options.items()]
    if isinstance(metric, CalibrationError):
        options += [f"view={metric.view}", f"profile={metric.profile}", f"norm={metric.norm}"]
    return [metric.name, ", ".join(options), f"{metric.title}: {metric.definition}", metric.source]


def _first(function: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(function) or "").split("\n", 1)[0]
