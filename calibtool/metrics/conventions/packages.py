"""Packages of calibration metrics."""

from __future__ import annotations

from functools import partial

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.metrics.conventions.binned_errors import capped_error, clipped, clipped_error, sweep
from calibtool.metrics.conventions.convention import Convention, LibraryMetric
from calibtool.metrics.conventions.cumulative import largest_deviation, mean_deviation
from calibtool.metrics.conventions.equal_mass import inner_quantiles, quantiles_open, tie_groups
from calibtool.metrics.conventions.equal_width import Rule, left_closed, open_below_exact
from calibtool.metrics.conventions.inputs import DEFAULT_BINS, LibraryInput
from calibtool.metrics.conventions.kinds import of_bins, of_column
from calibtool.metrics.conventions.logistic import cox_ici, cox_intercept, intercept, slope
from calibtool.metrics.conventions.norms import (
    Norm,
    debiased_l2,
    debiased_roots,
    l1,
    l1_of_kept,
    l2,
    worst,
)
from calibtool.metrics.conventions.probcal import smooth_logit
from calibtool.metrics.conventions.scores import nll, squared
from calibtool.metrics.conventions.smooth import smece
from calibtool.metrics.conventions.statistics import (
    hl_clipped,
    hosmer_lemeshow,
    spiegelhalter_p,
    spiegelhalter_z,
)
from calibtool.metrics.conventions.views import FIRST, VIEWS
from calibtool.types import Array


def _calibre(view: str) -> LibraryMetric:
    """Return calibre's debiased L2 error; rows must sum to 1 within 1e-8, relative and absolute."""
    of = partial(capped_error, rule=tie_groups, norm=debiased_l2)

    def checked(probs: Array, labels: Array, *, bins: int = DEFAULT_BINS) -> float:
        probs = probs.astype(np.float64)
        if np.any(np.abs(probs.sum(axis=1) - 1) > 2e-8):
            raise NotAvailableError("raises ValueError: rows do not sum to 1 within 1e-8")
        return VIEWS[view](partial(of, bins=bins), LibraryInput(probs, labels))

    return LibraryMetric(checked, one="", rows=view, whole=True)


def _probcal(rule: Rule, norm: Norm) -> LibraryMetric:
    """Return a binned error of clipped scores."""
    return of_column(partial(clipped_error, rule=rule, norm=norm))


def _calzone(rule: Rule, norm: Norm) -> LibraryMetric:
    """Return a binned error of P(class 1), of one column or two."""
    return of_bins(rule, norm, rows="positive")


def _calzone_hl(rule: Rule, *, p_value: bool = False) -> LibraryMetric:
    """Return the Hosmer-Lemeshow statistic, or its p-value with bins - 2 degrees of freedom."""
    of = partial(hosmer_lemeshow, rule=rule, eps=1e-7, lost=2, p_value=p_value)
    return LibraryMetric(of, rows="positive")


PACKAGES: tuple[Convention, ...] = (
    Convention(
        "calibre",
        "calibre",
        "0.14.0",
        "calibre/metrics.py, calibre/multiclass.py",
        "[lo, hi) between linspace edges, 1 in the last, at most one bin per row",
        "top-label-ece and classwise-ece are debiased L2 over equal-mass bins",
        {
            "ece": of_bins(left_closed, l1, capped_error, rows=FIRST),
            "mce": of_bins(left_closed, worst, capped_error, rows=FIRST),
            "rmsce": of_bins(left_closed, l2, capped_error, rows=FIRST),
            "rmsce-quantile": of_bins(tie_groups, l2, capped_error, rows=FIRST),
            "plugin": of_bins(tie_groups, l2, capped_error, rows=FIRST),
            "plugin-l1": of_bins(tie_groups, l1, capped_error, rows=FIRST),
            "debiased": of_bins(tie_groups, debiased_l2, capped_error, rows=FIRST),
            "sweep": of_column(partial(sweep, norm=l2)),
            "sweep-l1": of_column(partial(sweep, norm=l1)),
            "smece": of_column(smece),
            "top-label-ece": _calibre("top"),
            "classwise-ece": _calibre("class"),
            "brier": of_column(squared),
        },
        bins=10,
    ),
    Convention(
        "probcal",
        "probcal (Python)",
        "0.4.0",
        "probcal/metrics",
        "equal mass: [lo, hi) between quantiles",
        "ece-debiased is corrected bin by bin, biased down; Hosmer-Lemeshow loses no degree",
        {
            "ece": _probcal(inner_quantiles, l1),
            "ece-width": _probcal(left_closed, l1),
            "rmsce": _probcal(inner_quantiles, l2),
            "mce": _probcal(inner_quantiles, worst),
            "ece-debiased": _probcal(inner_quantiles, debiased_roots),
            "ece-sweep": of_column(
                partial(clipped, of=partial(sweep, rule=inner_quantiles, most=100))
            ),
            "hosmer-lemeshow": of_column(hl_clipped),
            "hosmer-lemeshow-p": of_column(partial(hl_clipped, p_value=True)),
            "spiegelhalter": of_column(partial(spiegelhalter_z, eps=1e-12)),
            "spiegelhalter-p": of_column(partial(spiegelhalter_p, eps=1e-12)),
            "ecce-max": of_column(partial(clipped, of=largest_deviation)),
            "ecce-mean": of_column(partial(clipped, of=mean_deviation)),
            "smooth-ece": of_column(smooth_logit),
            "slope": of_column(partial(clipped, of=slope)),
            "intercept": of_column(partial(clipped, of=intercept)),
            "brier": of_column(partial(clipped, of=squared)),
            "log-loss": of_column(partial(clipped, of=nll)),
        },
    ),
    Convention(
        "calzone",
        "calzone",
        "0.1.0",
        "calzone/metrics.py, calzone/utils.py",
        "(lo, hi], 0 dropped, also from N",
        "-h is equal width, -c equal mass, without the lowest score; topclass is the top label",
        {
            "ece-h": _calzone(open_below_exact, l1_of_kept),
            "mce-h": _calzone(open_below_exact, worst),
            "ece-c": _calzone(quantiles_open, l1_of_kept),
            "mce-c": _calzone(quantiles_open, worst),
            "ece-h-topclass": of_bins(open_below_exact, l1_of_kept, one="top"),
            "mce-h-topclass": of_bins(open_below_exact, worst, one="top"),
            "ece-c-topclass": of_bins(quantiles_open, l1_of_kept, one="top"),
            "mce-c-topclass": of_bins(quantiles_open, worst, one="top"),
            "hl-h": _calzone_hl(open_below_exact),
            "hl-h-p": _calzone_hl(open_below_exact, p_value=True),
            "hl-c": _calzone_hl(quantiles_open),
            "hl-c-p": _calzone_hl(quantiles_open, p_value=True),
            "spiegelhalter-z": LibraryMetric(spiegelhalter_z, rows="positive"),
            "spiegelhalter-p": LibraryMetric(spiegelhalter_p, rows="positive"),
            "cox-coef": LibraryMetric(partial(slope, eps=1e-7), rows="positive"),
            "cox-intercept": LibraryMetric(partial(cox_intercept, eps=1e-7), rows="positive"),
            "cox-ici": LibraryMetric(cox_ici, rows="positive"),
        },
        bins=10,
        ece="ece-h-topclass",
    ),
)
