"""Commands whose help is divided into sections: of options, and of further commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from calibtool.errors import near

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETE = "_CALIBTOOL_COMPLETE"  # variable that is set by a shell which completes a word
# title -> names of parameters, in the order in which help shows them; others are "Options"
GROUPS: dict[str, tuple[str, ...]] = {
    "Intervals": ("cluster", "ci", "resamples", "level", "seed"),
    "Output": ("format_", "output", "overwrite", "quiet"),
    "Resources": ("dask", "state"),
}
READING = "Reading options (--score, --labels, --filter and more): calibtool help reading"
INTERVALS = "Intervals (--ci, --resamples, --level, --seed): calibtool help intervals"
RESOURCES = "Resources (--dask, --state): calibtool help resources"
TABLES = "Options of tables (--name, --digits, --percent, --pm): calibtool help tables"
TOLD = {TABLES: "tables", INTERVALS: "intervals", RESOURCES: "resources"}  # their topics


class Grouped(click.Command):
    """A command whose options are shown in groups; those of `calibtool help` are told there."""

    def grouped(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return what help says of each option, by the title of its group, or by the line that
        refers to `calibtool help`."""
        from calibtool.cli.help import told
        from calibtool.cli.options import READING as OF_READING

        # several options may share a parameter, as --smooth and --corp do
        told_of = [
            (str(each.name), each, each.get_help_record(ctx)) for each in self.get_params(ctx)
        ]
        records = {name: record for name, _, record in told_of}
        groups = {**GROUPS, READING: OF_READING}
        for line, topic in TOLD.items():  # where a command has them, and with the same defaults
            shared = told(ctx, topic)
            if all(records.get(name) == record for name, record in shared.items()):
                groups = {line: tuple(shared), **groups}
                groups.pop(topic.capitalize(), None)  # what is left of it stands among the others
        found: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *groups)}
        for name, parameter, record in told_of:
            if isinstance(parameter, click.Option) and record is not None:
                titles = [title for title, names in groups.items() if name in names]
                found[titles[0] if titles else "Options"].append(record)
        return {title: records for title, records in found.items() if records}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        found = self.grouped(ctx)
        told = [line for line in (*TOLD, READING) if found.pop(line, None)]
        for title, records in found.items():
            with formatter.section(title):
                formatter.write_dl(records)
        if told:
            formatter.write_paragraph()
        for line in told:
            formatter.write_text(line)


class Sections(click.Group):
    """A group whose commands come from a table.

    A subclass gives `sections`, title -> name -> line of help; `make`, which returns the command of
    a name; and `noun`, what a name is called in messages. Names in `unlisted` work as well.
    """

    noun = "command"

    def sections(self) -> dict[str, dict[str, str]]:
        raise NotImplementedError

    def make(self, name: str) -> click.Command:
        raise NotImplementedError

    def unlisted(self) -> list[str]:
        return []

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in self.sections().values() for name in section]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return self.make(name) if name in [*self.list_commands(ctx), *self.unlisted()] else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in self.sections().items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return names from the table; click would make every command, to see which are hidden."""
        from click.shell_completion import CompletionItem

        lines = {name: line for part in self.sections().values() for name, line in part.items()}
        found = [CompletionItem(n, help=lines[n]) for n in lines if n.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        every = [*self.list_commands(ctx), *self.unlisted()]
        typing = ctx.resilient_parsing  # a word that a shell completes
        if args and args[0] not in every and not args[0].startswith("-") and not typing:
            raise click.UsageError(
                f"there is no {self.noun} {args[0]!r}{near(args[0], every)}", ctx
            )
        return super().resolve_command(ctx, args)


def inner(ctx: click.Context, name: str) -> click.Context:
    """Return the context of a command of a group."""
    assert isinstance(ctx.command, click.Group)
    command = ctx.command.get_command(ctx, name)
    assert command is not None
    return click.Context(command, info_name=name, parent=ctx)
