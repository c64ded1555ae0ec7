"""Write results to standard output or a file, and messages to standard error."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

# Most characters of a line of a message: a screen of text. Names and values from files have no end.
LONGEST = 2000


def emit(text: str, output: str | None) -> None:
    """Print a text, or write it to a file atomically."""
    if output is None or output == "-":
        name = encoding()
        try:
            text.encode(name)
        except UnicodeEncodeError:  # a terminal whose encoding lacks box characters
            text = text.replace("─", "-").encode(name, "replace").decode(name)
        click.echo(text, nl=False)
        return
    from calibtool.data.files.write import write_text

    write_text(output, text)


def say(text: str) -> None:
    """Print a sentence or two, wrapped to the terminal; names of files are never broken."""
    import textwrap

    width = terminal()["width"]
    text = message(text)
    click.echo(textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False))


def tell(text: str) -> None:
    """Print a line beside the results, to standard error."""
    click.echo(message(text), err=True)


def message(text: str) -> str:
    """Return text as a message: printable, without credentials in its addresses, and each line of
    at most LONGEST characters.

    >>> len(message("x" * 1_000_000))
    2000
    """
    from calibtool.data.files.secrets import without_secrets
    from calibtool.errors import brief
    from calibtool.formatting import Lines, printable

    if isinstance(text, Lines):
        return Lines.of(brief(without_secrets(line), LONGEST) for line in text.split("\n"))
    return brief(without_secrets(printable(text)), LONGEST)


def add_to_step_summary(text: str) -> None:
    """Append Markdown to the summary of the GitHub Actions step, if there is one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    from pathlib import Path

    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        tell(f"warning: GITHUB_STEP_SUMMARY {path}: {error.strerror}; it has no summary")


def show(result: Any, format_: str, output: str | None) -> None:
    """Render a result and emit it."""
    from calibtool.reports.render import render

    emit(render(result, format_, **terminal(output)), output)


def terminal(output: str | None = None) -> dict[str, Any]:
    """Return width and colour of the destination: colour on a terminal, unless NO_COLOR is set."""
    live = output is None and sys.stdout.isatty()
    colour = live and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = 80
    if live:
        import shutil

        width = min(max(shutil.get_terminal_size().columns, 40), 120)
    return {"width": width, "colour": bool(colour)}


def encoding(output: str | None = None) -> str:
    """Return the encoding of the destination."""
    return (sys.stdout.encoding if output in (None, "-") else None) or "utf-8"
