"""Class shares of unlabelled rows, from labelled rows of the same model.

Assumed is a label shift: classes occur in other shares, and the scores of the rows of a class are
distributed as before. The shares q of the unlabelled rows then maximise the mean of
log sum_k q_k p_k / prior_k, where prior are the class shares of the labelled rows, and p what
bias-corrected temperature scaling makes of a row's scores (Alexandari et al. 2020). EM finds the
maximum (Saerens et al. 2002).

Beside it stands black box shift estimation (Lipton et al. 2018), which only needs predicted
classes: C w = m, C the joint shares of predicted and true class of the labelled rows, m the shares
of predicted classes of the others, and q_k = w_k prior_k. Where the two differ beyond chance, more
has changed than class shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.fit import fit
from calibtool.calibrators.fitted import class_shares
from calibtool.calibrators.maps import Affine
from calibtool.data.predictions import DataInfo, Predictions, names_of_classes
from calibtool.errors import FitError, NotAvailableError, UsageError
from calibtool.evaluation.resampling import Resampling
from calibtool.intervals import bootstrap
from calibtool.intervals.streams import Stream, generator
from calibtool.parallel import cores, ordered
from calibtool.streaming.read import read as read_data
from calibtool.types import Array, Progress, Shown, silent

# Steps of EM: 10 to 100 where the classes can be told apart, and thousands where hardly.
STEPS = 20_000
CLOSE = 1e-9  # shares that change by less in a step have arrived: six decimals are never shown
ROUGH = 1e-6  # the same of a replicate, whose spread is larger by far
SINGULAR = 1e6  # a matrix of a larger condition number turns a rounding error into a share
# Joint level at which EM and BBSE differ beyond chance. At 0.95, 11 % of 200 simulated pairs of 500
# rows under a label shift did, as errors of shares near 0 are not normal; at 0.99, 1 to 3 of 80.
DIFFER = 0.99
# Replicates of the shares: the ends of an interval are then known to a tenth of its width.
REPLICATES = 200
LABELS = ("labels", "labels_file", "id", "join")  # keys that the unlabelled rows need not have


@dataclass(frozen=True)
class ClassShare:
    """A class, and its shares.

    Attributes:
        name: its name, or its number.
        before: its share of the labelled rows.
        share: the estimate of its share of the unlabelled rows, by EM.
        low, high: the interval of `share`; None without replicates.
        bbse: the estimate by black box shift estimation; None where there is none.
    """

    name: str
    before: float
    share: float
    low: float | None
    high: float | None
    bbse: float | None


@dataclass(frozen=True)
class Prior(Shown):
    """The estimated class shares of unlabelled rows.

    Attributes:
        data: the unlabelled rows.
        labelled: the labelled rows.
        level: confidence level of the intervals.
        replicates: their number; 0 for no intervals.
        classes: one entry per class.
        differ: names of the classes whose estimates by EM and by BBSE differ beyond chance.
    """

    data: DataInfo
    labelled: DataInfo
    level: float
    replicates: int
    classes: tuple[ClassShare, ...]
    differ: tuple[str, ...] = ()

    @property
    def shares(self) -> Array:
        """(K,) the estimated shares, for `Calibrator.for_prior`."""
        return np.array([one.share for one in self.classes])


def estimate_prior(
    labelled: Any,
    target: Any,
    *,
    resamples: int = REPLICATES,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
    **keys: Any,
) -> Prior:
    """Estimate the class shares of rows without labels.

    Args:
        labelled: rows with labels, in any form that `ct.read` takes.
        target: rows of the same model, as `Predictions` or anything else that `ct.read` takes;
            their labels, if any, are not looked at.
        resamples, level, seed: of the intervals; `resamples=0` for none. Rows of both are redrawn,
            the labelled ones within their class.
        progress: called with a stage and the share of it that is done.
        keys: which column has which role, as for `ct.load`.

    Raises UsageError where the two have different classes, NotAvailableError for confidences alone,
    and FitError where a class has no labelled row or the classes cannot be told apart.

    >>> import calibtool as ct
    >>> z = np.log([[0.8, 0.2], [0.2, 0.8]])
    >>> y = [0] * 40 + [1] * 50 + [0] * 10  # right 4 times in 5
    >>> labelled = ct.Predictions.from_logits(np.repeat(z, 50, axis=0), y)
    >>> target = ct.Predictions.from_logits(np.repeat(z, [70, 30], axis=0), None)
    >>> estimate_prior(labelled, target, resamples=0).shares.round(3)  # 0.7 = 0.8 q + 0.2 (1 - q)
    array([0.833, 0.167])
    """
    resampling = Resampling("percentile", resamples, level, seed)
    others = {key: value for key, value in keys.items() if key not in LABELS}
    known = read_data(labelled, **keys).load()
    known, rows = _pair(known, read_data(target, need_labels=False, **others).load())
    calibrator = fit("bias-corrected", known)
    shift = _Shift(calibrator, known, rows)
    share, bbse = shift.estimate(CLOSE)
    drawn: list[tuple[Array, Array | None]] = []
    if resampling.ci != "none":
        tick = progress or silent
        draw = partial(shift.replicate, seed=seed, start=share)
        for done, one in enumerate(ordered(draw, range(resamples), cores()), start=1):
            drawn.append(one)
            tick("class shares", done / resamples)
    low: list[float | None] = [None] * len(share)
    high, differ = list(low), []
    names = names_of_classes(known)
    if drawn:
        replicates = np.array([q for q, _ in drawn])
        pairs = zip(share, replicates.T, strict=True)
        ends = [bootstrap.plain("percentile", x, r, level) for x, r in pairs]
        low, high = [end[0] for end in ends], [end[1] for end in ends]
        differ = _differing(share, bbse, drawn)
    return Prior(
        DataInfo.of(rows),
        DataInfo.of(known),
        level,
        len(drawn),
        tuple(
            ClassShare(
                names[k],
                float(shift.prior[k]),
                float(share[k]),
                low[k],
                high[k],
                None if bbse is None else float(bbse[k]),
            )
            for k in range(len(share))
        ),
        tuple(names[k] for k in differ),
    )


def _pair(known: Predictions, rows: Predictions) -> tuple[Predictions, Predictions]:
    """Check that both have the same classes, and leave rows of weight 0 out."""
    for one in (known, rows):
        if one.classes is None:
            raise NotAvailableError(
                f"{one.source}: only confidences are known; class shares need whole rows"
            )
    if known.classes != rows.classes:
        raise UsageError(
            f"{rows.source}: has {rows.classes:,} classes, {known.source} has {known.classes:,}"
        )
    if known.class_names and rows.class_names and known.class_names != rows.class_names:
        raise UsageError(
            f"{rows.source}: its classes have other names, or another order, than those of "
            f"{known.source}"
        )
    kept = [p if p.weights is None else p.take(p.weights > 0) for p in (known, rows)]
    for one in kept:
        if not one.rows:
            raise UsageError(f"{one.source}: all rows have a weight of 0")
    return kept[0], kept[1]


class _Shift:
    """Labelled and unlabelled rows, as the two estimators see them.

    A replicate's bias-corrected temperature is one Newton step from that of all rows, which is off
    its own optimum by less than the replicates scatter, by a factor of order 1 / sqrt(N).

    Attributes:
        prior: (K,) class shares of the labelled rows.
    """

    def __init__(self, calibrator: Calibrator, known: Predictions, rows: Predictions) -> None:
        fitted = calibrator.map
        assert isinstance(fitted, Affine)
        assert known.labels is not None
        self.labels, self.classes = known.labels, int(known.classes or 0)
        self.prior = class_shares(known)
        self._at = np.append(float(fitted.weight), fitted.bias)
        self._known_z = _centred(fitted.look_at(known, fitted.floor))
        self._z = _centred(fitted.look_at(rows, fitted.floor))
        self._known_weights, self._weights = (_normalised(p) for p in (known, rows))
        self._known_top, self._top = (p.matrix().argmax(axis=1) for p in (known, rows))
        self._slopes, self._newton = self._derivatives()

    def estimate(self, enough: float) -> tuple[Array, Array | None]:
        """Return the shares by EM, and by BBSE if that has an answer."""
        return self._both(self._at, self._known_weights, self._weights, self.prior, enough)

    def replicate(self, number: int, *, seed: int, start: Array) -> tuple[Array, Array | None]:
        """Return both estimates for redrawn rows."""
        rng = generator(Stream.CLASS_SHARES, seed, number)
        drawn = np.empty(len(self.labels))
        for k in range(self.classes):
            at = np.flatnonzero(self.labels == k)
            drawn[at] = np.bincount(rng.integers(0, len(at), len(at)), minlength=len(at))
        known = _times(self._known_weights, drawn)
        count = len(self._weights)
        weights = _times(self._weights, np.bincount(rng.integers(0, count, count), minlength=count))
        at = self._at - self._newton @ (known @ self._slopes)
        return self._both(at, known, weights, start, ROUGH)

    def _both(
        self, at: Array, known: Array, weights: Array, start: Array, enough: float
    ) -> tuple[Array, Array | None]:
        ratio = _softmax(at[0] * self._z + at[1:]) / self.prior
        share = shares_by_em(ratio, weights, start, enough)
        joint = np.bincount(
            self._known_top * self.classes + self.labels, known, self.classes**2
        ).reshape(self.classes, -1)
        predicted = np.bincount(self._top, weights, self.classes)
        return share, shares_by_bbse(joint, predicted)

    def _derivatives(self) -> tuple[Array, Array]:
        """Return the rows' slopes of the NLL in (1 / T, b), (N, K + 1), and the inverse of the mean
        second derivatives."""
        z, w = self._known_z, self._known_weights
        p = _softmax(self._at[0] * z + self._at[1:])
        off = p.copy()
        off[np.arange(len(p)), self.labels] -= 1
        slopes = np.concatenate([(off * z).sum(axis=1, keepdims=True), off], axis=1)
        deviation = p * (z - (p * z).sum(axis=1, keepdims=True))
        second = np.empty((len(self._at), len(self._at)))
        second[0, 0] = w @ (deviation * z).sum(axis=1)
        second[0, 1:] = second[1:, 0] = w @ deviation
        second[1:, 1:] = np.diag(w @ p) - (p * w[:, None]).T @ p
        # a constant added to all biases changes nothing: the inverse leaves that direction alone
        return slopes, np.linalg.pinv(second, rcond=1e-10, hermitian=True)


def shares_by_em(ratio: Array, weights: Array, start: Array, enough: float = CLOSE) -> Array:
    """Return the q that maximises the mean log of ratio @ q, by EM.

    Args:
        ratio: (N, K) p_k / prior_k of each row.
        weights: (N,) that sum to 1.
        start: (K,) positive shares.
        enough: the largest change of a share in the last step.

    Raises FitError if the steps do not arrive.
    """
    # rows that a replicate lacks: their classes may end with no share, and 0 / 0 is not a number
    ratio, weights = ratio[weights > 0], weights[weights > 0]
    share = start
    for _ in range(STEPS):
        new = share * ((weights / (ratio @ share)) @ ratio)
        new /= new.sum()  # which only rounding makes other than 1
        if np.abs(new - share).max() < enough:
            return np.asarray(new)
        share = new
    raise FitError(
        f"the class shares do not settle in {STEPS:,} steps: the scores hardly tell the classes "
        "apart; give the shares with --target-prior"
    )


def shares_by_bbse(joint: Array, predicted: Array) -> Array | None:
    """Return the class shares that explain the shares of predicted classes; None where several do.

    Args:
        joint: (K, K) shares of predicted (row) and true class (column).
        predicted: (K,) shares of predicted classes.

    Where sampling errors make a share negative, it becomes 0, and the others are made to sum to 1.
    """
    prior = joint.sum(axis=0)
    given = joint / prior  # P(predicted | true)
    if np.linalg.cond(given) > SINGULAR:
        return None
    share = np.maximum(np.linalg.solve(given, predicted), 0)
    return np.asarray(share / share.sum())


def _differing(
    share: Array, bbse: Array | None, drawn: list[tuple[Array, Array | None]]
) -> list[int]:
    """Return the classes whose two estimates differ beyond chance."""
    if bbse is None or any(other is None for _, other in drawn):
        return []
    error = np.std([q - other for q, other in drawn if other is not None], axis=0, ddof=1)
    limit = NormalDist().inv_cdf(1 - (1 - DIFFER) / (2 * len(share)))
    return np.flatnonzero(np.abs(share - bbse) > limit * error + CLOSE).tolist()


def _centred(z: Array) -> Array:
    """Return log-odds against the mean of the row: a constant in a row of logits means nothing."""
    z = z.astype(np.float64)
    return np.asarray(z - z.mean(axis=1, keepdims=True))


def _softmax(z: Array) -> Array:
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _normalised(rows: Predictions) -> Array:
    weights = np.ones(rows.rows) if rows.weights is None else rows.weights.astype(np.float64)
    return np.asarray(weights / weights.sum())


def _times(weights: Array, counts: Array) -> Array:
    drawn = weights * counts
    return np.asarray(drawn / drawn.sum())
