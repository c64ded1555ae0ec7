"""calibtool losses."""

from __future__ import annotations

import click

from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """The command."""
    return losses


@click.command()
@click.argument("names", nargs=-1)
@shared.output
def losses(names: tuple[str, ...], format_: str, output: str | None) -> None:
    """The losses of `calibtool train`, with formulas and options; of NAMES, those.

    \b
    calibtool losses
    calibtool losses focal flsd-53
    calibtool losses --format json
    """
    from calibtool.cli import output as out
    from calibtool.train.losses.listing import losses as listed

    out.emit(listed(names, format_, **out.terminal(output)), output)
