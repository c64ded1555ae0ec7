"""The table of metrics. A metric's entry stands below its function; this file joins them.

The order of the entries is the order of tables, of reports and of `--metrics all`.
"""

from __future__ import annotations

from calibtool.metrics import (
    binned,
    corp,
    counts,
    cumulative,
    density,
    goodness_of_fit,
    kernel,
    loess,
    logistic,
    murphy,
    net_benefit,
    oe_ratio,
    ordinal,
    proper,
    ranking,
    rejection,
    simplex,
    smooth,
    variational,
)
from calibtool.metrics.kinds import CountMetric, Metric, Score

BINNED: tuple[Metric, ...] = (
    *binned.PLAIN,
    murphy.BIAS,
    *binned.DEBIASED,
    murphy.DEBIASED_RELIABILITY,
    *binned.SWEPT,
    *binned.CLASSWISE,
    murphy.TACE,
    binned.TOP_LABEL_ECE,
    simplex.SIMPLEX_ECE,
)
BINNING_FREE: tuple[Metric, ...] = (
    smooth.SMECE,
    *cumulative.CUMULATIVE,
    density.KDE_ECE,
    simplex.CANONICAL_KDE_ECE,
    corp.MCB,
    kernel.MMCE,
    simplex.SKCE,
    variational.CALIBRATION_LP,
)
SCORES: tuple[Metric, ...] = (
    *proper.PROPER,
    proper.KL,
    *counts.SKILL,
    *murphy.DECOMPOSITION,
    *corp.DECOMPOSITION,
    *proper.RECALIBRATION,
    murphy.SHARPNESS,
    *proper.CONFIDENCE,
)
CLINICAL: tuple[Metric, ...] = (
    *logistic.LOGISTIC,
    oe_ratio.OE_RATIO,
    *loess.LOESS,
    *goodness_of_fit.GOODNESS_OF_FIT,
    net_benefit.NET_BENEFIT,
)
RANKING: tuple[Metric, ...] = (
    *proper.ACCURACY,
    counts.MACRO_F1,
    *ranking.RANKING,
    *rejection.REJECTION,
    *ranking.OUT_OF_DISTRIBUTION,
)
ORDINAL: tuple[Metric, ...] = ordinal.ORDINAL
SECTIONS: dict[str, tuple[Metric, ...]] = {
    "binned": BINNED,
    "binning-free": BINNING_FREE,
    "scores": SCORES,
    "clinical": CLINICAL,
    "ranking": RANKING,
    "ordinal": ORDINAL,
}
METRICS: dict[str, Metric] = {
    metric.name: metric for section in SECTIONS.values() for metric in section
}
# names of sets, for --metrics
SETS: dict[str, tuple[str, ...]] = {
    "default": (
        *("accuracy", "mean-confidence", "nll", "brier"),
        *("ece", "ada-ece", "rmsce", "mce", "classwise-ece"),
    ),
    "paper": (
        *("accuracy", "nll", "brier", "ece", "ada-ece", "classwise-ece", "mce"),
        *("smece", "debiased-rmsce", "auroc-correct", "aurc"),
    ),
    "llm": (
        *("accuracy", "brier", "nll", "ece", "rmsce(profile=equal_rows)"),
        *("auroc-correct", "aurc", "prr", "coverage-at-risk"),
    ),
    **{name: tuple(metric.name for metric in section) for name, section in SECTIONS.items()},
    # of levels: those of classes that say what a reader asks first, then those of their order
    "ordinal": (
        *("accuracy", "within-accuracy", "level-distance", "qwk", "rps"),
        *("nll", "ece", "classwise-ece"),
    ),
    # what a report of a prediction model has to say (Van Calster et al. 2025): besides calibration,
    # discrimination and utility, beside that of acting on everybody
    "clinical": (*(metric.name for metric in CLINICAL), "net-benefit(of=all)", "auroc"),
    "all": tuple(METRICS),
}
# other names of metrics, which name the same number, and who gave them
ALIASES: dict[str, tuple[str, str]] = {
    # the supremum over intervals of scores of the |sum of gaps| is the range of the cumulative sum
    "cutoff-ce": ("kuiper", "Rossellini et al. 2025"),
    "c-statistic": ("auroc", "Harrell et al. 1982"),
    "o-e-ratio": ("oe-ratio", "Debray et al. 2017"),
    "o:e": ("oe-ratio", "Van Calster et al. 2025"),
    "log-loss": ("nll", "scikit-learn"),
    "brier-score": ("brier", "Brier 1950"),
    "brier-score-loss": ("brier", "scikit-learn"),
    "roc-auc": ("auroc", "scikit-learn"),
    "roc-auc-score": ("auroc", "scikit-learn"),
    "accuracy-score": ("accuracy", "scikit-learn"),
}
# names that other libraries give to numbers that are not quite the same: what is meant here
MEANT = {
    "expected-calibration-error": "ece",
    "calibration-error": "ece",
    "binary-calibration-error": "ece",
    "multiclass-calibration-error": "ece",
    "maximum-calibration-error": "mce",
    "max-calibration-error": "mce",
    "static-calibration-error": "sce",
    "adaptive-calibration-error": "ace",
    "cross-entropy": "nll",
    "neg-log-loss": "nll",
    "logloss": "nll",
    "auc": "auroc",
}
# sets whose metrics have the views that the shape of the data chooses (`resolve`)
BY_DEFAULT = ("default", "llm")


def canonical(name: str) -> str:
    """Return the spec string of a metric under its own name, where it has the other one.

    >>> canonical("cutoff-ce(view=top)"), canonical("ks")
    ('kuiper(view=top)', 'ks')
    """
    metric, parenthesis, options = name.partition("(")
    return ALIASES.get(metric, (metric, ""))[0] + parenthesis + options


def score_of(metric: CountMetric) -> str | None:
    """Return the name of the score whose mean a metric of counts needs, or None."""
    if metric.rows is None:
        return None
    return next(
        name
        for name, score in METRICS.items()
        if isinstance(score, Score) and score.rows is metric.rows
    )
