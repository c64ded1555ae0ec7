"""The command `calibtool metrics`."""

from __future__ import annotations

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """Return the command."""
    return metrics


@click.command()
@click.argument("names", nargs=-1)
@shared.output
def metrics(names: tuple[str, ...], format_: str, output: str | None) -> None:
    """List the metrics, or describe NAMES (metrics, or sets such as `binned`).

    \b
    calibtool metrics
    calibtool metrics smece ks
    calibtool metrics all --format csv
    """
    from calibtool.cli import output as out
    from calibtool.reports import metrics as reference

    out.emit(reference.metrics(names, format_, **out.terminal(output)), output)
