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
    "intervals": "Options of every command whose numbers have intervals, beside --cluster. In "
    "Python they are keywords of the same names.",
    "resources": "Options of commands that read files of any size.",
}
OPTIONS = {
    "reading": shared.reading,
    "tables": side_by_side.layout,
    "intervals": shared.intervals,
    "resources": shared.passes,
}


def command(name: str) -> click.Command:
    """Return the command."""
    return help_


@click.command("help")
@click.argument("topic", type=click.Choice(list(TOPICS)))
@click.pass_context
def help_(ctx: click.Context, topic: str) -> None:
    """Explain TOPIC: reading, the options that say which columns hold what; tables, those of a
    table of several files; intervals; or resources.
    """
    formatter = ctx.make_formatter()
    formatter.write_text(TOPICS[topic])
    _command(topic).format_options(ctx, formatter)
    click.echo(formatter.getvalue(), nl=False)


def told(ctx: click.Context, topic: str) -> dict[str, tuple[str, str] | None]:
    """Return what a topic says of each of its options."""
    return {str(each.name): each.get_help_record(ctx) for each in _command(topic).params}


def _command(topic: str) -> click.Command:
    return click.command(topic, add_help_option=False)(OPTIONS[topic](lambda: None))
