"""Exact fits of softmax(W z + b) by the likelihood, for few parameters and for many.

With P the predicted classes, Y the observed ones, both (N, K), and row weights w that sum to 1:

    scores  S = W z + b                 linear in the parameters
    slope   of the mean NLL in S:       w (P - Y)
    curve   of the mean NLL along U:    w P (U - sum_k P U)        >= 0, so the NLL is convex

Each step solves Newton's equations. Where a parameter or two a class are free, and classes are few
or rows are read from a file, the pass that gives the slope also sums the matrix of second
derivatives: a pass a step. Elsewhere conjugate gradients, preconditioned class by class, need no
such matrix, but several passes a step. The slope is of float64 sums, the curve may be of float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from calibtool.calibrators.fitting.forms import Form, Full
from calibtool.errors import FitError
from calibtool.parallel import cores, ordered
from calibtool.types import Array

STEPS = 100  # Newton's
INNER = 100  # conjugate gradients' in each
ENOUGH = 1e-13  # what a step gains, in nats, where the search nearly stops: the last step is ...
NEAR = 1e-5  # ... taken on trust if no parameter moves further,
POLISH = 3  # or after so many steps that gained nothing
NEARLY = 1e-8  # what a step gains where single precision no longer does
SINGLE = 1 << 22  # float32 logits are worked on as they are from so many values on
FAR = 1e4  # parameters beyond mean that there is no optimum
PIECE = 1 << 17  # values worked on at a time
FEW = 16  # classes fewer than these lie column by column
SMALL = 1 << 20  # fewer values are not worth threads
DENSE = 16  # classes up to which rows in memory sum the matrix of second derivatives
FLAT = 1e-12  # directions of so little curve, beside the steepest, have no effect


class Piece(NamedTuple):
    """A few rows, and where they stand among those in memory."""

    z: Array
    labels: Array
    weights: Array
    at: slice


class Data(Protocol):
    """Rows to sum over.

    `held` tells whether they are in memory, `single` whether float32 does for most of the way.
    """

    @property
    def held(self) -> bool: ...
    @property
    def single(self) -> bool: ...
    def sum(self, work: Callable[[Piece], Array]) -> Array: ...


def pieces(z: Array, labels: Array, weights: Array, least: int = 64) -> list[Piece]:
    """Rows in pieces that stay in the cache, of `least` rows at least."""
    step = max(least, PIECE // z.shape[1])
    slices = [slice(low, min(low + step, len(z))) for low in range(0, len(z), step)]
    return [Piece(z[at], labels[at], weights[at], at) for at in slices]


@dataclass(frozen=True, eq=False)
class Whole:
    """Rows in memory: z (N, K) float32 or float64, labels (N,), weights (N,) that sum to 1."""

    z: Array
    labels: Array
    weights: Array
    held: bool = True

    @property
    def single(self) -> bool:
        return self.z.dtype == np.float32 and self.z.size > SINGLE

    @cached_property
    def pieces(self) -> list[Piece]:
        """All rows, a few at a time."""
        return pieces(self.z, self.labels, self.weights)

    def sum(self, work: Callable[[Piece], Array]) -> Array:
        """The sum of `work` over all rows."""
        parts = ordered(work, self.pieces, cores() if self.z.size > SMALL else 1)
        total = next(parts)
        for part in parts:
            total = total + part
        return total


class Found(NamedTuple):
    """The optimum: parameters, the NLL at the start and there, the largest slope of the objective
    that was left before the last step, the steps taken."""

    at: Array
    before: float
    after: float
    gradient: float
    steps: int


@dataclass(frozen=True, eq=False)
class Problem:
    """The mean negative log-likelihood of labels, as a function of parameters, with a penalty.

    Attributes:
        form: how scores depend on the parameters.
        data: the rows.
        start: the parameters that the penalty pulls towards.
        penalty: of the square of each parameter's distance from there; 0 for none.
        source: for messages.
        begin: the parameters to begin at; None for `start`.
    """

    form: Form
    data: Data
    start: Array
    penalty: Array | float
    source: str
    begin: Array | None = None

    def solve(self) -> Found:
        """Minimise; raises FitError where there is no optimum, or it is not reached."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._solve()

    def _solve(self) -> Found:
        # many float32 values: the way there in their precision, the arrival in twice that
        rough = self.data.single
        at, now, before = self._begun(rough)
        polished = 0
        for step in range(STEPS):
            self._require_mistakes(at, now)
            direction = self._direction(now)
            self._require_finite(direction, now)
            gain = -float(np.vdot(now.slope, direction))
            if rough and gain <= NEARLY:
                rough = False
                now = self._look(at, rough)
                continue
            steep = float(np.abs(now.slope).max())
            if gain > ENOUGH:
                at, now = self._lower(at, now, direction, gain, rough, step)
                self._require_near(at)
                continue
            new = self._settled(at + direction)
            if np.abs(new - at).max() <= NEAR or polished == POLISH:
                return Found(new, before, now.nll, steep, step + 1)
            then = self._look(new, rough)
            if not then.value <= now.value + ENOUGH:
                return Found(at, before, now.nll, steep, step)
            at, now, polished = new, then, polished + 1
        raise FitError(self._stuck(STEPS, now))

    def _begun(self, rough: bool) -> tuple[Array, _Look, float]:
        """Where the search begins, what it finds there, and the NLL at the start."""
        start = self._settled(self.start)
        if self.begin is None:
            now = self._look(start, rough)
            return start, now, now.nll
        begin = self._settled(self.begin)
        now = self._look(begin, rough, beside=start)
        if now.nll <= now.beside:
            return begin, now, now.beside
        return start, self._look(start, rough), now.beside

    def _lower(
        self, at: Array, now: _Look, direction: Array, gain: float, rough: bool, step: int
    ) -> tuple[Array, _Look]:
        """A step that lowers the objective: Newton's, halved until it does."""
        share = 1.0
        while share >= 1e-9:
            new = self._settled(at + share * direction)
            then = self._look(new, rough)
            if then.value <= now.value - 1e-4 * share * gain + (1e-8 if rough else 1e-15):
                return new, then
            share /= 2
        raise FitError(self._stuck(step, now))

    @property
    def _dense(self) -> bool:
        """Whether a pass sums the matrix of second derivatives."""
        few = not self.data.held or len(self.start) <= DENSE
        return few and not isinstance(self.form, Full)

    def _look(self, v: Array, rough: bool, *, beside: Array | None = None) -> _Look:
        """A pass: the objective, its slope and what tells its curve at v; the NLL beside."""
        dtype = np.float32 if rough else np.float64
        probs = None if self._dense else np.empty(self._whole.z.shape, np.float32)

        def work(piece: Piece) -> Array:
            z, w = _ready(piece.z, dtype), piece.weights
            rows = np.arange(len(z))
            p, nll, behind = _softmax(self.form.scores(v, z), piece.labels)
            other = 0.0 if beside is None else w @ _nll(self.form.scores(beside, z), piece.labels)
            if probs is None:
                curve = self.form.hessian(p, w, z).ravel()
            else:
                probs[piece.at], curve = p, np.empty(0)
            p[rows, piece.labels] -= 1
            p *= w[:, None].astype(dtype)
            sums = np.array([w.sum(), w @ nll, w @ behind, other])
            return np.concatenate([sums, self.form.pull(p, z).ravel(), curve])

        sums = self.data.sum(work)
        sums /= sums[0]
        nll, wrong, other = (float(x) for x in sums[1:4])
        slope, curve = np.split(sums[4:], [v.size])
        away = v - self.start
        value = nll + float(np.sum(self.penalty * away**2))
        slope = slope.reshape(v.shape) + 2 * self.penalty * away
        return _Look(value, nll, slope, curve if probs is None else probs, wrong, other)

    def _direction(self, now: _Look) -> Array:
        """Newton's step; nearly, by conjugate gradients."""
        return self._by_matrix(now) if self._dense else self._by_products(now)

    def _by_matrix(self, now: _Look) -> Array:
        """Newton's step, with nothing along directions that have no effect."""
        size = now.slope.size
        matrix = now.curve.reshape(size, size)
        own = np.arange(size)
        matrix[own, own] += 2 * np.broadcast_to(self.penalty, now.slope.shape).ravel()
        if not np.isfinite(matrix).all():
            return np.full_like(now.slope, np.nan)
        scale = np.sqrt(np.where(matrix[own, own] > 0, matrix[own, own], 1))
        values, vectors = np.linalg.eigh(matrix / scale[:, None] / scale)
        inverse = np.divide(1, values, out=np.zeros(size), where=values > FLAT * values[-1])
        step = -vectors @ (inverse * (vectors.T @ (now.slope.ravel() / scale))) / scale
        return step.reshape(now.slope.shape)

    def _by_products(self, now: _Look) -> Array:
        solve = self.form.solver(self._curves(now.curve), self.penalty)
        gap = -now.slope
        x = np.zeros_like(gap)
        z = solve(gap)
        p = z
        energy = first = float(np.vdot(gap, z))
        enough = min(0.1, float(np.abs(now.slope).max()) ** 0.5) ** 2 * first
        for _ in range(INNER):
            if energy <= max(enough, 1e-300):
                break
            bent = self._curve_along(now.curve, p)
            stiff = float(np.vdot(p, bent))
            if stiff <= 0:
                break
            share = energy / stiff
            x = x + share * p
            gap = gap - share * bent
            z = solve(gap)
            new = float(np.vdot(gap, z))
            p, energy = z + new / energy * p, new
        return x if x.any() else solve(-now.slope)

    def _curve_along(self, probs: Array, v: Array) -> Array:
        def work(piece: Piece) -> Array:
            z, p = _single(piece.z), probs[piece.at]
            u = self.form.scores(v, z)
            u -= np.einsum("ij,ij->i", p, u)[:, None]
            u *= p
            u *= piece.weights[:, None].astype(np.float32)
            return self.form.pull(u, z)

        return self.data.sum(work) + 2 * self.penalty * v

    def _curves(self, probs: Array) -> Array:
        def work(piece: Piece) -> Array:
            p = probs[piece.at]
            c = p * (1 - p) * piece.weights[:, None].astype(np.float32)
            return self.form.curves(c, _single(piece.z))

        return self.data.sum(work)

    @property
    def _whole(self) -> Whole:
        assert isinstance(self.data, Whole)  # products go over rows in memory
        return self.data

    def _settled(self, v: Array) -> Array:
        """What all classes have in common does not change a probability: it is set to what the
        penalty likes best, or to nothing."""
        if v.ndim == 1:
            return np.append(v[0], v[1:] - v[1:].mean())
        away = v - self.start
        free = [-1] if not isinstance(self.form, Full) else range(v.shape[1])
        pull = self.penalty if isinstance(self.penalty, np.ndarray) else np.ones_like(v)
        v = v.copy()
        for j in free:
            weight = pull[:, j] if pull[:, j].any() else np.ones(len(v))
            v[:, j] -= (weight @ away[:, j]) / weight.sum()
        return v

    def _require_finite(self, direction: Array, now: _Look) -> None:
        if not (np.isfinite(direction).all() and np.isfinite(now.value)):
            raise FitError(
                f"{self.source}: the fit did not converge: the logits are so large that they leave "
                "nothing to compute with; are they logits? Divide them by a constant first, or "
                "use temperature"
            )

    def _require_near(self, at: Array) -> None:
        far = np.abs(at - self.start)
        if far.max() > FAR:
            where = np.unravel_index(int(far.argmax()), far.shape)[0]
            k = int(where) - (at.ndim == 1)
            raise FitError(
                f"{self.source}: the fit has no optimum: the parameters of class {k} grow without "
                "end. Too few rows for a class, or rows that are told apart perfectly; fit on more "
                "rows, or use temperature or a regularised method (structured-vector)"
            )

    def _require_mistakes(self, at: Array, now: _Look) -> None:
        """Where every label leads, larger parameters are always better."""
        if now.wrong == 0 and not np.any(self.penalty) and self._behind(at) == 0:
            raise FitError(
                f"{self.source}: every row is right after the fit, so the likelihood rises for "
                "ever as the scores grow; fit on data that the model has not been trained on, on "
                "more rows, or with a regularised method (structured-vector)"
            )

    def _behind(self, v: Array) -> int:
        """How many labels do not score higher than every other class."""

        def work(piece: Piece) -> Array:
            s = self.form.scores(v, _ready(piece.z, np.float64))
            rows = np.arange(len(s))
            label = s[rows, piece.labels].copy()
            s[rows, piece.labels] = -np.inf
            return np.array([np.count_nonzero(label <= s.max(axis=1))])

        return int(self.data.sum(work)[0])

    def _stuck(self, steps: int, now: _Look) -> str:
        return (
            f"{self.source}: the fit did not converge in {steps} steps; it reached an NLL of "
            f"{now.nll:.9g} with a slope of {np.abs(now.slope).max():.2g}"
        )


class _Look(NamedTuple):
    """The objective, the NLL in it, its slope, the matrix of second derivatives or the predicted
    classes, the weight of wrong rows, the NLL beside."""

    value: float
    nll: float
    slope: Array
    curve: Array
    wrong: float
    beside: float


def _softmax(s: Array, labels: Array) -> tuple[Array, Array, Array]:
    """The probabilities in place of scores, the NLL a row, and whether another class is ahead."""
    s -= s.max(axis=1, keepdims=True)
    label = s[np.arange(len(s)), labels].astype(np.float64)
    with np.errstate(under="ignore"):
        np.exp(s, out=s)
    total = s.sum(axis=1).astype(np.float64)
    s *= (1 / total).astype(s.dtype)[:, None]
    return s, np.log(total) - label, label < 0


def _nll(s: Array, labels: Array) -> Array:
    return _softmax(s, labels)[1]


def _ready(z: Array, dtype: type) -> Array:
    """In the precision of the pass, few classes column by column, which NumPy goes over faster."""
    return z.astype(dtype, order="F" if z.shape[1] < FEW else "K", copy=False)


def _single(z: Array) -> Array:
    return z.astype(np.float32, copy=False)
