"""Evaluators of language models: the numbers that they print of confidences and right answers.

Their bins are not options, and rows of several columns are those of the predicted class.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.binned import binned
from calibtool.metrics.conventions.binned_errors import capped_error, error
from calibtool.metrics.conventions.convention import Convention, LibraryMetric
from calibtool.metrics.conventions.equal_mass import midpoints
from calibtool.metrics.conventions.equal_width import right_closed, right_closed_linspace
from calibtool.metrics.conventions.inputs import Of
from calibtool.metrics.conventions.logistic import cox_intercept, logit, slope
from calibtool.metrics.conventions.ranking import first_tenth, kept_accuracy, rejection
from calibtool.types import Array

RUN = 100  # rows of a bin: `beta` of calib_err
PLATT_EPS = 1e-12  # `eps` of uncertainty-calibration's get_platt_scaler
ANY_ORDER = "ties in file order; there in the order that numpy's argsort leaves them"
EXPECTED = "over a random order's, the expectation of what is drawn there 1,000 times"
OPTIMUM = "of the optimum of the Platt fit, to which scikit-learn's lbfgs comes near"


def runs_of_rows(score: Array, outcome: Array, *, whole: bool = False) -> float:
    """Return hle's root mean squared error over runs of 100 sorted rows, in percent, to 2 digits.

    Rows that are left over belong to the last run. It is left out of the sum, though not of N,
    unless `whole`.

    >>> runs_of_rows(np.repeat([0.5, 0.9], 100), np.zeros(200))
    35.36
    >>> runs_of_rows(np.repeat([0.5, 0.9], 100), np.zeros(200), whole=True)
    72.8
    """
    rows = len(score)
    if rows < RUN:
        raise NotAvailableError(f"raises IndexError: fewer than {RUN} rows")
    order = np.argsort(score, kind="stable")

    def run(_: Array, bins: int) -> Array:
        return np.minimum(np.arange(rows) // RUN, bins - 1)

    bins = binned(score[order], outcome[order], run, rows // RUN)
    gap = bins.gap if whole else bins.gap[:-1]
    square = float((bins.n[: len(gap)] * gap**2).sum() / rows)
    return round(100 * square**0.5, 2)


def after_platt(score: Array, outcome: Array, *, of: Of) -> float:
    """Return `of` scores after Platt scaling fitted on the same rows.

    Where all outcomes are equal, HELM writes 0 for it. Otherwise the mean of what is fitted is the
    outcome rate, so that one bin has no gap.

    >>> score, outcome = np.array([0.6, 0.7, 0.8, 0.9]), np.array([0, 1, 0, 1])
    >>> round(after_platt(score, outcome, of=_ECE_1), 9)
    0.0
    """
    if outcome.all() or not outcome.any():
        return 0.0
    z = logit(score.astype(np.float64), PLATT_EPS)
    shift = cox_intercept(score, outcome, eps=PLATT_EPS)
    scale = slope(score, outcome, eps=PLATT_EPS)
    return of(1 / (1 + np.exp(-(scale * z + shift))), outcome)


def _fitted(of: Of) -> Of:
    """Return a parameter of the Platt fit; HELM has none where all outcomes are equal."""

    def checked(score: Array, outcome: Array) -> float:
        if outcome.all() or not outcome.any():
            raise NotAvailableError("is not written where all answers are right, or all wrong")
        return of(score, outcome, eps=PLATT_EPS)

    return checked


def _fixed(of: Of, bins: int) -> Of:
    """Return a binned error with a number of bins that is no option."""

    def fixed(score: Array, outcome: Array) -> float:
        return of(score, outcome, bins=bins)

    return fixed


def _top(of: Of, note: str = "") -> LibraryMetric:
    """Return a metric of the confidence and correctness of the predicted class."""
    return LibraryMetric(of, one="top", note=note)


_ECE_10 = _fixed(partial(capped_error, rule=midpoints), 10)
_ECE_1 = _fixed(partial(error, rule=right_closed), 1)
EVALUATORS: tuple[Convention, ...] = (
    Convention(
        "hle",
        "centerforaisafety/hle, Humanity's Last Exam,",
        "as copied by kflu/hle",
        "hle_eval/run_judge_results.py, calib_err",
        "none; its calibration error has bins of 100 sorted rows",
        "in percent; the 100 to 199 most confident rows count in N and not in the sum",
        {
            "calibration-error": _top(
                runs_of_rows, f"without the last bin; printed in whole percents; {ANY_ORDER}"
            ),
            "calibration-error-all-bins": _top(
                partial(runs_of_rows, whole=True), "not printed there: the same with the last bin"
            ),
        },
        ece="",
    ),
    Convention(
        "helm",
        "HELM",
        "63754d0",
        "helm/benchmark/metrics/basic_metrics.py, compute_calibration_metrics",
        "10 of equal mass, cut half-way between scores; or one",
        "platt_ece is fitted and measured on the same rows; selective_acc@10 is of one row more"
        " than 10 %",
        {
            "ece_10_bin": _top(_ECE_10),
            "ece_1_bin": _top(_ECE_1),
            "selective_cov_acc_area": _top(kept_accuracy, ANY_ORDER),
            "selective_acc@10": _top(first_tenth, ANY_ORDER),
            "platt_coef": _top(_fitted(slope), OPTIMUM),
            "platt_intercept": _top(_fitted(cox_intercept), OPTIMUM),
            "platt_ece_10_bin": _top(partial(after_platt, of=_ECE_10), OPTIMUM),
            "platt_ece_1_bin": _top(partial(after_platt, of=_ECE_1), OPTIMUM),
        },
        ece="",
    ),
    Convention(
        "lm-polygraph",
        "LM-Polygraph",
        "5b9c7d3",
        "lm_polygraph/ue_metrics: pred_rej_area.py, ue_metric.py, ece.py; utils/manager.py",
        "20, (lo, hi] between linspace edges, 0 in the first",
        "prr is an area; the ratio is prr_normalized. Where all answers are right, or"
        " all wrong, both are 0.5",
        {
            "prr": _top(rejection, ANY_ORDER),
            "prr_normalized": _top(partial(rejection, normalized=True), f"{EXPECTED}; {ANY_ORDER}"),
            "prr_0.5": _top(partial(rejection, most=0.5), ANY_ORDER),
            "prr_0.5_normalized": _top(
                partial(rejection, most=0.5, normalized=True), f"{EXPECTED}; {ANY_ORDER}"
            ),
            "ece": _top(_fixed(partial(error, rule=right_closed_linspace), 20)),
        },
        ece="",
    ),
)
