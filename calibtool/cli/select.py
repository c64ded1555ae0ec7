"""The command `calibtool select`."""

from __future__ import annotations

from typing import Any

import click

from calibtool.calibrators.registry import METHODS
from calibtool.cli import options as shared
from calibtool.cli.files import Input, Output
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown
from calibtool.formatting import joined


def command(name: str) -> click.Command:
    """Return the command of this module."""
    return select


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "-o",
    "--output",
    type=Output(),
    metavar="JSON",
    help="Write the chosen calibrator to this file.",
)
@click.option(
    "--methods",
    metavar="LIST",
    help='Which calibrators to try, such as "temperature,vector", or "all"  [default: all but '
    f"{joined([name for name, line in METHODS.items() if not line.raced])}]",
)
@click.option(
    "--rank-by",
    type=click.Choice(["nll", "brier"]),
    default="nll",
    show_default=True,
    help="The proper score that decides.",
)
@click.option(
    "--test", type=Input(), metavar="FILE", help="Measure on this file instead of cross-fitting."
)
@click.option(
    "--subsample",
    type=int,
    metavar="N",
    help="Use N rows of FILE, drawn at random by --seed, and leave the others out.",
)
@click.option(
    "--smoothing/--no-smoothing",
    default=True,
    show_default=True,
    help="Fit histogram and isotonic without probabilities of 0 and 1, so that NLL is finite.",
)
@click.option(
    "--figure",
    type=Output(),
    metavar="FILE",
    help="Draw skill against complexity: png, svg or pdf.",
)
@shared.replicates()
@shared.form
@quiet
@shared.reading
def select(
    file: str,
    output: str | None,
    methods: str | None,
    rank_by: str,
    test: str | None,
    subsample: int | None,
    smoothing: bool,
    figure: str | None,
    format_: str,
    **options: Any,
) -> None:
    """Try every calibrator on FILE and keep the simplest of the best.

    Each is measured on rows that it was not fitted on, beside doing nothing, and ranked by a proper
    score. The simplest within one standard error of the best is fitted on all rows.

    \b
    calibtool select val.npz -o best.json
    calibtool select val.npz --test test.npz --rank-by brier -o best.json
    """
    from calibtool.analysis import selection
    from calibtool.calibrators.processes import allowed
    from calibtool.cli import output as out
    from calibtool.data.files.open import open_source
    from calibtool.data.files.write import require_writable
    from calibtool.diagrams import figure as figures

    if figure:
        figures.require_suffix(figure)
    for path in (output, figure):
        if path:
            require_writable(path)
    choice = shared.choice(options)
    rows = open_source(file, choice)
    measured = open_source(test, choice).load() if test else None
    with shown() as progress, allowed():
        selected = selection.select(
            rows,
            methods,
            rank_by=rank_by,
            test=measured,
            subsample=subsample,
            smoothing=smoothing,
            progress=progress,
            **options,
        )
    if output:
        selected.calibrator.save(output)
    if figure:
        figures.save("skill", selected, figure, width=6.0)
    out.show(selected, format_, None)
    if format_ != "table":
        return
    if output:
        click.echo()
        out.say(f"{selected.calibrator.describe()} -> {output}")
        if subsample is not None and subsample < rows.rows:
            out.tell(
                f"Note: it was fitted to {subsample:,} of {rows.rows:,} rows; "
                f"calibtool fit-{selected.calibrator.method} fits it to all."
            )
    else:
        click.echo("\nNothing was written; -o best.json saves the calibrator.")
