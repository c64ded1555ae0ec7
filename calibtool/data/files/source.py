"""Source: a file whose columns have roles, read as blocks of validated predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from calibtool.data import written
from calibtool.data.files.join import Joined
from calibtool.data.files.omissions import Omissions, Tally
from calibtool.data.files.reader import NUMBERS, RECORDS, Part, Reader
from calibtool.data.files.roles import Choice, Roles
from calibtool.data.predictions import Kind, Predictions
from calibtool.data.unit import Unit, unit_of
from calibtool.data.validation import Origin, numeric
from calibtool.errors import InputError, UsageError, brief
from calibtool.types import Array

LOG = logging.getLogger("calibtool")  # written to standard error unless it is configured
# Most classes that are read. Far more than any known problem has (vocabularies have some 1e5, the
# largest catalogues 1e7): what is kept per class would take all memory, for a damaged file.
MOST_CLASSES = 1 << 24
TALLY_ROWS = 1 << 18  # rows that are looked at together for what is to be left out: some megabytes
PERCENT = "percentages, divided by 100"
HUNDRED = 100  # the largest percentage


@dataclass(frozen=True, eq=False)
class Source:
    """Predictions in a file, not read yet.

    Attributes:
        table: the open file.
        roles: which column has which role.
        choice: the options of reading.
        side_labels: labels from a file of their own, in the same order, or None.
        joined: labels from a file of their own, by id, or None.
        extra: names of further columns to carry along.
        run: how a pass over the parts is run (`calibtool.streaming.engines.engine.RunOptions`);
            None for threads of this process.
    """

    table: Reader
    roles: Roles
    choice: Choice
    side_labels: Array | None = None
    joined: Joined | None = None
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
    def unit(self) -> Unit | None:
        """The rows of the file, where each holds several predictions."""
        return unit_of(self.table)

    @property
    def rows(self) -> int:
        """N, from the file's metadata; counted by reading if rows or files can be left out."""
        if not self._omissions.none:
            return self._tally.rows
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

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was read, and on rows that were left out, with their number."""
        tally = () if self._omissions.none else self._tally.sentences()
        written = [f"{name}: {what}" for name, what in sorted(self._written.items())]
        return (*self.table.notes, *written, *tally)

    @cached_property
    def _omissions(self) -> Omissions:
        named = bool(self.roles.labels) and self.table.marks_unlabelled
        omissions = Omissions.of(self.choice, self.roles, self.joined, named=named)
        return replace(omissions, unlabelled=self.unit.unlabelled) if self.unit else omissions

    def column(self, name: str) -> Array:
        """Return a column of the rows that are kept, (N,)."""
        wanted = list(dict.fromkeys([*self._names, name]))
        blocks = self.table.blocks(wanted, TALLY_ROWS)
        kept = [b[name][self._omissions.reasons(b, len(b[name]))[0]] for b in blocks]
        return np.concatenate(kept)

    @cached_property
    def _written(self) -> dict[str, str]:
        """What values were written as, by column, as far as it is known."""
        return {}

    @cached_property
    def _tally(self) -> Tally:
        """What is left out of the rows, by reading the columns that decide it once."""
        tally = Tally()
        # a bad file is left out by the columns that will be read of it
        names = self._names if self.choice.skip_bad_files else self._omissions.columns()
        for columns in self.table.blocks(names, TALLY_ROWS):
            rows = len(columns[names[0]])
            keep, reasons = self._omissions.reasons(columns, rows)
            tally.rows += int(keep.sum())
            tally.left_out.update(reasons)
        for said in tally.sentences():
            LOG.warning("%s: %s", self.source, said)
        return tally

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
        some = False
        for block in self._validated(self.table.blocks(self._names, rows), whole=self.rows <= rows):
            some = True
            yield block
        if not some:
            raise InputError(f"{self.source}: there are no rows, where its header promises some")

    def parts(self) -> list[Part]:
        """Return all rows in parts that several workers can read at once, in file order."""
        self._require_rows(self.rows_at_most)
        return self.table.parts(self._names)

    def part_blocks(self, part: Part, rows: int) -> Iterator[Predictions]:
        """Yield validated predictions of a part, `rows` at a time; messages name file and row."""
        yield from self._validated(self.table.part_blocks(part, self._names, rows), part)

    @property
    def _names(self) -> list[str]:
        by = [self.joined.id] if self.joined else []
        return list(dict.fromkeys([*self.roles.columns(), *by, *self.extra]))

    def _require_rows(self, rows: int) -> None:
        if rows == 0:
            left = " that the filter keeps" if self.choice.filter else ""
            left += "".join(f" ({said})" for said in self.notes)
            raise InputError(f"{self.source}: there are no rows{left}; nothing can be measured")
        if self.side_labels is not None and len(self.side_labels) != rows:
            raise InputError(
                f"{self.choice.labels_file}: {len(self.side_labels):,} labels for {rows:,} "
                f"rows of {self.source}"
            )

    def _validated(
        self, blocks: Iterable[dict[str, Array]], part: Part | None = None, *, whole: bool = False
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
                locate=partial(self.table.place, part) if part else self.table.locate,
            )
            rows = len(columns[self.roles.values[0]])
            kept, place = self._only_kept(columns, place, rows)
            if len(kept[self.roles.values[0]]):
                extra = {name: kept[name] for name in self.extra}
                block = self._block(kept, place, start)
                yield replace(block, extra=extra, unit=self.unit, levels=self.choice.ordinal)
                del extra, block
            row, start = row + rows, start + rows
            del columns, kept  # not held while the next block is read

    def _only_kept(
        self, columns: dict[str, Array], place: Origin, rows: int
    ) -> tuple[dict[str, Array], Origin]:
        """Return the rows of a block that are kept, and their numbers."""
        if self._omissions.none:
            return columns, place
        keep, _ = self._omissions.reasons(columns, rows)
        if keep.all():
            return columns, place
        numbers = place.first_row + np.arange(rows) if place.numbers is None else place.numbers
        kept = {name: array[keep] for name, array in columns.items()}
        return kept, replace(place, numbers=numbers[keep])

    def load(self) -> Predictions:
        """Read the whole file as one `Predictions`; mapped values stay mapped.

        Raises InputError.
        """
        whole = next(self.blocks(max(self.rows_at_most, 1)))
        return replace(whole, notes=self.notes)

    def _block(self, columns: dict[str, Array], place: Origin, start: int) -> Predictions:
        roles = self.roles
        weights = columns[roles.weights] if roles.weights else None
        several = [self._numbers(columns[name], name, place) for name in roles.values]
        values = several[0] if len(several) == 1 else np.stack(several, axis=1)
        if roles.kind == "confidence":
            place = replace(place, labels=roles.correct or "correct")
            known = roles.correct or roles.predictions
            correct = self._correct(columns, place, start) if known else None
            self._require_no_percentages(values, place)
            return Predictions.from_confidence(values, correct, weights=weights, place=place)
        labels = self._labels(columns, start, place)
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

    def _numbers(self, values: Array, name: str, place: Origin) -> Array:
        """Return the values of a column as numbers: divided by `--scale`, or by 100 where they are
        percentages."""
        if values.dtype.kind == "U" and values.ndim:
            shares = written.share(values, name, place)
            before = self._written.get(name)
            if shares is not None or before is not None:
                if shares is None or before not in (None, PERCENT):
                    raise place.error(name, "some values have a %, and others have none")
                self._written[name] = PERCENT
                values = shares
            elif (plain := written.numbers(values)) is not None:
                values = plain
        if values.dtype.kind not in "fiub":
            numeric(values, name, place)
        if self.choice.scale is None:
            return values
        if self.roles.kind == "logits":
            raise UsageError("--scale divides probabilities and confidences; these are logits")
        if self._written.get(name) == PERCENT:
            raise UsageError(f"--scale: {place.source}: {name} holds percentages already")
        with np.errstate(over="ignore"):  # what becomes infinite is refused with its row
            return values / self.choice.scale

    def _require_no_percentages(self, values: Array, place: Origin) -> None:
        """Raise InputError for confidences from 0 to 100, which no value tells by itself."""
        # fmax leaves NaN out, and gives NaN where there is nothing else
        if values.ndim == 1 and values.size and 1 < np.fmax.reduce(values) <= HUNDRED:
            if np.fmin.reduce(values) < 0:
                return
            raise place.first(
                place.values,
                values > 1,
                values,
                "confidences are above 1",
                "if they are percentages, divide all of them with --scale 100",
            )

    def _labels(
        self, columns: dict[str, Array], start: int, place: Origin, *, words: bool = True
    ) -> Array | None:
        """Return the labels of a block whose first row is row `start` of the source; with `words`,
        yes and no of two classes without names as 1 and 0."""
        rows = len(columns[self.roles.values[0]])
        if self.side_labels is not None:
            return self.side_labels[start : start + rows]
        if self.joined is not None:
            found = self._found(self.joined, columns[self.joined.id], place)
        elif self.roles.labels:
            found = columns[self.roles.labels]
        else:
            return None
        named = self.choice.ordinal and self.roles.class_names
        if named and found.dtype.kind in "fiu" and found.ndim == 1:
            found = written.as_names(found)
        if found.dtype.kind != "U" or self.roles.class_names or not words or found.ndim != 1:
            return found
        if (ids := written.numbers(found)) is not None and not np.isnan(ids).any():
            return ids
        known = written.outcomes(found) if self.classes == 2 else None
        return found if known is None else known

    def _found(self, joined: Joined, ids: Array, place: Origin) -> Array:
        """Return the label of each row by its id."""
        at = joined.find(ids)
        if at.min(initial=0) < 0:
            row = int(np.argmin(at))
            raise InputError(
                f"{place.source}: {joined.id} {str(ids[row])!r} in {place.row(row)} has no label "
                f"in {joined.file}; leave out such rows with --join inner"
            )
        return joined.labels[at]

    def _correct(self, columns: dict[str, Array], place: Origin, start: int) -> Array:
        """Return the hits of a block: a column, or predictions compared with labels."""
        if self.roles.correct:
            right = columns[self.roles.correct]
            if right.dtype.kind != "U" or right.ndim != 1:
                return right
            known = written.outcomes(right)
            if known is None:
                words = [text.strip().lower() for text in right.tolist()]
                at = next(k for k, word in enumerate(words) if word not in written.WORDS)
                raise place.error(
                    self.roles.correct,
                    f"expected yes or no, true or false, 1 or 0, found {brief(right[at])!r} in "
                    f"{place.row(at)}"
                    + ("; leave such rows out with --drop-missing" if not words[at] else ""),
                )
            return known
        assert self.roles.predictions is not None
        predictions = columns[self.roles.predictions]
        labels = self._labels(columns, start, place, words=False)
        assert labels is not None
        # numpy answers False to 1 == "1", for every row
        numbers = [array.dtype.kind in "iufb" for array in (predictions, labels)]
        if numbers[0] != numbers[1]:
            raise place.error(
                self.roles.predictions,
                f"{predictions.dtype} predictions cannot be compared with {labels.dtype} labels",
            )
        return np.asarray(predictions == labels)
