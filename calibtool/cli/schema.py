"""The command `calibtool schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Name(click.ParamType[str]):
    """The name of a schema, which a shell completes."""

    name = "text"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        from calibtool.reports.schemas.registry import SCHEMAS

        found = (name for name in SCHEMAS if name.startswith(incomplete))
        return [CompletionItem(name, help=SCHEMAS[name].of) for name in found]


def command(name: str) -> click.Command:
    """Return the command."""
    return schema


@click.command()
@click.argument("name", type=Name(), required=False)
@shared.output
def schema(name: str | None, format_: str, output: str | None) -> None:
    """List the JSON Schemas of what calibtool writes and reads, or print the one called NAME.

    --format is that of the list: a schema is JSON (draft 2020-12). NAME can also be the `format` of
    a document, such as calibtool-report.

    \b
    calibtool schema
    calibtool schema report
    calibtool schema config -o calibtool.schema.json
    """
    from calibtool.cli import output as out
    from calibtool.errors import UsageError
    from calibtool.formatting import json_text
    from calibtool.reports.schemas import registry

    if name is None:
        out.show(registry.table(), format_, output)
        return
    if format_ not in ("table", "json"):
        raise UsageError(f"--format {format_} is for the list of schemas; a schema is JSON")
    made = registry.schema(name)
    if name.removeprefix(registry.PREFIX) == "config":
        made = _with_help(made)
    out.emit(json_text(made, indent=2) + "\n", output)


def _with_help(config: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a configuration, in which each key says what `check --help` does: an
    editor shows it."""
    from calibtool.cli.check import check

    helps = {param.name: param.help for param in check.params if isinstance(param, click.Option)}
    table = config["$defs"]["check"]
    keys = {
        key: {**value, "description": helps[key]} if helps.get(key) else value
        for key, value in table["properties"].items()
    }
    return {**config, "$defs": {**config["$defs"], "check": {**table, "properties": keys}}}
