"""The registry of losses, without torch.

A loss is a class in a file of its own and an entry here. The command line, `calibtool losses`, the
docs and the laws in tests/train find it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = float | tuple[float, ...]  # or bool, which is an int and so a float to type checkers

LEGEND = (
    "In the formulas, p_k are the probabilities of a row, y is its label, p = p_y, [..] is 1 if "
    "true and 0 otherwise, and log is natural. A loss is the mean over the rows, weighted by class "
    "weights if there are any."
)


@dataclass(frozen=True)
class Option:
    """An option of a loss: default, smallest and largest value, and a description.

    If the default is a tuple, the option takes one or more numbers, `gammas=(5, 3)`; if it is an
    int, the option takes whole numbers, and if it is a bool, True or False. Bounds that are not
    mathematical only catch typing errors.
    """

    default: Value
    least: float
    most: float
    what: str


@dataclass(frozen=True)
class LossEntry:
    """The entry of a loss.

    Attributes:
        summary: its purpose in one sentence.
        formula: the loss of one row, or of the batch where it says so.
        source: author and year.
        module, cls: module below calibtool.train, and name of the class in it.
        options: options by name; the class takes each as a keyword argument.
    """

    summary: str
    formula: str
    source: str
    module: str
    cls: str
    options: Mapping[str, Option] = field(default_factory=dict)


_GAMMA = "how strongly rows that are already right are down-weighted; 0 is cross-entropy"

LOSSES: dict[str, LossEntry] = {
    "cross-entropy": LossEntry(
        "Cross-entropy, the usual loss: the NLL of the training rows.",
        "-log p",
        "Good 1952",
        "losses.cross_entropy",
        "CrossEntropyLoss",
    ),
    "focal": LossEntry(
        "Focal loss with one gamma: rows that are clearly right count less.",
        "-(1 - p)^gamma log p",
        "Lin et al. 2017, eq. 4; Mukhoti et al. 2020",
        "losses.focal",
        "FocalLoss",
        {"gamma": Option(3.0, 0, 100, _GAMMA)},
    ),
    "flsd-53": LossEntry(
        "Focal loss with gamma 5 for p < 0.2 and gamma 3 otherwise.",
        "-(1 - p)^gamma(p) log p, gamma(p) = gammas[number of thresholds <= p]",
        "Mukhoti et al. 2020",
        "losses.flsd",
        "FLSDLoss",
        {
            "thresholds": Option((0.2,), 0, 1, "rising values of p at which gamma changes"),
            "gammas": Option((5.0, 3.0), 0, 100, "one value more than thresholds"),
        },
    ),
    "focal-auto": LossEntry(
        "Focal loss whose gamma solves g(p, gamma) = 1 for each row.",
        "-(1 - p)^gamma(p) log p, gamma(p) = a/b + W_-1(-a^(1 - a/b) log(a) / b) / log(a), "
        "a = 1 - p, b = p log p; 0 for p >= 0.5; at least `least`",
        "Mukhoti et al. 2020, proposition 1",
        "losses.focal_auto",
        "FocalAutoLoss",
        {
            "least": Option(
                0.0, 0, 100, "smallest gamma; 0 gives the gradient of cross-entropy at every p"
            )
        },
    ),
    "focal-scheduled": LossEntry(
        "Focal loss whose gamma falls during training.",
        "-(1 - p)^gamma log p, gamma = gammas[number of until <= epoch / epochs]",
        "Mukhoti et al. 2020, appendix",
        "losses.focal_scheduled",
        "FocalScheduledLoss",
        {
            "gammas": Option((5.0, 3.0, 1.0), 0, 100, "one value more than until"),
            "until": Option(
                (0.286, 0.714), 0, 1, "rising shares of the epochs; 100 and 250 of 350"
            ),
        },
    ),
    "label-smoothing": LossEntry(
        "Cross-entropy with part of the label spread over all classes.",
        "-(1 - alpha) log p - alpha/K sum_k log p_k",
        "Szegedy et al. 2016, section 7",
        "losses.label_smoothing",
        "LabelSmoothingLoss",
        {"alpha": Option(0.05, 0, 1, "share of the label that is spread")},
    ),
    "brier": LossEntry(
        "The Brier score: squared distance from the one-hot label.",
        "sum_k (p_k - [k = y])^2",
        "Brier 1950",
        "losses.brier",
        "BrierLoss",
    ),
    "mmce": LossEntry(
        "Cross-entropy plus the kernel calibration error of the batch.",
        "-log p + weight MMCE, MMCE^2 = mean over pairs i, j of the batch of "
        "(c_i - r_i)(c_j - r_j) exp(-|r_i - r_j| / width); r confidence, c 1 if right, otherwise 0",
        "Kumar et al. 2018",
        "losses.mmce",
        "MMCELoss",
        {
            "weight": Option(2.0, 0, 1000, "weight of MMCE relative to cross-entropy"),
            "width": Option(0.4, 0.001, 1000, "width of the kernel"),
            "squared": Option(False, 0, 1, "add MMCE^2, as the authors' code does"),
        },
    ),
    "mmce-weighted": LossEntry(
        "As mmce, but right and wrong rows are weighted by their numbers.",
        "-log p + weight MMCE_w, MMCE_w^2 = sum over pairs i, j of the batch of "
        "u_i u_j exp(-|r_i - r_j| / width); u = (1 - r) / m^divided if right, -r / n^divided if "
        "wrong; r confidence, m and n the numbers of right and wrong rows; 0 if m or n is 0",
        "Kumar et al. 2018, eq. 8",
        "losses.mmce",
        "WeightedMMCELoss",
        {
            "weight": Option(2.0, 0, 1000, "weight of MMCE_w relative to cross-entropy"),
            "width": Option(0.4, 0.001, 1000, "width of the kernel"),
            "divided": Option(2, 1, 2, "2 as in the authors' code, 1 as in the paper's eq. 8"),
        },
    ),
    "dual-focal": LossEntry(
        "Focal loss that also uses the next smaller probability.",
        "-(1 - p + q)^gamma log p, q = max of the p_k < p",
        "Tao et al. 2023",
        "losses.dual_focal",
        "DualFocalLoss",
        {"gamma": Option(5.0, 0, 100, _GAMMA)},
    ),
    "adafocal": LossEntry(
        "Focal loss whose gamma follows the calibration of validation bins.",
        "-(1 - p)^gamma log p for gamma > 0, -(1 + p)^|gamma| log p for gamma < 0; after each "
        "validation, the gamma of each bin is multiplied by exp(sign(gamma) rate gap), "
        "gap = confidence - accuracy, and clipped to [least, most]; its sign changes if |gamma| "
        "falls below switch",
        "Ghosh et al. 2022, algorithm 1",
        "losses.adafocal",
        "AdaFocalLoss",
        {
            "bins": Option(15, 1, 10_000, "validation bins with equal numbers of rows"),
            "gamma": Option(1.0, -100, 100, "gamma before the first validation"),
            "rate": Option(1.0, 0, 1000, "how fast gamma follows the gap of its bin"),
            "switch": Option(0.2, 0, 100, "|gamma| below which its sign changes"),
            "least": Option(-2.0, -100, 0, "smallest gamma"),
            "most": Option(20.0, 0, 100, "largest gamma"),
        },
    ),
    "mdca": LossEntry(
        "Focal loss plus the gap of mean confidence and frequency of each class.",
        "-(1 - p)^gamma log p + weight MDCA, MDCA = mean over k of |mean p_k - mean [k = y]|, "
        "means over the batch",
        "Hebbalaguppe et al. 2022",
        "losses.mdca",
        "MDCALoss",
        {
            "gamma": Option(1.0, 0, 100, _GAMMA),
            "weight": Option(1.0, 0, 1000, "weight of MDCA relative to focal loss"),
        },
    ),
    "mbls": LossEntry(
        "Cross-entropy with a penalty on logits that lie more than a margin apart.",
        "-log p + weight/K sum_k max(0, max_j z_j - z_k - margin), z the logits",
        "Liu et al. 2022",
        "losses.mbls",
        "MbLSLoss",
        {
            "margin": Option(10.0, 0, 1000, "distance from the largest logit that is free"),
            "weight": Option(0.1, 0, 1000, "weight of the penalty relative to cross-entropy"),
        },
    ),
}

# class -> module, for `from calibtool.train import FocalLoss`
CLASSES: dict[str, str] = {entry.cls: entry.module for entry in LOSSES.values()}
