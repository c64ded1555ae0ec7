"""calibtool cells and calibtool merge: the map and the reduce step."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """Either command."""
    return cells if name == "cells" else merge


@click.command()
@click.argument("file")
@click.option(
    "-o", "--output", metavar="CELLS", required=True, help="Where they go; FILE.cells, say."
)
@click.option(
    "--metrics",
    metavar="LIST",
    default="default",
    help="What has to come out exactly besides equal-width errors of 10, 15, 20, 25, 30, 50 and "
    "100 bins.",
)
@shared.passes
@shared.reading
def cells(file: str, output: str, metrics: str, **options: Any) -> None:
    """What calibration needs of FILE, without its rows: some kilobytes.

    Cells of any files add up (`calibtool merge`), and evaluate, plot, check, report and most of
    the fits take them in place of predictions.

    \b
    calibtool cells day1.parquet -o day1.cells
    calibtool merge day*.cells -o month.cells
    calibtool evaluate month.cells
    calibtool cells 'scores/*.parquet' -o all.cells --dask local:4
    """
    from calibtool.cli import output as out
    from calibtool.data.files.write import require_writable
    from calibtool.streaming.cells_file import save_cells
    from calibtool.streaming.summarize import cells as make

    require_cells(output)
    require_writable(output)
    source = shared.source(file, options)
    with out.progress() as progress:
        state = make(source, metrics, progress=progress)
    save_cells(state, output)
    out.say(f"{state.rows:,} rows -> {output}")
    for path, why in state.skipped:
        click.echo(f"Skipped {path}: {why}", err=True)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="CELLS...")
@click.option("-o", "--output", metavar="CELLS", required=True, help="Where the sum goes.")
def merge(files: tuple[str, ...], output: str) -> None:
    """Cells of several files as cells of all of their rows; the order changes no bit.

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
        raise UsageError(f"{twice} is given twice: its rows would count twice")
    total = load_cells(files[0])
    for name in files[1:]:
        total += load_cells(name)
    save_cells(total, output)
    out.say(f"{len(files)} files, {total.rows:,} rows -> {output}")


def require_cells(path: str) -> None:
    """Whether a name is that of a file of cells."""
    from calibtool.errors import UsageError
    from calibtool.streaming.cells_file import SUFFIX

    if not path.endswith(SUFFIX):
        raise UsageError(f"{path}: files of cells end with {SUFFIX}; name it so")
