"""calibtool evaluate."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """The command."""
    return evaluate


@click.command()
@click.argument("file")
@click.option(
    "--metrics",
    default="default",
    metavar="LIST",
    help='Such as "ece(bins=20),classwise-ece,nll"; `calibtool metrics` lists them.',
)
@click.option("--calibrator", metavar="JSON", help="Also measure after this calibrator.")
@click.option("--signatures", is_flag=True, help="Print how to get each number again.")
@shared.intervals
@shared.output
@shared.reading
def evaluate(
    file: str,
    metrics: str,
    calibrator: str | None,
    signatures: bool,
    format_: str,
    output: str | None,
    **options: Any,
) -> None:
    """Calibration metrics of the predictions in FILE, with intervals.

    FILE is npz, npy, parquet (a file, a folder or a glob), Arrow, Feather or csv.

    \b
    calibtool evaluate test.npz
    calibtool evaluate test.npz --calibrator temperature.json
    calibtool evaluate 'scores/*.parquet' --score p --labels clicked --format json
    """
    from calibtool.calibrators import load_calibrator
    from calibtool.cli import out
    from calibtool.evaluation import evaluate as measure
    from calibtool.render import render
    from calibtool.spec import parse_list

    specs = parse_list(metrics)
    source = shared.source(file, options)
    fitted = load_calibrator(calibrator) if calibrator else None
    source = source.also(fitted.columns) if fitted else source
    with out.progress() as progress:
        report = measure(source, specs, calibrator=fitted, progress=progress, **options)
    text = render("report", report, format_, **out.terminal(output))
    if signatures and format_ in ("table", "markdown"):
        lines = [e.signature for e in (*report.estimates, *report.after) if not e.missing]
        text += "\n" + "\n".join(f"    {line}" for line in lines) + "\n"
    out.emit(text, output)
