"""`ct.evaluate`: every metric of all rows or, with `by`, of every slice too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

from calibtool.data.readable import Recalibrator, variants_of
from calibtool.errors import NoScoresError, UsageError
from calibtool.evaluation.accuracy_only import accuracy_only
from calibtool.evaluation.evaluate import evaluate_variants, report_of
from calibtool.evaluation.execution import Execution
from calibtool.evaluation.report import Report
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import Resampling
from calibtool.metrics.spec import Spec
from calibtool.streaming.read import read
from calibtool.types import Progress

if TYPE_CHECKING:
    from calibtool.analysis.slices import SliceReport

Metrics = str | Iterable[str | Spec]


@overload
def evaluate(
    predictions: Any,
    metrics: Metrics | None = None,
    *,
    by: None = None,
    calibrator: Recalibrator | None = None,
    ood: Any = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    **keys: Any,
) -> Report: ...


@overload
def evaluate(
    predictions: Any,
    metrics: Metrics | None = None,
    *,
    by: str | Sequence[str],
    calibrator: Recalibrator | None = None,
    ood: None = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    **keys: Any,
) -> SliceReport: ...


def evaluate(
    predictions: Any,
    metrics: Metrics | None = None,
    *,
    by: str | Sequence[str] | None = None,
    calibrator: Recalibrator | None = None,
    ood: Any = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    **keys: Any,
) -> Report | SliceReport:
    """Measure predictions.

    Args:
        predictions: all that `ct.read` takes: a path, `Predictions`, a data frame and more.
        metrics: spec strings such as ["ece", "classwise-ece(bins=10)"] or "ece,nll"; None for the
            set "default", and with `by` for accuracy, mean confidence, nll and ece.
        by: measure every slice too, as `ct.evaluate_by` does, whose report is returned: a column,
            several ("country,age"), or a list of such.
        calibrator: also measure the predictions after this calibrator, and the paired difference.
        ood: out-of-distribution predictions, whose labels are ignored: also measure how well
            confidence separates them from `predictions`.
        cluster: a column; rows with equal values (one patient, one user) are resampled together.
        ci: "inverted" (its intervals cover; metrics that are no calibration errors get a bootstrap
            with one unseen row, or a closed form), "percentile", "basic", "bca" or "none".
        resamples: bootstrap replicates, at least 20.
        level: confidence level of the intervals, in (0, 1).
        seed: of the replicates; the digits depend on nothing else.
        threads: as many as there are cores, if None. Changes no digit.
        progress: called now and then with what is being done and the share that is done.
        keys: which column has which role, as for `ct.load`.

    A log that says which answers are right, and nothing of how sure the model was, gives the
    accuracy alone.

    Raises InputError, UsageError.

    >>> from calibtool.data.predictions import Predictions
    >>> p = Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]], [0, 1])
    >>> round(evaluate(p, ["ece"], ci="none")["ece"].value, 6)
    0.3
    """
    if by is not None:
        if ood is not None:
            raise UsageError("by= cannot be combined with ood=")
        from calibtool.analysis.slices import METRICS, evaluate_by

        return evaluate_by(
            predictions,
            by,
            METRICS if metrics is None else metrics,
            calibrator=calibrator,
            cluster=cluster,
            ci=ci,
            resamples=resamples,
            level=level,
            seed=seed,
            threads=threads,
            progress=progress,
            **keys,
        )
    metrics = "default" if metrics is None else metrics
    resampling = Resampling(ci, resamples, level, seed)
    try:
        opened = read(predictions, **keys)
    except NoScoresError as error:
        if calibrator is not None or ood is not None:
            raise
        return accuracy_only(error, metrics, cluster, resampling)
    request = Request.of(
        opened,
        metrics,
        variants_of(calibrator),
        ood=None if ood is None else read(ood, **keys),
        cluster=cluster,
        resampling=resampling,
        execution=Execution.of(threads, progress),
    )
    return report_of(evaluate_variants(request))
