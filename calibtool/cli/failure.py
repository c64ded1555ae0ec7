"""An error in the format that was asked for, where the result would have been: what reads results
learns that there is none, and why."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import click

from calibtool.errors import CalibtoolError


def write(arguments: Sequence[str], message: str) -> None:
    """Write an error to standard output, or to the file of -o if there is none yet; if a format for
    people was asked for, nothing.

    Args:
        arguments: those of the command line.
        message: as people read it on standard error.
    """
    format_ = _value(arguments, "--format")
    if format_ is None:
        return
    from calibtool.cli import output as out
    from calibtool.data.files.write import write_text
    from calibtool.reports import ci

    if format_ not in ci.ERRORS:
        return
    if format_ == "github":
        out.add_to_step_summary(ci.github_error_summary(message))
    text = ci.ERRORS[format_](message)
    output = _value(arguments, "-o", "--output")
    if output is not None and not os.path.lexists(output):
        with contextlib.suppress(CalibtoolError):
            write_text(output, text)
            return
    click.echo(text, nl=False)


def _value(arguments: Sequence[str], *names: str) -> str | None:
    """Return the last value that options give, as "NAME VALUE" or "NAME=VALUE"; None without."""
    found = None
    for at, word in enumerate(arguments):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if word in names:
            found = arguments[at + 1] if at + 1 < len(arguments) else None
        elif equals and name in names:
            found = value
    return found
