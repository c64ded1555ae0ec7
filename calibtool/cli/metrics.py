"""calibtool metrics."""

from __future__ import annotations

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """The command."""
    return metrics


@click.command()
@shared.output
def metrics(format_: str, output: str | None) -> None:
    """The table of metrics, with definitions, defaults and sources."""
    from calibtool import reference
    from calibtool.cli import out

    out.emit(reference.metrics(format_, **out.terminal(output)), output)
