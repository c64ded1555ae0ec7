"""Counts in prose, such as the number of metrics in the README: written from the tables."""

from __future__ import annotations

import re

from calibtool.analysis.significance.registry import TESTS
from calibtool.diagrams.registry import KINDS
from calibtool.metrics.registry import METRICS
from calibtool.reports.metrics import metric_page

WORDS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
)


def in_words(count: int) -> str:
    """Return a small number as a word."""
    return WORDS[count] if count < len(WORDS) else str(count)


def counts() -> dict[str, str]:
    """Return what must stand between two texts: a pattern with both, and the number."""
    whole = sum(test.rows is not None for test in TESTS.values())
    bare = sum("**Interval.** None" in metric_page(metric) for metric in METRICS.values())
    return {
        r"(takes \[)\S+( metrics\]\([\w./]+/metrics\.md\))": str(len(METRICS)),
        r"(as its source defines it, all but )\S+( with an interval)": in_words(bare),
        r"(\[Diagrams\]\(docs/gallery/diagrams\.md\): )\S+( kinds)": in_words(len(KINDS)),
        r"(`calibtool plot KIND FILE\.\.\.` draws )\S+( kinds of diagrams)": in_words(len(KINDS)),
        r"(nothing in the first )\S+( tests)": in_words(len(TESTS) - whole),
        r"(The )\S+( tests of whole rows)": in_words(whole),
    }


def with_counts(text: str) -> str:
    """Return a page with its counts as the tables have them."""
    for pattern, number in counts().items():
        text = re.sub(pattern, rf"\g<1>{number}\g<2>", text)
    return text
