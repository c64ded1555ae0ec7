"""calibtool apply: apply a calibrator, or what decides by one, to the predictions in a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input, overwrite, rows_output
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown

if TYPE_CHECKING:
    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.data.predictions import Predictions


def command(name: str) -> click.Command:
    """Return the command."""
    return apply


@click.command(cls=Grouped)
@click.argument("document", type=Input())
@click.argument("file", type=Input(same_kind=True))
@rows_output
@overwrite
@click.option(
    "--write",
    type=click.Choice(["probs", "logits"]),
    default="probs",
    show_default=True,
    help="What a calibrator writes; logits only if it gives them.",
)
@click.option(
    "--interval",
    is_flag=True,
    help="Also write `low` and `high`, the interval of a Venn-Abers calibrator: of class 1 if "
    "there are two classes, of the predicted class otherwise.",
)
@quiet
@shared.reading
@click.pass_context
def apply(
    ctx: click.Context,
    /,
    document: str,
    file: str,
    output: str,
    overwrite: bool,
    write: str,
    interval: bool,
    **options: Any,
) -> None:
    """Apply the calibrator or the threshold in DOCUMENT to the predictions in FILE.

    Labels are not needed. Every column keeps its name: calibrated values take the place of the
    values that were read, so that the next command takes the same options. A threshold leaves the
    values as they are, and adds the columns `prediction` and `accepted`.

    \b
    calibtool apply temperature.json test.npz -o calibrated.npz
    calibtool apply threshold.json test.npz -o decided.parquet
    """
    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.cli import output as out
    from calibtool.data.files.carry import every, hidden, named
    from calibtool.data.files.open import open_source
    from calibtool.data.files.write import write_predictions
    from calibtool.decisions.applied import load_applied
    from calibtool.decisions.threshold import Threshold

    applied = load_applied(document)
    if not isinstance(applied, Calibrator):
        _refuse_options(ctx, document)
    source = every(open_source(file, shared.choice(options), need_labels=False))
    rows = shared.carrying_all(source, applied.columns)
    with shown() as progress:
        progress("reading", math.nan)
        before = rows.load()
        if isinstance(applied, Threshold):
            applied.require_question(source.choice.question, before.source)
        progress(f"applying to {before.rows:,} rows", math.nan)
        after = applied(before)
        if isinstance(applied, Calibrator):
            after = _calibrated(applied, document, before, after, write=write, interval=interval)
    for name in hidden(source, after):
        out.tell(f"Left out: {name} (its name has a role; rename it to keep it)")
    with shown() as progress:
        progress(f"writing {after.rows:,} rows", math.nan)
        write_predictions(after, output, *named(source, after))
    out.tell(f"Wrote {after.rows:,} rows, {applied.describe()}, to {output}")
    for note in applied.notes_on(before):
        out.tell(f"Note: {note}")


def _refuse_options(ctx: click.Context, document: str) -> None:
    """Raise UsageError if an option was typed that is for calibrators."""
    from calibtool.errors import UsageError

    for name in ("write", "interval"):
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{document}: is no calibrator, and --{name} says what is written of calibrated "
                "values; the values that were read are kept"
            )


def _calibrated(
    calibrator: Calibrator,
    document: str,
    before: Predictions,
    after: Predictions,
    *,
    write: str,
    interval: bool,
) -> Predictions:
    """Return calibrated predictions as they are written: in their kind, with the interval."""
    from calibtool.data.predictions import KIND_NAMES
    from calibtool.data.rows import to_probs
    from calibtool.decisions.applied import add_columns
    from calibtool.errors import UsageError

    if write == "probs":
        after = to_probs(after)
    elif after.kind != "logits":
        if before.kind == "logits":
            raise UsageError(f"{document}: {calibrator.describe()} gives probabilities, not logits")
        raise UsageError(
            f"{before.source}: holds {KIND_NAMES[after.kind]}; there are no logits to write"
        )
    if not interval:
        return after
    low, high = calibrator.interval(before)
    columns = {"low": _column(low, before), "high": _column(high, before)}
    return add_columns(after, columns, "--interval")


def _column(bounds: Any, predictions: Any) -> Any:
    """Return one column of (N, K) bounds: class 1 of two, otherwise the predicted class."""
    if bounds.shape[1] == 2:
        return bounds[:, 1]
    return bounds[range(len(bounds)), predictions.matrix().argmax(axis=1)]
