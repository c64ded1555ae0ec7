"""The tables of metrics, libraries and calibrators: on the terminal, and as pages of the docs."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from typing import Any, get_args, get_type_hints

from calibtool.calibrators.registry import EVERY
from calibtool.formatting import joined
from calibtool.metrics import proper
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
from calibtool.metrics.registry import ALIASES, SECTIONS, SETS
from calibtool.metrics.spec import ONE_SCORE, RANGES, parse, parse_list
from calibtool.reports import csv, json, markdown, text

FIELDS = (
    *("metric", "title", "section", "options", "definition", "source", "sees", "blind"),
    *("better", "ideal", "least", "most"),
)


def metrics(names: Sequence[str], format_: str, **terminal: Any) -> str:
    """Return the metrics of these names or sets in a format; without names, a list of all.

    Args:
        names: of metrics or sets. Without any, the table lists names and titles alone.
        format_: "table", "markdown", "csv" or "json".
        terminal: width and colour of the table.
    """
    chosen = [spec.metric for spec in parse_list(names or ("all",))]
    if format_ == "table":
        if not names:
            return text.index(_sections(), _closing(), **terminal)
        return text.entries([_entry(metric) for metric in chosen], **terminal)
    rows = [_fields(metric) for metric in chosen]
    if format_ == "markdown":
        titles = ("metric", "options", "definition", "source")
        cells = [[row[title] for title in titles] for row in rows]
        return "\n".join(markdown.table(titles, cells, words=True)) + "\n"
    if format_ == "csv":
        return csv.write(list(FIELDS), rows)
    return json.document("calibtool-metrics", {"metrics": rows})


def _sections() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each section's title, with the names and titles of its metrics."""
    return [
        (title, [(metric.name, metric.title) for metric in section])
        for title, section in SECTIONS.items()
    ]


def _closing() -> list[str]:
    """Return the lines below the list of all metrics."""
    sets = ", ".join(SETS)
    others = ", ".join(f"{name} ({of})" for name, (of, _) in ALIASES.items())
    return [
        f"Sets, for --metrics: {sets}. Other names: {others}.",
        "`calibtool metrics NAME` says what a metric is, what it sees and what it is blind to.",
    ]


def _entry(metric: Metric) -> tuple[str, str, list[str]]:
    """Return a metric's name, its title, and lines about it."""
    row = _fields(metric)
    lines = [row["definition"]]
    if metric.sees:
        lines += [f"sees: {metric.sees}", f"blind to: {metric.blind}"]
    if names := _other_names(metric):
        lines.append(f"also called {joined(names)}")
    lines.append(f"range: {_range(metric)}; {_aim(metric)}")
    if row["options"]:
        lines.append(f"options: {row['options']}")
    return metric.name, metric.title, [*lines, *([metric.source] if metric.source else [])]


def _other_names(metric: Metric) -> list[str]:
    """Return the other names of a metric, with who gave them."""
    return [f"{name} ({who})" for name, (of, who) in ALIASES.items() if of == metric.name]


def _fields(metric: Metric) -> dict[str, Any]:
    """Return the FIELDS of a metric."""
    section = next((title for title, metrics in SECTIONS.items() if metric in metrics), "")
    values: list[Any] = [metric.name, metric.title, section, _options(metric)]
    values += [metric.definition, metric.source, metric.sees, metric.blind]
    ends = map(json.finite, parse(metric.name).limits)
    values += [metric.better, metric.ideal, *ends]
    return dict(zip(FIELDS, values, strict=True))


def _range(metric: Metric) -> str:
    """Return the range in words: "from 0 to 1"; of some metrics it depends on an option."""
    return _span(*parse(metric.name).limits)


def _span(least: float, most: float) -> str:
    """Return a range in words.

    >>> _span(0, 1), _span(0, math.inf), _span(-math.inf, 1), _span(-math.inf, math.inf)
    ('from 0 to 1', 'from 0 up', 'up to 1', 'any number')
    """
    if math.isinf(least) and math.isinf(most):
        return "any number"
    low = "" if math.isinf(least) else f"from {least:g}"
    high = "up" if math.isinf(most) else f"up to {most:g}" if not low else f"to {most:g}"
    return f"{low} {high}".strip()


def _aim(metric: Metric) -> str:
    """Return which values are better, and the best one."""
    ideal = "" if metric.ideal is None else f"{metric.ideal:g}"
    if metric.better == "nearer":
        return f"the ideal is {ideal}, and nearer is better"
    if not metric.better:
        return "no value is better than another"
    return f"{metric.better} is better{f', the ideal is {ideal}' if ideal else ''}"


def _options(metric: Metric) -> str:
    """Return all options of a metric with their defaults, such as "bins=15, view=auto"."""
    return ", ".join(f"{key}={value}" for key, value in _defaults(metric).items())


def _defaults(metric: Metric) -> dict[str, Any]:
    """Return all options of a metric with their defaults."""
    options = dict(parse(metric.name).options)
    if isinstance(metric, BinnedError):
        options |= {"view": metric.view, "profile": metric.profile, "norm": metric.norm}
        options |= {"without": "-"} if metric.view == "class" else {}
    if isinstance(metric, CellMetric):
        options["view"] = metric.view
    if isinstance(metric, Score) and metric.of_view:
        options["view"] = "-"  # whole rows
    return options


def page() -> str:
    """Return docs/reference/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "<!-- Made from the code by `just docs`; do not edit. -->",
        "",
        "A metric is written as a spec: `ece`, `ece(bins=20)`, `ece(profile=equal_mass,norm=l2)`.",
        "The same text is the argument of `--metrics`, the key of a report and the name in JSON.",
        "`--metrics` also takes names of sets: " + ", ".join(f"`{name}`" for name in SETS) + ".",
        "",
    ]
    for title, section in SECTIONS.items():
        rows = [[_link(m), f"{m.title}: {m.definition}", m.source] for m in section]
        head = ("metric", "definition", "source")
        lines += [f"## {title}", "", *markdown.table(head, rows, words=True), ""]
    lines += [
        "## The grammar of binned errors",
        "",
        "A binned calibration error is `norm(profile(view))`: the view chooses the scores, the",
        "profile puts them into bins, and the norm combines the gaps of the bins.",
        "",
    ]
    for title, table in (("view", VIEWS), ("profile", PROFILES), ("norm", NORMS)):
        rows = [
            [name, entry if isinstance(entry, str) else _first(entry)]
            for name, entry in table.items()
        ]
        lines += [*markdown.table((title, "what it is"), rows), ""]
    return "\n".join([*lines, *_GRAMMAR]) + "\n"


def _link(metric: Metric) -> markdown.Marked:
    return markdown.Marked(f"[{metric.name}](metrics/{metric.name}.md)")


_GRAMMAR = [
    "Every other metric that looks at a view takes `view=` too: `smece(view=class)` is the mean of",
    "the one-vs-rest errors, `ks(view=label)` the mean over the predicted classes by their share.",
    "Without `view=`, a calibration error looks at `positive` where two classes are given as one",
    "column, and at `top` otherwise (`auto`). Of two classes, however they are given, `ranks` and",
    "`clinical` are `positive`; of more they are `class` and `top`. `nll(view=top)` and",
    "`brier(view=top)` score the confidence against right and wrong, and need no whole rows.",
    "Reports name the view beside every number. The default table of two classes writes every view",
    "into the name, and has ECE in both.",
    "",
    "Bins are (lo, hi]: 0 lies in the first, 1 in the last, and no row is dropped. Edges are",
    "compared in the precision of the scores: a float32 0.3 lies on the edge 3/10. Bins of",
    "equal mass cut the sorted weight at multiples of N/bins; rows of equal score stay",
    "together, on the side of the cut on which most of them lie. Empty bins count for nothing.",
]


def metric_page(metric: Metric, below: Sequence[str] = ()) -> str:
    """Return docs/reference/metrics/NAME.md, and `below` what it says of intervals."""
    lines = [
        f"# {metric.name}: {metric.title}",
        "",
        "<!-- Made from the code by `just docs`; do not edit. -->",
        "",
        "[All metrics](../metrics.md)",
        "",
        f"**Definition.** {markdown.escape(metric.definition)}.",
        "",
    ]
    if metric.sees:
        lines += [f"**Sees** {metric.sees}.", "", f"**Is blind to** {metric.blind}.", ""]
    lines += [f"**Range**: {_range(metric)}{_other_ranges(metric)}.", ""]
    lines += [f"**Ideal**: {_aim(metric)}.", ""]
    lines += [f"**Source.** {metric.source}.", ""] if metric.source else []
    if names := _other_names(metric):
        lines += [f"**Also called** {markdown.escape(joined(names))}.", ""]
    doc = _docstring(metric)
    lines += [doc, ""] if doc else []
    rows = [
        [name, str(default), _values(metric, name)] for name, default in _defaults(metric).items()
    ]
    if rows:
        lines += [*markdown.table(("option", "default", "values"), rows, words=True), ""]
    lines += [f"**Interval.** {_interval(metric)}", "", *below]
    lines += ["```console", f"$ calibtool evaluate test.npz --metrics {metric.name}", "```"]
    return "\n".join(lines) + "\n"


def _other_ranges(metric: Metric) -> str:
    """Return the ranges under options that change it: "; -2 to 2 with estimator=unbiased"."""
    if metric.limits is None:
        return ""
    usual, texts = parse(metric.name).limits, []
    for option, value in _defaults(metric).items():
        for other in _values(metric, option).split(", "):
            if not isinstance(value, str) or option in ("view", "without"):
                continue
            spec = parse(f"{metric.name}({option}={other})")
            if spec.limits != usual:
                least, most = spec.limits
                texts.append(f"{_span(least, most)} with `{option}={other}`")
    return "".join(f"; {text}" for text in texts)


def _docstring(metric: Metric) -> str:
    """Return the docstring of the metric's function, without its doctest, as a description."""
    function = getattr(metric, "of", None) or getattr(metric, "rows", None)
    if isinstance(metric, BinnedError):
        function = PROFILES[metric.profile]
    docstring = inspect.getdoc(function) or ""
    text = _as_description(docstring.partition("\n>>>")[0].strip())
    return markdown.escape(text.replace("\n", " "))


def _as_description(docstring: str) -> str:
    """Return a docstring without its leading "Return": a page says what a metric is."""
    description = docstring.removeprefix("Return ")
    return description[:1].upper() + description[1:]


def _values(metric: Metric, option: str) -> str:
    """Return the values that an option may have."""
    tables: dict[str, Iterable[str]] = {"profile": PROFILES, "norm": NORMS, "view": VIEWS}
    if option == "view" and isinstance(metric, Score):
        return ", ".join(ONE_SCORE)
    if option == "without":
        return "the number of a class, from 0, that the mean leaves out"
    if option in tables:
        return ", ".join(tables[option])
    if option in RANGES:
        low, high = RANGES[option]
        return f"{low:g} to {high:,.0f}"
    if isinstance(metric, Score | TwoFileMetric):
        function: Any = metric.rows if isinstance(metric, Score) else metric.scores
    else:
        function = getattr(metric, "of", None)
    return ", ".join(str(value) for value in get_args(get_type_hints(function).get(option)))


INTERVALS = "../../concepts/intervals.md"  # from the page of a metric
# intervals of metrics' own, by their names
OWN = {"delong": "DeLong's", "log": "by the delta method on the log scale"}


def _interval(metric: Metric) -> str:
    """Return how the metric's interval is computed."""
    of_bins = isinstance(metric, BinnedError) or getattr(metric, "edges", None) is not None
    if isinstance(metric, BinnedError) and metric.norm == "worst":
        return (
            f"[Exact intervals]({INTERVALS}#mce-and-the-order-of-errors) of the bins that were "
            "seen."
        )
    if of_bins:
        return f"The [inverted bootstrap]({INTERVALS})."
    if isinstance(metric, CellMetric) and not metric.covers:
        return (
            "None: candidate truths were measured to cover the true value too seldom. `--mode "
            "prove` refuses it; `--ci percentile` gives one at your own risk."
        )
    if isinstance(metric, CellMetric) and metric.error:
        return f"From [candidate truths]({INTERVALS}#candidate-truths-on-a-line)."
    if isinstance(metric, CellMetric) and metric.biased:
        return f"Around [what was seen, smoothed]({INTERVALS}#everything-else)."
    if isinstance(metric, MatrixMetric) and metric.below:
        return (
            "None: it is a lower bound, and an interval around it was measured to contain the true "
            f"error [too seldom]({INTERVALS}#everything-else)."
        )
    if isinstance(metric, MatrixMetric) and metric.replicates is None:
        return "None: noise pushes it up, and no interval is known that covers the true value."
    if isinstance(metric, Score) and metric.reach:
        return (
            f"A [BCa bootstrap]({INTERVALS}#everything-else), cut at 0, and at least as wide as "
            "the likelihood-ratio interval of one fitted parameter."
        )
    if isinstance(metric, CellMetric) and not metric.replicated:
        return (
            f"Of [exact bounds]({INTERVALS}#coverage-at-a-risk), for one score per row without "
            "clusters; none otherwise."
        )
    # a fit to other rows cannot be done again for a row; and no label changes these two
    alone = isinstance(metric, Score) and (
        "refined" in metric.needs or metric.rows in (proper.confidence, proper.entropy)
    )
    if getattr(metric, "statistic", False) or alone or isinstance(metric, MatrixMetric):
        return f"A [BCa bootstrap]({INTERVALS}#everything-else)."
    row = f"[unseen row]({INTERVALS}#one-unseen-row)"
    if isinstance(metric, TwoFileMetric):
        return f"{'DeLong' if metric.interval else 'BCa'}, for two independent files."
    if isinstance(metric, CellMetric) and metric.interval:
        return (
            f"With one {row} for several classes, or where few rows surprise; "
            f"{OWN[metric.interval_name]} otherwise."
        )
    basic = ", and the basic interval within it" if getattr(metric, "pushed", False) else ""
    return f"A bootstrap with one {row}{basic}."


def conventions() -> list[str]:
    """Return the table of libraries whose numbers are reproduced, as lines of Markdown."""
    rows = [
        [
            name,
            f"{library.title} {library.version}",
            ", ".join(library.metrics),
            library.rule,
            library.note,
        ]
        for name, library in CONVENTIONS.items()
    ]
    titles = ("--as", "library", "numbers", "bins of its ECE", "mind")
    return markdown.table(titles, rows, words=True)


def calibrators() -> list[str]:
    """Return the table of calibrators, as lines of Markdown."""
    rows = [
        [
            name,
            method.when,
            method.numbers,
            f"{method.enough} K",
            "kept" if method.keeps_order else "",
            method.source,
        ]
        for name, method in EVERY.items()
    ]
    titles = ("name", "when to use it", "numbers", "rows", "order", "source")
    return markdown.table(titles, rows, words=True)


def _first(function: object) -> str:
    """Return the first paragraph of a docstring, on one line, as a description."""
    paragraph = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return _as_description(" ".join(paragraph.split()))
