"""calibtool apply."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """The command."""
    return apply


@click.command()
@click.argument("calibrator")
@click.argument("file")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="npz, parquet, feather, arrow or csv."
)
@click.option(
    "--write",
    type=click.Choice(["probs", "logits"]),
    default="probs",
    show_default=True,
    help="What to write; logits only where the calibrator gives them.",
)
@click.option(
    "--interval",
    is_flag=True,
    help="Also write `low` and `high`, of class 1 or, among more than two, of the predicted class; "
    "of Venn-Abers calibrators.",
)
@shared.reading
def apply(
    calibrator: str, file: str, output: str, write: str, interval: bool, **options: Any
) -> None:
    """Write what CALIBRATOR makes of the predictions in FILE.

    Labels are not needed. Labels, weights and other columns are carried along.

    \b
    calibtool apply temperature.json test.npz -o calibrated.npz
    """
    from dataclasses import replace

    from calibtool.calibrators.fit import load_calibrator
    from calibtool.data.files.open import open_source
    from calibtool.data.files.roles import has_part
    from calibtool.data.files.write import write_predictions
    from calibtool.data.predictions import KIND_NAMES
    from calibtool.data.rows import to_probs
    from calibtool.errors import UsageError

    fitted = load_calibrator(calibrator)
    choice = shared.choice(options)
    source = open_source(file, choice, need_labels=False).also(fitted.columns)
    used = source.roles.columns()
    rest = [c.name for c in source.table.columns.values() if c.rows == source.rows_at_most]
    rest = [name for name in rest if name not in used]
    # a further column that has a part by name would be taken for the result, or for its labels
    extra = tuple(name for name in rest if not has_part(name))
    for name in sorted({*rest} - {*extra, "classes"}):
        click.echo(f"Left out: {name} (its name is that of a part; rename it to keep it)", err=True)
    before = source.also(extra).load()
    after = fitted(before)
    if write == "probs":
        after = to_probs(after)
    elif after.kind != "logits":
        if before.kind == "logits":
            raise UsageError(f"{calibrator}: {fitted.describe()} gives probabilities, no logits")
        raise UsageError(f"{file}: holds {KIND_NAMES[after.kind]}; there are no logits to write")
    if interval:
        low, high = fitted.interval(before)
        taken = sorted({"low", "high"} & set(after.extra))
        if taken:
            raise UsageError(f"{file}: has a column {taken[0]!r} of its own; rename it")
        own = {"low": _of_one(low, before), "high": _of_one(high, before)}
        after = replace(after, extra={**after.extra, **own})
    write_predictions(after, output)
    click.echo(f"Wrote {after.rows:,} rows, {fitted.describe()}, to {output}", err=True)
    empty = fitted.placed_at_prior(before)
    if empty:
        click.echo(
            f"Note: {empty:,} rows had a probability of 0 in every class and got the class shares "
            "of the fit data",
            err=True,
        )


def _of_one(bounds: Any, predictions: Any) -> Any:
    """A column of (N, K) bounds: class 1 of two, else the predicted class."""
    if bounds.shape[1] == 2:
        return bounds[:, 1]
    return bounds[range(len(bounds)), predictions.matrix().argmax(axis=1)]
