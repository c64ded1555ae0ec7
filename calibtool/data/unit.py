"""Unit: the rows of a file, where each holds several predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LEVELS = "levels"  # the kind of predictions whose classes are in order
MULTILABEL = "labels per row"  # of predictions of several labels, each there or not


@dataclass(frozen=True)
class Unit:
    """Rows of a file that hold several predictions each, which are measured one by one.

    Intervals resample the rows of the file whole, unless another cluster is named.

    Attributes:
        column: the column that numbers the rows of the file: "row", "image" or "sequence".
        part: the column that names the prediction in its row ("label"), or "".
        text: the predictions of a row in words: "5 labels per row", "images of 32 x 32".
        unlabelled: what predictions without a label are called, in the plural.
        per: the predictions in a row.
    """

    column: str
    part: str
    text: str
    unlabelled: str
    per: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that no file holds."""
        return (self.column, self.part) if self.part else (self.column,)


def unit_of(data: Any) -> Unit | None:
    """Return the unit of a table, or of predictions in any form; None where a row holds one
    prediction, and for cells, which hold no rows."""
    unit: Unit | None = getattr(data, "unit", None)
    return unit


def unit_text(data: Any) -> str:
    """Return the kind of predictions in words: those of a row of the file, where it has several, or
    LEVELS; "" for plain ones."""
    unit = unit_of(data)
    ordinal = getattr(getattr(data, "choice", None), "ordinal", False)
    levels = ordinal or getattr(data, "levels", False)
    return unit.text if unit else LEVELS * bool(levels)
