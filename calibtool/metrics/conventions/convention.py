"""Records: a number of a library, what a library does, and what comes back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.inputs import DEFAULT_BINS, LibraryInput, Of
from calibtool.metrics.conventions.views import FIRST, VIEWS
from calibtool.types import Array


@dataclass(frozen=True)
class LibraryMetric:
    """One number of a library, a function of probabilities and labels.

    Attributes:
        of: the number of the scores and outcomes of a view, or, with `whole`, of the
            probabilities and labels as they are; its keyword-only arguments are options.
        one, rows: the view taken of P(class 1) alone, and of rows of K columns; "" where the
            library takes none such.
        note: what a user may not expect.
    """

    of: Of
    one: str = "positive"
    rows: str = "top"
    note: str = ""
    whole: bool = False

    def __call__(self, probs: ArrayLike, labels: ArrayLike, **options: float) -> float:
        """Return the library's number: for P(class 1), (N,), or rows of K classes, (N, K).

        >>> LibraryMetric(lambda score, outcome: (score - outcome).mean())([0.25, 0.75], [1, 1])
        -0.5
        """
        return self.measure(LibraryInput(probs, labels), **options)

    def measure(self, given: LibraryInput, **options: float) -> float:
        """As a call, of what others are given too."""
        of, view = partial(self.of, **options), self.view(given.probs)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            whole = self.whole
            return float(of(given.probs, given.labels) if whole else VIEWS[view](of, given))

    def view(self, probs: Array) -> str:
        """Return the name of the view taken."""
        columns = 1 if probs.ndim == 1 else probs.shape[1]
        view = self.one if columns == 1 else self.rows
        if view == FIRST:
            view = "positive" if columns <= 2 else "top"
        if not view or (view == "positive" and columns > 2):
            raise NotAvailableError(
                f"takes no {'one column' if columns == 1 else f'{columns} classes'}"
            )
        return view

    def takes(self, option: str) -> bool:
        """Whether it has an option of this name."""
        return option in inspect.signature(self.of).parameters


@dataclass(frozen=True)
class Convention:
    """What a library does.

    Attributes:
        name: of `--as`.
        title, version: the library, and where it was read.
        source: the file that says so.
        rule: of its ECE, in words.
        note: what it does differently.
        metrics: its numbers, by the names its users know.
        bins: its own default.
        ece: which of `metrics` is its ECE.
    """

    name: str
    title: str
    version: str
    source: str
    rule: str
    note: str
    metrics: Mapping[str, LibraryMetric] = field(repr=False)
    bins: int = DEFAULT_BINS
    ece: str = "ece"


@dataclass(frozen=True)
class LibraryValue:
    """A library's number; None where it gives none, and the note says why."""

    library: str
    metric: str
    value: float | None
    view: str
    note: str = ""


@dataclass(frozen=True)
class LibraryRange:
    """The ECE of one library: at 15 bins, and its least and greatest over numbers of bins."""

    library: str
    rule: str
    view: str
    value: float | None
    low: float | None
    high: float | None
