"""Exact fits of softmax(W z + b) by the likelihood, for few parameters and for many.

With P the predicted classes, Y the observed ones, both (N, K), and row weights w that sum to 1:

    scores  S = W z + b                 linear in the parameters
    slope   of the mean NLL in S:       w (P - Y)
    curve   of the mean NLL along U:    w P (U - sum_k P U)        >= 0, so the NLL is convex

Each step solves Newton's equations by conjugate gradients, preconditioned class by class, which
takes no matrix of second derivatives; the slope is of float64 sums, the curve may be of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from calibtool.checks import Array
from calibtool.errors import FitError
from calibtool.threads import cores, ordered

T = TypeVar("T")

STEPS = 100  # Newton's
INNER = 100  # conjugate gradients' in each
ENOUGH = 1e-13  # what a further step would gain, in nats, where the search stops
NEARLY = 1e-8  # the same in single precision
SINGLE = 1 << 22  # float32 logits are worked on as they are from so many values on
FAR = 1e4  # parameters beyond mean that there is no optimum
PIECE = 1 << 17  # values worked on at a time
SMALL = 1 << 20  # fewer values are not worth threads
BLOCKS = 256  # classes up to which a preconditioner is a matrix a class
SEEN = 1e-3  # rows of less curve do not matter to a preconditioner


class Form(Protocol):
    """How scores depend on the parameters v, an array of any shape."""

    def scores(self, v: Array, z: Array) -> Array: ...
    def pull(self, g: Array, z: Array) -> Array: ...
    def curves(self, c: Array, z: Array) -> Array: ...
    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]: ...


class Scalar:
    """v = (t, b_1, ..., b_K): scores t z + b."""

    def scores(self, v: Array, z: Array) -> Array:
        """(n, K)."""
        return v[0] * z + v[1:].astype(z.dtype)

    def pull(self, g: Array, z: Array) -> Array:
        """The slope in v, of the slope in the scores."""
        return np.append(np.vdot(g, z), g.sum(axis=0, dtype=np.float64))

    def curves(self, c: Array, z: Array) -> Array:
        """Second derivatives by v alone, each."""
        return np.append(np.vdot(c, z * z), c.sum(axis=0, dtype=np.float64))

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """Nearly the inverse of the curve."""
        return lambda r: r / np.maximum(curves + 2 * penalty, 1e-12)


class Diagonal:
    """v = (K, 2), slopes and biases: scores v_k0 z_k + v_k1."""

    def scores(self, v: Array, z: Array) -> Array:
        """(n, K)."""
        own = v.astype(z.dtype)
        return own[:, 0] * z + own[:, 1]

    def pull(self, g: Array, z: Array) -> Array:
        """The slope in v, of the slope in the scores."""
        return np.stack([np.einsum("ij,ij->j", g, z), g.sum(axis=0)], axis=1).astype(np.float64)

    def curves(self, c: Array, z: Array) -> Array:
        """(K, 3): a class's second derivatives by slope, slope and bias, bias."""
        cz = c * z
        parts = [np.einsum("ij,ij->j", cz, z), cz.sum(axis=0), c.sum(axis=0)]
        return np.stack(parts, axis=1).astype(np.float64)

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """A 2 x 2 system a class."""
        a, b, c = curves.T
        own = 2 * np.broadcast_to(penalty, (len(a), 2))
        a, c = a + own[:, 0], c + own[:, 1]
        a, c = a + 1e-9 * (a + 1e-3), c + 1e-9 * (c + 1e-3)
        det = a * c - b * b

        def solve(r: Array) -> Array:
            return (
                np.stack([c * r[:, 0] - b * r[:, 1], a * r[:, 1] - b * r[:, 0]], axis=1)
                / (det[:, None])
            )

        return solve


class Full:
    """v = (K, K + 1), W and the biases beside it: scores W z + b."""

    def scores(self, v: Array, z: Array) -> Array:
        """(n, K)."""
        own = v.astype(z.dtype)
        return z @ own[:, :-1].T + own[:, -1]

    def pull(self, g: Array, z: Array) -> Array:
        """The slope in v, of the slope in the scores."""
        return np.concatenate([g.T @ z, g.sum(axis=0)[:, None]], axis=1).astype(np.float64)

    def curves(self, c: Array, z: Array) -> Array:
        """(K, K + 1, K + 1): a class's own second derivatives, of the rows that matter to it; of
        many classes (K, K + 1), those by each parameter alone."""
        x = np.concatenate([z, np.ones((len(z), 1), z.dtype)], axis=1)
        if c.shape[1] > BLOCKS:
            return (c.T @ (x * x)).astype(np.float64)
        out = np.empty((c.shape[1], x.shape[1], x.shape[1]))
        for k in range(c.shape[1]):
            at = np.flatnonzero(c[:, k] > SEEN * c[:, k].max())
            own = x[at]
            out[k] = (own * c[at, k, None]).T @ own
        return out

    def solver(self, curves: Array, penalty: Array | float) -> Callable[[Array], Array]:
        """A system a class; what all classes share does not change the scores' softmax."""
        size = curves.shape[1]
        if curves.ndim == 2:
            scale = np.maximum(curves + 2 * penalty, 1e-9)
            return lambda r: r / scale
        ridge = 1e-9 + 1e-6 * np.trace(curves, axis1=1, axis2=2) / size
        own = np.arange(size)
        curves[:, own, own] += 2 * np.broadcast_to(penalty, curves.shape[:2]) + ridge[:, None]
        inverse = np.linalg.inv(curves)
        return lambda r: np.einsum("kij,kj->ki", inverse, r)


class Found(NamedTuple):
    """The optimum: parameters, the NLL at the start and there, the largest slope left of the
    objective, the steps taken."""

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
        z: (N, K) float32 or float64.
        labels: (N,).
        weights: (N,) that sum to 1.
        start: the parameters to begin at, which the penalty pulls towards.
        penalty: of the square of each parameter's distance from there; 0 for none.
        source: for messages.
    """

    form: Form
    z: Array
    labels: Array
    weights: Array
    start: Array
    penalty: Array | float
    source: str

    def solve(self) -> Found:
        """Minimise; raises FitError where there is no optimum, or it is not reached."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._solve()

    def _solve(self) -> Found:
        at = self._settled(self.start)
        # many float32 values: the way there in their precision, the arrival in twice that
        rough = self.z.dtype == np.float32 and self.z.size > SINGLE
        now = self._look(at, rough)
        before = now.nll
        for step in range(STEPS):
            self._require_mistakes(at, now)
            direction = self._direction(now)
            if not (np.isfinite(direction).all() and np.isfinite(now.value)):
                raise FitError(
                    f"{self.source}: the fit did not converge: the logits reach "
                    f"{np.abs(self.z).max():.3g}, which leaves nothing to compute with; are they "
                    "logits? Divide them by a constant first, or use temperature"
                )
            gain = -float(np.vdot(now.slope, direction))
            if rough and gain <= NEARLY:
                rough = False
                now = self._look(at, rough)
                continue
            if gain <= ENOUGH:
                return Found(at, before, now.nll, float(np.abs(now.slope).max()), step)
            share = 1.0
            while True:
                new = self._settled(at + share * direction)
                then = self._look(new, rough)
                if then.value <= now.value - 1e-4 * share * gain + (1e-8 if rough else 1e-15):
                    break
                share /= 2
                if share < 1e-9:
                    raise FitError(self._stuck(step, now))
            at, now = new, then
            self._require_near(at, now)
        raise FitError(self._stuck(STEPS, now))

    def _look(self, v: Array, rough: bool) -> _Look:
        """A pass: the objective, its slope and the predicted classes at v."""
        dtype = np.float32 if rough else np.float64
        probs = np.empty(self.z.shape, np.float32)

        def work(part: slice) -> tuple[float, float, Array]:
            z = self.z[part].astype(dtype, copy=False)
            s = self.form.scores(v, z)
            rows, labels = np.arange(len(s)), self.labels[part]
            s -= s.max(axis=1, keepdims=True)
            label = s[rows, labels].astype(np.float64)
            wrong = float((self.weights[part] * (label < 0)).sum())
            with np.errstate(under="ignore"):
                np.exp(s, out=s)
            total = s.sum(axis=1).astype(np.float64)
            s *= (1 / total).astype(dtype)[:, None]
            probs[part] = s
            s[rows, labels] -= 1
            s *= self.weights[part, None].astype(dtype)
            nll = float(self.weights[part] @ (np.log(total) - label))
            return nll, wrong, self.form.pull(s, z)

        parts = list(self._parts(work))
        nll, wrong = (float(sum(p[i] for p in parts)) for i in (0, 1))
        away = v - self.start
        slope = np.sum([p[2] for p in parts], axis=0) + 2 * self.penalty * away
        value = nll + float(np.sum(self.penalty * away**2))
        return _Look(value, nll, slope, probs, wrong)

    def _direction(self, now: _Look) -> Array:
        """Newton's step, nearly."""
        solve = self.form.solver(self._curves(now.probs), self.penalty)
        gap = -now.slope
        x = np.zeros_like(gap)
        z = solve(gap)
        p = z
        energy = first = float(np.vdot(gap, z))
        enough = min(0.1, float(np.abs(now.slope).max()) ** 0.5) ** 2 * first
        for _ in range(INNER):
            if energy <= max(enough, 1e-300):
                break
            bent = self._curve_along(now.probs, p)
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
        def work(part: slice) -> Array:
            z, p = self._single(part), probs[part]
            u = self.form.scores(v, z)
            u -= np.einsum("ij,ij->i", p, u)[:, None]
            u *= p
            u *= self.weights[part, None].astype(np.float32)
            return self.form.pull(u, z)

        return np.sum(list(self._parts(work)), axis=0) + 2 * self.penalty * v

    def _curves(self, probs: Array) -> Array:
        def work(part: slice) -> Array:
            p = probs[part]
            c = p * (1 - p) * self.weights[part, None].astype(np.float32)
            return self.form.curves(c, self._single(part))

        return np.sum(list(self._parts(work)), axis=0)

    def _single(self, part: slice) -> Array:
        return self.z[part].astype(np.float32, copy=False)

    def _parts(self, work: Callable[[slice], T]) -> Iterator[T]:
        rows = len(self.z)
        step = max(64, PIECE // self.z.shape[1])
        slices = [slice(low, min(low + step, rows)) for low in range(0, rows, step)]
        return ordered(work, slices, cores() if self.z.size > SMALL else 1)

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

    def _require_near(self, at: Array, now: _Look) -> None:
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
        if now.wrong == 0 and not np.any(self.penalty) and all(self._parts(self._leads(at))):
            raise FitError(
                f"{self.source}: every row is right after the fit, so the likelihood rises for "
                "ever as the scores grow; fit on data that the model has not been trained on, on "
                "more rows, or with a regularised method (structured-vector)"
            )

    def _leads(self, v: Array) -> Callable[[slice], bool]:
        """Whether the labels of a part score higher than every other class."""

        def work(part: slice) -> bool:
            s = self.form.scores(v, self.z[part].astype(np.float64, copy=False))
            rows, labels = np.arange(len(s)), self.labels[part]
            label = s[rows, labels].copy()
            s[rows, labels] = -np.inf
            return bool((label > s.max(axis=1)).all())

        return work

    def _stuck(self, steps: int, now: _Look) -> str:
        return (
            f"{self.source}: the fit did not converge in {steps} steps; it reached an NLL of "
            f"{now.nll:.9g} with a slope of {np.abs(now.slope).max():.2g}"
        )


class _Look(NamedTuple):
    """The objective, the NLL in it, its slope, the predicted classes, the weight of wrong rows."""

    value: float
    nll: float
    slope: Array
    probs: Array
    wrong: float
