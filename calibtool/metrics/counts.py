"""Metrics of class counts: macro F1, and skill scores, which compare with the class shares."""

from __future__ import annotations

import numpy as np

from calibtool.metrics import proper
from calibtool.metrics.cells import quotient
from calibtool.metrics.kinds import CountMetric, Counts
from calibtool.types import Array


def macro_f1(counts: Counts) -> Array:
    """Return the mean of 2 TP / (2 TP + FP + FN) over the classes that occur.

    A class occurs if it is the label or the prediction of a row (Opitz & Burst 2019, eq. 2;
    scikit-learn).

    >>> half = np.array([0.5, 0.5])
    >>> float(macro_f1(Counts(half, half, half, np.zeros(()))))
    1.0
    """
    total = counts.label + counts.predicted
    seen = total > 0
    f1 = np.divide(2 * counts.correct, total, out=np.zeros_like(total), where=seen)
    return np.asarray(f1.sum(axis=-1) / seen.sum(axis=-1))


def normalised_cross_entropy(counts: Counts) -> Array:
    """Return the NLL divided by the entropy of the class shares (Ferrer & Ramos 2025).

    1 for a classifier that always predicts the shares; NaN with labels of one class.

    >>> half = np.array([0.5, 0.5])
    >>> float(normalised_cross_entropy(Counts(half, half, half, np.log(2))))
    1.0
    """
    return quotient(counts.mean, entropy(counts.label))


def nll_skill(counts: Counts) -> Array:
    """Return 1 - NLL / entropy of the class shares: 0 for the shares, 1 for certainty."""
    return 1 - quotient(counts.mean, entropy(counts.label))


def brier_skill(counts: Counts) -> Array:
    """Return 1 - Brier score / that of the class shares (Murphy 1973; Wilks 2011, sec. 8.4).

    Both have the same scale, which cancels.

    >>> half = np.array([0.5, 0.5])
    >>> float(brier_skill(Counts(half, half, half, np.array(0.125), two_classes=True)))
    0.5
    """
    sums = 1 - (counts.label**2).sum(axis=-1)
    return 1 - quotient(counts.mean, sums / 2 if counts.two_classes else sums)


def entropy(shares: Array) -> Array:
    """Return the entropy of shares, in nats, over the last axis."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=-1))


SKILL: tuple[CountMetric, ...] = (
    CountMetric(
        "nce",
        "Normalised cross-entropy",
        "NLL / entropy of the class shares; below 1 is better than the shares alone",
        "Ferrer & Ramos 2025",
        normalised_cross_entropy,
        rows=proper.nll,
        ideal=0,
        least=0,
        sees="NLL on a scale where 1 is a classifier that knows only the class shares",
        blind="whether calibration or sharpness moved it",
    ),
    CountMetric(
        "nll-skill",
        "Logarithmic skill score",
        "1 - NLL / entropy of the class shares",
        "Wilks 2011, ch. 8",
        nll_skill,
        rows=proper.nll,
        better="higher",
        ideal=1,
        most=1,
        sees="what the model knows beyond the class shares",
        blind="whether calibration or sharpness moved it",
    ),
    CountMetric(
        "brier-skill",
        "Brier skill score",
        "1 - Brier score / that of the class shares",
        "Murphy 1973; Wilks 2011, sec. 8.4",
        brier_skill,
        rows=proper.brier,
        better="higher",
        ideal=1,
        most=1,
        sees="what the model knows beyond the class shares",
        blind="whether calibration or sharpness moved it",
    ),
)
MACRO_F1 = CountMetric(
    "macro-f1",
    "Macro F1",
    "mean over the classes that occur of 2 TP / (2 TP + FP + FN)",
    "Opitz & Burst 2019, eq. 2",
    macro_f1,
    better="higher",
    ideal=1,
    least=0,
    most=1,
    sees="rare classes as much as common ones",
    blind="probabilities",
)
