"""calibtool help TOPIC: what is the same for many commands, told once."""

from __future__ import annotations

import click

from calibtool.cli import options as shared
from calibtool.cli import side_by_side

TOPICS = {
    "reading": "Options of every command that reads predictions. In Python they are keywords of "
    "the same names, with _ for -.",
    "tables": "Options of `calibtool evaluate` for the table of several files, or of a paper: "
    "--format latex, for the packages booktabs and siunitx. In Python: ct.side_by_side.",
}
OPTIONS = {"reading": shared.reading, "tables": side_by_side.layout}


def command(name: str) -> click.Command:
    """Return the command."""
    return help_


@click.command("help")
@click.argument("topic", type=click.Choice(list(TOPICS)))
@click.pass_context
def help_(ctx: click.Context, topic: str) -> None:
    """Explain TOPIC: reading, the options that say which columns hold what; or tables, those of
    a table of several files.
    """
    text = TOPICS[topic]
    shown = click.command(topic, add_help_option=False)(OPTIONS[topic](lambda: None))
    formatter = ctx.make_formatter()
    formatter.write_text(text)
    shown.format_options(ctx, formatter)
    click.echo(formatter.getvalue(), nl=False)
