"""Convention: how a library defines its metrics; and the records of its values."""

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
    """A metric of a library, a function of probabilities and labels.

    Attributes:
        of: of(scores, outcomes) of a view or, with `whole`, of(probs, labels), to a number; its
            keyword-only arguments are options.
        one, rows: the view taken of P(class 1) alone, and of rows of K columns; "" where the
            library does not accept them.
        note: what a user may not expect.
        whole: True where `of` takes probabilities and labels instead of a view.
    """

    of: Of
    one: str = "positive"
    rows: str = "top"
    note: str = ""
    whole: bool = False

    def __call__(self, probs: ArrayLike, labels: ArrayLike, **options: float) -> float:
        """Return the library's number for P(class 1), (N,), or rows of K classes, (N, K).

        >>> LibraryMetric(lambda score, outcome: (score - outcome).mean())([0.25, 0.75], [1, 1])
        -0.5
        """
        return self.measure(LibraryInput(probs, labels), **options)

    def measure(self, data: LibraryInput, **options: float) -> float:
        """Return the library's number for an input that is shared with other metrics.

        Raises NotAvailableError where the library does not accept the input.
        """
        of, view = partial(self.of, **options), self.view(data.probs)
        # libraries return inf and nan with warnings; here they are values
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            whole = self.whole
            return float(of(data.probs, data.labels) if whole else VIEWS[view](of, data))

    def view(self, probs: Array) -> str:
        """Return the name of the view taken of `probs`; raise NotAvailableError without one."""
        columns = 1 if probs.ndim == 1 else probs.shape[1]
        view = self.one if columns == 1 else self.rows
        if view == FIRST:
            view = "positive" if columns <= 2 else "top"
        if not view or (view == "positive" and columns > 2):
            raise NotAvailableError(
                f"does not accept {'one column' if columns == 1 else f'{columns} classes'}"
            )
        return view

    def takes(self, option: str) -> bool:
        """Return whether the metric has an option of this name."""
        return option in inspect.signature(self.of).parameters


@dataclass(frozen=True)
class Convention:
    """The metrics of a library, and how it defines them.

    Attributes:
        name: the value of `--as`.
        title, version: the library, and the version that was read.
        source: the files in which the definitions stand.
        rule: the bins of its ECE, in words.
        note: what it does differently from other libraries.
        metrics: its metrics, by the names that its users know.
        bins: its default number of bins.
        ece: the name of its ECE in `metrics`; "" where its number of bins is no option, so that it
            is not compared with others'.
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
    """A library's number; `value` is None where it gives none, and `note` says why."""

    library: str
    metric: str
    value: float | None
    view: str
    note: str = ""


@dataclass(frozen=True)
class LibraryRange:
    """The ECE of one library: with 15 bins, and its smallest and largest over numbers of bins."""

    library: str
    rule: str
    view: str
    value: float | None
    low: float | None
    high: float | None
