"""calibtool predict: the outputs of a run's model for new data."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from typing import Any

import click

from calibtool.cli.files import Input, rows_output
from calibtool.cli.progress import quiet, shown
from calibtool.train.data.dataset import PARTS
from calibtool.train.settings import LAYOUTS


def command(name: str) -> click.Command:
    """Return the command."""
    return predict


@click.command()
@click.option(
    "--run",
    type=Input(),
    required=True,
    metavar="FOLDER",
    help="The run: the --out of calibtool train.",
)
@click.option(
    "--data",
    type=Input(),
    required=True,
    metavar="DATA",
    help="New data, as for `calibtool train`; labels may be missing.",
)
@rows_output
@click.option(
    "--write",
    type=click.Choice(["logits", "probs"]),
    default="logits",
    show_default=True,
    help="What the network returns, or calibrated probabilities.",
)
@click.option(
    "--calibrator",
    type=Input(),
    metavar="JSON",
    help="Calibrator of --write probs.  [default: that of the run]",
)
@click.option("--part", type=click.Choice(PARTS), help="Rows to take of data that are split.")
@click.option("--inputs", metavar="KEY", help="Key or columns of the inputs.  [default: the run's]")
@click.option("--labels", metavar="KEY", help="Key or column of the labels.  [default: the run's]")
@click.option("--no-labels", is_flag=True, help="Leave out labels, such as those not yet known.")
@click.option("--ids", metavar="KEY", help="Key or column that names the rows.")
@click.option("--layout", type=click.Choice(LAYOUTS), help="Position of the channels of images.")
@click.option("--image-size", type=int, metavar="PIXELS", help="Scale images of a folder.")
@click.option(
    "--device", default="auto", show_default=True, help="cuda, mps or cpu; auto as for train."
)
@click.option("--batch-size", type=int, metavar="ROWS", help="Rows at a time.")
@quiet
def predict(
    run: str,
    data: str,
    output: str,
    write: str,
    calibrator: str | None,
    part: str | None,
    no_labels: bool,
    device: str,
    batch_size: int | None,
    **reading: Any,
) -> None:
    """Apply the model of a run to new data.

    \b
    calibtool predict --run run/ --data new.npz -o logits.npz
    calibtool predict --run run/ --data new.csv --write probs -o probs.csv
    """
    from calibtool.cli import output as out
    from calibtool.data.files.write import require_suffix, require_writable, write_predictions
    from calibtool.errors import UsageError
    from calibtool.train import require_torch

    if calibrator is not None and write != "probs":
        raise UsageError("--calibrator is for --write probs; logits are written as they are")
    if no_labels and reading["labels"] is not None:
        raise UsageError("--no-labels cannot be combined with --labels")
    require_suffix(output)
    require_writable(output)
    require_torch()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as for calibtool train
    from calibtool.data.rows import to_probs
    from calibtool.train.prediction import predict as predict_rows
    from calibtool.train.saved import load_model

    model = load_model(run)
    fitted = model.run.calibrator(calibrator or True) if write == "probs" else None
    typed = {key: value for key, value in reading.items() if value is not None}
    with shown() as progress:
        progress("predicting", math.nan)
        predictions = predict_rows(
            model,
            data,
            part=part or "",
            with_labels=not no_labels,
            required=typed.keys(),
            device=device,
            batch_size=batch_size,
            **typed,
        )
    written = predictions if fitted is None else to_probs(fitted(predictions))
    write_predictions(written, output)
    what = f"logits of {run}"
    if fitted is not None:
        what = f"probabilities of {run} after {fitted.describe()}"
    out.tell(f"Wrote {written.rows:,} rows, {what}, to {output}")
    if predictions.labels is None:
        out.tell(f"{data}: has no labels; the file can be used by apply, but not be evaluated")
    for note in () if fitted is None else fitted.notes_on(predictions):
        out.tell(f"Note: {note}")
    path = model.run.calibrator_path() if write == "logits" else None
    if next_ := _next(path, output, labelled=predictions.labels is not None):
        out.tell(f"Next: calibtool {shlex.join(next_)}")


def _next(calibrator: Path | None, output: str, *, labelled: bool) -> list[str]:
    """Return the command to type next, with the calibrator that is still to be applied, if any."""
    if labelled:
        return ["evaluate", output, *(["--calibrator", str(calibrator)] if calibrator else [])]
    if calibrator is None:
        return []
    return ["apply", str(calibrator), output, "-o", str(Path(output).with_stem("calibrated"))]
