"""Which rows of a file are kept: those that have a score, a label and a partner, and what is said
of the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from calibtool.data.files.join import Joined
from calibtool.data.files.roles import Choice, Roles
from calibtool.data.written import IGNORED, missing, numbers
from calibtool.types import Array

_PLURAL = re.compile(r"(?<=\w)s\b")  # of the first word that has one
UNLABELLED = -1  # the label of Hugging Face's ClassLabel for a row that has none


@dataclass(eq=False)
class Omissions:
    """The rule by which rows are kept.

    Attributes:
        roles: which column has which role.
        drop_missing: whether rows without a value are left out; otherwise they are an error later.
        ignored: labels that mark rows which are not to be measured.
        joined: labels from another file, or None.
        unlabelled: what rows with the label UNLABELLED are called, in the plural, or "".
    """

    roles: Roles
    drop_missing: bool = False
    ignored: tuple[int, ...] = ()
    joined: Joined | None = None
    unlabelled: str = ""

    @staticmethod
    def of(choice: Choice, roles: Roles, joined: Joined | None, *, named: bool) -> Omissions:
        """Return the rule; `named`: whether the file itself names the classes of its labels."""
        ignored: tuple[int, ...] = ()
        if (roles.labels or "").lower() == "label_ids" or choice.drop_missing:
            ignored = (IGNORED,)
        if named or choice.drop_missing:
            ignored = (*ignored, UNLABELLED)
        ignored = tuple(dict.fromkeys([*ignored, *choice.ignore]))
        return Omissions(roles, choice.drop_missing, ignored, joined)

    @property
    def none(self) -> bool:
        """Whether no row can be left out."""
        inner = self.joined is not None and self.joined.inner
        return not (self.drop_missing or self.ignored or inner)

    def columns(self) -> list[str]:
        """Return the columns that decide which rows are kept."""
        roles = self.roles
        named = [self.joined.id] if self.joined else []
        if self.drop_missing:
            named += roles.columns()
        elif roles.labels and self.ignored:
            named.append(roles.labels)
        return list(dict.fromkeys(named))

    def reasons(self, columns: Mapping[str, Array], rows: int) -> tuple[Array, Counter[str]]:
        """Return which rows of a block are kept, (n,) bool, and the reasons for the others."""
        keep, found = np.ones(rows, dtype=bool), Counter[str]()
        for bad, reason in self._tests(columns, rows):
            fresh = bad & keep
            if fresh.any():
                found[reason] += int(fresh.sum())
                keep &= ~fresh
        return keep, found

    def _tests(self, columns: Mapping[str, Array], rows: int) -> Iterable[tuple[Array, str]]:
        roles, labels = self.roles, columns.get(self.roles.labels or "")
        if self.joined is not None:
            at = self.joined.find(columns[self.joined.id])
            labels = self.joined.labels[at]  # of a row without a partner, which is left out: any
            if self.joined.inner:
                yield at < 0, f"rows without a label in {self.joined.file}"
            if self.drop_missing and len(self.joined.labels):
                yield missing(self.joined.labels)[at] & (at >= 0), "rows without a label"
        if self.drop_missing:
            what = "confidence" if roles.kind == "confidence" else "score"
            for name in roles.values:
                yield missing(columns[name]), f"rows without a {what}"
            for name in filter(None, (roles.labels, roles.correct, roles.predictions)):
                what = "an outcome" if name == roles.correct else "a label"
                yield missing(columns[name]), f"rows without {what}"
            if roles.weights:
                yield missing(columns[roles.weights]), "rows without a weight"
        ids = None if labels is None or not self.ignored else self._ids(labels)
        if ids is not None:
            first = ids.reshape(rows, -1)[:, :1]  # none, where lists are empty
            for label in self.ignored:
                called = self.unlabelled if label == UNLABELLED else ""
                found = (first == label).any(axis=1)
                yield found, called or f"rows with the label {label}"

    def _ids(self, labels: Array) -> Array | None:
        """Return labels as numbers; None for names."""
        if labels.dtype.kind == "U" and labels.ndim == 1 and not self.roles.class_names:
            return numbers(labels)
        return labels if labels.dtype.kind in "iuf" else None


@dataclass
class Tally:
    """What was left out, and what else is said of a file, by reading it once."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def sentences(self) -> tuple[str, ...]:
        """Return what was left out, as a sentence; nothing if nothing was."""
        return (left_out(self.left_out),) if self.left_out else ()


def left_out(counts: Mapping[str, int]) -> str:
    """Return a sentence on what was left out, with counts.

    >>> left_out({"refusals": 9, "rows without a label": 1})
    'left out: 9 refusals, 1 row without a label'
    """
    named = (
        f"{count:,} {reason if count > 1 else _PLURAL.sub('', reason, count=1)}"
        for reason, count in counts.items()
    )
    return f"left out: {', '.join(named)}"
