"""Slices: the rows of each value of a column, and which of them are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable
from calibtool.data.slicing import FEW, MOST, PSEUDO, panels
from calibtool.diagrams.inputs import column
from calibtool.errors import UsageError
from calibtool.intervals.estimate import Estimate

PANELS = 12  # small diagrams by default: three rows of four on a page


@dataclass(frozen=True, eq=False)
class Slices:
    """The slices with enough rows to be measured.

    Attributes:
        by: the columns that define them.
        rows: of each slice, by its name.
        values: number of values or combinations, small ones included.
        is_column: whether `by` is a single column of the file.
        notes: what was joined or set apart, in words.
    """

    by: str
    rows: dict[str, Readable]
    values: int
    is_column: bool
    notes: tuple[str, ...]

    def left_out(self, drawn: Sequence[int]) -> str:
        """Return the sentence about the slices that are not drawn; "" if all are."""
        if len(drawn) == len(self.rows):
            return ""
        left = sum(rows.rows for k, rows in enumerate(self.rows.values()) if k not in drawn)
        many = f"has {self.values:,} values" if self.is_column else f"makes {self.values:,} slices"
        return (
            f"{self.by} {many}: the {len(drawn)} with the highest lower end of the error's "
            f"interval are drawn, {left:,} rows are not"
        )


def slices(predictions: Predictions, by: str) -> Slices:
    """Return the slices by a column; those of few rows are set apart, with a note that lists them.

    `data.slicing.panels` splits the rows. Raises UsageError for a column that is not there, or if
    no slice has enough rows.
    """
    is_column = by in predictions.extra
    if is_column or ("," not in by and by not in PSEUDO):
        column(predictions, by, "--by")  # raises UsageError
    parts = panels(predictions, by, PANELS)
    measured = [k for k in parts.largest(MOST) if parts.rows[k] >= FEW]
    if not measured:
        raise UsageError(
            f"{predictions.source}: --by {by}: no slice has {FEW} rows; with fewer, a diagram "
            "says too little"
        )
    notes = [note for note in (parts.note, parts.apart) if note]
    if len(measured) < len(parts.large):
        notes.append(f"The {MOST} largest of {len(parts.large):,} slices are measured.")
    prefix = "" if "," in by and not is_column else f"{by} "
    rows: dict[str, Readable] = {
        f"{prefix}{parts.names[k]}": parts.take(predictions, k) for k in measured
    }
    return Slices(by, rows, len(parts.names), is_column, tuple(notes))


def worst(errors: Sequence[Estimate], most: int) -> list[int]:
    """Return the numbers of the slices to draw: all in their order, or the `most` with the highest
    lower end of their error's interval, the worst first.

    The error of a small slice is large by chance, the lower end of its interval is not. Errors
    without an interval rank last, by their value.

    >>> three = [Estimate("ece", 0.2, low=0.01), Estimate("ece", 0.1, low=0.05), Estimate("ece", 0)]
    >>> worst(three, 2), worst(three, 3)
    ([1, 0], [0, 1, 2])
    """
    if len(errors) <= most:
        return list(range(len(errors)))
    low = [-1.0 if error.low is None else error.low for error in errors]
    value = [-1.0 if error.best is None else error.best for error in errors]
    order = np.lexsort((-np.array(value), -np.array(low)))
    return [int(k) for k in order[:most]]
