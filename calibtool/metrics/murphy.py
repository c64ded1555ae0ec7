"""Murphy's decomposition of the Brier score of a view (Murphy 1973), bias, sharpness and TACE.

Brier = reliability - resolution + uncertainty, up to the spread of scores within a bin.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from calibtool.metrics.binned import WITHIN_BINS
from calibtool.metrics.cells import Cells, squared_shift
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.profiles import Profile, equal_mass, equal_width
from calibtool.types import Array


def reliability(cells: Cells, *, bins: int = 15) -> Array:
    """Return the weighted mean squared gap of a bin.

    >>> round(float(reliability(Cells.from_rows(np.array([0.2, 0.8]), np.array([0, 1])))), 3)
    0.04
    """
    binned = cells.pool(equal_width(cells, bins=bins))
    return _mean_square(binned.n, binned.y - binned.p) / cells.total


def resolution(cells: Cells, *, bins: int = 15) -> Array:
    """Return the weighted mean squared distance of a bin's outcome rate from the overall rate."""
    binned = cells.pool(equal_width(cells, bins=bins))
    rate = (cells.y.sum(axis=-1) / cells.total)[..., None]
    return _mean_square(binned.n, binned.y - rate * binned.n) / cells.total


def uncertainty(cells: Cells) -> Array:
    """Return the variance of the outcome, r (1 - r) for a rate r.

    >>> float(uncertainty(Cells.from_rows(np.array([0.2, 0.8]), np.array([0, 1]))))
    0.25
    """
    rate = cells.y.sum(axis=-1) / cells.total
    return np.asarray(rate * (1 - rate))


def debiased_reliability(cells: Cells, *, bins: int = 15) -> Array:
    """Return the reliability minus what noise adds to it in expectation.

    That is r (1 - r) / (n - 1) for a bin of n rows with the outcome rate r (Broecker 2012; Ferro &
    Fricker 2012). A bin of one row, whose noise is unknown, counts for nothing.
    """
    binned = cells.pool(equal_width(cells, bins=bins))
    many = binned.n > 1
    rate = np.divide(binned.y, binned.n, out=np.zeros_like(binned.y), where=many)
    noise = np.divide(rate * (1 - rate), binned.n - 1, out=np.zeros_like(rate), where=many)
    gap = np.divide(binned.y - binned.p, binned.n, out=np.zeros_like(rate), where=many)
    return np.asarray((binned.n * (gap * gap - noise)).sum(axis=-1) / cells.total)


def sharpness(cells: Cells) -> Array:
    """Return the variance of the scores (Murphy & Winkler 1992; Gneiting et al. 2007).

    >>> round(float(sharpness(Cells.from_rows(np.array([0.2, 0.8]), np.array([0, 1])))), 3)
    0.09
    """
    mean = cells.p.sum(axis=-1) / cells.total
    return _mean_square(cells.n, cells.p - mean[..., None] * cells.n) / cells.total


def bias(cells: Cells) -> Array:
    """Return mean score - mean outcome: above 0 for overconfidence of the top label.

    >>> float(bias(Cells.from_rows(np.array([0.25, 0.75]), np.array([0, 1]))))
    0.0
    """
    return np.asarray((cells.p - cells.y).sum(axis=-1) / cells.total)


def _mean_square(n: Array, mass: Array) -> Array:
    """Return the sum of mass^2 / n over occupied cells."""
    return np.asarray(np.divide(mass * mass, n, out=np.zeros_like(mass), where=n > 0).sum(axis=-1))


def tace(
    cells: Cells,
    *,
    bins: int = 15,
    threshold: float = 0.01,
    denominator: Literal["kept", "all"] = "kept",
) -> Array:
    """Return the ECE over bins of equal mass of the scores above a threshold (Nixon et al. 2019).

    The denominator is the weight above the threshold (`kept`, as in the authors' code) or `all`.
    0 where no score is above it.
    """
    above = cells.at > threshold
    weight = cells.n[..., above].sum(axis=-1)
    counted = Cells(cells.at[above], *(x[..., above] for x in (cells.n, cells.p, cells.y)))
    divisor = weight if denominator == "kept" else cells.total
    if not above.any():
        return np.zeros(cells.n.shape[:-1])
    binned = counted.pool(
        equal_mass(counted.summed(), bins=bins)
    )  # the same bins for all replicates
    gap = np.abs(binned.y - binned.p).sum(axis=-1)
    return np.asarray(np.divide(gap, divisor, out=np.zeros_like(gap), where=divisor > 0))


def _thresholded_edges(cells: Cells, *, bins: int = 15, threshold: float = 0.01, **_: str) -> Array:
    """Return the bins of TACE by their upper edges; the first holds what does not count."""
    above = cells.at > threshold
    if not above.any():
        return np.array([threshold, 1.0])
    counted = Cells(cells.at[above], cells.n[above], cells.p[above], cells.y[above])
    return np.concatenate([[threshold], equal_mass(counted, bins=bins)])


def _thresholded(q: Profile, *, denominator: str = "kept", **_: float) -> Array:
    """Return TACE from the profile of its bins; reduces the last axis."""
    gap = np.abs(q.gap[..., 1:]).sum(axis=-1)
    divisor = (q.mass[..., 1:] if denominator == "kept" else q.mass).sum(axis=-1)
    return np.asarray(np.divide(gap, divisor, out=np.zeros_like(gap), where=divisor > 0))


BIAS = CellMetric(
    "bias",
    "Bias",
    "mean score - mean outcome; above 0 for overconfidence",
    "Murphy & Epstein 1967; calibration in the large",
    bias,
    better="nearer",
    ideal=0,
    least=-1,
    most=1,
    sees="scores that are too high or too low on average",
    blind="everything that cancels between high and low scores",
)
DEBIASED_RELIABILITY = CellMetric(
    "debiased-reliability",
    "Debiased reliability",
    "sum n_b/N (gap_b^2 - r_b (1 - r_b)/(n_b - 1)), which may be negative",
    "Broecker 2012; Ferro & Fricker 2012",
    debiased_reliability,
    error=True,
    shifted=squared_shift,
    target=reliability,
    ideal=0,
    most=1,
    sees="the reliability term of the Brier score, right on average at any n",
    blind=WITHIN_BINS,
)
DECOMPOSITION: tuple[CellMetric, ...] = (
    CellMetric(
        "reliability",
        "Reliability (Murphy)",
        "sum n_b/N gap_b^2",
        "Murphy 1973",
        reliability,
        error=True,
        ideal=0,
        least=0,
        most=1,
        counterpart="resolution",
        shifted=squared_shift,
        sees="the calibration part of the view's Brier score",
        blind=WITHIN_BINS,
    ),
    CellMetric(
        "resolution",
        "Resolution (Murphy)",
        "sum n_b/N (outcome_b - overall outcome)^2",
        "Murphy 1973",
        resolution,
        least=0,
        counterpart="reliability",
        most=0.25,
        biased=True,
        better="higher",
        sees="how much the outcome rates of the bins differ",
        blind="calibration",
    ),
    CellMetric(
        "uncertainty",
        "Uncertainty (Murphy)",
        "r (1 - r), r the overall outcome",
        "Murphy 1973",
        uncertainty,
        least=0,
        most=0.25,
        better="",
        sees="the data alone",
        blind="the model, except for its predicted classes in the top view",
    ),
)
SHARPNESS = CellMetric(
    "sharpness",
    "Sharpness",
    "variance of the scores",
    "Murphy & Winkler 1992; Gneiting et al. 2007",
    sharpness,
    least=0,
    most=0.25,
    better="",
    sees="how much the scores differ",
    blind="whether they are right",
)
TACE = CellMetric(
    "tace",
    "Thresholded adaptive calibration error",
    "ACE over the probabilities above `threshold`; divided by the `kept` weight or by `all`",
    "Nixon et al. 2019",
    tace,
    cuts=lambda *, threshold, **_: (threshold,),
    edges=_thresholded_edges,
    of_profile=_thresholded,
    view="class",
    error=True,
    ideal=0,
    least=0,
    most=1,
    sees="probabilities that are not negligible",
    blind="the other probabilities; divided by the kept weight, it rises with the threshold",
)
