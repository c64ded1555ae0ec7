"""calibtool apply: calibrate the predictions in a file."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input, Output, overwrite


def command(name: str) -> click.Command:
    """Return the command."""
    return apply


@click.command()
@click.argument("calibrator", type=Input())
@click.argument("file", type=Input(same_kind=True))
@click.option(
    "-o",
    "--output",
    type=Output(),
    required=True,
    metavar="FILE",
    help="npz, parquet, feather, arrow or csv.",
)
@overwrite
@click.option(
    "--write",
    type=click.Choice(["probs", "logits"]),
    default="probs",
    show_default=True,
    help="What to write; logits only if the calibrator gives them.",
)
@click.option(
    "--interval",
    is_flag=True,
    help="Also write `low` and `high`, the interval of a Venn-Abers calibrator: of class 1 if "
    "there are two classes, of the predicted class otherwise.",
)
@shared.reading
def apply(
    calibrator: str,
    file: str,
    output: str,
    overwrite: bool,
    write: str,
    interval: bool,
    **options: Any,
) -> None:
    """Calibrate the predictions in FILE with CALIBRATOR.

    Labels are not needed. Every column keeps its name: the calibrated values take the place of the
    values that were read, so that the next command takes the same options.

    \b
    calibtool apply temperature.json test.npz -o calibrated.npz
    """
    from dataclasses import replace

    from calibtool.calibrators.fit import load_calibrator
    from calibtool.cli import output as out
    from calibtool.data.files.carry import carried, carrying, every, hidden, named
    from calibtool.data.files.open import open_source
    from calibtool.data.files.write import write_predictions
    from calibtool.data.predictions import KIND_NAMES
    from calibtool.data.rows import to_probs
    from calibtool.errors import UsageError

    fitted = load_calibrator(calibrator)
    choice = shared.choice(options)
    source = every(open_source(file, choice, need_labels=False)).also(fitted.columns)
    extra, left = carried(source)
    for name, reason in left:
        out.tell(f"Left out: {name} ({reason})")
    before = carrying(source, extra, fitted.columns).load()
    after = fitted(before)
    if write == "probs":
        after = to_probs(after)
    elif after.kind != "logits":
        if before.kind == "logits":
            raise UsageError(f"{calibrator}: {fitted.describe()} gives probabilities, not logits")
        raise UsageError(f"{file}: holds {KIND_NAMES[after.kind]}; there are no logits to write")
    if interval:
        low, high = fitted.interval(before)
        taken = sorted({"low", "high"} & set(after.extra))
        if taken:
            raise UsageError(
                f"{file}: already has a column {taken[0]!r}, which --interval writes; rename it"
            )
        interval_columns = {"low": _column(low, before), "high": _column(high, before)}
        after = replace(after, extra={**after.extra, **interval_columns})
    for name in hidden(source, after):
        out.tell(f"Left out: {name} (its name has a role; rename it to keep it)")
    write_predictions(after, output, *named(source, after))
    out.tell(f"Wrote {after.rows:,} rows, {fitted.describe()}, to {output}")
    other = fitted.of_other_groups(before)
    if other:
        out.tell(
            f"Note: {other:,} rows are of groups that the fit has not seen; they got the "
            "calibrator of all rows"
        )
    empty = fitted.placed_at_prior(before)
    if empty:
        out.tell(
            f"Note: {empty:,} rows had a probability of 0 in every class; they were given the "
            "class shares of the fit data"
        )


def _column(bounds: Any, predictions: Any) -> Any:
    """Return one column of (N, K) bounds: class 1 of two, otherwise the predicted class."""
    if bounds.shape[1] == 2:
        return bounds[:, 1]
    return bounds[range(len(bounds)), predictions.matrix().argmax(axis=1)]
