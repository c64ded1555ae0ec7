"""Histogram binning: scores become the share of positives in their bin (Zadrozny & Elkan 2001)."""

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
    multiclass: Multiclass = "one-vs-rest",
) -> Calibrator:
    """Count rows and positives in each bin.

    Args:
        predictions: N rows of logits or probabilities, with labels, or cells of such.
        bins: number of bins.
        binning: equal-width for bins of the same width, where a bin without rows gets its midpoint;
            equal-mass for the same number of rows in each bin.
        multiclass: how K classes are put together.

    Raises FitError for a class without rows.

    >>> p = Predictions.from_probs([0.9, 0.8, 0.7, 0.2], [1, 0, 1, 0])
    >>> fit(p, bins=2, binning="equal-width")(p).values[:, 0].round(6).tolist()
    [0.666667, 0.666667, 0.666667, 0.0]
    """
    require_bins(bins)
    return fit_curves(
        "histogram",
        predictions,
        lambda cells: curve(cells, bins=bins, binning=binning),
        look="probs",
        multiclass=multiclass,
        options={"bins": bins, "binning": binning},
        # rows below 1 / bins are all in the first bin
        coarse=(lambda score, outcome: 1 / bins) if binning == "equal-width" else None,
    )


def curve(cells: Cells, *, bins: int = 15, binning: str = "equal-width") -> Steps:
    """Return the steps of cells of probabilities."""
    require_both(cells.n, cells.y, "fit on more rows, or use a method that needs none, such as bbq")
    if binning == "equal-mass":
        cuts = mass_cuts(cells, bins)
        return Steps(after(cells, cuts), sums(cells.y, cuts) / sums(cells.n, cuts))
    edges = equal_width(cells, bins=bins)
    pooled = cells.pool(edges)
    middle = edges - 0.5 / bins
    return Steps(edges[:-1], np.divide(pooled.y, pooled.n, out=middle, where=pooled.n > 0))
