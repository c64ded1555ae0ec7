"""What a reader of logs is given, and what it returns.

A log is a file that another tool wrote: records with parts of their own, of which predictions have
to be made. A reader turns it into named columns that are called by the roles they have (logits,
probs, confidence; labels, correct), beside everything that rows can be grouped or filtered by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

from calibtool.data.files.roles import Choice
from calibtool.data.logs import records
from calibtool.errors import UnreadableError

HEAD = 1 << 16  # bytes by which a format is recognised: some records, or the keys of a document
MISSING = "missing"  # a label or prediction that is not there, in the counts of what is left out


@dataclass(frozen=True)
class LogFile:
    """One file of a log.

    Attributes:
        shown: what messages call it.
        path: its path; on this machine unless `stream` says otherwise.
        suffix: its last suffix but that of a compression, in lower case: ".jsonl".
        stream: opens it and decompresses it.
        skip_bad: whether lines that cannot be read are left out.
        bad: the number of each line that was left out, with the reason.
    """

    shown: str
    path: str
    suffix: str
    stream: Callable[[], IO[bytes]]
    skip_bad: bool = False
    bad: dict[int, str] = field(default_factory=dict, compare=False)

    @cached_property
    def head(self) -> bytes:
        """The first HEAD bytes, decompressed; fewer if the file is shorter."""
        with self.stream() as file:
            return file.read(HEAD)

    @cached_property
    def first(self) -> Any:
        """The first record of JSON lines; None if the first line is not one."""
        return records.first_line(self.head)

    @cached_property
    def document(self) -> Any:
        """The whole file as one JSON value. Raises UnreadableError for anything else."""
        with self.stream() as file:
            return records.document(file.read(), self.shown)

    def records(self) -> Iterator[tuple[int, Any]]:
        """Yield the JSON values of the lines with the number of each, counting from 1.

        Blank lines are passed over. Raises UnreadableError, which names the line, unless such
        lines are left out.
        """
        with self.stream() as file:
            yield from records.lines(file, self.shown, self.bad if self.skip_bad else None)

    def fail(self, line: int, reason: str) -> UnreadableError:
        """Return the error of a line, to be raised."""
        return UnreadableError(self.shown, f"line {line:,}: {reason}")


@dataclass(frozen=True)
class Log:
    """The rows of a log.

    Attributes:
        columns: values by name, all of one length: lists of Python's values, or arrays of n rows.
            A role is told by the name of its column: "logits" or "probs" (n, K), or "confidence";
            "labels" or "correct" (None where there is no label yet, for `--labels-file`).
        classes: K names, if the rows have classes with names; labels are then 0 to K-1.
        left_out: what was left out, with its count: {"refusals": 9}.
        notes: further sentences that the user has to know.
    """

    columns: Mapping[str, Any]
    classes: tuple[str, ...] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogFormat:
    """A format of logs: one line of the table in `table.py`.

    Attributes:
        name: for `--reader`.
        title: what `inspect` calls it.
        suffixes: of its files, but those of a compression.
        recognise: whether a file is of this format, by its head; never raises.
        read: reads the files of a log, in order. Raises InputError and UsageError.
        options: names of options of reading (fields of `Choice`) that only this format and others
            like it know.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    recognise: Callable[[LogFile], bool]
    read: Callable[[Sequence[LogFile], Choice], Log]
    options: tuple[str, ...] = ()
