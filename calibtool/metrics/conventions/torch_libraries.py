"""Libraries for networks: TorchMetrics, TorchUncertainty, net:cal, MONAI."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from calibtool.metrics.conventions.binned import binned_single
from calibtool.metrics.conventions.binned_errors import netcal_error, single_error
from calibtool.metrics.conventions.convention import Convention, LibraryMetric
from calibtool.metrics.conventions.equal_mass import quantile_edges, runs
from calibtool.metrics.conventions.equal_width import above_one, bucketized, linspace_edges
from calibtool.metrics.conventions.kinds import of_bins
from calibtool.metrics.conventions.norms import Norm, average, l1, l2, worst
from calibtool.metrics.conventions.ranking import aurc
from calibtool.metrics.conventions.scores import nll, squared_sum
from calibtool.metrics.conventions.smooth import mmce, smece_single
from calibtool.metrics.conventions.views import BY_LABELS, FOLDED, UNFOLDED
from calibtool.types import Array

ANY_ORDER = "ties in file order; there in the order that torch.sort leaves them"
MONAI_BINS = 20  # `num_bins` of CalibrationErrorMetric
SINGLE = "of scores cast to float32: float64 ones stop the library"


def _torchmetrics(norm: Norm) -> LibraryMetric:
    """Return TorchMetrics' error: rows in float32, one column in its own precision."""
    return of_bins(bucketized, norm, rows="top in float32")


def _netcal(norm: Norm, edges: Callable[[Array, int], Array] = linspace_edges) -> LibraryMetric:
    """Return a binned error of net:cal."""
    return LibraryMetric(partial(netcal_error, norm=norm, edges=edges), BY_LABELS, BY_LABELS)


def _monai(score: Array, outcome: Array, *, norm: Norm) -> float:
    """Return MONAI's error of one channel, with its default number of bins."""
    return float(norm(binned_single(score, outcome, above_one, MONAI_BINS)))


NETWORKS: tuple[Convention, ...] = (
    Convention(
        "torchmetrics",
        "TorchMetrics",
        "1.9.0",
        "torchmetrics/functional/classification/calibration_error.py",
        "[lo, hi) between torch's edges, 1 in a bin of its own",
        "rows are computed in float32; one column is P(class 1)",
        {"ece": _torchmetrics(l1), "l2": _torchmetrics(l2), "max": _torchmetrics(worst)},
    ),
    Convention(
        "torch-uncertainty",
        "TorchUncertainty",
        "0.13.0",
        "torch_uncertainty/metrics/classification",
        "[lo, hi) between torch's edges, 1 in a bin of its own",
        "ece is TorchMetrics'; ace is equal-mass ECE of the top label, also for one column",
        {
            "ece": _torchmetrics(l1),
            "l2": _torchmetrics(l2),
            "max": _torchmetrics(worst),
            "ace": of_bins(runs, l1, single_error, one="top", note=ANY_ORDER),
            "ace-l2": of_bins(runs, l2, single_error, one="top", note=ANY_ORDER),
            "ace-max": of_bins(runs, worst, single_error, one="top", note=ANY_ORDER),
            "classwise-ece": of_bins(bucketized, one="", rows="class"),
            "smece": LibraryMetric(smece_single, one=FOLDED, note=SINGLE),
            "smece-reflected": LibraryMetric(
                partial(smece_single, kernel="reflected"), one=FOLDED, note=SINGLE
            ),
            "aurc": LibraryMetric(aurc, one="top", note=ANY_ORDER),
            "augrc": LibraryMetric(
                partial(aurc, generalised=True),
                one="top",
                note=ANY_ORDER,
            ),
            "brier": LibraryMetric(squared_sum, rows="class", whole=True),
            "nll": LibraryMetric(nll, rows="label", one="label", whole=True),
        },
        bins=10,
    ),
    Convention(
        "netcal",
        "net:cal",
        "1.4.0",
        "netcal/metrics/Miscalibration.py",
        "[lo, hi) between linspace edges, 1 in the last",
        "P(class 1) of at most two distinct labels; a float32 score on an edge may count in one"
        " bin and be averaged in another; ace is the mean over bins",
        {
            "ece": _netcal(l1),
            "mce": _netcal(worst),
            "ace": _netcal(average),
            "ece-equal-mass": _netcal(l1, quantile_edges),
            "mmce": LibraryMetric(
                mmce, one=UNFOLDED, note="of one column, P(class 1) stands for the confidence"
            ),
        },
        bins=10,
    ),
    Convention(
        "monai",
        "MONAI",
        "1.6.1",
        "monai/metrics/calibration.py",
        "20, (lo, hi] between torch's edges from 0 to 1 + 2^-23, though documented as [lo, hi)",
        "one-vs-rest, the mean over classes (channels); all rows count as one image; computed in"
        " float32",
        {
            name + suffix: LibraryMetric(partial(_monai, norm=norm), rows=f"class{view}")
            for suffix, view in (("", ""), ("-no-background", ", but the first"))
            for name, norm in (("expected", l1), ("average", average), ("maximum", worst))
        },
        bins=20,
        ece="",
    ),
)
