"""The one tree of errors. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CalibtoolError(Exception):
    """Something a user can put right; the command line prints it and exits with 2."""


class InputError(CalibtoolError):
    """The data are not what they should be: a file, a key, a row."""


class UnreadableError(InputError):
    """A file cannot be read: damaged, truncated, vanished, or without a column that is needed.

    `file` is what messages call it.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class UsageError(CalibtoolError):
    """An option, a metric's spec or a requirement cannot be understood or cannot be met."""


class ClusterError(CalibtoolError):
    """A cluster does not answer, or its workers are not what they have to be."""


class NotAvailableError(CalibtoolError):
    """The data lack what a metric or a calibrator needs (a whole probability row, say)."""


class TrainingError(CalibtoolError):
    """A network cannot be trained on: its loss or its outputs are no longer numbers."""


class FitError(CalibtoolError):
    """A calibrator has no finite optimum on these data, or did not reach it."""


def near(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name."""
    close = difflib.get_close_matches(name, list(known), n=3)
    listed = ", ".join(close or list(known))
    return f"; did you mean {listed}?" if close else f"; there are {listed}"
