"""What a library is given, and what is read off it once for all of its numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from calibtool.types import Array

DEFAULT_BINS = 15
Of: TypeAlias = Callable[..., float]


class LibraryInput:
    """What a library is given: P(class 1), (N,), or rows of K classes, (N, K), and labels."""

    def __init__(self, probs: ArrayLike, labels: ArrayLike) -> None:
        self.probs, self.labels = np.asarray(probs), np.asarray(labels)

    @cached_property
    def rows(self) -> Array:
        """A column for each class."""
        p = self.probs
        return np.stack([1 - p, p], axis=1) if p.ndim == 1 else p

    @cached_property
    def predicted(self) -> Array:
        """The class of the highest probability, the first among equals."""
        return self.rows.argmax(axis=1)

    @cached_property
    def top(self) -> tuple[Array, Array]:
        """The confidence of the predicted class, and whether it is the label."""
        rows = self.rows
        return rows[np.arange(len(rows)), self.predicted], self.predicted == self.labels

    @cached_property
    def columns(self) -> Array:
        """The rows with a class's scores side by side."""
        return np.ascontiguousarray(self.rows.T)

    @cached_property
    def few(self) -> bool:
        """Whether at most two distinct labels occur."""
        return len(np.unique(self.labels)) <= 2


def in_order(given: LibraryInput) -> LibraryInput:
    """The same rows, those of one column by score: bins of ordered scores are soon found. Of more
    columns the rows stay, and `top` alone is ordered."""
    if given.probs.ndim == 1:
        order = np.argsort(given.probs, kind="stable")
        return LibraryInput(given.probs[order], given.labels[order])
    found = LibraryInput(given.probs, given.labels)
    confidence, correct = given.top
    order = np.argsort(confidence, kind="stable")
    found.top = confidence[order], correct[order]
    return found
