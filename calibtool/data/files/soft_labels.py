"""Soft labels: a distribution over the classes, or votes, in the place of a label.

A row with the distribution q stands for its K outcomes: it is read K times, with each class as the
label once, and q_k as the weight. Means over these rows are expectations over the outcomes: the NLL
is the cross-entropy, and calibration errors compare confidences with expected outcomes. Intervals
resample the K rows together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibtool.data.files.reader import Column, Reader, side_by_side
from calibtool.data.files.roles import Choice, by_option, named, require_numbers, values_of
from calibtool.data.files.unfolded import UnfoldedTable
from calibtool.data.predictions import SOFT
from calibtool.data.unit import Unit
from calibtool.data.validation import Origin, numeric
from calibtool.errors import InputError, UsageError
from calibtool.types import Array

LABELS, WEIGHTS, ROW = "labels", "weights", "row"


class SoftLabelTable(UnfoldedTable):
    """The outcomes of a table's rows: scores, by their role, LABELS, WEIGHTS, ROW and SOFT."""

    def __init__(self, table: Reader, choice: Choice) -> None:
        super().__init__(table)
        assert choice.soft_labels is not None
        kind, values, suffixes = values_of(table.source, table.columns, choice)
        if kind == "confidence" or choice.labels or choice.labels_file:
            raise UsageError(
                "--soft-labels takes the place of --labels, and needs the scores of all classes"
            )
        if choice.ignore:
            raise UsageError(
                "--ignore leaves out rows by their label, and soft labels are several; leave out "
                "rows with --filter"
            )
        self.role, self.values = kind, values
        key = choice.soft_labels
        self.shares, _ = by_option(table.source, table.columns, "probs", key, levels=True)
        require_numbers(table, values, kind)
        require_numbers(table, self.shares, "soft-labels")
        self.weights = named(table.source, table.columns, "weights", choice.weights)
        self.names = choice.classes or suffixes
        self.per = self._width(values)
        if self.per != self._width(self.shares) or self.per < 2:
            raise InputError(
                f"{table.source}: {', '.join(self.shares)}: {self._width(self.shares)} shares for "
                f"{self.per} classes; --soft-labels needs one per class"
            )
        what = "outcomes of soft labels"
        self.unit = Unit(ROW, "", what, "rows without a label", self.per)

    @property
    def unfolding(self) -> tuple[tuple[str, ...], ...]:
        """The columns from which rows are made."""
        return self.values, self.shares, (self.weights or "",)

    def _width(self, names: Sequence[str]) -> int:
        """Return the values per row of these columns."""
        if len(names) > 1:
            return len(names)
        width = self.table.columns[names[0]].width
        first = self.table.first(names[0]) if width is None else None
        return width or (0 if first is None or first.ndim < 2 else first.shape[1])

    def renamed(self, choice: Choice) -> Choice:
        """Return the options with the names of the columns that are made."""
        names = replace(choice, logits=None, probs=None, score=None, soft_labels=None)
        names = replace(names, **{self.role: self.role})  # type: ignore[arg-type]
        classes = tuple(self.names or ())
        return replace(names, labels=LABELS, weights=WEIGHTS, classes=classes)

    @property
    def _sources(self) -> dict[str, tuple[str, ...]]:
        weights = (self.weights,) if self.weights else ()
        sources: dict[str, tuple[str, ...]] = {self.role: self.values, LABELS: self.values[:1]}
        sources |= {WEIGHTS: (*self.shares, *weights), ROW: self.values[:1]}
        return sources | dict.fromkeys(SOFT, self.shares)

    def _columns(self) -> Iterable[Column]:
        scores, rows = self.table.columns[self.values[0]], self.rows
        inside = scores.family.rpartition("lists of ")[2]
        family = f"lists of {inside}"
        yield Column(self.role, scores.type, self.per, rows, nested=True, family=family)
        for name in (LABELS, WEIGHTS, ROW, *SOFT):
            yield Column(name, "double", 1, rows, family="numbers")

    def _made(
        self, names: Sequence[str], block: Mapping[str, Array], numbers: Array, file: str
    ) -> dict[str, Array]:
        made: dict[str, Array] = {}
        if self.role in names:
            made[self.role] = np.repeat(side_by_side(block, self.values), self.per, axis=0)
        if LABELS in names:
            made[LABELS] = np.tile(np.arange(self.per), len(numbers))
        if ROW in names:
            made[ROW] = np.repeat(numbers, self.per)
        if not {WEIGHTS, *SOFT} & {*names}:
            return made
        q = self._distribution(block, file, numbers)
        likeliest, spread, entropy = SOFT
        logs = np.log(q, out=np.zeros_like(q), where=q > 0)
        of_rows = {
            likeliest: q.argmax(axis=1),
            spread: 1 - (q**2).sum(axis=1),
            entropy: -(q * logs).sum(axis=1),
        }
        made |= {name: np.repeat(of_rows[name], self.per) for name in SOFT if name in names}
        if WEIGHTS in names:
            made[WEIGHTS] = q.ravel()
            if self.weights is not None:
                weights = numeric(block[self.weights], self.weights, Origin(source=file))
                made[WEIGHTS] = made[WEIGHTS] * np.repeat(weights, self.per)
        return made

    def _distribution(self, block: Mapping[str, Array], file: str, numbers: Array) -> Array:
        """Return the shares of the classes, (n, K), which sum to 1.

        Raises InputError for negative ones, and for rows of zeros.
        """
        place = Origin(
            source=file, values=self.shares[0], numbers=numbers, locate=self.table.locate
        )
        votes = numeric(side_by_side(block, self.shares), self.shares[0], place).astype(np.float64)
        with np.errstate(over="ignore"):  # what becomes infinite is refused with its row
            sums = votes.sum(axis=1)
        bad = ~np.isfinite(sums) | (votes < 0).any(axis=1) | (sums <= 0)
        if bad.any():
            raise place.first(
                place.values,
                bad,
                sums,
                "soft labels are no distribution: their shares, or votes, have a negative value or "
                "sum to 0",
                "leave out such rows with --filter",
            )
        return votes / sums[:, None]
