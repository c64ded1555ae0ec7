"""Experiment trackers, each through its own client.

The destination is set by the client's own environment variables: MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME, MLFLOW_RUN_ID; WANDB_MODE, WANDB_PROJECT, WANDB_RUN_ID and others.
TensorBoard has none: its files are written to the folder of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from calibtool.errors import CalibtoolError, UsageError


class Tracker(Protocol):
    """A run that is open in a tracker. Its methods raise CalibtoolError if it cannot log."""

    def log(self, numbers: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics."""

    def describe(self, values: Mapping[str, Any]) -> None:
        """Log what was chosen before the run, such as its settings."""

    def tag(self, texts: Mapping[str, str]) -> None:
        """Log what came out of the run, in words."""

    def keep(self, files: Mapping[str, str]) -> None:
        """Log texts as files, by name."""

    def close(self, *, failed: bool) -> None:
        """End the run."""


class _MLflow:
    def __init__(self, option: str, job: str, folder: Path | None) -> None:
        try:
            import mlflow
            from mlflow.exceptions import MlflowException
        except ImportError:
            raise UsageError(
                f"{option} mlflow needs MLflow: pip install 'calibtool[mlflow]'"
            ) from None
        self.client, self.errors = mlflow, (MlflowException, OSError)
        with self._told():
            mlflow.start_run(nested=mlflow.active_run() is not None)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            where = self.client.get_tracking_uri()
            raise CalibtoolError(f"MLflow could not log to {where}: {error}") from error

    def log(self, numbers: Mapping[str, float], step: int | None = None) -> None:
        with self._told():
            self.client.log_metrics(dict(numbers), step=step)

    def describe(self, values: Mapping[str, Any]) -> None:
        with self._told():
            self.client.log_params(dict(values))

    def tag(self, texts: Mapping[str, str]) -> None:
        with self._told():
            self.client.set_tags({f"calibtool.{name}": text for name, text in texts.items()})

    def keep(self, files: Mapping[str, str]) -> None:
        with self._told():
            for name, text in files.items():
                self.client.log_text(text, f"calibtool/{name}")

    def close(self, *, failed: bool) -> None:
        with self._told():
            self.client.end_run("FAILED" if failed else "FINISHED")


class _WandB:
    def __init__(self, option: str, job: str, folder: Path | None) -> None:
        try:
            import wandb
            from wandb.errors import Error
        except ImportError:
            raise UsageError(
                f"{option} wandb needs the client of Weights & Biases: "
                "pip install 'calibtool[wandb]'"
            ) from None
        self.client, self.errors = wandb, (Error, OSError)
        self.started_here = wandb.run is None
        with self._told():
            settings = wandb.Settings(silent=True)
            self.run = wandb.run or wandb.init(job_type=job, settings=settings)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            raise CalibtoolError(
                f"Weights & Biases could not log: {error} (WANDB_MODE=offline keeps the run here)"
            ) from error

    def log(self, numbers: Mapping[str, float], step: int | None = None) -> None:
        with self._told():
            self.run.log(dict(numbers), step=step)

    def describe(self, values: Mapping[str, Any]) -> None:
        with self._told():
            update: Any = self.run.config.update
            update(dict(values), allow_val_change=True)  # a resumed run may have another device

    def tag(self, texts: Mapping[str, str]) -> None:
        with self._told():
            for name, text in texts.items():
                self.run.summary[f"calibtool.{name}"] = text

    def keep(self, files: Mapping[str, str]) -> None:
        with self._told():
            artifact = self.client.Artifact("calibtool", type="calibration")
            for name, text in files.items():
                with artifact.new_file(name, mode="w", encoding="utf-8") as file:
                    file.write(text)
            self.run.log_artifact(artifact)

    def close(self, *, failed: bool) -> None:
        with self._told():
            if self.started_here:
                self.run.finish(exit_code=int(failed))


class _TensorBoard:
    """Files below `tensorboard/` in the folder of the run, which begin with the first metrics."""

    def __init__(self, option: str, job: str, folder: Path | None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError(
                f"{option} tensorboard needs TensorBoard: pip install tensorboard"
            ) from None
        self.kind, self.folder = SummaryWriter, (folder or Path()) / "tensorboard"
        self.writer: Any = None
        self.described: dict[str, Any] = {}

    @contextmanager
    def _told(self) -> Iterator[Any]:
        try:
            if self.writer is None:
                self.writer = self.kind(str(self.folder))
                for name, value in self.described.items():
                    self.writer.add_text(f"settings/{name}", str(value))
            yield self.writer
        except OSError as error:
            raise CalibtoolError(f"TensorBoard could not log to {self.folder}: {error}") from error

    def log(self, numbers: Mapping[str, float], step: int | None = None) -> None:
        with self._told() as writer:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)
            writer.flush()

    def describe(self, values: Mapping[str, Any]) -> None:
        self.described = dict(values)

    def tag(self, texts: Mapping[str, str]) -> None:
        self.keep(texts)

    def keep(self, files: Mapping[str, str]) -> None:
        with self._told() as writer:
            for name, text in files.items():
                writer.add_text(f"calibtool/{name}", text)

    def close(self, *, failed: bool) -> None:
        if self.writer is not None:
            with self._told() as writer:
                writer.close()


TRACKERS: dict[str, Callable[[str, str, Path | None], Tracker]] = {
    "mlflow": _MLflow,
    "wandb": _WandB,
    "tensorboard": _TensorBoard,
}


@contextmanager
def tracking(name: str, option: str, job: str, folder: Path | None = None) -> Iterator[Tracker]:
    """Open a run in a tracker inside a block.

    Args:
        name: a key of TRACKERS.
        option: the option that names it, for messages.
        job: what is done: "check" or "train".
        folder: where files go of a tracker that keeps its own.

    Raises UsageError without the tracker's client, CalibtoolError if it cannot be reached.
    """
    run = TRACKERS[name](option, job, folder)
    failed = True
    try:
        yield run
        failed = False
    finally:
        run.close(failed=failed)
