"""The table of losses, without torch. A loss is a class in a file of its own and a line here: the
command line, `calibtool losses`, the docs and the laws in tests/train pick it up.

"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = float | tuple[float, ...]

LEGEND = (
    "In the formulas, p_k are the probabilities of a row, y is its label, p = p_y, [..] is 1 where "
    "true and else 0, and log is natural. A loss is the mean over the rows, weighted by class "
    "weights if any."
)


@dataclass(frozen=True)
class Option:
    """An option of a loss: its default, its least and largest value, and what it is.

    A default that is a tuple takes one or more numbers, `gammas=(5, 3)`; a default that is an int
    takes whole numbers.
    """

    default: Value
    least: float
    most: float
    what: str


@dataclass(frozen=True)
class LossEntry:
    """A line of the table.

    Attributes:
        summary: what it is for, in a sentence.
        formula: of a row; of the batch, where it says so.
        source: author and year.
        module, cls: where its class is.
        options: by name; the class takes each as a keyword.
    """

    summary: str
    formula: str
    source: str
    module: str
    cls: str
    options: Mapping[str, Option] = field(default_factory=dict)


_GAMMA = "how much rows that are already right count for less; 0 is cross-entropy"

LOSSES: dict[str, LossEntry] = {
    "cross-entropy": LossEntry(
        "Cross-entropy, the usual loss: NLL in training.",
        "-log p",
        "Good 1952",
        "losses.cross_entropy",
        "CrossEntropyLoss",
    ),
    "focal": LossEntry(
        "Focal loss with one gamma: rows that are right by far count for less.",
        "-(1 - p)^gamma log p",
        "Lin et al. 2017, eq. 4; Mukhoti et al. 2020",
        "losses.focal",
        "FocalLoss",
        {"gamma": Option(3.0, 0, 100, _GAMMA)},
    ),
    "flsd-53": LossEntry(
        "Focal loss whose gamma is 5 below p = 0.2 and 3 from there on.",
        "-(1 - p)^gamma(p) log p, gamma(p) = gammas[number of thresholds <= p]",
        "Mukhoti et al. 2020",
        "losses.flsd",
        "FLSDLoss",
        {
            "thresholds": Option((0.2,), 0, 1, "rising values of p at which gamma changes"),
            "gammas": Option((5.0, 3.0), 0, 100, "one more than thresholds"),
        },
    ),
    "focal-auto": LossEntry(
        "Focal loss whose gamma solves g(p, gamma) = 1, a row at a time.",
        "-(1 - p)^gamma(p) log p, gamma(p) = a/b + W_-1(-a^(1 - a/b) log(a) / b) / log(a), "
        "a = 1 - p, b = p log p; 0 for p >= 0.5; never below least",
        "Mukhoti et al. 2020, proposition 1",
        "losses.focal_auto",
        "FocalAutoLoss",
        {
            "least": Option(
                0.0, 0, 100, "least gamma; at 0 the gradient is cross-entropy's at every p"
            )
        },
    ),
    "focal-scheduled": LossEntry(
        "Focal loss whose gamma falls as training goes on.",
        "-(1 - p)^gamma log p, gamma = gammas[number of until <= epoch / epochs]",
        "Mukhoti et al. 2020, appendix",
        "losses.focal_scheduled",
        "FocalScheduledLoss",
        {
            "gammas": Option((5.0, 3.0, 1.0), 0, 100, "one more than until"),
            "until": Option(
                (0.286, 0.714), 0, 1, "rising shares of the epochs; 100 and 250 epochs of 350"
            ),
        },
    ),
    "label-smoothing": LossEntry(
        "Cross-entropy with part of the label spread over all classes.",
        "-(1 - alpha) log p - alpha/K sum_k log p_k",
        "Szegedy et al. 2016, section 7",
        "losses.label_smoothing",
        "LabelSmoothingLoss",
        {"alpha": Option(0.05, 0, 1, "the share that is spread")},
    ),
    "brier": LossEntry(
        "The Brier score: squared distance from the label's corner.",
        "sum_k (p_k - [k = y])^2",
        "Brier 1950",
        "losses.brier",
        "BrierLoss",
    ),
    "mmce": LossEntry(
        "Cross-entropy and the kernel calibration error of the batch.",
        "-log p + weight MMCE, MMCE^2 = mean over pairs i, j of the batch of "
        "(c_i - r_i)(c_j - r_j) exp(-|r_i - r_j| / width); r confidence, c 1 where right, else 0",
        "Kumar et al. 2018",
        "losses.mmce",
        "MMCELoss",
        {
            "weight": Option(2.0, 0, 1000, "of MMCE beside cross-entropy"),
            "width": Option(0.4, 0.001, 1000, "of the kernel"),
        },
    ),
    "mmce-weighted": LossEntry(
        "As mmce, with right and wrong rows counting the same in all.",
        "-log p + weight MMCE_w, MMCE_w^2 = sum over pairs i, j of the batch of "
        "u_i u_j exp(-|r_i - r_j| / width); u = (1 - r) / right where right, -r / wrong where "
        "wrong; r confidence, right and wrong how many rows are",
        "Kumar et al. 2018",
        "losses.mmce",
        "WeightedMMCELoss",
        {
            "weight": Option(2.0, 0, 1000, "of MMCE_w beside cross-entropy"),
            "width": Option(0.4, 0.001, 1000, "of the kernel"),
        },
    ),
    "dual-focal": LossEntry(
        "Focal loss that also looks at the next smaller probability.",
        "-(1 - p + q)^gamma log p, q = max of the p_k < p",
        "Tao et al. 2023",
        "losses.dual_focal",
        "DualFocalLoss",
        {"gamma": Option(5.0, 0, 100, _GAMMA)},
    ),
    "adafocal": LossEntry(
        "Focal loss whose gamma follows the calibration of validation bins.",
        "-(1 - p)^gamma log p for gamma > 0, -(1 + p)^|gamma| log p for gamma < 0; after each "
        "validation, gamma of p's bin is multiplied by exp(sign(gamma) rate gap), "
        "gap = confidence - accuracy, held in [least, most], and changes its sign where it falls "
        "below switch",
        "Ghosh et al. 2022, algorithm 1",
        "losses.adafocal",
        "AdaFocalLoss",
        {
            "bins": Option(15, 1, 10_000, "validation bins of equal mass"),
            "gamma": Option(1.0, -100, 100, "before the first validation"),
            "rate": Option(1.0, 0, 1000, "how fast gamma follows a bin's gap"),
            "switch": Option(0.2, 0, 100, "|gamma| at which focal and inverse focal loss change"),
            "least": Option(-2.0, -100, 0, "least gamma"),
            "most": Option(20.0, 0, 100, "largest gamma"),
        },
    ),
}

# class -> its module, for `from calibtool.train import FocalLoss`
CLASSES: dict[str, str] = {line.cls: line.module for line in LOSSES.values()}
