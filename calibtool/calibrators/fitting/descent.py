"""Maximum likelihood fits of softmax(W z + b) by Newton's method, for few parameters and for many.

With P the predicted probabilities, Y the one-hot labels, both (N, K), and row weights w that sum
to 1, the scores S = W z + b are linear in the parameters, and the mean negative log-likelihood has

    the derivative in S                         w (P - Y)
    the second derivative along a direction U   w P (U - sum_k P U)

The latter is never negative, so the objective is convex. Below, `slope` is its gradient in the
parameters and `curve` its second derivatives.

Each step solves Newton's equations, in one of two ways. If one or two parameters per class are free
(`Scalar`, `Diagonal`), and classes are few or rows are read from a file, the pass that sums the
slope also sums the matrix of second derivatives: one pass per step. Otherwise conjugate gradients,
preconditioned class by class, need only products with that matrix (Nocedal & Wright 2006, sec.
7.1), but several passes per step. Near the optimum the slope is summed in float64, so the optimum
is exact; second derivatives only decide how fast it is reached and may be float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calibtool.calibrators.fitting.forms import Form, Full
from calibtool.calibrators.fitting.gradients import Gradients
from calibtool.calibrators.fitting.nearby import Ended, last_of
from calibtool.calibrators.fitting.pieces import Data, MemoryData, Piece, ready, single
from calibtool.errors import FitError
from calibtool.types import Array

# Newton's steps. The objective is convex and steps are damped, so fits with an optimum end after
# some 5; the limit is for data that float64 cannot resolve.
STEPS = 100
# A step that promises to gain less than this, in nats, can no longer be judged by the objective:
# the mean NLL is of order 1 and its float64 rounding error of order 1e-15 to 1e-14. From here on
# steps are taken without looking for a gain, because the slope still has digits that the objective
# has lost: parameters come out to more digits than the NLL could show.
ENOUGH = 1e-13
# Such a step is the last if no parameter moves further than this: Newton's error is then of the
# order of its square, 1e-10.
NEAR = 1e-5
# Such steps at most: along nearly flat directions, parameters could creep without end.
POLISH = 3
# A promised gain below which float32 passes end and float64 ones begin. Rounding errors of float32
# scores are 1e-7 relative; over the SINGLE values or more they average out to below this.
NEARLY = 1e-8
# A float32 step that gained less than this is the last one. Newton's method converges nearly
# quadratically, so the next step would gain less than NEARLY; rounding errors in the slope could
# promise more, and take many products to solve for.
LAST = 1e-5
# Parameters further than this from the start mean that there is no optimum: the start is the
# identity, and logits of models need slopes of order 1. Larger values only delay the message.
FAR = 1e4
# Classes up to which rows in memory sum the matrix of second derivatives: n (2 K)**2 operations
# per step, measured to be no slower than conjugate gradients up to here. Rows of a file always sum
# it, since there a pass costs more than the matrix.
DENSE = 16
# Rows at least that a preconditioner of a full W takes at a time: it goes through the classes one
# by one, and of each only some rows matter.
LONG = 1 << 14
# Eigenvalues of the scaled matrix below this share of the largest are rounding errors of 0: their
# directions (a constant added to all biases, a class without spread) have no effect.
FLAT = 1e-12
# A step must gain this share of what its slope promises (Armijo's rule; Nocedal & Wright 2006,
# sec. 3.1, whose value it is).
ARMIJO = 1e-4


class Optimum(NamedTuple):
    """The optimum and the way there.

    Attributes:
        at: the parameters.
        before, after: the mean NLL at the start and at the optimum, without the penalty.
        gradient: the largest absolute slope of the objective before the last step.
        steps: Newton's steps taken.
    """

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
        penalty: the price of each parameter's squared distance from `start`; 0 for none.
        source, names: of the data, and of the classes, for messages.
        begin: parameters to begin at, if they have a lower NLL than `start`; None for `start`.
    """

    form: Form
    data: Data
    start: Array
    penalty: Array | float
    source: str
    names: tuple[str, ...]
    begin: Array | None = None

    def solve(self) -> Optimum:
        """Return the minimum; raise FitError if there is none, or if it is not reached."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._solve()

    def _solve(self) -> Optimum:
        # Without a penalty there may be directions without effect, along which a search stays where
        # it began: there it begins where this problem says.
        alone = not np.any(self.penalty)
        last = Ended() if alone else last_of((type(self.form), self.start.shape))
        # Of many float32 values, the way to the optimum is float32 and the arrival float64.
        rough = self.data.float32_first
        at, now, before = self._begun(rough, self.begin if last.at is None else last.at)
        gradients = None
        if not self._dense:
            dear = isinstance(self.form, Full)
            gradients = Gradients(
                self._preconditioner, self._curve_along, dear=dear, inverse=last.inverse
            )
        polished, gained = 0, np.inf
        for step in range(STEPS):
            self._require_mistakes(at, now)
            if rough and gained <= LAST:
                rough = False
                now = self._look(at, rough)
            direction = (
                self._by_matrix(now) if gradients is None else gradients.solve(now.slope, now.curve)
            )
            self._require_finite(direction, now)
            gain = -float(np.vdot(now.slope, direction))  # twice what a full step would gain
            if rough and gain <= NEARLY:
                rough = False
                now = self._look(at, rough)
                continue
            steep = float(np.abs(now.slope).max())
            if gain > ENOUGH:
                value = now.value
                at, now = self._lower(at, now, direction, gain, rough, step)
                gained = value - now.value
                self._require_near(at)
                continue
            new = self._settled(at + direction)
            if np.abs(new - at).max() <= NEAR or polished == POLISH:
                last.at, last.inverse = new, gradients.kept if gradients else None
                return Optimum(new, before, now.nll, steep, step + 1)
            then = self._look(new, rough)
            if not then.value <= now.value + ENOUGH:  # a step beyond what float64 resolves
                return Optimum(at, before, now.nll, steep, step)
            at, now, polished = new, then, polished + 1
        raise FitError(self._stuck(STEPS, now))

    def _begun(self, rough: bool, begin: Array | None) -> tuple[Array, _Look, float]:
        """Return where the search begins, the objective there, and the NLL at `start`.

        Both NLLs are summed in one pass. If `begin` is worse, as the optimum of a small sample can
        be, the search begins at `start`.
        """
        start = self._settled(self.start)
        if begin is None:
            now = self._look(start, rough)
            return start, now, now.nll
        begin = self._settled(begin)
        now = self._look(begin, rough, beside=start)
        if now.nll <= now.beside:
            return begin, now, now.beside
        return start, self._look(start, rough), now.beside

    def _lower(
        self, at: Array, now: _Look, direction: Array, gain: float, rough: bool, step: int
    ) -> tuple[Array, _Look]:
        """Return Newton's step, halved until it lowers the objective enough, and its objective."""
        # What two values of one objective may differ by from rounding alone; without it, a good
        # step near the optimum would be refused.
        rounding = 1e-8 if rough else 1e-15
        share = 1.0
        while share >= 1e-9:  # 30 halvings: after so many the direction is no descent direction
            new = self._settled(at + share * direction)
            then = self._look(new, rough)
            if then.value <= now.value - ARMIJO * share * gain + rounding:
                return new, then
            share /= 2
        raise FitError(self._stuck(step, now))

    @property
    def _dense(self) -> bool:
        """Whether a pass sums the matrix of second derivatives.

        Not for `Full`, whose matrix would have (K (K + 1))**2 entries.
        """
        few = not self.data.in_memory or len(self.start) <= DENSE
        return few and not isinstance(self.form, Full)

    def _look(self, v: Array, rough: bool, *, beside: Array | None = None) -> _Look:
        """Return the objective, its slope and its curve at v, and the NLL at `beside`: one pass.

        All sums travel in one array, so that the data need only know how to add arrays.
        """
        dtype = np.float32 if rough else np.float64
        # conjugate gradients use the probabilities of all rows again in every product
        probs = None if self._dense else np.empty(self._memory_data.z.shape, np.float32)

        def work(piece: Piece) -> Array:
            z, w = ready(piece.z, dtype), piece.weights
            rows = np.arange(len(z))
            p, nll, wrong = _softmax(self.form.scores(v, z), piece.labels)
            other = 0.0 if beside is None else w @ _nll(self.form.scores(beside, z), piece.labels)
            if probs is None:
                curve = self.form.hessian(p, w, z).ravel()
            else:
                probs[piece.at], curve = p, np.empty(0)
            p[rows, piece.labels] -= 1  # from here on w (P - Y)
            p *= w[:, None].astype(dtype)
            sums = np.array([w.sum(), w @ nll, w @ wrong, other])
            return np.concatenate([sums, self.form.pull(p, z).ravel(), curve])

        sums = self.data.sum(work)
        sums /= sums[0]
        nll, wrong, other = (float(x) for x in sums[1:4])
        slope, curve = np.split(sums[4:], [v.size])
        away = v - self.start
        value = nll + float(np.sum(self.penalty * away**2))
        slope = slope.reshape(v.shape) + 2 * self.penalty * away
        return _Look(value, nll, slope, curve if probs is None else probs, wrong, other)

    def _by_matrix(self, now: _Look) -> Array:
        """Return Newton's step by the matrix of second derivatives.

        The step is 0 along directions that have no effect. The matrix is singular: adding a
        constant to all biases changes no probability. Scaling it to a unit diagonal makes FLAT
        independent of the size of the logits.
        """
        size = now.slope.size
        matrix = now.curve.reshape(size, size)
        diagonal = np.arange(size)
        matrix[diagonal, diagonal] += 2 * np.broadcast_to(self.penalty, now.slope.shape).ravel()
        if not np.isfinite(matrix).all():  # `eigh` would raise; `_require_finite` says it better
            return np.full_like(now.slope, np.nan)
        curves = matrix[diagonal, diagonal]
        scale = np.sqrt(np.where(curves > 0, curves, 1))
        values, vectors = np.linalg.eigh(matrix / scale[:, None] / scale)
        inverse = np.divide(1, values, out=np.zeros(size), where=values > FLAT * values[-1])
        step = -vectors @ (inverse * (vectors.T @ (now.slope.ravel() / scale))) / scale
        return step.reshape(now.slope.shape)

    def _curve_along(self, probs: Array, v: Array) -> Array:
        """Return the product of the matrix of second derivatives and v: one pass, float32."""

        def work(piece: Piece) -> Array:
            z, p = single(piece.z), probs[piece.at]
            u = self.form.scores(v, z)
            u -= np.einsum("ij,ij->i", p, u)[:, None]
            u *= p
            u *= piece.weights[:, None].astype(np.float32)
            return self.form.pull(u, z)

        return self.data.sum(work) + 2 * self.penalty * v

    def _preconditioner(self, probs: Array) -> Callable[[Array], Array]:
        """Return an approximate inverse, of the second derivatives within each class."""

        def work(piece: Piece) -> Array:
            p = probs[piece.at]
            c = p * (1 - p) * piece.weights[:, None].astype(np.float32)
            return self.form.curves(c, single(piece.z))

        long = LONG if isinstance(self.form, Full) else 0
        return self.form.solver(self._memory_data.sum(work, long), self.penalty)

    @property
    def _memory_data(self) -> MemoryData:
        assert isinstance(self.data, MemoryData)  # see `_dense`
        return self.data

    def _settled(self, v: Array) -> Array:
        """Return v with what all classes have in common removed.

        A score that is added to all classes changes no probability, so the optimum is a whole line
        (one for the biases and, with a full W, one per column of it). Of its points this is the one
        with the smallest penalty, or without one that nearest to `start`.
        """
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
        """Raise FitError if the scores have overflowed."""
        if not (np.isfinite(direction).all() and np.isfinite(now.value)):
            raise FitError(
                f"{self.source}: the fit did not converge: the logits are so large that they leave "
                "nothing to compute with; are they logits? Divide them by a constant first, or "
                "use temperature"
            )

    def _require_near(self, at: Array) -> None:
        """Raise FitError if the parameters run away."""
        far = np.abs(at - self.start)
        if far.max() > FAR:
            k = int(np.unravel_index(int(far.argmax()), far.shape)[0]) - (at.ndim == 1)
            which = "all classes" if k < 0 else f"class {self.names[k]}"  # one slope comes first
            raise FitError(
                f"{self.source}: the fit has no optimum: the parameters of {which} grow without "
                "bound. A class has too few rows, or is separated perfectly from the others; fit "
                "on more rows, or use temperature or a regularised method (structured-vector)"
            )

    def _require_mistakes(self, at: Array, now: _Look) -> None:
        """Raise FitError if every label has the highest score and there is no penalty.

        Then multiplying all parameters by a number above 1 always raises the likelihood.
        """
        if now.wrong == 0 and not np.any(self.penalty) and self._behind(at) == 0:
            raise FitError(
                f"{self.source}: every row is right after the fit, so the likelihood increases "
                "without bound as the scores grow; fit on data that the model has not been trained "
                "on, on more rows, or with a regularised method (structured-vector)"
            )

    def _behind(self, v: Array) -> int:
        """Return how many labels do not score higher than every other class (ties included)."""

        def work(piece: Piece) -> Array:
            s = self.form.scores(v, ready(piece.z, np.float64))
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
    """The results of a pass over the rows.

    Attributes:
        value: the objective: the mean NLL and the penalty.
        nll: the mean NLL.
        slope: of the objective, in the shape of the parameters.
        curve: the matrix of second derivatives, flat; or, for conjugate gradients, the (N, K)
            predicted probabilities.
        wrong: the share of rows in which another class scores higher than the label.
        beside: the mean NLL at the other parameters.
    """

    value: float
    nll: float
    slope: Array
    curve: Array
    wrong: float
    beside: float


def _softmax(s: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return the softmax of (n, K) scores, the NLL of each row, and whether it is wrong.

    The scores are overwritten by the probabilities. A row is wrong if another class scores higher
    than the label.
    """
    s -= s.max(axis=1, keepdims=True)
    label = s[np.arange(len(s)), labels].astype(np.float64)
    with np.errstate(under="ignore"):
        np.exp(s, out=s)
    total = s.sum(axis=1).astype(np.float64)
    s *= (1 / total).astype(s.dtype)[:, None]
    return s, np.log(total) - label, label < 0


def _nll(s: Array, labels: Array) -> Array:
    return _softmax(s, labels)[1]
