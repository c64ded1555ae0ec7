"""Histogram binning: scores become the share of positives in their bin (Zadrozny & Elkan 2001).

By this definition a bin that holds only one of the two outcomes gives a probability of 0 or 1, and
the NLL of a later row of the other outcome is infinite. Smoothing replaces the share k / n by
Laplace's (k + 1) / (n + 2), the expected probability if all were equally likely beforehand.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Steps
from calibtool.calibrators.fitting.binning import after, mass_cuts, require_bins, sums
from calibtool.calibrators.fitting.logistic import require_both
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells
from calibtool.metrics.profiles import equal_width
from calibtool.streaming.summary import Summary


def fit(
    predictions: Predictions | Summary,
    *,
    bins: int = 15,
    binning: Literal["equal-width", "equal-mass"] = "equal-width",
    smoothing: bool = False,
    multiclass: Multiclass = "one-vs-rest",
) -> Calibrator:
    """Count rows and positives in each bin.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such.
        bins: number of bins.
        binning: equal-width for bins of the same width, where a bin without rows gets its midpoint;
            equal-mass for the same number of rows in each bin.
        smoothing: give a bin with k positives among n rows (k + 1) / (n + 2) instead of k / n
            (Laplace), so that no probability is 0 or 1 and the NLL of new rows is finite.
        multiclass: how K classes are put together.

    Raises FitError for a class without rows, unless there is smoothing.

    >>> p = Predictions.from_probs([0.9, 0.8, 0.7, 0.2], [1, 0, 1, 0])
    >>> fit(p, bins=2, binning="equal-width")(p).values[:, 0].round(6).tolist()
    [0.666667, 0.666667, 0.666667, 0.0]
    >>> fit(p, bins=2, smoothing=True)(p).values[:, 0].round(6).tolist()  # 3 of 5, 1 of 3
    [0.6, 0.6, 0.6, 0.333333]
    """
    require_bins(bins)
    equal = binning == "equal-width"
    return fit_curves(
        "histogram",
        predictions,
        lambda cells: curve(cells, bins=bins, binning=binning, smoothing=smoothing),
        look="probs",
        multiclass=multiclass,
        options={"bins": bins, "binning": binning, "smoothing": smoothing},
        # rows below 1 / bins are all in the first bin
        coarse=(lambda score, outcome: 1 / bins) if equal else None,
        edges=np.arange(1, bins + 1) / bins if equal and bins > 1 else None,
    )


def curve(
    cells: Cells, *, bins: int = 15, binning: str = "equal-width", smoothing: bool = False
) -> Steps:
    """Return the steps of cells of probabilities."""
    if not smoothing:
        require_both(cells.n, cells.y, "use --smoothing, which needs none, or fit on more rows")
    more = 1.0 if smoothing else 0.0  # rows of each outcome that a bin is given besides its own
    if binning == "equal-mass":
        cuts = mass_cuts(cells, bins)
        shares = (sums(cells.y, cuts) + more) / (sums(cells.n, cuts) + 2 * more)
        return Steps(after(cells, cuts), shares)
    edges = equal_width(cells, bins=bins)
    pooled = cells.pool(edges)
    middle = edges - 0.5 / bins
    filled = pooled.n > 0
    shares = np.divide(pooled.y + more, pooled.n + 2 * more, out=middle, where=filled)
    return Steps(edges[:-1], shares)
