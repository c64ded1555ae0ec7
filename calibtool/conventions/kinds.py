"""How most lines of the tables are written."""

from __future__ import annotations

from functools import partial

from calibtool.conventions.error import error
from calibtool.conventions.given import Of
from calibtool.conventions.norms import Norm, l1
from calibtool.conventions.record import Measure
from calibtool.conventions.rules import Rule
from calibtool.conventions.views import FIRST


def of_bins(
    rule: Rule,
    norm: Norm = l1,
    of: Of = error,
    *,
    one: str = "positive",
    rows: str = "top",
    note: str = "",
) -> Measure:
    """A binned error, by its rule and norm."""
    return Measure(partial(of, rule=rule, norm=norm), one, rows, note)


def of_column(of: Of) -> Measure:
    """A number of a library of one column."""
    return Measure(of, rows=FIRST)
