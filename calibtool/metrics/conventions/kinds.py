"""Short forms of `LibraryMetric` for most entries of the tables."""

from __future__ import annotations

from functools import partial

from calibtool.metrics.conventions.binned_errors import error
from calibtool.metrics.conventions.convention import LibraryMetric
from calibtool.metrics.conventions.equal_width import Rule
from calibtool.metrics.conventions.inputs import Of
from calibtool.metrics.conventions.norms import Norm, l1
from calibtool.metrics.conventions.views import FIRST


def of_bins(
    rule: Rule,
    norm: Norm = l1,
    of: Of = error,
    *,
    one: str = "positive",
    rows: str = "top",
    note: str = "",
) -> LibraryMetric:
    """Return a binned error, by its rule and norm."""
    return LibraryMetric(partial(of, rule=rule, norm=norm), one, rows, note)


def of_column(of: Of) -> LibraryMetric:
    """Return a metric of a library that takes one column."""
    return LibraryMetric(of, rows=FIRST)
