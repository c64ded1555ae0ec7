"""Logistic recalibration: slope, intercept, and the index that compares with it."""

from __future__ import annotations

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.types import Array


def slope(score: Array, outcome: Array, *, eps: float = 0.0) -> float:
    """Return the slope of the logistic regression of the outcome on the logit (Cox 1958)."""
    return _logistic(logit(score, eps), outcome, free=True)[1]


def cox_intercept(score: Array, outcome: Array, *, eps: float = 0.0) -> float:
    """Return the intercept of the logistic regression with a free slope."""
    return _logistic(logit(score, eps), outcome, free=True)[0]


def intercept(score: Array, outcome: Array, *, eps: float = 0.0) -> float:
    """Return the intercept of the logistic regression with a slope of 1."""
    return _logistic(logit(score, eps), outcome, free=False)[0]


def cox_ici(score: Array, outcome: Array, *, eps: float = 1e-7) -> float:
    """Return the mean |score - recalibrated score|, with a free slope."""
    z = logit(score, eps)
    shift, scale = _logistic(z, outcome, free=True)
    fitted = 1 / (1 + np.exp(-(scale * z + shift)))
    return np.mean(np.abs(fitted - np.clip(score, eps, 1 - eps)))


def logit(score: Array, eps: float) -> Array:
    """Return logits of scores clipped to [eps, 1 - eps] in their own precision, as float64."""
    p = np.clip(score, eps, 1 - eps)
    return np.log(p / (1 - p)).astype(np.float64)


def _logistic(z: Array, outcome: Array, *, free: bool) -> tuple[float, float]:
    """Return intercept and slope by maximum likelihood; without `free` the slope is 1.

    Newton's method with steps halved while they lose. Not available where the optimum is infinite.
    """
    design = np.stack([np.ones_like(z), z], axis=1)[:, : 1 + free]
    fixed = 0 if free else z
    beta = np.zeros(1 + free)

    def loss(at: Array) -> float:
        eta = design @ at + fixed
        return float(np.sum(np.logaddexp(0, eta) - outcome * eta))

    for _ in range(100):
        step = _newton(design, 1 / (1 + np.exp(-(design @ beta + fixed))), outcome)
        if np.abs(step).max() < 1e-10 * (1 + np.abs(beta).max()):
            return float(beta[0]), float(beta[1]) if free else 1.0
        while loss(beta + step) > loss(beta) and np.abs(step).max() > 1e-12:
            step = step / 2
        beta = beta + step
    raise NotAvailableError("has no finite optimum")


def _newton(design: Array, fitted: Array, outcome: Array) -> Array:
    """Return Newton's step at these fitted probabilities."""
    curve = (design * (fitted * (1 - fitted))[:, None]).T @ design
    try:
        return np.linalg.solve(curve, design.T @ (outcome - fitted))
    except np.linalg.LinAlgError:
        raise NotAvailableError("has no finite optimum") from None
