"""Applied: what a document holds that can be applied to predictions, told by its key `format`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

from calibtool.data.files.document import Document, Entry
from calibtool.data.predictions import Predictions
from calibtool.data.slicing import with_extra
from calibtool.errors import UsageError
from calibtool.types import Array


class Applied(Protocol):
    """What `calibtool apply` applies: a calibrator, or what decides by calibrated values.

    Calling it returns the predictions with other values, or with further columns (`add_columns`).
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that predictions must have in `extra`."""

    def __call__(self, predictions: Predictions) -> Predictions: ...

    def describe(self) -> str:
        """Return what it is in one line."""

    def notes_on(self, predictions: Predictions) -> list[str]:
        """Return what a user should know of these rows when it is applied to them."""


class DocumentKind(NamedTuple):
    """A kind of document: what to call it, and the module and function that make of its content
    what is applied."""

    what: str
    module: str
    function: str


CALIBRATOR = "calibtool-calibrator"
# the key `format` of a document -> its kind; a document of any other format is refused as a
# calibrator file, the first of these that there was
KINDS = {
    CALIBRATOR: DocumentKind("a calibrator file", "calibtool.calibrators.fit", "calibrator_in"),
    "calibtool-threshold": DocumentKind(
        "a threshold file", "calibtool.decisions.threshold", "threshold_in"
    ),
    "calibtool-sets": DocumentKind(
        "a file of prediction sets", "calibtool.decisions.prediction_sets", "read_sets"
    ),
}


def load_applied(path: str | Path) -> Applied:
    """Read a document of any of KINDS. Loading runs no code from the file.

    Raises InputError for a file that is none of them, is truncated, or has a newer version.
    """
    kind = KINDS[CALIBRATOR]
    content = Document(str(path), kind.what).read_json()
    format_ = content["format"].value
    if isinstance(format_, str) and format_ in KINDS:
        kind = KINDS[format_]
        content = Entry(content.value, replace(content.document, what=kind.what))
    applied: Applied = getattr(import_module(kind.module), kind.function)(content)
    return applied


def add_columns(
    predictions: Predictions, columns: Mapping[str, Array], writer: str = "this"
) -> Predictions:
    """Return the predictions with further columns; raise UsageError if they have one already.

    Args:
        predictions: to be added to.
        columns: (N, ...) each.
        writer: what writes them, for the message.
    """
    taken = sorted(columns.keys() & predictions.extra.keys())
    if taken:
        raise UsageError(
            f"{predictions.source}: already has a column {taken[0]!r}, which {writer} writes; "
            "rename it"
        )
    return with_extra(predictions, columns)
