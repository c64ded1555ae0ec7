"""Inspection: what would be read from a file, and what is unusual about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibtool.data.blocks import unit
from calibtool.data.files.open import open_table, source_of
from calibtool.data.files.roles import Choice, Roles
from calibtool.data.files.source import Source
from calibtool.data.predictions import KIND_NAMES, Predictions, names_of_classes
from calibtool.errors import CalibtoolError
from calibtool.formatting import Lines, printable
from calibtool.types import Array

SAMPLE = 10_000  # values per block that are checked for rounding
NEAR_ONE = 1e-3  # how far the sum of float16 probabilities may be from 1
IMBALANCED = 0.9  # share of one class above which accuracy says little by itself
FEW_ROWS = 1000  # with fewer rows the interval of an ECE is often wider than the ECE

TITLES = ("column", "type", "read as")


@dataclass(frozen=True)
class Inspection:
    """The columns of a file, and what is unusual about its predictions.

    Attributes:
        source: the file.
        columns: name, type and role of each column ("-" for a column that is not read).
        read: description of the predictions; "" if they cannot be read.
        problem: why they cannot be read, or "".
        oddities: what is unusual about predictions that can be read, one sentence each.
        format: what the file was recognised as.
        notes: what was read, and what was left out of it, one sentence each.
    """

    source: str
    columns: tuple[tuple[str, str, str], ...]
    read: str
    problem: str
    oddities: tuple[str, ...]
    format: str = ""
    notes: tuple[str, ...] = ()


def inspect(path: str, choice: Choice) -> Inspection:
    """Open a file and read all of it.

    A problem with the contents does not raise an error: the result describes it. Raises InputError
    for a file that cannot be opened.
    """
    table = open_table(path, choice)
    try:
        source = source_of(table, choice, need_labels=False)
    except CalibtoolError as error:
        columns = tuple((column.name, column.type, "-") for column in table.columns.values())
        return Inspection(
            table.source, columns, "", str(error), (), table.format, tuple(table.notes)
        )
    columns = tuple(
        (
            column.name,
            column.type + (", mapped" if column.mapped else ""),
            _role(column.name, source.roles),
        )
        for column in table.columns.values()
    )
    classes = f", {source.classes:,} classes" if source.classes else ""
    read = f"{source.rows:,} rows{classes}, {KIND_NAMES[source.kind]}"
    try:
        oddities = tuple(_oddities(source))
    except CalibtoolError as error:
        oddities, problem = (), str(error)
    else:
        problem = ""
    return Inspection(
        table.source, columns, read, problem, oddities, table.format, tuple(source.notes)
    )


def text(inspection: Inspection) -> Lines:
    """Return the inspection as text for the terminal."""
    table = [[printable(cell) for cell in row] for row in (TITLES, *inspection.columns)]
    widths = [max(len(row[k]) for row in table) for k in (0, 1)]
    lines = [f"{inspection.source}: {inspection.format}", ""]
    for name, type_, role in table:
        lines.append(f"  {name:{widths[0]}}  {type_:{widths[1]}}  {role}")
    lines.append("")
    if inspection.read:
        lines.append(f"Would be read: {inspection.read}.")
    lines += [f"Note: {note}" for note in inspection.notes]
    if inspection.problem:
        lines.append(f"Problem: {inspection.problem}")
    else:
        lines += [f"Odd: {oddity}" for oddity in inspection.oddities] or ["No problems found."]
    return Lines.of([*lines, ""])


def _role(name: str, roles: Roles) -> str:
    """Return the role of a column; "-" for a column that is not read."""
    if name in roles.values:
        return KIND_NAMES[roles.kind]
    by_column = {
        roles.labels: "labels",
        roles.correct: "correct",
        roles.predictions: "predictions",
        roles.weights: "weights",
    }
    if name in by_column:
        return by_column[name]
    return "class names" if name.lower() in ("classes", "class_names", "label_names") else "-"


def _oddities(source: Source) -> Iterator[str]:
    """Yield what is unusual about a file, one sentence each."""
    beside = source.side_labels is not None or source.joined is not None
    if not source.roles.labels and not beside and source.kind != "confidence":
        yield "there are no labels: a calibrator can be applied, nothing can be measured"
    if source.kind == "confidence" and not (source.roles.correct or source.roles.predictions):
        yield (
            "there are no hits, --correct KEY: a calibrator can be applied, nothing can be measured"
        )
    yield from oddities(source, source.roles.values[0])


def oddities(predictions: Source | Predictions, key: str = "KEY") -> Iterator[str]:
    """Yield what is unusual about predictions, one sentence each, after reading them once.

    `key` is the name of the column or array that holds the values.
    """
    counts = _Counts(predictions.classes or 0)
    for block in predictions.blocks(unit(predictions.classes)):
        counts.add(block)
    yield from counts.report(predictions, key)


class _Counts:
    """Counts of unusual rows and values, over the blocks of some predictions."""

    def __init__(self, classes: int) -> None:
        self.labels = np.zeros(classes, np.int64)
        self.rows = self.zeros = self.ones = self.like_probs = self.constant = 0
        self.low, self.high = np.inf, -np.inf
        self.rounded = True

    def add(self, block: Predictions) -> None:
        """Count the rows of a block."""
        values = block.values
        self.rows += block.rows
        if block.labels is not None:
            self.labels += np.bincount(block.labels, minlength=len(self.labels))
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        if block.kind == "logits":
            self._add_logits(values)
            return
        top = values if values.ndim == 1 else values.max(axis=1)
        self.ones += int(np.count_nonzero(top >= 1))
        self.zeros += int(np.count_nonzero(values == 0))
        # a sample is enough: unrounded values show within a few rows
        sample = values.ravel()[:SAMPLE].astype(np.float64)
        self.rounded &= bool(np.allclose(sample * 1000, np.rint(sample * 1000), atol=1e-3))

    def _add_logits(self, values: Array) -> None:
        """Count rows of logits that look like probabilities, and rows of equal logits."""
        if values.shape[1] > 1:
            inside = (values >= 0).all(axis=1)
            near = np.abs(values.sum(axis=1, dtype=np.float64) - 1) < NEAR_ONE
            self.like_probs += int(np.count_nonzero(inside & near))
            self.constant += int(np.count_nonzero((values == values[:, :1]).all(axis=1)))

    def report(self, source: Source | Predictions, key: str) -> Iterator[str]:
        """Yield what the counts show."""
        absent, names = np.flatnonzero(self.labels == 0), names_of_classes(source)
        if self.labels.any() and len(absent):
            shown = ", ".join(names[k] for k in absent[:8]) + (", ..." if len(absent) > 8 else "")
            yield f"{len(absent)} of {len(self.labels)} classes never occur as a label: {shown}"
        if self.labels.any():
            common = int(self.labels.argmax())
            share = self.labels[common] / self.labels.sum()
            if share > IMBALANCED:
                yield f"{100 * share:.1f} % of the labels are class {names[common]}"
        if source.kind == "logits" and self.like_probs == self.rows:
            yield (
                "every row of logits is non-negative and sums to 1: these look like "
                f"probabilities; if they are, say --probs {key}"
            )
        elif source.kind == "logits" and source.one_column and 0 <= self.low <= self.high <= 1:
            yield (
                "all logits lie in [0, 1]: these look like probabilities; if they are, say "
                f"--probs {key}"
            )
        if self.constant:
            yield f"{self.constant:,} rows have the same logit for every class"
        if self.ones:
            yield f"{self.ones:,} rows have a confidence of exactly 1"
        if self.zeros and source.kind == "probs":
            yield f"{self.zeros:,} probabilities are exactly 0; a label there has an infinite NLL"
        if source.kind != "logits" and self.rounded:
            yield "probabilities are rounded to three decimals or fewer; many lie on bin edges"
        if 0 < self.rows < FEW_ROWS:
            yield f"{self.rows:,} rows are few: expect wide intervals"
