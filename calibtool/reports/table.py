"""A table: what any result shows, before it has a format.

Each result has one module in this package whose `table` makes one of these; each format has one
whose `render` turns it into text. `render.py` lists both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, TypeVar

from calibtool.formatting import printable

T = TypeVar("T")

# The meaning of a cell, a row or a note. Each format shows it in its own way, such as in colour.
Tone: TypeAlias = Literal["", "good", "bad", "unclear", "best", "alarm", "quiet", "warning"]
WORDS = ("note", "view", "file", "slice")  # titles of columns that hold words, not numbers


@dataclass(frozen=True)
class Note:
    """A paragraph below a table."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Finding:
    """A requirement and its verdict, as a CI system annotates them.

    Attributes:
        name: the requirement, such as "ece <= 0.03".
        subject: what is required of, such as "ece".
        decision: what the verdict counts as.
        word: the verdict in words.
        message: the verdict in a line that stands alone.
        source: the predictions.
        file, line: where the requirement is written.
    """

    name: str
    subject: str
    decision: Literal["pass", "fail", "inconclusive"]
    word: str
    message: str
    source: str
    file: str
    line: int


@dataclass(frozen=True)
class Table:
    """The content of a result, before it has a format.

    Its texts are exact: names are as files have them. Formats of text show its `printable` form, in
    which only `Lines` have line breaks.

    Attributes:
        kind: the format of the JSON document, such as "calibtool-tests".
        head: a line above.
        titles, cells: of the table for people.
        records: the same for machines, nothing rounded: the rows of csv and of a data frame.
        key: what the records are called in JSON; "" where `body` is the whole document.
        notes: paragraphs below.
        body: the rest of the JSON document.
        tones: of cells, by row and column; column None for the whole row.
        lead: paragraphs between head and table.
        columns: of the records; () for those of the first record.
        left: titles of columns aligned left, as the first column always is.
        wraps: titles of columns that may break into lines; None for words and intervals.
        more: further tables of the same result, shown below. Their records and bodies are unused.
        paper: the same result as a table for a paper, where that differs; for LaTeX.
        decimals: whether LaTeX aligns the numbers at their decimal points, by siunitx.
        findings, summary: for CI systems: the verdicts of a gate, and all of them in one line.
    """

    kind: str
    head: str
    titles: Sequence[str]
    cells: Sequence[Sequence[str]]
    records: Sequence[Mapping[str, Any]]
    key: str
    notes: Sequence[str | Note] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    tones: Mapping[tuple[int, int | None], Tone] = field(default_factory=dict)
    lead: Sequence[str] = ()
    columns: Sequence[str] = ()
    left: Sequence[str] = WORDS
    wraps: Sequence[str] | None = None
    more: Sequence[Table] = ()
    paper: Table | None = None
    decimals: bool = False
    findings: Sequence[Finding] = ()
    summary: str = ""

    def paragraphs(self) -> list[Note]:
        """Return the notes, each with its tone."""
        return [Note(note) if isinstance(note, str) else note for note in self.notes]

    def fields(self) -> list[str]:
        """Return the names of the records' fields."""
        return list(self.columns or (self.records[0] if self.records else ()))

    def printable(self) -> Table:
        """Return the same table with printable texts; records and `body` stay exact."""
        paper = self.paper
        return replace(
            self,
            head=printable(self.head),
            titles=[printable(title) for title in self.titles],
            cells=[[printable(cell) for cell in row] for row in self.cells],
            notes=[_printable(note) for note in self.paragraphs()],
            lead=[printable(text) for text in self.lead],
            left=[printable(title) for title in self.left],
            wraps=None if self.wraps is None else [printable(title) for title in self.wraps],
            more=[part.printable() for part in self.more],
            paper=None if paper is None else paper.printable(),
            findings=[_printable(finding) for finding in self.findings],
            summary=printable(self.summary),
        )


def _printable(record: T) -> T:
    """Return a note or a finding with printable texts."""
    values = {part.name: getattr(record, part.name) for part in fields(record)}  # type: ignore[arg-type]
    texts = {name: printable(value) for name, value in values.items() if isinstance(value, str)}
    return replace(record, **texts)  # type: ignore[type-var]
