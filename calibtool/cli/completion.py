"""calibtool completion SHELL: the lines by which a shell completes commands, options and columns.

click completes in bash, zsh and fish; PowerShell is added here. The shell calls calibtool with
COMPLETE set.
"""

from __future__ import annotations

import contextlib
import os

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from calibtool.cli.groups import COMPLETE

SHELLS = ("bash", "zsh", "fish", "powershell")


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

    `calibtool man FOLDER` writes manual pages.
    """
    found = get_completion_class(shell)
    assert found is not None
    template = found(ctx.find_root().command, {}, "calibtool", COMPLETE)
    click.echo(template.source_template % template.source_vars())


def complete(group: click.Command, instruction: str) -> None:
    """Print what a shell asks for: "bash_complete" and the like."""
    shell = instruction.partition("_")[0]
    found = get_completion_class(shell)
    if found is None or not instruction.endswith("_complete"):
        return
    # A word that cannot be completed gives nothing: a message would stand in the middle of a line.
    with contextlib.suppress(Exception):
        click.echo(found(group, {}, "calibtool", COMPLETE).complete())
