"""A gate's outcome in an experiment tracker, through its own client.

The destination is set by the client's own environment variables: MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME, MLFLOW_RUN_ID; WANDB_MODE, WANDB_PROJECT, WANDB_RUN_ID and others.
"""

from __future__ import annotations

import re

from calibtool.errors import CalibtoolError, UsageError
from calibtool.gate.outcome import Outcome
from calibtool.intervals.estimate import Estimate
from calibtool.reports.render import render


def log(tracker: str, outcome: Outcome, picture: str = "") -> None:
    """Log an outcome: metrics, corrected for bias too, with the ends of their intervals, and as
    artifacts the table, the JSON document and a reliability diagram as text.

    Args:
        tracker: "mlflow" or "wandb".
        picture: the diagram, logged as reliability.txt; "" for none.

    Raises UsageError for another tracker or without its client, CalibtoolError if it cannot log.
    """
    if tracker not in TRACKERS:
        raise UsageError(f"--log-to must be one of {', '.join(TRACKERS)} (got {tracker!r})")
    TRACKERS[tracker](outcome, picture)


def numbers(outcome: Outcome) -> dict[str, float]:
    """Return what is logged as metrics, by names that trackers allow."""
    report = outcome.report
    logged: dict[str, float] = {}
    for estimate in report.after or report.estimates:
        logged |= _of(estimate.name, estimate)
    for verdict in outcome.verdicts:
        if verdict.requirement.subject not in {e.name for e in report.estimates}:
            logged |= _of(verdict.requirement.subject, verdict.estimate)
        logged[f"margin.{_name(verdict.requirement.text)}"] = verdict.held.margin
    return logged | {"passed": float(outcome.passed)}


def artifacts(outcome: Outcome, picture: str) -> dict[str, str]:
    """Return the texts that are logged as files, by name."""
    files = {
        "outcome.json": render(outcome, "json"),
        "outcome.md": render(outcome, "markdown"),
    }
    return files | ({"reliability.txt": picture} if picture else {})


def _of(name: str, estimate: Estimate) -> dict[str, float]:
    parts = ("", estimate.value), (".corrected", estimate.corrected)
    ends = (".low", estimate.low), (".high", estimate.high)
    return {f"{_name(name)}{part}": x for part, x in (*parts, *ends) if x is not None}


def _name(text: str) -> str:
    """Return a name of letters, digits, points, dashes and underscores; "<=" becomes "max".

    >>> _name("ece(bins=20) <= 0.03")
    'ece_bins_20_max_0.03'
    """
    for relation, word in (("<=", "max"), (">=", "min"), ("<", "below"), (">", "above")):
        text = text.replace(relation, word)
    return re.sub(r"[^\w.-]+", "_", text).strip("_")


def _mlflow(outcome: Outcome, picture: str) -> None:
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise UsageError("--log-to mlflow needs MLflow: pip install 'calibtool[mlflow]'") from None
    try:
        with mlflow.start_run(nested=mlflow.active_run() is not None):
            mlflow.log_metrics(numbers(outcome))
            tags = {"calibtool.decision": outcome.decision, "calibtool.mode": outcome.mode}
            mlflow.set_tags(tags)
            for name, text in artifacts(outcome, picture).items():
                mlflow.log_text(text, f"calibtool/{name}")
    except (MlflowException, OSError) as error:
        where = mlflow.get_tracking_uri()
        raise CalibtoolError(f"MLflow could not log to {where}: {error}") from error


def _wandb(outcome: Outcome, picture: str) -> None:
    try:
        import wandb
        from wandb.errors import Error
    except ImportError:
        raise UsageError(
            "--log-to wandb needs the client of Weights & Biases: pip install 'calibtool[wandb]'"
        ) from None
    started_here = wandb.run is None
    try:
        run = wandb.run or wandb.init(job_type="check", settings=wandb.Settings(silent=True))
        run.summary["calibtool.mode"] = outcome.mode
        run.log(numbers(outcome))
        run.summary["calibtool.decision"] = outcome.decision
        artifact = wandb.Artifact("calibtool", type="calibration")
        for name, text in artifacts(outcome, picture).items():
            with artifact.new_file(name, mode="w", encoding="utf-8") as file:
                file.write(text)
        run.log_artifact(artifact)
        if started_here:
            run.finish()
    except (Error, OSError) as error:
        raise CalibtoolError(
            f"Weights & Biases could not log: {error} (WANDB_MODE=offline keeps the run here)"
        ) from error


TRACKERS = {"mlflow": _mlflow, "wandb": _wandb}
