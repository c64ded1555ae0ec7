"""Scaling-binning: Platt's sigmoid, averaged in bins of equal mass (Kumar et al. 2019, sec. 4.1).

As in histogram binning, the output takes few values, so that its calibration can be measured. These
vary less, since they are means of a fitted function rather than of outcomes.
"""

from __future__ import annotations

import numpy as np

from calibtool.calibrators import platt
from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.curves import Steps
from calibtool.calibrators.fitting import binning
from calibtool.calibrators.fitting.multiclass import Multiclass, fit_curves
from calibtool.data.predictions import Predictions
from calibtool.metrics.cells import Cells


def fit(
    predictions: Predictions, *, bins: int = 10, multiclass: Multiclass | None = None
) -> Calibrator:
    """Fit the sigmoid, cut the rows into bins of equal mass, and average the sigmoid in each bin.

    All three steps use the same rows, as in the authors' code.

    Args:
        predictions: N rows of logits or probabilities, with labels.
        bins: number of bins, of equal mass.
        multiclass: how K classes are put together. By default, two classes have one curve, and
            more share one on the confidence: for one class among many, nearly all bins of equal
            mass have low scores.

    Raises FitError if the sigmoid has no finite optimum.

    >>> p = Predictions.from_probs([0.8] * 5 + [0.2] * 5, [1, 1, 1, 1, 0, 0, 0, 0, 0, 1])
    >>> fit(p, bins=2)(p).values[[0, 5], 0].round(6).tolist()
    [0.8, 0.2]
    """
    binning.require_bins(bins)
    return fit_curves(
        "scaling-binning",
        predictions,
        lambda cells: curve(cells, bins=bins),
        look="log-odds",
        multiclass=multiclass or ("one-vs-rest" if predictions.classes == 2 else "confidence"),
        options={"bins": bins},
    )


def curve(cells: Cells, *, bins: int = 10) -> Steps:
    """Return the steps of cells of log-odds; their edges lie halfway between scores."""
    from calibtool.intervals.special import expit

    scaled = platt.curve(cells)(cells.at)
    cuts = binning.mass_cuts(cells, bins)
    means = binning.sums(cells.n * scaled, cuts) / binning.sums(cells.n, cuts)
    edges = expit(binning.after(cells, cuts))
    # far from 0, neighbouring log-odds have the same probability: their bins become one
    apart = np.diff(edges, prepend=-1) > 0
    return Steps(edges[apart], np.append(means[:-1][apart], means[-1]))
