"""The command `calibtool inspect`."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input
from calibtool.cli.groups import Grouped


def command(name: str) -> click.Command:
    """Return the command."""
    return inspect


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@shared.reading
def inspect(file: str, format_: str, **options: Any) -> int:
    """Show what would be read from FILE, and what is unusual about it.

    The exit code is 2 if FILE cannot be read as predictions.
    """
    from dataclasses import asdict

    from calibtool.cli import output
    from calibtool.cli.main import BAD, OK
    from calibtool.data import inspection
    from calibtool.reports import json

    result = inspection.inspect(file, shared.choice(options))
    if format_ == "json":
        found = asdict(result)
        # `format` is the name of the document
        found["recognised_as"] = found.pop("format")
        output.emit(json.document("calibtool-inspection", found), None)
    else:
        output.emit(inspection.text(result), None)
    return BAD if result.problem else OK
