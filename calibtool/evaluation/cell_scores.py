"""Scores and class counts of a summary: means by their sums, with replicates."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from calibtool.errors import WHOLE_ROWS, NotAvailableError
from calibtool.evaluation.measurement import Measurement, Settings
from calibtool.evaluation.unseen_rows import INFINITE, UnseenRows, mean_ends, with_ends
from calibtool.evaluation.unseen_sums import skewed, skewness
from calibtool.intervals import unseen
from calibtool.intervals.draws import Draws
from calibtool.intervals.streams import Stream, generator
from calibtool.metrics.kinds import CountMetric, Counts, Score
from calibtool.metrics.proper import REFITTED
from calibtool.metrics.registry import score_of
from calibtool.metrics.spec import ONE_SCORE, Spec
from calibtool.streaming.exact import Exact, scaled
from calibtool.streaming.summary import Summary
from calibtool.types import Array


def mean_of(
    spec: Spec, summary: Summary, settings: Settings, found: UnseenRows | None
) -> Measurement:
    """Measure the mean of one value per row by its sums, with an unseen row, if there may be
    one."""
    measurement = by_sums(spec, summary, settings)
    value, replicates = measurement.value, measurement.replicates
    if found is None or replicates is None or value is None or not settings.inverted:
        return measurement
    name, factor = kept(spec, summary)
    sums = scaled(summary.sums[f"score/{name}"], factor)
    if found.is_share(spec):
        exact = unseen.of_share(value, float(summary.rows), settings.level)
        return with_ends(measurement, exact, "clopper-pearson")
    cases = found.cases(spec)
    if cases is None:
        return replace(measurement, without=INFINITE)
    if not cases:
        return measurement
    assert settings.draws is not None
    skew = skewness(sums, weighted=summary.weighted)
    _, error, _ = of_moments(sums, weighted=summary.weighted)
    normal = (replicates - value) / error if error > 0 else replicates - value
    drawn = value + error * skewed(normal, skew, settings.draws.seed)
    ends = mean_ends(drawn, float(sums.high[0]), cases, settings.level, spec.limits)
    return with_ends(measurement, ends, "unseen")


def by_sums(spec: Spec, summary: Summary, settings: Settings) -> Measurement:
    """Measure the mean of one value per row by its sums."""
    name, factor = kept(spec, summary)
    if f"score/{name}" not in summary.sums:
        raise NotAvailableError(lacking_score(spec, summary))
    infinite = summary.sums.get(f"infinite/{name}")
    if infinite is not None and infinite.high[0] > 0:
        return Measurement(float("inf"))
    sums = scaled(summary.sums[f"score/{name}"], factor)
    mean, error, skew = of_moments(sums, weighted=summary.weighted)
    if settings.draws is None:
        return Measurement(mean)
    replicates = mean + error * deviates(settings.draws, spec.name)
    return Measurement(mean, replicates=replicates, acceleration=skew)


def kept(spec: Spec, summary: Summary) -> tuple[str, float]:
    """Return the name of the sums that give a score, and what it is times theirs.

    Those of the Brier score at its default scale give it at the other. For two classes, the scores
    of a view are those of whole rows.
    """
    two, base = summary.classes == 2, spec.metric.name
    if f"score/{spec.name}" in summary.sums or (spec.view and not two):
        return spec.name, 1.0
    same = [base, *(f"{base}(view={view})" for view in ONE_SCORE if two)]
    name = next((name for name in same if f"score/{name}" in summary.sums), base)
    default = "half" if two else "sum"
    if spec.options.get("scale", default) == default:
        return name, 1.0
    return name, 2.0 if two else 0.5


def of_moments(sums: Exact, *, weighted: bool) -> tuple[float, float, float]:
    """Return the mean, its standard error and the acceleration of a BCa interval (Efron 1987) from
    the sums that `streaming.exact.moments` keeps.

    The acceleration is sum((x - mean)**3) / (6 sum((x - mean)**2)**1.5), the sums written out in
    powers of x. With weights it would need sums of w**3, which are not kept: it is 0 then.
    """
    total, one, two, three, squares, with_one, with_two = (float(x) for x in sums.high)
    mean = one / total
    spread = max(with_two - 2 * mean * with_one + mean**2 * squares, 0.0)
    third = three - 3 * mean * two + 3 * mean**2 * one - mean**3 * total
    cubed = 0.0 if weighted else spread**1.5  # 0 too where it is too small for a float
    skew = third / (6 * cubed) if cubed else 0.0
    return mean, spread**0.5 / total, skew


def paired(
    spec: Spec, before: Measurement, after: Measurement, summary: Summary, settings: Settings
) -> Measurement:
    """Return a score after a calibrator, its replicates correlated with those before as the rows
    are.

    The pass keeps the sum of squared differences row by row, so the variance of the mean
    difference is known; with the variances a**2 and b**2 of both means it gives their correlation,
    (a**2 + b**2 - var(difference)) / (2 a b).
    """
    name = f"pair/{spec.name}"
    if name not in summary.sums or before.replicates is None or after.replicates is None:
        return after
    assert settings.draws is not None
    assert before.value is not None
    assert after.value is not None
    a, b = float(np.std(before.replicates)), float(np.std(after.replicates))
    total, _, square = (float(x) for x in summary.sums[name].high)
    change = after.value - before.value
    spread = max(square / total**2 - change**2 / total, 0.0)  # of the mean difference
    if a <= 0 or b <= 0:
        return after
    correlation = float(np.clip((a * a + b * b - spread) / (2 * a * b), -1, 1))
    shared = (before.replicates - before.value) / a
    independent = deviates(settings.draws, f"after {spec.name}")
    replicates = after.value + b * (
        correlation * shared + (1 - correlation**2) ** 0.5 * independent
    )
    return replace(after, replicates=replicates)


def of_class_counts(spec: Spec, metric: CountMetric, summary: Summary) -> float:
    """Return a metric of how many rows have each label and each predicted class."""
    if "count/label" not in summary.sums:
        raise NotAvailableError(lacking_score(spec, summary))
    label, predicted, correct = (
        summary.sums[f"count/{name}"].high for name in ("label", "predicted", "correct")
    )
    total = label.sum()
    mean = np.array(0.0)
    if metric.rows is not None:
        name = score_of(metric)
        sums = summary.sums.get(f"score/{name}")
        if sums is None:
            raise NotAvailableError(lacking_score(spec, summary))
        infinite = summary.sums.get(f"infinite/{name}")
        some = infinite is not None and infinite.high[0] > 0
        mean = np.array(np.inf) if some else sums.high[1] / sums.high[0]
    # classes up to the last that occurs, as when rows are counted
    size = max(int(np.flatnonzero((label > 0) | (predicted > 0)).max(initial=0)) + 1, 1)
    label, predicted, correct = (x[:size] / total for x in (label, predicted, correct))
    counts = Counts(label, predicted, correct, mean, summary.classes == 2)
    value = float(metric.of(counts, **spec.options))
    if np.isnan(value):
        raise NotAvailableError("not defined on these data")
    return value


def lacking_score(spec: Spec, summary: Summary) -> str:
    """Return why a summary does not give a metric."""
    if summary.kind == "confidence" and not (spec.view == "top" and isinstance(spec.metric, Score)):
        return WHOLE_ROWS
    if isinstance(spec.metric, Score) and "refined" in spec.metric.needs:
        return REFITTED
    return f'these cells do not keep it; make them with --metrics "{spec.name}"'


def deviates(draws: Draws, name: str) -> Array:
    """Return standard normal deviates, (R,), in an order that depends on `name`.

    They are the quantiles at evenly spaced probabilities, so that the quantiles of replicates carry
    no noise of the draws; shuffling them makes metrics of different names independent.
    """
    rng = generator(Stream.DEVIATES, draws.seed, *name.encode())
    return rng.permutation(_even_quantiles(draws.replicates))


@lru_cache(maxsize=4)  # those of every metric and slice are the same
def _even_quantiles(count: int) -> Array:
    """Return the quantiles of the standard normal law at evenly spaced probabilities, (count,)."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((k + 0.5) / count) for k in range(count)])
