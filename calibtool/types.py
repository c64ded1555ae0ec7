"""Types and defaults that every package uses."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
# What is being done, and the share of the whole that is done; NaN where nobody knows.
Progress = Callable[[str, float], None]
# Rows that share a stream of bootstrap draws. Draws are keyed by (seed, block of rows), so that
# they do not depend on how the rows are read; blocks of the reading are whole multiples of it. With
# fewer rows, seeding the streams would take a larger share of the time. Another value draws other
# weights: every interval would change.
BLOCK = 1024


def silent(*_: object) -> None:
    """Do nothing: the default callback for progress and messages."""


class Shown:
    """A result that can be printed, shown in a notebook, and turned into a dict or a data frame.

    All four show the result's table (`calibtool.reports`), as the command line prints it. The
    `repr` stays that of the record.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return str(_reports().render(self, "table")).rstrip("\n")

    def _repr_html_(self) -> str:
        return str(_reports().render(self, "html"))

    def to_latex(self) -> str:
        """Return the result as a LaTeX table with the rules of booktabs."""
        return str(_reports().render(self, "latex"))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document that the command line writes with --format json."""
        document: dict[str, Any] = _reports().document_of(self)
        return document

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame of the rows that the command line writes with --format csv.

        Raises CalibtoolError without pandas.
        """
        return _reports().to_pandas(self)


def _reports() -> Any:
    """Return the module that renders results.

    The one import that goes upward: results are defined in packages below `reports`, and a user
    expects `print(result)` to show them. Imported when a result is shown, and not before.
    tools/layers.py knows it.
    """
    return import_module("calibtool.reports.render")
