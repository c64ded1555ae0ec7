"""The code of papers, as their authors published it."""

from __future__ import annotations

from functools import partial

from calibtool.metrics.conventions.binned_errors import above, error
from calibtool.metrics.conventions.convention import Convention, LibraryMetric
from calibtool.metrics.conventions.equal_mass import every_nth, interpolated
from calibtool.metrics.conventions.equal_width import (
    by_ceiling,
    by_product32,
    left_closed_open_end,
    open_below,
)
from calibtool.metrics.conventions.kinds import of_bins
from calibtool.metrics.conventions.norms import average, l1, l2, worst
from calibtool.metrics.conventions.views import FLAT

_NIXON_ACE = of_bins(every_nth, l1, above, one="class", rows="class")
_NIXON_TACE = LibraryMetric(
    partial(above, rule=every_nth, threshold=0.01),
    one="class",
    rows="class",
    note="scores up to the threshold leave the sum and the count, so it rises with the threshold",
)
PAPERS: tuple[Convention, ...] = (
    Convention(
        "guo",
        "gpleiss/temperature_scaling, the code of Guo et al. 2017",
        "126a509",
        "temperature_scaling.py, _ECELoss",
        "(lo, hi] between float32 edges, 0 dropped",
        "rows of exactly 0 are dropped from the sum, not from N",
        {
            "ece": of_bins(open_below, one="top"),
            "ece-positive": of_bins(open_below, rows=""),
        },
    ),
    Convention(
        "focal",
        "torrvision/focal_calibration, the code of Mukhoti et al. 2020",
        "475422a",
        "Metrics/metrics.py",
        "(lo, hi] between float32 edges, 0 dropped",
        "ada-ece drops the lowest score; classwise-ece counts classes by the highest label",
        {
            "ece": of_bins(open_below, one="top"),
            "ada-ece": of_bins(interpolated, one="top"),
            "classwise-ece": of_bins(
                open_below, one="class", rows="class, up to the highest label"
            ),
            "mce": of_bins(by_ceiling, worst, one="top"),
            "ace": LibraryMetric(
                partial(error, rule=by_ceiling, norm=average),
                one="top",
                note="average_calibration_error: the mean over non-empty bins",
            ),
            "l2": of_bins(by_ceiling, l2, one="top"),
            "ece-positive": of_bins(open_below, rows=""),
            "ada-ece-positive": of_bins(interpolated, rows=""),
        },
    ),
    Convention(
        "nixon",
        "uncertainty-metrics, the code of Nixon et al. 2019",
        "c046458",
        "uncertainty_metrics/numpy/general_calibration_error.py",
        "[lo, hi), 1 in a bin of its own",
        "sce, ace and tace are means over classes; scores of 0 leave the sum and the count",
        {
            "ece": of_bins(left_closed_open_end, l1, above, one="top"),
            "rmsce": of_bins(every_nth, l2, above, one="top"),
            "sce": of_bins(left_closed_open_end, l1, above, one="class", rows="class"),
            "ace": _NIXON_ACE,
            "tace": _NIXON_TACE,
        },
        bins=30,
    ),
    Convention(
        "robustness-metrics",
        "google-research/robustness_metrics",
        "93ac2c2",
        "robustness_metrics/metrics/uncertainty.py",
        "int(p bins) in float32, 1 in the last",
        "its sce puts all columns into the same bins",
        {
            "ece": of_bins(by_product32, one="top"),
            "sce": of_bins(left_closed_open_end, l1, above, one=FLAT, rows=FLAT),
            "ace": _NIXON_ACE,
            "tace": _NIXON_TACE,
        },
    ),
)
