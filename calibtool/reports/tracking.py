"""A gate's outcome in an experiment tracker, through its own client.

Where it goes is the client's business: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, MLFLOW_RUN_ID;
WANDB_MODE, WANDB_PROJECT, WANDB_RUN_ID and their like.
"""

from __future__ import annotations

import re

from calibtool.errors import CalibtoolError, UsageError
from calibtool.gate.outcome import Outcome
from calibtool.intervals.estimate import Estimate
from calibtool.reports.render import render


def log(tracker: str, found: Outcome, picture: str = "") -> None:
    """Log an outcome: metrics with the ends of their intervals, and as artifacts the table, the
    JSON and the reliability diagram in letters.

    Args:
        tracker: "mlflow" or "wandb".
        picture: what is logged as reliability.txt; "" for none.

    Raises UsageError without the client, CalibtoolError where it cannot log.
    """
    if tracker not in TRACKERS:
        raise UsageError(f"--log-to {tracker!r}: there is {', '.join(TRACKERS)}")
    TRACKERS[tracker](found, picture)


def numbers(found: Outcome) -> dict[str, float]:
    """What is logged as metrics, by names that trackers allow."""
    report = found.report
    logged: dict[str, float] = {}
    for estimate in report.after or report.estimates:
        logged |= _of(estimate.name, estimate)
    for verdict in found.verdicts:
        if verdict.requirement.subject not in {e.name for e in report.estimates}:
            logged |= _of(verdict.requirement.subject, verdict.estimate)
        logged[f"margin.{_name(verdict.requirement.text)}"] = verdict.held.margin
    return logged | {"passed": float(found.passed)}


def artifacts(found: Outcome, picture: str) -> dict[str, str]:
    """What is logged as files, by name."""
    files = {
        "outcome.json": render(found, "json"),
        "outcome.md": render(found, "markdown"),
    }
    return files | ({"reliability.txt": picture} if picture else {})


def _of(name: str, estimate: Estimate) -> dict[str, float]:
    ends = {"": estimate.value, ".low": estimate.low, ".high": estimate.high}
    return {f"{_name(name)}{end}": value for end, value in ends.items() if value is not None}


def _name(text: str) -> str:
    """Letters, digits, points, dashes and underscores; "<=" in letters.

    >>> _name("ece(bins=20) <= 0.03")
    'ece_bins_20_max_0.03'
    """
    for relation, word in (("<=", "max"), (">=", "min"), ("<", "below"), (">", "above")):
        text = text.replace(relation, word)
    return re.sub(r"[^\w.-]+", "_", text).strip("_")


def _mlflow(found: Outcome, picture: str) -> None:
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise UsageError(
            "--log-to mlflow needs MLflow's client: pip install 'calibtool[mlflow]'"
        ) from None
    try:
        with mlflow.start_run(nested=mlflow.active_run() is not None):
            mlflow.log_metrics(numbers(found))
            mlflow.set_tags({"calibtool.decision": found.decision, "calibtool.mode": found.mode})
            for name, text in artifacts(found, picture).items():
                mlflow.log_text(text, f"calibtool/{name}")
    except (MlflowException, OSError) as error:
        where = mlflow.get_tracking_uri()
        raise CalibtoolError(f"MLflow could not log to {where}: {error}") from error


def _wandb(found: Outcome, picture: str) -> None:
    try:
        import wandb
        from wandb.errors import Error
    except ImportError:
        raise UsageError(
            "--log-to wandb needs the client of Weights & Biases: pip install 'calibtool[wandb]'"
        ) from None
    own = wandb.run is None
    try:
        run = wandb.run or wandb.init(job_type="check", settings=wandb.Settings(silent=True))
        run.summary["calibtool.mode"] = found.mode
        run.log(numbers(found))
        run.summary["calibtool.decision"] = found.decision
        artifact = wandb.Artifact("calibtool", type="calibration")
        for name, text in artifacts(found, picture).items():
            with artifact.new_file(name, mode="w", encoding="utf-8") as file:
                file.write(text)
        run.log_artifact(artifact)
        if own:
            run.finish()
    except (Error, OSError) as error:
        raise CalibtoolError(
            f"Weights & Biases could not log: {error} (WANDB_MODE=offline keeps the run here)"
        ) from error


TRACKERS = {"mlflow": _mlflow, "wandb": _wandb}
