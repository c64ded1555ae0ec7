"""The end of any training loop: fit a calibrator, measure the test rows, write the files.

`calibtool train` ends here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from calibtool.analysis.evaluate import evaluate
from calibtool.analysis.selection import select
from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.fit import fit as fit_calibrator
from calibtool.calibrators.registry import module_of
from calibtool.data.files.write import write_predictions
from calibtool.data.predictions import Predictions
from calibtool.data.validation import Origin
from calibtool.errors import FitError, UsageError
from calibtool.reports.page.write import write_report
from calibtool.train import batches, config, folder
from calibtool.train.trained import METRICS, Trained, listing
from calibtool.types import Array

VAL, TEST = "val_logits.npz", "test_logits.npz"
TEMPERATURE = "temperature.json"
CALIBRATOR = "calibrator.json"  # of any other method
PAGE = "report.html"
SELECT = "select"
Logits: TypeAlias = tuple[Any, Any]


def finish(
    model_or_logits: Callable[..., Any] | Logits,
    val: Any,
    test: Any,
    out: str | Path,
    *,
    method: str = "temperature",
    gather: Callable[[Any], Any] | None = None,
    class_names: Iterable[str] | None = None,
    about: Mapping[str, str | float] | None = None,
    page: bool = True,
) -> Trained:
    """Do after any loop what `calibtool train` does after its own.

    Fit a calibrator on validation rows, measure the test rows before and after it, and write
    `val_logits.npz`, `test_logits.npz`, the calibrator, `report.txt`, `report.md`, `report.json`
    and the page `report.html` to a folder.

    Args:
        model_or_logits: a model, or the pair (validation logits, test logits), (N, K) each. A model
            is called in evaluation mode, on its own device, without gradients.
        val, test: with a model, batches, such as a DataLoader: (inputs, labels), or dicts of
            arguments of the model with the labels as "labels" or "label". With logits, the labels.
        out: the folder. Files of a former call are replaced.
        method: a calibrator, such as "temperature" or "vector", or "select" for the one that
            `calibtool select` chooses.
        gather: function of the pair (logits, labels) of a batch that returns those of all
            processes, such as `accelerator.gather_for_metrics`. Only the first process writes.
        class_names: K names.
        about: what the report says of the run, such as {"model": "vit", "loss": "focal"}.
        page: whether to write `report.html`, which takes a second or two.

    Raises InputError for outputs or labels that cannot be measured, and UsageError.
    """
    if method != SELECT:
        module_of(method)
    if val is test:
        raise UsageError("val and test are the same rows; the calibrator must not see test rows")
    path = Path(out)
    if (path / config.NAME).exists():
        raise UsageError(f"{path}: holds a run of calibtool train; choose another folder")
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: is a file; give the name of a folder")
    for name, value in (about or {}).items():
        if not isinstance(value, (str, int, float)):
            raise UsageError(
                f"about[{name!r}] is {type(value).__name__}; expected a text or a number"
            )
    names = None if class_names is None else tuple(class_names)
    of_val, of_test = _collected(model_or_logits, val, test, gather)
    on_val = _predictions(*of_val, names, "val", path / VAL)
    on_test = _predictions(*of_test, names, "test", path / TEST)
    model = type(model_or_logits).__name__ if callable(model_or_logits) else "logits"
    rows = {"classes": on_val.classes, "val_rows": on_val.rows, "test_rows": on_test.rows}
    trained = conclude(path, on_val, on_test, {"model": model, **(about or {}), **rows}, (), method)
    if batches.is_first_process():
        folder.make(path)
        for stale in (TEMPERATURE, CALIBRATOR, PAGE):  # of a former call
            (path / stale).unlink(missing_ok=True)
        write_results(path, trained)
        if page:
            write_report(on_test, path / PAGE, calibrator=trained.calibrator)
    return trained


def _collected(
    model_or_logits: Callable[..., Any] | Logits,
    val: Any,
    test: Any,
    gather: Callable[[Any], Any] | None,
) -> list[tuple[Array, Array]]:
    """Return logits and labels of the validation rows and of the test rows."""
    if callable(model_or_logits):
        return [
            batches.collect(model_or_logits, rows, part, gather)
            for part, rows in (("val", val), ("test", test))
        ]
    if not isinstance(model_or_logits, (tuple, list)) or len(model_or_logits) != 2:
        raise UsageError(
            "expected a model, or (validation logits, test logits), not "
            f"{type(model_or_logits).__name__}"
        )
    return [
        (batches.array(logits), batches.array(labels))
        for logits, labels in zip(model_or_logits, (val, test), strict=True)
    ]


def _predictions(
    logits: Any, labels: Any, names: tuple[str, ...] | None, part: str, path: Path
) -> Predictions:
    place = Origin(str(path), f"{part} logits", f"{part} labels")
    return Predictions.from_logits(logits, labels, class_names=names, place=place)


def conclude(
    out: Path,
    val: Predictions,
    test: Predictions,
    about: dict[str, Any],
    notes: tuple[str, ...],
    method: str = "temperature",
) -> Trained:
    """Fit a calibrator on validation rows, and measure the test rows before and after it.

    A note says so if there is none, such as a temperature that would be infinite.
    """
    calibrator = None
    try:
        calibrator = _fitted(method, val)
        notes += calibrator.fitted.notes
    except FitError as error:
        what = "temperature" if method == "temperature" else "calibrator"
        notes += (f"No {what} was fitted: {error}",)
    report = evaluate(test, METRICS, calibrator=calibrator)
    return Trained(str(out), report, about, notes, calibrator, val, test)


def _fitted(method: str, val: Predictions) -> Calibrator:
    return select(val).calibrator if method == SELECT else fit_calibrator(method, val)


def write_results(out: Path, trained: Trained) -> None:
    """Write the logits, the calibrator and the reports of a run."""
    write_predictions(trained.val, out / VAL)
    write_predictions(trained.test, out / TEST)
    if trained.calibrator:
        trained.calibrator.save(out / calibrator_file(trained.calibrator))
    folder.write_tables(out, Path(folder.REPORT).stem, listing(trained))


def calibrator_file(calibrator: Calibrator) -> str:
    """Return the name of a calibrator's file in the folder of a run."""
    return TEMPERATURE if calibrator.method == "temperature" else CALIBRATOR
