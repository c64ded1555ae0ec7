"""Logistic regression on cells, by Newton's method: the fit of Platt's and the beta calibrator."""

from __future__ import annotations

import numpy as np

from calibtool.errors import FitError
from calibtool.types import Array

STEPS = 100
ENOUGH = 1e-14  # what a further step would gain, a row
FAR = 1e6


def logistic(x: Array, n: Array, y: Array, remedy: str) -> tuple[Array, float]:
    """The v that minimises the negative log-likelihood of y of n positives at sigmoid(x v).

    Args:
        x: (C, F) features.
        n, y: (C,) rows, and positives among them; neither need be whole.
        remedy: what to do where there is no optimum, for the message.

    Returns v and the mean NLL. Raises FitError without a finite optimum.
    """
    from scipy.special import expit

    total, v = n.sum(), np.zeros(x.shape[1])
    value = _nll(x @ v, n, y)
    for _ in range(STEPS):
        p = expit(x @ v)
        slope = x.T @ (n * p - y) / total
        curve = (x * (n * p * (1 - p) / total)[:, None]).T @ x
        step = np.linalg.lstsq(curve, -slope, rcond=1e-14)[0]
        gain = -float(slope @ step)
        if gain <= ENOUGH:
            return v, value
        share = 1.0
        while (new := _nll(x @ (v + share * step), n, y)) > value - 1e-4 * share * gain + 1e-16:
            share /= 2
            if share < 1e-9:
                return v, value  # rounding is all that is left
        v, value = v + share * step, new
        if np.abs(v).max() > FAR or value < 1e-9:
            break
    raise FitError(
        f"positives and negatives are told apart perfectly, so no finite fit is best; {remedy}"
    )


def require_both(n: Array, y: Array, remedy: str) -> None:
    """Whether there are positives and negatives at all."""
    if not 0 < y.sum() < n.sum():
        which = "positives" if y.sum() == 0 else "negatives"
        raise FitError(f"there are no {which} among the {n.sum():g} rows; {remedy}")


def require_spread(score: Array) -> None:
    """Whether there is more than one score."""
    if len(score) < 2:
        raise FitError(
            "every row has the same score, so there is no slope to fit; use bbq or histogram, "
            "which only count"
        )


def _nll(s: Array, n: Array, y: Array) -> float:
    return float((n @ np.logaddexp(0, s) - y @ s) / n.sum())
