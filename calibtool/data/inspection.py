"""Inspection: what would be read from a file, what is left alone, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibtool.data.blocks import unit
from calibtool.data.files.open import open_source, open_table
from calibtool.data.files.roles import Choice, Roles
from calibtool.data.files.source import Source
from calibtool.data.predictions import KIND_NAMES, Predictions
from calibtool.errors import CalibtoolError
from calibtool.types import Array


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        source: the file.
        columns: each column's name, type and what it is read as ("-" for not read).
        read: what is measured, in a line; empty where nothing can be read.
        problem: why nothing can be read, or "".
        oddities: what is unusual, though it can be read.
    """

    source: str
    columns: tuple[tuple[str, str, str], ...]
    read: str
    problem: str
    oddities: tuple[str, ...]


def inspect(path: str, choice: Choice) -> Inspection:
    """Open a file and look at all of it; a problem with its contents is part of the answer."""
    table = open_table(path, choice.filter, skip_bad_files=choice.skip_bad_files)
    try:
        source = open_source(path, choice, need_labels=False)
    except CalibtoolError as error:
        columns = tuple((c.name, c.type, "-") for c in table.columns.values())
        return Inspection(table.source, columns, "", str(error), ())
    columns = tuple(
        (c.name, c.type + (", mapped" if c.mapped else ""), _part(c.name, source.roles))
        for c in table.columns.values()
    )
    classes = f", {source.classes:,} classes" if source.classes else ""
    read = f"{source.rows:,} rows{classes}, {KIND_NAMES[source.kind]}"
    try:
        oddities = tuple(_oddities(source))
    except CalibtoolError as error:
        return Inspection(table.source, columns, read, str(error), ())
    return Inspection(table.source, columns, read, "", oddities)


def text(found: Inspection) -> str:
    """For people."""
    widths = [max(len(row[k]) for row in (("column", "type", ""), *found.columns)) for k in (0, 1)]
    lines = [found.source, ""]
    for name, type_, part in (("column", "type", "read as"), *found.columns):
        lines.append(f"  {name:{widths[0]}}  {type_:{widths[1]}}  {part}")
    lines.append("")
    if found.read:
        lines.append(f"Would be read: {found.read}.")
    if found.problem:
        lines.append(f"Problem: {found.problem}")
    else:
        lines += [f"Odd: {oddity}" for oddity in found.oddities] or ["Nothing is odd about it."]
    return "\n".join(lines) + "\n"


def _part(name: str, roles: Roles) -> str:
    if name in roles.values:
        return KIND_NAMES[roles.kind]
    parts = {
        roles.labels: "labels",
        roles.correct: "correct",
        roles.predictions: "predictions",
        roles.weights: "weights",
    }
    if name in parts:
        return parts[name]
    return "class names" if name.lower() in ("classes", "class_names", "label_names") else "-"


def _oddities(source: Source) -> Iterator[str]:
    """What one pass sees that an author may not have meant."""
    if not source.roles.labels and source.side_labels is None and source.kind != "confidence":
        yield "there are no labels: a calibrator can be applied, nothing can be measured"
    yield from oddities(source, source.roles.values[0])


def oddities(predictions: Source | Predictions, key: str = "KEY") -> Iterator[str]:
    """What is unusual about predictions, a sentence each; `key` is what their values are called."""
    seen = _Seen(predictions.classes or 0)
    for block in predictions.blocks(unit(predictions.classes)):
        seen.add(block)
    yield from seen.report(predictions, key)


class _Seen:
    """Counts over the blocks of a file."""

    def __init__(self, classes: int) -> None:
        self.labels = np.zeros(classes, np.int64)
        self.rows = self.zeros = self.ones = self.like_probs = self.constant = 0
        self.low, self.high = np.inf, -np.inf
        self.rounded = True

    def add(self, block: Predictions) -> None:
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
        sample = values.ravel()[:10_000].astype(np.float64)
        self.rounded &= bool(np.allclose(sample * 1000, np.rint(sample * 1000), atol=1e-3))

    def _add_logits(self, values: Array) -> None:
        if values.shape[1] > 1:
            inside = (values >= 0).all(axis=1)
            near = np.abs(values.sum(axis=1, dtype=np.float64) - 1) < 1e-3
            self.like_probs += int(np.count_nonzero(inside & near))
            self.constant += int(np.count_nonzero((values == values[:, :1]).all(axis=1)))

    def report(self, source: Source | Predictions, key: str) -> Iterator[str]:
        absent = np.flatnonzero(self.labels == 0)
        if self.labels.any() and len(absent):
            shown = ", ".join(str(k) for k in absent[:8]) + (", ..." if len(absent) > 8 else "")
            yield f"{len(absent)} of {len(self.labels)} classes never occur as a label: {shown}"
        if self.labels.any():
            common = int(self.labels.argmax())
            share = self.labels[common] / self.labels.sum()
            if share > 0.9:
                yield f"{100 * share:.1f} % of the labels are class {common}"
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
        if 0 < self.rows < 1000:
            yield f"{self.rows:,} rows are few: expect wide intervals"
