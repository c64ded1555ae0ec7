"""calibtool monitor."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """The command."""
    return monitor


@click.command()
@click.argument("pattern")
@click.option(
    "--every",
    default="day",
    show_default=True,
    metavar="PERIOD",
    help="day, week, month, file, or a column or folder key whose values are periods.",
)
@click.option(
    "--time",
    metavar="COLUMN",
    help="Column of dates or timestamps; without it, the date in each file's path is taken.",
)
@click.option("--since", metavar="PERIOD", help="Begin with this one, such as 2026-11-15.")
@click.option(
    "--against",
    type=click.Choice(["first", "calibrated"]),
    default="first",
    show_default=True,
    help="Test that the calibration curve stays what it was, or that scores are calibrated.",
)
@click.option(
    "--alpha",
    type=float,
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="Probability of ever raising an alarm without cause, at most.",
)
@click.option(
    "--view",
    type=click.Choice(["auto", "top", "positive"]),
    default="auto",
    show_default=True,
    help="Confidence of the predicted class, or P(class 1).",
)
@click.option("--bins", type=int, default=15, show_default=True, metavar="N", help="Of the ECE.")
@click.option("--plot", metavar="FILE", help="Also draw it: png, svg or pdf.")
@click.option(
    "--ci",
    type=click.Choice(["inverted", "none"]),
    default="inverted",
    show_default=True,
    help="Of each period's own ECE; no part of the test.",
)
@click.option("--resamples", type=int, default=200, show_default=True, metavar="N")
@click.option("--level", type=float, default=0.95, show_default=True, metavar="SHARE")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N")
@shared.output
@shared.reading
def monitor(
    pattern: str,
    every: str,
    time: str | None,
    since: str | None,
    against: str,
    alpha: float,
    view: str,
    bins: int,
    plot: str | None,
    format_: str,
    output: str | None,
    **options: Any,
) -> None:
    """Watch calibration over time: has it changed?

    PATTERN is a folder, a glob in quotes, or a file; what it names is read period by period. The
    e-value is the evidence of a change so far. As long as nothing changes, it reaches 1/alpha with
    probability alpha at most, however often one looks. Shifting scores are no change; rows must be
    independent given their scores.

    \b
    calibtool monitor 'scores/day=*' --score p --labels clicked
    calibtool monitor scores.parquet --every week --time seen_at
    calibtool monitor 'runs/*.npz' --every file --against calibrated
    calibtool monitor 'scores/day=*' --plot monitor.png
    """
    from calibtool.analysis.monitoring.monitor import monitor_periods
    from calibtool.analysis.monitoring.read import read
    from calibtool.cli import output as out

    _require_writable(plot, output)
    how = {key: options.pop(key) for key in ("ci", "resamples", "level", "seed")}
    with out.progress() as progress:
        given = read(
            pattern,
            every,
            time=time,
            choice=shared.choice(options),
            view=view,
            bins=bins,
            since=since,
            progress=progress,
        )
        found = monitor_periods(
            given, against=against, alpha=alpha, bins=bins, progress=progress, **how
        )
    if plot:
        from calibtool.diagrams.figure import save

        save("monitor", found, plot)
        click.echo(f"Wrote {plot}", err=True)
    out.show(found, format_, output)


def _require_writable(plot: str | None, output: str | None) -> None:
    """Whether what is asked for can be written, before anything is read."""
    from calibtool.data.files.write import require_writable
    from calibtool.diagrams import figure

    if plot:
        figure.require_suffix(plot)
    for path in (plot, output):
        if path and path != "-":
            require_writable(path)
