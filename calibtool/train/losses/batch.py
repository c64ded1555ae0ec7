"""A batch as losses see it: the NLL of its labels, and their weights; hard labels and soft ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from calibtool.errors import UsageError

# Largest distance of the sum of soft labels from 1. bfloat16, which keeps 8 bits, rounds each by
# 2^-9 at most, and so their sum; labels with two ones, which are no soft labels, are off by 1.
SUM_OFF = 0.01


@dataclass(eq=False)
class Batch:
    """The rows of a batch. A row with the soft label t is K rows: label k with the weight t_k.

    Attributes:
        nll: -log p of the labels: (N), or with soft labels (N, K), of every class.
        labels: (N) class numbers, where nll is (N).
        weights: of each number of nll, 0 for ignored rows; None if every weight is 1.
        scores: log-probabilities with the classes as dimension 1; with sigmoid, the logits.
        sigmoid: which of the two `scores` is.
    """

    nll: Tensor
    labels: Tensor
    weights: Tensor | None
    scores: Tensor
    sigmoid: bool

    @property
    def soft(self) -> bool:
        """True if the labels are soft."""
        return self.nll.ndim == 2

    @property
    def log_p(self) -> Tensor:
        """(N, K) log-probabilities."""
        return _of_both(self.scores) if self.sigmoid else _as_rows(self.scores)

    def beside(self, values: Tensor) -> Tensor:
        """Return (N) values of rows in a shape that combines with `nll`."""
        return values[:, None] if self.soft else values

    def row_weights(self) -> Tensor:
        """Return the (N) weights of the rows."""
        if self.weights is None:
            return torch.ones_like(self.nll)
        return self.weights.sum(1) if self.soft else self.weights

    def weights_of(self, classes: Tensor) -> Tensor:
        """Return the (N) weights with which the labels are (N) classes; 0 if a hard one is not."""
        if self.weights is not None and self.soft:
            return self.weights.gather(1, classes[:, None])[:, 0]
        return self.row_weights() * (self.labels == classes)

    def confidences(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the (N) confidences, the weights of the rows, and the right part of each."""
        top, predicted = self.log_p.max(1)
        return top.exp(), self.row_weights(), self.weights_of(predicted)

    def class_sums(self) -> Tensor:
        """Return the (K) sums of the weights of each class."""
        if self.weights is not None and self.soft:
            return self.weights.sum(0)
        zeros = self.nll.new_zeros(2 if self.sigmoid else self.scores.shape[1])
        return zeros.index_add(0, self.labels, self.row_weights())


def of_classes(logits: Tensor, target: Tensor, ignored: int, class_weights: Tensor | None) -> Batch:
    """Return the batch of (N, K, ...) logits, and of (N, ...) labels or (N, K, ...) soft ones.

    Raises UsageError for shapes, labels or weights that do not fit.
    """
    soft = target.is_floating_point()
    shape = logits.shape
    if len(shape) < 2 or target.shape != (shape if soft else shape[:1] + shape[2:]):
        wanted = "(N, K) and (N, K)" if soft else "(N, K) and (N), or (N, K, ...) and (N, ...)"
        kind = "soft labels" if soft else "labels"
        raise UsageError(
            f"logits of shape {tuple(shape)} and {kind} of shape {tuple(target.shape)}: "
            f"they must be {wanted}; labels that are numbers of classes must be integers"
        )
    classes = shape[1]
    if class_weights is not None and class_weights.shape != (classes,):
        raise UsageError(f"{len(class_weights)} class weights for {classes} classes")
    scores = torch.log_softmax(logits, 1)
    if soft:
        shares = _as_rows(target).to(scores)
        _check_shares(shares)
        weights = shares if class_weights is None else shares * class_weights
        return Batch(-_as_rows(scores), target, weights, scores, False)
    y = target.long()
    counted = _counted(y, classes, ignored)
    y = y if counted is None else torch.where(counted, y, 0)
    nll, labels = functional.nll_loss(scores, y, reduction="none"), y
    if y.ndim > 1:
        nll, labels = nll.reshape(-1), y.reshape(-1)
    if counted is None and class_weights is None:
        return Batch(nll, labels, None, scores, False)
    of_labels = None if class_weights is None else class_weights[labels]
    return Batch(nll, labels, _both_weights(counted, of_labels, nll), scores, False)


def of_logits(logits: Tensor, target: Tensor, ignored: int, class_weights: Tensor | None) -> Batch:
    """Return the batch of logits of 1 against 0, and of labels 0 and 1 or shares of 1.

    Raises UsageError for shapes, labels or weights that do not fit.
    """
    if logits.shape != target.shape:
        raise UsageError(
            f"logits of shape {tuple(logits.shape)} and labels of shape {tuple(target.shape)}: "
            "with sigmoid they must be the same"
        )
    z = logits.reshape(-1)
    rows = None if class_weights is None else _per_label(class_weights, logits.shape)
    if target.is_floating_point():
        t = target.reshape(-1).to(z)
        known = t != ignored
        t = torch.where(known, t, 0)
        if _reads(t) and not ((t >= 0) & (t <= 1)).all():
            raise UsageError("with sigmoid, labels must lie between 0 and 1: shares of class 1")
        shares = torch.stack([1 - t, t], dim=1) * known[:, None]
        weights = shares if rows is None else shares * rows
        return Batch(-_of_both(z), target, weights, z, True)
    y = target.reshape(-1).long()
    counted = _counted(y, 2, ignored)
    y = y if counted is None else torch.where(counted, y, 0)
    nll = -functional.logsigmoid(torch.where(y == 1, z, -z))
    of_labels = None if rows is None else rows.expand(len(y), 2).gather(1, y[:, None])[:, 0]
    return Batch(nll, y, _both_weights(counted, of_labels, nll), z, True)


def _per_label(class_weights: Tensor, shape: torch.Size) -> Tensor:
    """Return (1, 2) or (N, 2) weights of 0 and 1 for logits of a shape, label by label."""
    if class_weights.ndim == 1:
        return class_weights[None]
    if len(shape) < 2 or shape[1] != len(class_weights):
        raise UsageError(
            f"class weights of {len(class_weights)} labels for logits of shape {tuple(shape)}: "
            "the labels must be dimension 1"
        )
    label = torch.arange(shape[1], device=class_weights.device)
    return class_weights[label.reshape(-1, *[1] * (len(shape) - 2)).expand(shape).reshape(-1)]


def _as_rows(values: Tensor) -> Tensor:
    """Return (N, K, ...) values as rows (N, K)."""
    if values.ndim == 2:
        return values
    return values.movedim(1, -1).reshape(-1, values.shape[1])


def _of_both(z: Tensor) -> Tensor:
    """Return the (N, 2) log-probabilities of 0 and 1 for (N) logits."""
    return torch.stack([functional.logsigmoid(-z), functional.logsigmoid(z)], dim=1)


def _both_weights(counted: Tensor | None, of_labels: Tensor | None, like: Tensor) -> Tensor | None:
    """Return the (N) weights of rows that count or not and have the weights of their labels."""
    if counted is None:
        return of_labels
    ones = counted.reshape(-1).to(like.dtype)
    return ones if of_labels is None else ones * of_labels


def _reads(values: Tensor) -> bool:
    """Return True if reading values costs nothing: on the CPU, and not while compiling.

    An accelerator would be waited for at every step, and a compiled graph would break in two.
    """
    return values.is_cpu and not torch.compiler.is_compiling()


def _counted(y: Tensor, classes: int, ignored: int) -> Tensor | None:
    """Return which labels are not ignored; None if it is known that none is ignored.

    Raises UsageError for a label outside [0, classes) where labels are read; elsewhere torch fails
    on it.
    """
    if not _reads(y) or not y.numel():
        return y != ignored
    least, most = torch.aminmax(y)
    low, high = int(least), int(most)
    if 0 <= low <= high < classes and not low <= ignored <= high:
        return None
    counted = y != ignored
    wrong = y[counted & ((y < 0) | (y >= classes))]
    if len(wrong):
        raise UsageError(
            f"label {int(wrong[0])} is not in 0 to {classes - 1} ({len(wrong)} such rows)"
        )
    return counted


def _check_shares(shares: Tensor) -> None:
    """Check that (N, K) soft labels are shares that sum to 1, where they are read."""
    if not _reads(shares):
        return
    wrong = ~((shares >= 0).all(1) & ((shares.sum(1) - 1).abs() <= SUM_OFF))
    if wrong.any():
        row = int(wrong.nonzero()[0, 0])
        raise UsageError(
            f"soft labels must be 0 or more and sum to 1, unlike those of row {row} "
            f"({int(wrong.sum())} such rows); labels that do not exclude one another belong to "
            "sigmoid=True"
        )
