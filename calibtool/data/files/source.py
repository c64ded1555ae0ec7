"""Source: a file whose columns have roles, read as blocks of validated predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from calibtool.data.files.reader import NUMBERS, RECORDS, Part, Reader
from calibtool.data.files.roles import Choice, Roles
from calibtool.data.predictions import Kind, Predictions
from calibtool.data.validation import Origin, numeric
from calibtool.errors import InputError
from calibtool.types import Array

# Most classes that are read. Far more than any known problem has (vocabularies have some 1e5, the
# largest catalogues 1e7): what is kept per class would take all memory, for a damaged file.
MOST_CLASSES = 1 << 24


@dataclass(frozen=True, eq=False)
class Source:
    """Predictions in a file, not read yet.

    Attributes:
        table: the open file.
        roles: which column has which role.
        choice: the options of reading.
        side_labels: labels from a file of their own, or None.
        extra: names of further columns to carry along.
        run: how a pass over the parts is run (`calibtool.streaming.engines.engine.RunOptions`);
            None for threads of this process.
    """

    table: Reader
    roles: Roles
    choice: Choice
    side_labels: Array | None = None
    extra: tuple[str, ...] = ()
    run: Any = None

    @property
    def source(self) -> str:
        """The name of the data in reports."""
        return self.table.source

    @property
    def kind(self) -> Kind:
        """The kind of values: logits, probs or confidence."""
        return self.roles.kind

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """K names, if known."""
        return self.roles.class_names

    @property
    def rows(self) -> int:
        """N, from the file's metadata; counted by reading if rows or files can be left out."""
        if self.choice.filter or self.choice.skip_bad_files:
            return self.table.count(self._names)
        return self.rows_at_most

    @property
    def rows_at_most(self) -> int:
        """N before any filter, from the files' metadata, without reading rows."""
        return self.table.columns[self.roles.values[0]].rows

    @property
    def filter(self) -> str:
        """The condition on the rows, as the user wrote it; "" for all rows."""
        return self.choice.filter or ""

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that were left out so far because they cannot be read, with the reasons."""
        return tuple((file.file, file.reason) for file in self.table.skipped)

    @cached_property
    def width(self) -> int:
        """Values per row; in a list column, as many as in its first row.

        Raises InputError for no values, and for more than MOST_CLASSES.
        """
        name, *more = self.roles.values
        if more:
            return len(self.roles.values)
        width = self.table.columns[name].width
        if width is None:
            first = self.table.first(name)
            width = 1 if first is None else int(first.shape[1])
        if not 0 < width <= MOST_CLASSES:
            raise InputError(
                f"{self.source}: {name}: a row holds {width:,} values; expected one value per "
                f"class, or one for two classes, and at most {MOST_CLASSES:,}"
            )
        return width

    @property
    def classes(self) -> int | None:
        """K, the number of classes; None if only confidences are known."""
        return None if self.kind == "confidence" else max(self.width, 2)

    @property
    def one_column(self) -> bool:
        """True if a two-class problem is given by the column of class 1 alone."""
        return self.kind != "confidence" and self.width == 1

    def also(self, names: Iterable[str]) -> Source:
        """Return the same source with further columns carried along in `extra`, by which rows are
        grouped, matched or put in order.

        Raises InputError for a column that is not there, or whose values have no order.
        """
        for name in names:
            if name not in self.table.columns:
                known = ", ".join(list(self.table.columns)[:20])
                raise InputError(
                    f"{self.source}: there is no column {name!r}; the file has {known}"
                )
            column = self.table.columns[name]
            if column.family == RECORDS:
                raise InputError(
                    f"{self.source}: {name}: {column.type} values have no order; name a column "
                    "of texts, numbers or dates"
                )
        return replace(self, extra=tuple(dict.fromkeys([*self.extra, *names])))

    def blocks(self, rows: int) -> Iterator[Predictions]:
        """Yield validated predictions, `rows` at a time, in file order.

        Raises InputError for what is wrong with a row.
        """
        self._require_rows(self.rows)
        blocks = self.table.blocks(self._names, rows)
        yield from self._validated(blocks, whole=self.rows <= rows)

    def parts(self) -> list[Part]:
        """Return all rows in parts that several workers can read at once, in file order."""
        self._require_rows(self.rows_at_most)
        return self.table.parts(self._names)

    def part_blocks(self, part: Part, rows: int) -> Iterator[Predictions]:
        """Yield validated predictions of a part, `rows` at a time; messages name file and row."""
        blocks = self.table.part_blocks(part, self._names, rows)
        yield from self._validated(blocks, part, whole=False)

    @property
    def _names(self) -> list[str]:
        return list(dict.fromkeys([*self.roles.columns(), *self.extra]))

    def _require_rows(self, rows: int) -> None:
        if rows == 0:
            left = " that the filter keeps" if self.choice.filter else ""
            raise InputError(f"{self.source}: there are no rows{left}; nothing can be measured")
        if self.side_labels is not None and len(self.side_labels) != rows:
            raise InputError(
                f"{self.choice.labels_file}: {len(self.side_labels):,} labels for {rows:,} "
                f"rows of {self.source}"
            )

    def _validated(
        self, blocks: Iterable[dict[str, Array]], part: Part | None = None, *, whole: bool
    ) -> Iterator[Predictions]:
        row, start = (part.first_row, part.start) if part else (0, 0)
        for columns in blocks:
            place = Origin(
                source=part.file if part else self.source,
                values=self.roles.values[0],
                labels=self.choice.labels_file or self.roles.labels or "labels",
                weights=self.roles.weights or "weights",
                first_row=row,
                whole=whole,
                numbers=columns.pop(NUMBERS, None),
                locate=None if part else self.table.locate,
            )
            block = self._block(columns, place, start)
            yield replace(block, extra={name: columns[name] for name in self.extra})
            row, start = row + block.rows, start + block.rows

    def load(self) -> Predictions:
        """Read the whole file as one `Predictions`; mapped values stay mapped.

        Raises InputError.
        """
        return next(self.blocks(max(self.rows, 1)))

    def _block(self, columns: dict[str, Array], place: Origin, start: int) -> Predictions:
        roles = self.roles
        weights = columns[roles.weights] if roles.weights else None
        if len(roles.values) == 1:
            values = columns[roles.values[0]]
        else:
            for name in roles.values:  # texts would make texts of the numbers beside them
                if columns[name].dtype.kind not in "fiub":
                    numeric(columns[name], name, place)
            values = np.stack([columns[name] for name in roles.values], axis=1)
        if roles.kind == "confidence":
            place = replace(place, labels=roles.correct or "correct")
            correct = self._correct(columns, place, start)
            return Predictions.from_confidence(values, correct, weights=weights, place=place)
        labels = self._labels(columns, start)
        if roles.kind == "logits":
            return Predictions.from_logits(
                values, labels, weights=weights, class_names=roles.class_names, place=place
            )
        return Predictions.from_probs(
            values,
            labels,
            weights=weights,
            class_names=roles.class_names,
            renormalize=self.choice.renormalize,
            place=place,
        )

    def _labels(self, columns: dict[str, Array], start: int) -> Array | None:
        """Return the labels of a block whose first row is row `start` of the source."""
        if self.side_labels is not None:
            rows = len(columns[self.roles.values[0]])
            return self.side_labels[start : start + rows]
        return columns[self.roles.labels] if self.roles.labels else None

    def _correct(self, columns: dict[str, Array], place: Origin, start: int) -> Array:
        """Return the hits of a block: a column, or predictions compared with labels."""
        if self.roles.correct:
            return columns[self.roles.correct]
        assert self.roles.predictions is not None
        predictions, labels = columns[self.roles.predictions], self._labels(columns, start)
        assert labels is not None
        # numpy answers False to 1 == "1", for every row
        numbers = [array.dtype.kind in "iufb" for array in (predictions, labels)]
        if numbers[0] != numbers[1]:
            raise place.error(
                self.roles.predictions,
                f"{predictions.dtype} predictions cannot be compared with {labels.dtype} labels",
            )
        return np.asarray(predictions == labels)
