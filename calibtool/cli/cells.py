"""calibtool cells and calibtool merge: rows to summaries, and summaries to one."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input, Output, overwrite
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown


def command(name: str) -> click.Command:
    """Return the command of this name, "cells" or "merge"."""
    return cells if name == "cells" else merge


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "-o",
    "--output",
    type=Output(),
    metavar="CELLS",
    required=True,
    help="The file to write, such as day1.cells.",
)
@click.option(
    "--metrics",
    metavar="LIST",
    default="default",
    help="Metrics that have to be exact, besides the equal-width errors of 10, 15, 20, 25, 30, 50 "
    "and 100 bins.",
)
@shared.passes
@shared.reading
@quiet
def cells(file: str, output: str, metrics: str, **options: Any) -> None:
    """Summarise FILE as cells: what calibration metrics need of its rows, in a few kilobytes.

    Cells of several files can be added (`calibtool merge`). evaluate, plot, check, report and most
    of the fits accept them in place of predictions.

    \b
    calibtool cells day1.parquet -o day1.cells
    calibtool merge day*.cells -o month.cells
    calibtool evaluate month.cells
    calibtool cells 'scores/*.parquet' -o all.cells --dask local:4
    """
    from calibtool.cli import output as out
    from calibtool.data.files.write import require_writable
    from calibtool.streaming.cells_file import save_cells
    from calibtool.streaming.summarize import cells as summarize

    require_cells(output)
    require_writable(output)
    source = shared.source(file, options)
    with shown() as progress:
        summary = summarize(source, metrics, progress=progress)
    save_cells(summary, output)
    out.say(f"{summary.rows:,} rows -> {output}")
    if source.unit:
        out.tell(
            f"Warning: {source.unit.text}: cells do not know which predictions are of one "
            f"{source.unit.column}, so that intervals from them are too short; evaluate {file} "
            "for intervals"
        )
    for path, reason in summary.skipped:
        out.tell(f"Skipped {path}: {reason}")


@click.command(cls=Grouped)
@click.argument("files", type=Input(same_kind=True), nargs=-1, required=True, metavar="CELLS...")
@click.option(
    "-o", "--output", type=Output(), metavar="CELLS", required=True, help="The file to write."
)
@overwrite
def merge(files: tuple[str, ...], output: str, overwrite: bool) -> None:
    """Add the cells of several files, in any order.

    \b
    calibtool merge day*.cells -o month.cells
    """
    from calibtool.cli import output as out
    from calibtool.data.files.write import require_writable
    from calibtool.errors import UsageError
    from calibtool.streaming.cells_file import load_cells, save_cells

    require_cells(output)
    require_writable(output)
    if len({*files}) < len(files):
        twice = next(name for name in files if files.count(name) > 1)
        raise UsageError(f"{twice} is listed twice: its rows would count twice")
    total = load_cells(files[0])
    for name in files[1:]:
        total += load_cells(name)
    save_cells(total, output)
    out.say(f"{len(files)} files, {total.rows:,} rows -> {output}")


def require_cells(path: str) -> None:
    """Check that a path ends as files of cells do.

    Raises UsageError.
    """
    from calibtool.errors import UsageError
    from calibtool.streaming.cells_file import SUFFIX

    if not path.endswith(SUFFIX):
        raise UsageError(f"{path}: the name of a file of cells must end with {SUFFIX}")
