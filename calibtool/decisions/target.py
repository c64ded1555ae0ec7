"""Target: what a threshold has to promise, such as "accuracy >= 0.95" or "risk <= 5 %"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from calibtool.decisions.limit import PATTERN, limit_of
from calibtool.errors import UsageError, near

_TARGET = re.compile(PATTERN, re.DOTALL)
Accepts = Literal["confident", "high", "low"]


class Subject(NamedTuple):
    """What a target can be about.

    Attributes:
        relation: the side on which it is limited.
        accepts: the rows that are accepted: those with a high confidence, or those with a high or
            a low P(class 1) of two classes.
        of: what its share of losses is a share of, in words.
        loss: what a loss is, in words: the verb of "of the rows that are accepted, at most 5 %".
    """

    relation: str
    accepts: Accepts
    of: str
    loss: str


SUBJECTS = {
    "accuracy": Subject(">=", "confident", "the rows that are accepted", "are wrong"),
    "risk": Subject("<=", "confident", "the rows that are accepted", "are wrong"),
    "cost": Subject("<=", "confident", "the rows that are accepted", "cost"),
    "precision": Subject(">=", "high", "the rows that are flagged", "are not of class 1"),
    "recall": Subject(">=", "high", "the rows of class 1", "are not flagged"),
    "npv": Subject(">=", "low", "the rows that are cleared", "are of class 1"),
}


@dataclass(frozen=True)
class Target:
    """A subject and its limit.

    Attributes:
        name: a key of SUBJECTS.
        limit: the least accuracy, precision, recall or NPV; the largest risk or cost.
    """

    name: str
    limit: float

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return SUBJECTS[self.name]

    @property
    def text(self) -> str:
        """The target as it is written."""
        return f"{self.name} {self.subject.relation} {self.limit:g}"

    @property
    def upper(self) -> bool:
        """Whether the limit is an upper one."""
        return self.subject.relation == "<="

    @property
    def risk(self) -> float:
        """The largest mean loss.

        >>> round(parse_target("accuracy >= 95 %").risk, 9)
        0.05
        """
        return self.limit if self.upper else 1 - self.limit

    def value(self, loss: float) -> float:
        """Return the subject at a mean loss; the mean loss at a value is the same function."""
        return loss if self.upper else 1 - loss


def parse_target(text: str) -> Target:
    """Parse a target. Raises UsageError for one that cannot be understood, or met, or missed.

    >>> parse_target("risk <= 5 %")
    Target(name='risk', limit=0.05)
    """
    written = f"target {text!r}"
    match = _TARGET.fullmatch(text)
    if not match:
        raise UsageError(
            f"{written} must have the form NAME >= NUMBER or NAME <= NUMBER, such as "
            "'accuracy >= 0.95' or 'risk <= 5 %'"
        )
    name, relation, number, percent = match.groups()
    if name not in SUBJECTS:
        raise UsageError(f"{written}: there is no target {name!r}{near(name, SUBJECTS)}")
    wanted = SUBJECTS[name].relation
    if relation != wanted:
        raise UsageError(f"{written}: {name} is limited by {wanted}; write '{name} {wanted} ...'")
    limit = limit_of(number, percent, written)
    if name == "cost":
        return Target(name, limit)  # its range is that of the costs, which are read later
    if not 0 < limit < 1:
        meant = f"; did you mean {number} %?" if not percent and 1 < limit < 100 else ""
        raise UsageError(
            f"{written}: must lie between 0 and 1, both excluded: no number of rows proves that "
            f"there is never an error{meant}"
        )
    return Target(name, limit)
