"""The command `calibtool slices`."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Column, Input
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown


def command(name: str) -> click.Command:
    """Return the command."""
    return slices


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "--columns",
    type=Column(),
    metavar="A,B,...",
    help="Columns to search (default: all but scores and labels). "
    "`predicted` (class) and `confidence` (tenths) are columns too.",
)
@click.option("--single", is_flag=True, help="Search single columns only, no pairs of columns.")
@click.option(
    "--cluster",
    type=Column(),
    metavar="COLUMN",
    help="Rows with the same value (one patient, one user) are correlated; keep them in one half.",
)
@click.option("--level", type=float, default=0.95, show_default=True, metavar="SHARE")
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the two halves."
)
@shared.output
@quiet
@shared.reading
def slices(
    file: str,
    columns: str | None,
    single: bool,
    cluster: str | None,
    level: float,
    seed: int,
    format_: str,
    output: str | None,
    **options: Any,
) -> None:
    """Search FILE for the slices with the worst calibration.

    Every value of every column is a slice, and so is every pair of values of two columns. One half
    of the rows chooses slices (Benjamini & Hochberg), the other half confirms them (Holm). If the
    scores are calibrated, the probability of reporting any slice is at most 1 - level.

    \b
    calibtool slices scores.parquet
    calibtool slices scores.parquet --columns country,device,confidence
    calibtool slices scores.parquet --cluster user_id --format json
    """
    from calibtool.analysis.slice_search import search_slices
    from calibtool.cli import output as out
    from calibtool.data.slicing import names_in

    source = shared.source(file, options)
    with shown() as show:
        search = search_slices(
            source,
            names_in(columns, "--columns") if columns else None,
            pairs=not single,
            cluster=cluster,
            level=level,
            seed=seed,
            progress=show,
        )
    out.show(search, format_, output)
