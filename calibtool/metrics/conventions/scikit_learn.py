"""scikit-learn, and libraries that are used with it."""

from __future__ import annotations

from functools import partial

from calibtool.metrics.conventions.binned_errors import (
    error,
    full_error,
    sums,
    uc_calibration_error,
)
from calibtool.metrics.conventions.convention import Convention, LibraryMetric
from calibtool.metrics.conventions.cumulative import ks_p, ks_statistic, kuiper_p, kuiper_statistic
from calibtool.metrics.conventions.equal_mass import (
    midpoints,
    one_fewer_quantiles,
    one_fewer_runs,
    quantiles_right,
)
from calibtool.metrics.conventions.equal_width import one_fewer, right_closed, right_closed_linspace
from calibtool.metrics.conventions.kinds import of_bins, of_column
from calibtool.metrics.conventions.norms import debiased_l2, l1, l1_of_kept, l2
from calibtool.metrics.conventions.scores import (
    log_loss,
    require_all_classes,
    squared_binary_halved,
)
from calibtool.metrics.conventions.smooth import smece
from calibtool.metrics.conventions.statistics import spiegelhalter_p, spiegelhalter_z
from calibtool.metrics.conventions.views import class_mean

BESIDE_SKLEARN: tuple[Convention, ...] = (
    Convention(
        "sklearn",
        "scikit-learn",
        "1.9.1",
        "sklearn/calibration.py, sklearn/metrics/_classification.py",
        "(lo, hi] between linspace edges, 0 in the first",
        "no ECE of its own: calibration_curve's bins, weighted",
        {
            "ece": of_column(partial(error, rule=right_closed_linspace)),
            "ece-quantile": of_column(partial(error, rule=quantiles_right)),
            "brier": LibraryMetric(
                require_all_classes(squared_binary_halved),
                rows="class",
                note="half the sum for two classes, the sum for more",
                whole=True,
            ),
            "log-loss": LibraryMetric(
                require_all_classes(log_loss),
                one="label",
                rows="label",
                whole=True,
                note="clipped to the precision's epsilon",
            ),
        },
        bins=5,
    ),
    Convention(
        "uncertainty-calibration",
        "uncertainty-calibration, the code of Kumar et al. 2019",
        "0.1.4",
        "calibration/utils.py",
        "(lo, hi] between i / bins, 0 in the first",
        "get_calibration_error is equal-mass, debiased L2, the root mean square over classes",
        {
            "ece": of_bins(right_closed),
            "ece-em": of_bins(midpoints),
            "ece-marginal": of_bins(right_closed, one="", rows="class"),
            "ece-debiased": LibraryMetric(
                full_error,
                note="the expectation of what is drawn there 1,000 times",
            ),
            "calibration-error": LibraryMetric(
                uc_calibration_error, rows="class, root mean square", whole=True
            ),
            "calibration-error-plugin": LibraryMetric(
                partial(uc_calibration_error, norm=l2),
                rows="class, root mean square",
                whole=True,
            ),
            "calibration-error-l1": LibraryMetric(
                partial(uc_calibration_error, norm=l1, classes=class_mean),
                rows="class",
                whole=True,
            ),
            "top-calibration-error": LibraryMetric(
                partial(error, rule=midpoints, norm=debiased_l2),
                one="",
                rows="top",
                note="of scores that are not discrete",
            ),
        },
    ),
    Convention(
        "relplot",
        "relplot",
        "1.0.3",
        "relplot/metrics.py, relplot/kernels.py",
        "int(p / (1 / bins)), 1 in a bin of its own",
        "smece is resolved to 200 points and 10 bisections",
        {
            "ece": of_column(sums),
            "smece": of_column(smece),
            "smece-logit": of_column(partial(smece, kernel="logit")),
        },
        bins=10,
    ),
    Convention(
        "mapie",
        "MAPIE",
        "1.6.0",
        "mapie/metrics/calibration.py",
        "(lo, hi] between the points of a linspace: a bin for 0, one fewer for the rest",
        "spiegelhalter-p is one-sided; ks and kuiper are over the deviation under calibration",
        {
            "ece": of_bins(one_fewer, l1_of_kept),
            "ece-quantile": of_bins(one_fewer_quantiles, l1_of_kept),
            "ece-array-split": LibraryMetric(
                partial(error, rule=one_fewer_runs, norm=l1_of_kept),
                note="splits scores in file order, not sorted ones",
            ),
            "top-label-ece": of_bins(one_fewer, l1_of_kept, one="", rows="predicted class"),
            "classwise-ece": of_bins(one_fewer, l1_of_kept, one="", rows="class"),
            "spiegelhalter": LibraryMetric(spiegelhalter_z),
            "spiegelhalter-p": LibraryMetric(partial(spiegelhalter_p, one_sided=True)),
            "ks": LibraryMetric(ks_statistic, note="ties ordered by noise of a fixed seed"),
            "ks-p": LibraryMetric(ks_p),
            "kuiper": LibraryMetric(kuiper_statistic, note="ties ordered by noise of a fixed seed"),
            "kuiper-p": LibraryMetric(kuiper_p),
        },
        bins=50,
    ),
)
