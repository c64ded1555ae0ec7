"""The tree of errors. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, SupportsInt


class CalibtoolError(Exception):
    """An error that a user can fix; the command line prints it and exits with 2."""


class InputError(CalibtoolError):
    """A file, a key or a row of the input is not as expected."""


class UnreadableError(InputError):
    """A file cannot be read: damaged, truncated, deleted, or without a column that is needed.

    Attributes:
        file: its name in messages.
        reason: why it cannot be read.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class NoScoresError(InputError):
    """A file has no logits, probabilities or confidences.

    Attributes:
        outcomes: the open table, if its column "correct" says which rows are right; or None.
        filter: the condition on its rows, as the user wrote it; "" for all.
    """

    def __init__(self, message: str, outcomes: Any = None, condition: str = "") -> None:
        super().__init__(message)
        self.outcomes = outcomes
        self.filter = condition


class UsageError(CalibtoolError):
    """An option, a metric's spec or a requirement cannot be understood or cannot be met."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM: what Ctrl-C does, with another exit code."""


class ClusterError(CalibtoolError):
    """A cluster does not answer, or its workers cannot do the work."""


class NotAvailableError(CalibtoolError):
    """The data lack what a metric or a calibrator needs, such as whole probability rows."""


class TrainingError(CalibtoolError):
    """Training cannot continue: the loss or the outputs of a network are no longer finite."""


class FitError(CalibtoolError):
    """A calibrator has no finite optimum on these data, or the fit did not reach it."""


MOST_ECHOED = 60  # characters of the input in a message: the line it stands in stays readable


def brief(text: str, most: int = MOST_ECHOED) -> str:
    """Return what was typed, or read, for a message: long text without its middle.

    >>> brief("ece(bins=20)"), brief("a" * 40 + "b" * 40)
    ('ece(bins=20)', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa...bbbbbbbbbbbbbbbbbbbbbbbbbbbb')
    """
    if len(text) <= most:
        return text
    end = (most - 3) // 2
    return f"{text[: most - 3 - end]}...{text[-end:]}"


def echo(text: object) -> str:
    """Return `brief` text in quotes, what cannot be printed as escapes.

    >>> echo("a\\nb"), echo(3)
    ("'a\\\\nb'", "'3'")
    """
    return repr(brief(str(text)))


def row_name(number: SupportsInt) -> str:
    """Return what messages call a row by its number, where a file has no lines.

    >>> row_name(3)
    'row 3 (counting from 0)'
    """
    return f"row {int(number)} (counting from 0)"


# why a metric is not available from confidences alone
WHOLE_ROWS = "needs whole probability rows"


def near(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: similar known names, else all of them."""
    close = difflib.get_close_matches(brief(name), list(known), n=3)
    listed = ", ".join(close or list(known))
    return f"; did you mean {listed}?" if close else f"; expected one of {listed}"
