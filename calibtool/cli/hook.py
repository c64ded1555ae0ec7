"""calibtool hook, which pre-commit runs: check if a changed file is one that requirements name."""

from __future__ import annotations

from os.path import normpath

import click


def command(name: str) -> click.Command:
    """Return the command."""
    return hook


@click.command()
@click.argument("changed", nargs=-1)
@click.pass_context
def hook(ctx: click.Context, changed: tuple[str, ...]) -> int:
    """Run `calibtool check` if one of the CHANGED files is the TOML file with requirements in this
    folder, or a file that it names; otherwise do nothing.

    Files of requirements without `file` are not checked: nothing says which predictions are meant.
    """
    from pathlib import Path

    from calibtool.cli.check import check
    from calibtool.gate.config import NAMES_FILE, find_config, read_config

    path = find_config(Path())
    if path is None:
        return 0
    options = read_config(path).options
    named = {str(path), *(options[key] for key in NAMES_FILE if key in options)}
    if "file" not in options or {*map(normpath, changed)}.isdisjoint(map(normpath, named)):
        return 0
    with check.make_context("check", [], parent=ctx) as inner:
        code: int = check.invoke(inner)
    return code
