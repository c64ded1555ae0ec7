"""Populations whose true probabilities are known.

`draw(rng, n, name)` returns n rows of one: what the model reports, and the true probability of each
outcome. `SCENARIOS` have ten classes, in which the logits of a calibrated model are distorted;
nobody tuned an interval on `POPULATIONS`, which are what models are like where intervals fail:
classes with errors of their own, confidences near 1, few distinct values, rare events, few errors,
weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

import calibtool as ct

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CLASSES = 10
SIGMA = 4.3  # of the true logits: an accuracy of about 90 %
# scenario -> the temperature that the calibrator of the paired difference divides by
SCENARIOS = {
    "T=1": 1 / 1.1,
    "T=1.1": 1.1,
    "T=1.3": 1.3 / 1.1,
    "T=2": 2.0,
    "T=0.7": 0.7,
    "wiggly": 1.1,
    "half": 1.2,
}
# confidences in words ("almost certain") as numbers, how often they are said, how often true
SAID = np.array([0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99])
SAID_SHARE = np.array([0.04, 0.06, 0.08, 0.08, 0.16, 0.24, 0.22, 0.12])
SAID_TRUE = np.array([0.45, 0.52, 0.66, 0.66, 0.68, 0.80, 0.86, 0.93])


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a population.

    Attributes:
        kind: "classes" for (n, K) probabilities, "binary" for (n,) probabilities of class 1,
            "confidence" for (n,) confidences of predictions that are right or wrong.
        score: what the model reports.
        rate: the true probability of what it reports, of the same shape.
        weights: (n,) weights of the rows, or None.
    """

    kind: str
    score: Floats
    rate: Floats
    weights: Floats | None = None

    @property
    def mass(self) -> Floats:
        """(n,) weights; 1 for each row where there are none."""
        return np.ones(len(self.score)) if self.weights is None else self.weights

    def outcomes(self, rng: np.random.Generator) -> Ints:
        """Draw a label per row, or whether the prediction is right."""
        if self.kind != "classes":
            return (rng.random(len(self.score)) < self.rate).astype(np.int64)
        below = self.rate.cumsum(1) < rng.random((len(self.rate), 1))
        return below.sum(1).clip(0, self.rate.shape[1] - 1)

    def predictions(self, outcomes: Ints, weights: Floats | None = None) -> ct.Predictions:
        """The rows with outcomes, as calibtool takes them; `weights` replace their own."""
        weights = self.weights if weights is None else weights
        if self.kind == "confidence":
            return ct.Predictions.from_confidence(self.score, outcomes, weights=weights)
        return ct.Predictions.from_probs(self.score, outcomes, weights=weights)

    def sample(self, rng: np.random.Generator) -> ct.Predictions:
        """A data set of these rows."""
        return self.predictions(self.outcomes(rng))

    def columns(self) -> Rows:
        """Binary rows as rows of two classes."""
        if self.kind != "binary":
            return self
        score, rate = (np.stack([1 - x, x], axis=1) for x in (self.score, self.rate))
        return Rows("classes", score, rate, self.weights)


def draw(rng: np.random.Generator, n: int, name: str) -> Rows:
    """N rows of a population or of a scenario."""
    if name in POPULATIONS:
        return POPULATIONS[name](rng, n)
    return Rows("classes", *population(rng, n, name))


# ------------------------------------------------------------------ ten classes


def population(rng: np.random.Generator, n: int, scenario: str) -> tuple[Floats, Floats]:
    """Reported and true probabilities of n rows of a scenario."""
    z = SIGMA * rng.standard_normal((n, CLASSES))
    true = softmax(z)
    if scenario.startswith("T="):
        return softmax(float(scenario[2:]) * z), true
    reported, rows, top = true, np.arange(n), true.argmax(1)
    p = reported[rows, top]
    if scenario == "wiggly":
        q = np.clip(p + 0.05 * np.sin(8 * np.pi * p), 0.001, 0.999)
    else:  # half: calibrated up to 0.7, overconfident above
        q = np.where(p <= 0.7, p, 0.7 + 0.6 * (p - 0.7))
    true = reported * ((1 - q) / (1 - p + 1e-12))[:, None]
    true[rows, top] = q
    return reported, true / true.sum(1, keepdims=True)


def softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


# ------------------------------------------------------------------ populations nobody tuned on


def dirichlet(rng: np.random.Generator, n: int) -> Rows:
    """Five classes, each with a temperature and a bias of its own."""
    q = rng.dirichlet(np.full(5, 0.5), n)
    slope, bias = np.array([0.7, 1, 1.3, 1.6, 1]), np.array([0.3, 0, 0, -0.3, 0])
    return Rows("classes", softmax(slope * np.log(np.maximum(q, 1e-300)) + bias), q)


def confident(rng: np.random.Generator, n: int) -> Rows:
    """Five classes; 85 % of the confidences are above .999, 1 % of these predictions are wrong. The
    others are calibrated."""
    sure = rng.random(n) < 0.85
    p = np.where(sure, 1 - 10 ** -rng.uniform(3, 6, n), rng.uniform(0.5, 0.999, n))
    return _around(rng, p, np.where(sure, 0.99, p), classes=5)


def few(rng: np.random.Generator, n: int) -> Rows:
    """Three classes, few errors: 0.5 % by the confidences, 0.8 % in truth."""
    error = 10 ** -rng.uniform(1.5, 4, n)
    return _around(rng, 1 - error, 1 - 1.5 * error, classes=3)


def step(rng: np.random.Generator, n: int) -> Rows:
    """Two classes, calibrated but for a step of 20 points in [.6, .7]."""
    p = rng.random(n)
    return Rows("binary", p, np.where((p >= 0.6) & (p <= 0.7), p - 0.2, p))


def verbalised(rng: np.random.Generator, n: int) -> Rows:
    """Confidences of eight distinct values, overconfident."""
    at = rng.choice(len(SAID), n, p=SAID_SHARE)
    return Rows("confidence", SAID[at], SAID_TRUE[at])


def rare(rng: np.random.Generator, n: int) -> Rows:
    """Two classes, 0.5 % events, predicted about 1.8 times as often, with too large a spread."""
    x = rng.standard_normal(n)
    return Rows("binary", expit(-5.7 + 1.3 * x), expit(-5.79 + x))


def weights(rng: np.random.Generator, n: int) -> Rows:
    """Two classes, overconfident, with lognormal weights that rise with the score."""
    z = rng.standard_normal(n)
    mass = np.exp(0.9 * rng.standard_normal(n) + 0.4 * z)
    return Rows("binary", expit(1.5 * 1.3 * z), expit(1.5 * z), mass)


def shift(rng: np.random.Generator, n: int) -> Rows:
    """Two classes, every probability 5 points too high."""
    p = rng.uniform(0.05, 1, n)
    return Rows("binary", p, p - 0.05)


def _around(rng: np.random.Generator, p: Floats, q: Floats, classes: int) -> Rows:
    """Rows whose top class has probability p and is right with probability q; p > 1/2."""
    others = rng.dirichlet(np.ones(classes - 1), len(p))
    top = rng.integers(classes, size=len(p))
    first = np.arange(classes)[None, :] == top[:, None]
    made = []
    for x in (p, q):
        values = np.empty((len(p), classes))
        values[first] = x
        values[~first] = ((1 - x)[:, None] * others).ravel()
        made.append(values)
    return Rows("classes", *made)


POPULATIONS: dict[str, Callable[[np.random.Generator, int], Rows]] = {
    made.__name__: made
    for made in (dirichlet, confident, few, step, verbalised, rare, weights, shift)
}
