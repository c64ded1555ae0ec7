"""The command `calibtool monitor`."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Column, Input, Output
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import in_steps_shown, quiet


def command(name: str) -> click.Command:
    """Return the command."""
    return monitor


@click.command(cls=Grouped)
@click.argument("pattern", type=Input())
@click.option(
    "--every",
    default="day",
    show_default=True,
    metavar="PERIOD",
    help="day, week, month, file, or a column or folder key whose values are periods.",
)
@click.option(
    "--time",
    type=Column(),
    metavar="COLUMN",
    help="Column of dates or timestamps; without it, the date in each file's path is taken.",
)
@click.option(
    "--by",
    type=Column(),
    metavar="COLUMN",
    help="In every slice, with one guarantee for all: a column, a,b, or a folder's key.",
)
@click.option("--since", metavar="PERIOD", help="First period to use, such as 2026-11-15.")
@click.option(
    "--against",
    type=click.Choice(["first", "calibrated"]),
    default="first",
    show_default=True,
    help="Test that the calibration curve does not change, or that the scores are calibrated.",
)
@click.option(
    "--alpha",
    type=float,
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="Largest probability of ever raising a false alarm.",
)
@click.option(
    "--view",
    type=click.Choice(["auto", "top", "positive"]),
    default="auto",
    show_default=True,
    help="Confidence of the predicted class, or P(class 1).",
)
@click.option(
    "--bins", type=int, default=15, show_default=True, metavar="N", help="Bins of the ECE."
)
@click.option(
    "--plot", type=Output(), metavar="FILE", help="Also draw the diagram: png, svg or pdf."
)
@click.option(
    "--ci",
    type=click.Choice(["inverted", "none"]),
    default="inverted",
    show_default=True,
    help="Interval of the ECE of each period; not part of the test.",
)
@shared.replicates(200)  # fewer than elsewhere: every period has an interval of its own
@shared.output
@quiet
@shared.reading
def monitor(
    pattern: str,
    every: str,
    time: str | None,
    by: str | None,
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
    """Monitor calibration over time: has it changed?

    PATTERN is a folder, a glob in quotes, or a file; it is read period by period. The e-value is
    the evidence of a change so far. As long as nothing changes, the probability that it ever
    reaches 1/alpha is at most alpha, however often it is checked. A shift of the scores is not a
    change of calibration. Rows must be independent given their scores.

    \b
    calibtool monitor 'scores/day=*' --score p --labels clicked
    calibtool monitor scores.parquet --every week --time seen_at
    calibtool monitor 'runs/*.npz' --every file --against calibrated
    calibtool monitor scores.parquet --time seen_at --by country
    calibtool monitor 'scores/day=*' --plot monitor.png
    """
    from calibtool.analysis.monitoring.monitor import monitor_periods
    from calibtool.analysis.monitoring.read import read_slices
    from calibtool.analysis.monitoring.slices import monitor_slices
    from calibtool.cli import output as out
    from calibtool.data.slicing import names_in

    _require_writable(plot, output)
    resampling = shared.resampling(options)
    with in_steps_shown() as progress:
        slices = read_slices(
            pattern,
            every,
            names_in(by) if by else (),
            time=time,
            choice=shared.choice(options),
            view=view,
            bins=bins,
            since=since,
            progress=progress,
        )
        settings: dict[str, Any] = {
            "against": against,
            "alpha": alpha,
            "bins": bins,
            "resampling": resampling,
        }
        monitoring = (
            monitor_slices(slices, by, **settings)
            if by
            else monitor_periods(slices[""], **settings)
        )
    if plot:
        from calibtool.diagrams.figure import save

        save("monitor_slices" if by else "monitor", monitoring, plot)
        out.tell(f"Wrote {plot}")
    out.show(monitoring, format_, output)


def _require_writable(plot: str | None, output: str | None) -> None:
    """Check that the output files can be written, before anything is read."""
    from calibtool.data.files.write import require_writable

    if plot:
        from calibtool.diagrams import figure

        figure.require_suffix(plot)
    for path in (plot, output):
        if path and path != "-":
            require_writable(path)
