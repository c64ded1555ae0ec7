"""calibtool plot KIND."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """The group of diagrams."""
    return plot


@click.group()
def plot() -> None:
    """Draw a diagram of the predictions in a file."""


@plot.command()
@click.argument("file")
@click.option(
    "-o",
    "--output",
    default="reliability.png",
    show_default=True,
    metavar="FILE",
    help="png, svg or pdf.",
)
@click.option("--calibrator", metavar="JSON", help="Overlay the diagram after this calibrator.")
@click.option("--bins", type=click.IntRange(1, 1000), default=15, show_default=True)
@click.option("--width", type=float, default=4.0, show_default=True, metavar="INCHES")
@click.option("--title", help="A title; there is none by default.")
@click.option("--resamples", type=int, default=1000, show_default=True, metavar="N")
@click.option("--level", type=float, default=0.95, show_default=True, metavar="SHARE")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N")
@shared.reading
def reliability(
    file: str,
    output: str,
    calibrator: str | None,
    bins: int,
    width: float,
    title: str | None,
    **options: Any,
) -> None:
    """Reliability diagram: accuracy against confidence, with intervals and a histogram.

    \b
    calibtool plot reliability test.npz -o reliability.png
    calibtool plot reliability test.npz --calibrator temperature.json -o after.svg
    """
    from calibtool import diagram
    from calibtool.calibrators import load_calibrator
    from calibtool.cli import out
    from calibtool.render import paper
    from calibtool.render import reliability as ink

    paper.require_suffix(output)
    ink.require_width(width)
    source = shared.source(file, options)
    fitted = load_calibrator(calibrator) if calibrator else None
    source = source.also(fitted.columns) if fitted else source
    with out.progress() as progress:
        data = diagram.reliability(
            source, bins=bins, calibrator=fitted, progress=progress, **options
        )
    ink.save(data, output, width=width, title=title)
    click.echo(f"Wrote {output}", err=True)
