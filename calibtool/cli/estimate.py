"""The command `calibtool estimate`."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import in_steps_shown, quiet


def command(name: str) -> click.Command:
    """Return the command."""
    return estimate


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "--calibrator", type=Input(), metavar="JSON", help="Apply this calibrator to FILE first."
)
@click.option(
    "--labelled",
    type=Input(),
    metavar="FILE",
    help="Estimate the class shares of FILE instead, from the labels of this file.",
)
@shared.replicates(200)
@shared.output
@quiet
@shared.reading
def estimate(
    file: str,
    calibrator: str | None,
    labelled: str | None,
    format_: str,
    output: str | None,
    **options: Any,
) -> None:
    """Estimate the accuracy, Brier score, NLL and ECE of FILE without labels.

    These are what its probabilities imply if they are calibrated on these rows, which rows without
    labels cannot show. With --labelled, the class shares of FILE are estimated from rows of the
    same model that have labels: by EM on calibrated probabilities, and by the predicted classes.

    \b
    calibtool estimate new.parquet --calibrator best.json
    calibtool estimate new.parquet --labelled val.parquet
    """
    from dataclasses import replace

    from calibtool.analysis import implied, label_shift
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.cli import output as out
    from calibtool.data.files.open import open_source
    from calibtool.errors import UsageError

    if calibrator and labelled:
        raise UsageError(
            "--calibrator and --labelled cannot be combined: class shares are estimated from the "
            "model's own probabilities"
        )
    choice = shared.choice(options)
    fitted = load_calibrator(calibrator) if calibrator else None
    unlabelled = replace(choice, labels=None, labels_file=None) if labelled else choice
    rows = open_source(file, unlabelled, need_labels=False)
    rows = rows.also(fitted.columns) if fitted else rows
    result: Any
    with in_steps_shown() as progress:
        if labelled:
            known = open_source(labelled, choice)
            result = label_shift.estimate_prior(known, rows, progress=progress, **options)
        else:
            result = implied.estimate(rows, fitted, progress=progress, **options)
    out.show(result, format_, output)
