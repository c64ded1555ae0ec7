"""The table of metrics as people read it: on the terminal, and in docs/metrics.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any, get_args, get_type_hints

from calibtool.calibrators.registry import METHODS
from calibtool.metrics.conventions.registry import CONVENTIONS
from calibtool.metrics.grammar import NORMS, PROFILES, VIEWS
from calibtool.metrics.kinds import (
    BinnedError,
    CellMetric,
    MatrixMetric,
    Metric,
    Score,
    TwoFileMetric,
)
from calibtool.metrics.registry import SECTIONS, SETS
from calibtool.metrics.spec import RANGES, parse, parse_list
from calibtool.reports import csv, json, markdown
from calibtool.reports import text as to_table

FIELDS = ("metric", "title", "section", "options", "definition", "source", "sees", "blind")


def metrics(names: Sequence[str], format_: str, **terminal: Any) -> str:
    """The metrics of these names or sets; of none, all of them, in a table by name alone."""
    chosen = [spec.metric for spec in parse_list(names or ("all",))]
    if format_ == "table":
        if not names:
            return to_table.index(_sections(), _closing(), **terminal)
        return to_table.entries([_entry(metric) for metric in chosen], **terminal)
    rows = [_fields(metric) for metric in chosen]
    if format_ == "markdown":
        titles = ("metric", "options", "definition", "source")
        cells = [[row[title] for title in titles] for row in rows]
        return "\n".join(markdown.table(titles, cells, words=True)) + "\n"
    if format_ == "csv":
        return csv.write(list(FIELDS), rows)
    return json.document("calibtool-metrics", {"metrics": rows})


def _sections() -> list[tuple[str, list[tuple[str, str]]]]:
    """Each section's names and titles."""
    return [
        (title, [(metric.name, metric.title) for metric in section])
        for title, section in SECTIONS.items()
    ]


def _closing() -> list[str]:
    sets = ", ".join(SETS)
    return [
        f"Sets, for --metrics: {sets}.",
        "`calibtool metrics NAME` says what one is, what it sees and what it is blind to.",
    ]


def _entry(metric: Metric) -> tuple[str, str, list[str]]:
    """A name, a title, and lines about it."""
    row = _fields(metric)
    lines = [row["definition"]]
    if metric.sees:
        lines += [f"sees: {metric.sees}", f"blind to: {metric.blind}"]
    if row["options"]:
        lines.append(f"options: {row['options']}")
    return metric.name, metric.title, [*lines, *([metric.source] if metric.source else [])]


def _fields(metric: Metric) -> dict[str, str]:
    section = next((title for title, own in SECTIONS.items() if metric in own), "")
    values = [metric.name, metric.title, section, _options(metric)]
    values += [metric.definition, metric.source, metric.sees, metric.blind]
    return dict(zip(FIELDS, values, strict=True))


def _options(metric: Metric) -> str:
    return ", ".join(f"{key}={value}" for key, value in _defaults(metric).items())


def _defaults(metric: Metric) -> dict[str, Any]:
    """Every option of a metric with its default."""
    found = dict(parse(metric.name).options)
    if isinstance(metric, BinnedError):
        found |= {"view": metric.view, "profile": metric.profile, "norm": metric.norm}
    if isinstance(metric, CellMetric):
        found["view"] = metric.view
    return found


def page() -> str:
    """docs/metrics.md, whole."""
    lines = [
        "# Metrics",
        "",
        "Made from the code by `just docs`; do not edit.",
        "",
        "A metric is written as a spec: `ece`, `ece(bins=20)`, `ece(profile=equal_mass,norm=l2)`.",
        "The same text is the argument of `--metrics`, the key of a report and the name in JSON.",
        "`--metrics` also takes names of sets: " + ", ".join(f"`{name}`" for name in SETS) + ".",
        "",
    ]
    for title, section in SECTIONS.items():
        rows = [
            [f"[{m.name}](metrics/{m.name}.md)", f"{m.title}: {m.definition}", m.source]
            for m in section
        ]
        head = ("metric", "definition", "source")
        lines += [f"## {title}", "", *markdown.table(head, rows, words=True, links=True), ""]
    lines += [
        "## The grammar of binned errors",
        "",
        "A binned calibration error is where it looks and how it sums: `norm(profile(view))`.",
        "",
    ]
    for title, table in (("view", VIEWS), ("profile", PROFILES), ("norm", NORMS)):
        rows = [
            [name, what if isinstance(what, str) else _first(what)] for name, what in table.items()
        ]
        lines += [*markdown.table((title, "what it is"), rows), ""]
    return "\n".join([*lines, *_GRAMMAR]) + "\n"


_GRAMMAR = [
    "Every other metric that looks at a view takes `view=` too: `smece(view=class)` is the mean of",
    "the one-vs-rest errors, `ks(view=label)` the mean over the predicted classes by their share.",
    "Without `view=`, a calibration error looks at `positive` where two classes are given as one",
    "column, and at `top` otherwise; `ranks` is `positive` for two classes and `class` for more.",
    "Reports name the view beside every number.",
    "",
    "Bins are (lo, hi]: 0 lies in the first, 1 in the last, and no row is dropped. Edges are",
    "compared in the precision of the scores: a float32 0.3 lies on the edge 3/10. Bins of",
    "equal mass cut the sorted weight at multiples of N/bins; rows of equal score stay",
    "together, on the side of the cut on which most of them lie. Empty bins count for nothing.",
]


def metric_page(metric: Metric, below: Sequence[str] = ()) -> str:
    """docs/metrics/NAME.md, whole."""
    lines = [
        f"# {metric.name}: {metric.title}",
        "",
        "Made from the code by `just docs`; do not edit.",
        "",
        f"**Definition.** {markdown.escape(metric.definition)}.",
        "",
    ]
    if metric.sees:
        lines += [f"**Sees** {metric.sees}.", "", f"**Is blind to** {metric.blind}.", ""]
    lines += [f"**Better**: {metric.better}.", ""] if metric.better else []
    lines += [f"**Source.** {metric.source}.", ""] if metric.source else []
    doc = _docstring(metric)
    lines += [doc, ""] if doc else []
    rows = [
        [name, str(default), _values(metric, name)] for name, default in _defaults(metric).items()
    ]
    if rows:
        lines += [*markdown.table(("option", "default", "values"), rows), ""]
    lines += [f"**Interval.** {_interval(metric)}", "", *below]
    lines += ["```console", f"$ calibtool evaluate test.npz --metrics {metric.name}", "```"]
    return "\n".join(lines) + "\n"


def _docstring(metric: Metric) -> str:
    """What the metric's own function says, without its doctest."""
    function = getattr(metric, "of", None) or getattr(metric, "rows", None)
    if isinstance(metric, BinnedError):
        function = PROFILES[metric.profile]
    text = inspect.getdoc(function) or ""
    return markdown.escape(text.partition("\n>>>")[0].strip())


def _values(metric: Metric, option: str) -> str:
    """What an option may be."""
    tables: dict[str, Iterable[str]] = {"profile": PROFILES, "norm": NORMS, "view": VIEWS}
    if option in tables and not (option == "view" and not hasattr(metric, "view")):
        return ", ".join(tables[option])
    if option in RANGES:
        least, most = RANGES[option]
        return f"{least:g} to {most:,.0f}"
    if isinstance(metric, Score | TwoFileMetric):
        function: Any = metric.rows if isinstance(metric, Score) else metric.scores
    else:
        function = getattr(metric, "of", None)
    return ", ".join(str(value) for value in get_args(get_type_hints(function).get(option)))


def _interval(metric: Metric) -> str:
    """How the interval is made."""
    if isinstance(metric, BinnedError):
        return "The [inverted bootstrap](../intervals.md)."
    if isinstance(metric, CellMetric) and metric.error:
        return "From [candidate truths](../intervals.md#candidate-truths-on-a-line)."
    if isinstance(metric, CellMetric) and metric.biased:
        return "Around [what was seen, smoothed](../intervals.md#everything-else)."
    if isinstance(metric, MatrixMetric) and metric.replicates is None:
        return "None: it is pushed up by noise, and no interval that covers is known to us."
    if isinstance(metric, Score) and metric.reach:
        return (
            "A [BCa bootstrap](../intervals.md#everything-else), from 0 up, and wide enough for "
            "what a likelihood ratio with one fitted parameter leaves open."
        )
    closed = getattr(metric, "interval", None)
    if closed is not None:
        return "DeLong's, on the logit scale, for one score a row; BCa otherwise."
    return "A [BCa bootstrap](../intervals.md#everything-else)."


def conventions() -> list[str]:
    """The table of libraries whose numbers are reproduced, in Markdown."""
    rows = [
        [name, f"{one.title} {one.version}", ", ".join(one.metrics), one.rule, one.note]
        for name, one in CONVENTIONS.items()
    ]
    titles = ("--as", "library", "numbers", "bins of its ECE", "mind")
    return markdown.table(titles, rows, words=True)


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
    return markdown.table(titles, rows, words=True)


def _first(function: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
