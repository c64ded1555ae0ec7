"""Temperature scaling: softmax(z / T), one parameter (Guo et al. 2017, sec. 4.2).

T minimises the mean negative log-likelihood. With b = 1/T and logits z,

    L(b)   = mean log sum_k exp(b z_k) - b z_y
    L'(b)  = mean E[z] - z_y          E, Var: over classes, under softmax(b z)
    L''(b) = mean Var[z] >= 0

so L is convex, and Newton's steps, kept inside a bracket, find its only minimum. With the third
derivative they become Halley's, which converge cubically: two or three passes suffice.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from calibtool.calibrators.calibrator import Calibrator, finish, require_fit
from calibtool.calibrators.fit_rows import FileRows, FitRows, MemoryRows
from calibtool.calibrators.fitted import FitRecord
from calibtool.calibrators.maps import EXTREME, Power
from calibtool.data.predictions import Predictions
from calibtool.data.rows import reduce_rows
from calibtool.errors import FitError, UsageError
from calibtool.types import Array

# Rows in the sample whose optimum the search starts from. That is typically within 10 % of the one
# of all rows, from where Halley's steps need two or three passes; larger samples do not save one.
START_ROWS = 1024
# Relative error of 1/T at which the search stops: below what T is printed with, and above the
# rounding of the sums.
TOLERANCE = 1e-12
SLABS = 16  # shares of the rows that threads take: a few per thread, so that they end together
# Values worked on at a time: 1 MB in float32, so that a piece's two buffers stay in the L2 cache.
PIECE = 1 << 18
# Rows of two classes worked on at a time: `_two` makes about ten arrays of one value per row, 64 KB
# each.
TWO = 1 << 13
STEPS = 100  # passes; fits take 2 to 4, and the bracket halves in each at worst
# Values from which on float32 logits are worked on as they are, see `moments`.
SINGLE = 1 << 22
GRID = np.arange(1, 101) / 10  # of Mukhoti et al. 2020: 0.1 to 10 by 0.1


def fit(
    predictions: Predictions | FileRows,
    *,
    objective: Literal["nll", "ece"] = "nll",
    pooled: bool = False,
) -> Calibrator:
    """Fit T.

    Args:
        predictions: N rows of logits or probabilities, with labels; in memory, or read from a file
            pass by pass, for nll.
        objective: nll for the exact minimum of the negative log-likelihood; ece for the grid
            search of Mukhoti et al. 2020 (0.1 to 10 by 0.1, the first T with the smallest 15-bin
            ECE).
        pooled: with --by, keep the temperature of each group near that of all rows, as near as
            cross-fitting says; groups of few rows hardly leave it.

    Raises FitError if there is no finite optimum, NotAvailableError for confidences alone.

    >>> z = np.log([[0.8, 0.2]] * 5)
    >>> round(fit(Predictions.from_logits(2 * z, [0, 0, 0, 0, 1])).map.temperature, 6)
    2.0
    """
    if objective not in ("nll", "ece"):
        raise UsageError(f"--objective must be one of nll, ece (got {objective!r})")
    if pooled:  # `calibtool.calibrators.fit` takes what has groups elsewhere
        raise UsageError("--pooled needs groups: say which column they are of with --by COLUMN")
    require_fit(predictions)
    if objective == "ece":
        assert isinstance(predictions, Predictions)
        temperature = _grid_search(predictions)
        before, after = (moments(MemoryRows(predictions), b).loss for b in (1.0, 1 / temperature))
    else:
        temperature, before, after = best(predictions)
    return finish(
        "temperature",
        predictions,
        Power(temperature),
        FitRecord(
            objective=objective,
            nll_before=before,
            nll_after=after,
            options={"objective": objective},
            notes=tuple(predictions.notes()) if isinstance(predictions, FileRows) else (),
        ),
    )


def best(predictions: Predictions | FileRows) -> tuple[float, float, float]:
    """Return the T of smallest mean NLL, the NLL without it, and the NLL with it."""
    if isinstance(predictions, FileRows):
        rows: FitRows = predictions
        start = optimum_of_sample(predictions.sample, _start(predictions.sample))
    else:
        rows, start = MemoryRows(predictions), _start(predictions)
    b, after, before = _optimum(rows, start)
    return 1 / b, before, after


# ------------------------------------------------------------------ the likelihood


class Moments(NamedTuple):
    """The results of a pass, as means over the rows.

    Attributes:
        loss, slope, curve, third: L(b) and its first three derivatives.
        loss_at_1: L(1).
        lead: the lead of the highest logit over the label's; 0 if every row is right.
        impossible: the share of rows that give their label a probability of 0.
    """

    loss: float
    slope: float
    curve: float
    third: float
    loss_at_1: float
    lead: float
    impossible: float


def _start(predictions: Predictions) -> float:
    """Return where to begin: near the optimum if there are many rows, else 1."""
    return near_optimum(predictions) if predictions.rows > 4 * START_ROWS else 1.0


def near_optimum(predictions: Predictions) -> float:
    """Return 1/T at the optimum of every k-th row, or of all if there are few; 1 if it has none."""
    if predictions.rows > 4 * START_ROWS:
        every = predictions.rows // START_ROWS
        predictions = predictions.take(np.arange(0, predictions.rows, every))
    return optimum_of_sample(predictions)


def optimum_of_sample(sample: Predictions, start: float = 1.0) -> float:
    """Return 1/T at the optimum of a sample; 1 if it has none."""
    try:
        return _optimum(MemoryRows(sample), start)[0] if sample.rows else 1.0
    except FitError:
        return 1.0


def _optimum(rows: FitRows, start: float) -> tuple[float, float, float]:
    """Return the b = 1/T at which L'(b) = 0, with L there and L(1).

    Raises FitError if there is no finite optimum.
    """
    b, low, high, before = start, 0.0, np.inf, np.nan
    for k in range(STEPS):
        at = moments(rows, b, and_at_1=k == 0)
        before = at.loss_at_1 if k == 0 else before
        _require_optimum(rows.source, at, b)
        # L is convex, so the sign of its slope says on which side of b the optimum lies
        low, high = (b, high) if at.slope < 0 else (low, b)
        # Halley's step is Newton's divided by 1 - slope * third / (2 curve**2). Where that is far
        # from 1 the expansion does not hold, and Newton's step is the safer one.
        step = -at.slope / at.curve if at.curve > 0 else np.inf
        bend = 1 - at.slope / at.curve * (at.third / at.curve) / 2 if at.curve > 0 else 1.0
        step = step / bend if bend > 0.5 else step
        new = b + step
        if not low <= new <= high or np.isinf(new):  # the curvature of tiny logits reads 0
            new = (low + high) / 2 if np.isfinite(high) else 4 * b
        d = new - b
        # Halley's error is of the order of the step cubed, so this step is the last: L at its end
        # follows from the expansion, without another pass.
        if abs(d / b) <= TOLERANCE ** (1 / 3):
            after = at.loss + d * (at.slope + d * (at.curve / 2 + d * at.third / 6))
            if new > EXTREME:
                raise FitError(
                    f"{rows.source}: the best temperature is {1 / new:g}, practically 0: "
                    "nearly every row is right; fit on more rows"
                )
            return new, after, before
        b = new
    raise FitError(
        f"{rows.source}: the fit did not converge in {STEPS} passes; it reached "
        f"T = {1 / b:.6g} between {1 / high:.6g} and {1 / low if low else np.inf:.6g}"
    )


def _require_optimum(source: str, at: Moments, b: float) -> None:
    """Raise FitError if L has no minimum at a finite T > 0."""
    if at.impossible:
        raise FitError(
            f"{source}: some rows give their label a probability of exactly 0; no temperature "
            "can repair that. Fit on logits, or drop or repair those rows"
        )
    if at.curve == 0 and at.lead == 0:
        raise FitError(
            f"{source}: every row has the same value for all its classes; a temperature has no "
            "effect on them"
        )
    if at.lead == 0:
        raise FitError(
            f"{source}: every row is right, so the likelihood increases as T falls to 0; "
            "fit on data that the model has not been trained on, or on more rows"
        )
    if b < 1 / EXTREME:
        raise FitError(
            f"{source}: labels score no better than the average class, so the likelihood "
            "increases as T grows without bound; are the labels in the order of the columns?"
        )


# Stands for the logarithm of a probability of 0. At the highest temperature it is still -1e12, so
# that its exponential is 0; and its cube, in the third derivative, is finite.
_NEVER = -1e18


def moments(rows: FitRows, b: float, *, and_at_1: bool = True) -> Moments:
    """Return the moments at b, and L(1) if `and_at_1`: one pass. Sums are float64."""
    # Rounding errors of float32 arithmetic average out over many values, but not over few. For two
    # classes, probabilities and float64 logits nothing is gained by float32.
    many = rows.rows * rows.width > SINGLE
    single = many and rows.width > 2 and not rows.wide and rows.kind == "logits"
    # Pieces are scaled by a b that float32 holds exactly. What that rounds away from b would shift
    # all rows in the same direction; it is put right by the expansion of L below.
    exact = float(np.float32(b)) if single else b
    step = max(1, PIECE // rows.width)
    slab = step * max(1, rows.rows // (step * SLABS))

    def work(block: Predictions) -> Array:
        if rows.width <= 2:
            return np.sum([_two(piece, b, and_at_1) for piece in block.blocks(TWO)], axis=0)
        buffers = [np.empty((step, max(2, rows.width)), np.float32 if single else np.float64)]
        buffers.append(np.empty_like(buffers[0]))
        pieces = block.blocks(step)
        return np.sum([_piece(piece, exact, buffers, and_at_1) for piece in pieces], axis=0)

    sums = rows.sum(work, slab)
    loss, slope, curve, third, at_1, lead, impossible = (float(x) for x in sums[:-1] / sums[-1])
    d = b - exact
    return Moments(
        loss + d * (slope + d / 2 * curve),
        slope + d * (curve + d / 2 * third),
        curve + d * third,
        third,
        at_1,
        lead,
        impossible,
    )


def _piece(piece: Predictions, b: float, buffers: list[Array], and_at_1: bool) -> Array:
    """Return weighted sums over a few rows, in the order of `Moments`, then that of the weights.

    Derivatives of log sum_k exp(b z_k) in b are the cumulants of z under softmax(b z): its mean,
    variance and third central moment. z is shifted to a maximum of 0, which changes none of L.
    The two buffers are reused from piece to piece: new arrays would be new pages of memory.
    """
    assert piece.labels is not None
    values = _as_logits(piece)
    shifted, power = (buffer[: len(values)] for buffer in buffers)
    np.subtract(values, values.max(axis=1, keepdims=True), out=shifted)
    label = shifted[np.arange(len(values)), piece.labels].astype(np.float64)
    at_1 = np.zeros(len(values))
    with np.errstate(under="ignore"):
        if and_at_1:
            at_1 = np.log(np.exp(shifted, out=power).sum(axis=1).astype(np.float64)) - label
        np.exp(np.multiply(shifted, shifted.dtype.type(b), out=power), out=power)
        total = power.sum(axis=1).astype(np.float64)
        first = np.vecdot(power, shifted).astype(np.float64) / total
        power *= shifted
        second = np.vecdot(power, shifted).astype(np.float64) / total
        power *= shifted
        cube = np.vecdot(power, shifted).astype(np.float64) / total
    columns = np.stack(
        [
            np.log(total) - b * label,
            first - label,
            second - first * first,
            cube - 3 * first * second + 2 * first**3,
            at_1,
            -label,
            label <= _NEVER / 2,
            np.ones(len(label)),
        ]
    )
    return np.asarray(columns.sum(axis=1) if piece.weights is None else columns @ piece.weights)


def _two(piece: Predictions, b: float, and_at_1: bool) -> Array:
    """Return the sums of `_piece` for two classes, faster.

    With m the lead of the label's logit over the other, L = log(1 + exp(-b m)).
    """
    m = _lead(piece)
    w = np.ones(len(m)) if piece.weights is None else piece.weights

    def loss(x: Array, small: Array) -> float:
        return float(w @ (np.log(1 + small) - np.minimum(x, 0)))

    with np.errstate(under="ignore"):
        at_1 = loss(m, np.exp(-np.abs(m))) if and_at_1 else 0.0
        x = b * m
        small = np.exp(-np.abs(x))
        after = loss(x, small)
    wrong = np.maximum(small, m <= 0) / (1 + small)  # the other class's probability
    slope = m * wrong
    curve = slope * m * (1 - wrong)
    return np.array(
        [
            after,
            -(w @ slope),
            w @ curve,
            -(w @ (curve * m * (1 - 2 * wrong))),
            at_1,
            w @ np.maximum(-m, 0),
            w @ (m <= _NEVER / 2),
            w.sum(),
        ]
    )


def _lead(piece: Predictions) -> Array:
    """Return (n,): the label's logit minus that of the other of two classes."""
    values, labels = piece.values, piece.labels
    assert labels is not None
    positive = values[:, -1].astype(np.float64)
    if piece.kind == "logits":
        m = positive if piece.one_column else positive - values[:, 0]
    else:
        with np.errstate(divide="ignore"):
            m = np.log(positive / (1 - values[:, -1] if piece.one_column else values[:, 0]))
        np.clip(m, _NEVER, -_NEVER, out=m)
    m *= 2.0 * labels - 1  # a product rather than a choice: branches on labels are mispredicted
    return m


def _as_logits(predictions: Predictions) -> Array:
    """Return (n, K) logits, or log-probabilities if only probabilities are known."""
    values = predictions.matrix()
    if predictions.kind == "logits":
        return values if values.itemsize > 2 else values.astype(np.float32)
    with np.errstate(divide="ignore"):
        logs = np.log(values.astype(np.float64))
    return np.maximum(logs, _NEVER)


def _grid_search(predictions: Predictions) -> float:
    """Return the first T of the grid with the smallest 15-bin ECE."""
    from calibtool.metrics.cells import Cells
    from calibtool.metrics.norms import l1
    from calibtool.metrics.profiles import equal_width, profile

    best_temperature, smallest = 1.0, np.inf
    for temperature in GRID.tolist():
        scaled = Power(temperature)(predictions)
        rows = reduce_rows(scaled)
        cells = Cells.from_rows(*rows.view("top"), rows.weights)
        ece = float(l1(profile(cells.pool(equal_width(cells)))))
        if ece < smallest:
            best_temperature, smallest = temperature, ece
    return best_temperature
