"""calibtool split: divide the rows of a file at random, to fit on some and test on the others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Column, Input, Output, writes
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown

if TYPE_CHECKING:
    from calibtool.data.files.source import Source

NAMES = ("fit", "test")  # what is added to the name of FILE


def command(name: str) -> click.Command:
    """Return the command."""
    return split


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "-o",
    "--output",
    type=Output(),
    multiple=True,
    metavar="FILE",
    help="Give it twice, for the first and the second part. By default, FILE's name with _fit and "
    "_test.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Share of the rows in the first part.  [default: 0.5]",
)
@click.option(
    "--stratified",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="The same, of the rows of every class.",
)
@click.option(
    "--group",
    type=Column(),
    metavar="COLUMN",
    help="Keep rows with the same value (one patient, one user) in one part.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N")
@quiet
@shared.reading
@click.pass_context
def split(
    ctx: click.Context,
    /,
    file: str,
    output: tuple[str, ...],
    share: float | None,
    stratified: float | None,
    group: str | None,
    seed: int,
    **options: Any,
) -> None:
    """Write the rows of FILE to two files, at random: fit on the first, test on the second.

    Every column is kept, under its name, and rows keep their order.

    \b
    calibtool split predictions.npz --stratified 0.5
    calibtool split visits.parquet --group patient -o val.parquet -o test.parquet
    """
    from calibtool.cli import output as out
    from calibtool.data.files.carry import named
    from calibtool.data.files.open import open_source
    from calibtool.data.files.write import write_predictions
    from calibtool.data.folds import first_part
    from calibtool.errors import UsageError

    if share is not None and stratified is not None:
        raise UsageError("--share and --stratified both give the share of the first part; give one")
    source = open_source(file, shared.choice(options))
    if source.unit is not None:
        raise UsageError(
            f"{file}: its rows hold several predictions each ({source.unit.text}); split divides "
            "files with one prediction in a row"
        )
    paths = _paths(ctx, source, output)
    carrying = shared.carrying_all(source, [group] if group else [])
    parts = []
    with shown() as progress:
        progress("reading", math.nan)
        rows = carrying.load()
        first = first_part(
            rows,
            stratified or share or 0.5,
            stratified=stratified is not None,
            group=group,
            seed=seed,
        )
        for path, at in zip(paths, (first, ~first), strict=True):
            part = rows.take(at.nonzero()[0])
            progress(f"writing {part.rows:,} rows", math.nan)
            write_predictions(part, path, *named(source, part))
            parts.append((part.rows, path))
    for count, path in parts:
        out.tell(f"Wrote {count:,} rows to {path}")


def _paths(ctx: click.Context, source: Source, output: tuple[str, ...]) -> tuple[str, ...]:
    """Return the two files; raise UsageError for another number, and where a file would be replaced
    that was not named."""
    from calibtool.data.files.write import WRITERS
    from calibtool.errors import UsageError

    if output:
        if len(output) != len(NAMES):
            raise UsageError(f"-o must be given twice, for both parts (got {len(output)})")
        return output
    base = Path(source.source.rstrip("/"))
    suffix = base.suffix if base.suffix.lower() in WRITERS else ".parquet"
    paths = tuple(f"{base.stem}_{name}{suffix}" for name in NAMES)
    for path in paths:
        if Path(path).exists():
            raise UsageError(f"{path}: exists already; name both files by -o")
        writes(ctx, path, "-o")
    return paths
