"""The command `calibtool compare`."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown
from calibtool.cli.side_by_side import check_names, named


def command(name: str) -> click.Command:
    """Return the command of this module."""
    return compare


@click.command(cls=Grouped)
@click.argument("files", type=Input(), metavar="FILE FILE...", nargs=-1, required=True)
@click.option(
    "--metrics",
    metavar="LIST",
    help='Such as "ece(bins=20),nll", or a set  [default: metrics that separate calibration from '
    "discrimination]",
)
@click.option(
    "--reference",
    metavar="FILE",
    help="The reference file, which is subtracted  [default: the first]",
)
@named
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "csv", "markdown", "latex"]),
    default="table",
    show_default=True,
)
@shared.to_file
@shared.cluster
@shared.intervals
@quiet
@shared.reading
def compare(
    files: tuple[str, ...],
    metrics: str | None,
    reference: str | None,
    names: tuple[str, ...],
    format_: str,
    output: str | None,
    **options: Any,
) -> None:
    """Compare predictions of the same rows, metric by metric.

    Differences are paired: both files are drawn by the same draws. p-values are corrected for their
    number by Holm's method. Rows are matched by an id column that all files have, or by their order
    where all labels are equal; files of other rows are refused.

    \b
    calibtool compare old.npz new.npz
    calibtool compare a.npz b.npz c.npz --reference b.npz
    calibtool compare a.parquet b.parquet --id image --metrics nll,ece
    calibtool compare a.npz b.npz --format latex -o table.tex
    """
    from calibtool.analysis.comparison import METRICS
    from calibtool.analysis.comparison import compare as measure
    from calibtool.cli import output as out
    from calibtool.data.files.open import open_source

    if len(files) < 2:
        raise click.UsageError(f"compare needs at least two files (got {len(files)})")
    number = _number(files, reference)
    check_names(names, files)
    id_ = shared.matching(options)
    specs = shared.default_metrics(options, METRICS) if metrics is None else metrics
    choice = shared.choice(options)
    sources = [open_source(path, choice) for path in files]
    with shown() as progress:
        comparison = measure(
            sources,
            specs,
            names=names or None,
            reference=number,
            id_=id_,
            progress=progress,
            **options,
        )
    out.show(comparison, format_, output)


def _number(files: tuple[str, ...], reference: str | None) -> int:
    """Return the number of the reference file."""
    if reference is None:
        return 0
    if reference not in files:
        raise click.UsageError(f"--reference must be one of {', '.join(files)} (got {reference})")
    return files.index(reference)
