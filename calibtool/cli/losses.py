"""calibtool losses."""

from __future__ import annotations

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """Return the command."""
    return losses


@click.command()
@click.argument("names", nargs=-1)
@shared.output
def losses(names: tuple[str, ...], format_: str, output: str | None) -> None:
    """List the losses of `calibtool train` with formulas and options: all, or those in NAMES.

    \b
    calibtool losses
    calibtool losses focal flsd-53
    calibtool losses --format json
    """
    from calibtool.cli.output import emit, terminal
    from calibtool.train.losses import listing

    emit(listing.losses(names, format_, **terminal(output)), output)
