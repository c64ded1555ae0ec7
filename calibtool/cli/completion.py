"""calibtool completion SHELL: the lines by which a shell completes commands, options and columns.

click completes in bash, zsh and fish; PowerShell is added here. The shell calls calibtool with
`_CALIBTOOL_COMPLETE` set, and nothing is read but the head of a file whose columns are wanted.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

VARIABLE = "_CALIBTOOL_COMPLETE"
SHELLS = ("bash", "zsh", "fish", "powershell")
LONGEST = 1 << 16  # bytes of a file's first line that are read for its columns


class PowerShellComplete(ShellComplete):
    """Completion for PowerShell: a value and a help text per line, with a tab between them."""

    name = "powershell"
    source_template = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $env:%(complete_var)s = "powershell_complete"
    $env:COMP_WORDS = $commandAst.ToString()
    $env:COMP_WORD = $wordToComplete
    %(prog_name)s | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        $kind = "ParameterValue"
        [System.Management.Automation.CompletionResult]::new($value, $value, $kind, $help)
    }
    Remove-Item Env:%(complete_var)s, Env:COMP_WORDS, Env:COMP_WORD
}
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = split_arg_string(os.environ["COMP_WORDS"])[1:], os.environ["COMP_WORD"]
        return (words[:-1] if incomplete and words else words), incomplete

    def format_completion(self, item: CompletionItem[str]) -> str:
        return f"{item.value}\t{item.help or item.value}"


add_completion_class(PowerShellComplete)


def command(name: str) -> click.Command:
    """Return the command."""
    return completion


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the lines that make SHELL complete calibtool's commands, options and columns.

    \b
    calibtool completion bash >> ~/.bashrc
    calibtool completion zsh >> ~/.zshrc
    calibtool completion fish > ~/.config/fish/completions/calibtool.fish
    calibtool completion powershell >> $PROFILE
    """
    found = get_completion_class(shell)
    assert found is not None
    template = found(ctx.find_root().command, {}, "calibtool", VARIABLE)
    click.echo(template.source_template % template.source_vars())


def complete(group: click.Command, instruction: str) -> None:
    """Print what a shell asks for: "bash_complete" and the like."""
    shell = instruction.partition("_")[0]
    found = get_completion_class(shell)
    if found is None or not instruction.endswith("_complete"):
        return
    # A word that cannot be completed gives nothing: a message would stand in the middle of a line.
    with contextlib.suppress(Exception):
        click.echo(found(group, {}, "calibtool", VARIABLE).complete())


def columns(files: Sequence[str]) -> list[str]:
    """Return the columns of the first file, where its head tells them quickly; else none."""
    path = Path(files[0] if files else "")
    read = QUICK.get(path.suffix.lower())
    return read(path) if read is not None and path.is_file() else []


def _csv(path: Path) -> list[str]:
    import csv

    line = _first_line(path)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    return next(csv.reader([line], delimiter=delimiter), [])


def _npz(path: Path) -> list[str]:
    import zipfile

    with zipfile.ZipFile(path) as file:
        return [name.removesuffix(".npy") for name in file.namelist()]


def _json(path: Path) -> list[str]:
    import json

    record = json.loads(_first_line(path))
    return list(record) if isinstance(record, dict) else []


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(LONGEST).decode("utf-8-sig", "replace").rstrip("\r\n")


QUICK = {".csv": _csv, ".tsv": _csv, ".npz": _npz, ".jsonl": _json, ".ndjson": _json}
