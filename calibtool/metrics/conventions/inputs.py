"""The input of a library, and the values of it that several of its metrics need."""

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
    """P(class 1), (N,), or rows of K classes, (N, K), and labels, (N,).

    Values that several metrics need are computed once.
    """

    def __init__(self, probs: ArrayLike, labels: ArrayLike) -> None:
        """Take the probabilities and labels."""
        self.probs, self.labels = np.asarray(probs), np.asarray(labels)

    @cached_property
    def rows(self) -> Array:
        """The probabilities with one column per class, (N, K)."""
        p = self.probs
        return np.stack([1 - p, p], axis=1) if p.ndim == 1 else p

    @cached_property
    def predicted(self) -> Array:
        """The class of the highest probability, the first of ties, (N,)."""
        return self.rows.argmax(axis=1)

    @cached_property
    def top(self) -> tuple[Array, Array]:
        """The confidence of the predicted class, and whether it is the label."""
        rows = self.rows
        return rows[np.arange(len(rows)), self.predicted], self.predicted == self.labels

    @cached_property
    def columns(self) -> Array:
        """The rows transposed, (K, N), with the scores of a class adjacent in memory."""
        return np.ascontiguousarray(self.rows.T)

    @cached_property
    def few(self) -> bool:
        """True if at most two distinct labels occur."""
        return len(np.unique(self.labels)) <= 2


def in_order(data: LibraryInput) -> LibraryInput:
    """Return the same input with its scores sorted, which makes every search for a bin faster.

    One column is sorted with its labels. Rows of several columns stay in file order, and only `top`
    is sorted.
    """
    if data.probs.ndim == 1:
        order = np.argsort(data.probs, kind="stable")
        return LibraryInput(data.probs[order], data.labels[order])
    ordered = LibraryInput(data.probs, data.labels)
    confidence, correct = data.top
    order = np.argsort(confidence, kind="stable")
    ordered.top = confidence[order], correct[order]  # in place of the cached property
    return ordered
