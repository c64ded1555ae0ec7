"""The command `calibtool test`."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown


def command(name: str) -> click.Command:
    """Return the command."""
    return test


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "--tests",
    metavar="LIST",
    help='Tests to run, such as "consistency,cox" (default: all that fit the data).',
)
@click.option(
    "--view",
    type=click.Choice(["auto", "top", "positive"]),
    default="auto",
    show_default=True,
    help="Confidence of the predicted class, or P(class 1).",
)
@click.option(
    "--resamples",
    type=int,
    default=1000,
    show_default=True,
    metavar="N",
    help="Number of times the outcomes are redrawn, 19 to 1,000,000.",
)
@shared.seed
@shared.output
@quiet
@shared.reading
def test(
    file: str,
    tests: str | None,
    view: str,
    resamples: int,
    seed: int,
    format_: str,
    output: str | None,
    **options: Any,
) -> None:
    """Test the predictions in FILE for perfect calibration.

    Outcomes are redrawn from the scores to show how large each statistic is by chance. The last
    line gives the smallest error that this number of rows would detect.

    \b
    calibtool test test.npz
    calibtool test scores.parquet --score p --labels clicked --tests cox,belt
    """
    from calibtool.analysis.significance.run import significance
    from calibtool.cli import output as out

    source = shared.source(file, options)
    with shown() as show:
        results = significance(
            source, tests=tests, view=view, resamples=resamples, seed=seed, progress=show
        )
    out.show(results, format_, output)
