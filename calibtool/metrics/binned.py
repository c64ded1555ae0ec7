"""Binned calibration errors, norm(profile(view)): their entries in the table of metrics."""

from __future__ import annotations

from calibtool.metrics.kinds import BinnedError

# what no binned error sees
WITHIN_BINS = "differences within a bin, which cancel; the number depends on the bins"
_OTHER_CLASSES = "which of the other classes get the rest of the probability"
PLAIN: tuple[BinnedError, ...] = (
    BinnedError(
        "ece",
        "Expected calibration error",
        "sum over bins of n_b/N |accuracy_b - confidence_b|",
        "Guo et al. 2017, eq. 3; Naeini et al. 2015",
        sees="the mean distance of a bin's accuracy from its confidence",
        blind=WITHIN_BINS,
    ),
    BinnedError(
        "ada-ece",
        "Adaptive ECE",
        "ECE over bins of equal mass",
        "Mukhoti et al. 2020; Nguyen & O'Connor 2015",
        profile="equal_mass",
        sees="the same as ECE, with the same number of rows in every bin",
        blind=WITHIN_BINS,
    ),
    BinnedError(
        "rmsce",
        "Root mean squared calibration error",
        "root of the sum over bins of n_b/N (accuracy_b - confidence_b)^2",
        "Kumar et al. 2019; Hendrycks et al. 2019",
        norm="l2",
        sees="large gaps more than small ones. In the class view it is the mean of the classes' "
        "roots, as every class has all rows; in the label view one root over all bins, as the bins "
        "of the predicted classes part the rows",
        blind=WITHIN_BINS,
    ),
    BinnedError(
        "ada-rmsce",
        "Adaptive RMSCE",
        "RMSCE over bins of equal mass",
        "Hendrycks et al. 2019; Kumar et al. 2019",
        profile="equal_mass",
        norm="l2",
        sees="large gaps more than small ones, with the same number of rows in every bin",
        blind=WITHIN_BINS,
    ),
    BinnedError(
        "mce",
        "Maximum calibration error",
        "largest |accuracy_b - confidence_b| over non-empty bins",
        "Naeini et al. 2015; Guo et al. 2017, eq. 5",
        norm="worst",
        sees="the worst bin, however few rows it holds",
        blind="every other bin, and bins without rows; a bin of one row is often the worst",
    ),
    BinnedError(
        "average-ce",
        "Average calibration error",
        "mean over non-empty bins of |accuracy_b - confidence_b|",
        "Neumann et al. 2018",
        norm="average",
        sees="every bin equally, rare confidences as much as common ones",
        blind="how many rows a bin holds",
    ),
    BinnedError(
        "overconfidence-error",
        "Overconfidence error",
        "the part of ECE where confidence_b > accuracy_b",
        "the positive part of Guo et al. 2017, eq. 3",
        norm="over",
        sees="bins whose confidence is too high",
        blind="underconfidence",
    ),
    BinnedError(
        "underconfidence-error",
        "Underconfidence error",
        "the part of ECE where confidence_b < accuracy_b",
        "the negative part of Guo et al. 2017, eq. 3",
        norm="under",
        sees="bins whose confidence is too low",
        blind="overconfidence",
    ),
)
DEBIASED: tuple[BinnedError, ...] = (
    BinnedError(
        "debiased-rmsce",
        "Debiased RMSCE",
        "root of sum n_b/N (gap_b^2 - r_b (1 - r_b)/(n_b - 1)), r_b the accuracy; 0 if negative",
        "Kumar et al. 2019, def. 5.2",
        profile="equal_mass",
        norm="debiased_l2",
        sees="RMSCE without what noise adds to it in expectation",
        blind=WITHIN_BINS,
    ),
    BinnedError(
        "debiased-ece",
        "Debiased ECE",
        "2 ECE - mean ECE under normal noise of variance r_b (1 - r_b)/n_b around the accuracies; "
        "0 if negative",
        "Kumar et al. 2019, app. G.3",
        profile="equal_mass",
        norm="debiased_l1",
        sees="ECE without most of what noise adds to it",
        blind=WITHIN_BINS,
    ),
)
SWEPT: tuple[BinnedError, ...] = (
    BinnedError(
        "ece-sweep",
        "ECE-sweep",
        "ECE over as many bins of equal mass as keep the accuracies rising",
        "Roelofs et al. 2022, alg. 1",
        profile="sweep_mass",
        sees="the gap, with bins as fine as a rising calibration curve allows",
        blind="calibration curves that fall somewhere",
    ),
    BinnedError(
        "rmsce-sweep",
        "RMSCE-sweep",
        "RMSCE over as many bins of equal mass as keep the accuracies rising",
        "Roelofs et al. 2022, alg. 1",
        profile="sweep_mass",
        norm="l2",
        sees="large gaps, with bins as fine as a rising calibration curve allows",
        blind="calibration curves that fall somewhere",
    ),
)
CLASSWISE: tuple[BinnedError, ...] = (
    BinnedError(
        "classwise-ece",
        "Class-wise ECE",
        "mean over the K classes of the one-vs-rest ECE",
        "Kull et al. 2019, eq. 4; Mukhoti et al. 2020",
        view="class",
        sees="the probability of every class, not only the highest",
        blind="gaps that cancel within a bin; small with many classes, as most probabilities are",
    ),
    BinnedError(
        "sce",
        "Static calibration error",
        "class-wise ECE by its other name",
        "Nixon et al. 2019",
        view="class",
        sees="the same as class-wise ECE",
        blind="the same as class-wise ECE",
    ),
    BinnedError(
        "ace",
        "Adaptive calibration error",
        "mean over the K classes of the one-vs-rest ECE over bins of equal mass",
        "Nixon et al. 2019",
        view="class",
        profile="equal_mass",
        sees="every class's probability, with the same number of rows in every bin",
        blind="at large K, nearly all bins hold probabilities near 0",
    ),
)
TOP_LABEL_ECE = BinnedError(
    "top-label-ece",
    "Top-label ECE",
    "ECE of each predicted class's rows over bins of equal mass, weighted by their number",
    "Gupta & Ramdas 2022, eq. 4",
    view="label",
    profile="equal_mass",
    sees="confidence that is right on average but not for every predicted class",
    blind=_OTHER_CLASSES,
)
