"""The group of all commands, the exit codes, and the one place where errors become messages.

The table of commands is read without importing any of them, so that `calibtool --help` stays quick.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from calibtool.calibrators.registry import EVERY, METHODS
from calibtool.cli.groups import COMPLETE, Sections
from calibtool.errors import CalibtoolError, Terminated
from calibtool.formatting import Lines
from calibtool.version import __version__

OK = 0
FAILED = 1  # a gate failed
BAD = 2  # bad use or bad input
INCONCLUSIVE = 3  # too few rows for a gate to decide
INTERRUPTED = 130  # 128 + SIGINT, as shells count it
CLOSED = 141  # 128 + SIGPIPE: the reader of the output has stopped, as `| head` does
TERMINATED = 143  # 128 + SIGTERM
_NO_THREAD = "can't start new thread"  # what Python says where the system refuses one
LISTED = ("temperature", "platt", "histogram", "isotonic")  # of fit-NAME, those that help lists
# title -> name -> (module of calibtool.cli, one line)
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Measure": {
        "evaluate": (
            "evaluate",
            "Compute calibration metrics of a file, with intervals.",
        ),
        "compare": ("compare", "Compare several predictions of the same rows, metric by metric."),
        "slices": ("slices", "Find the slices with the worst calibration, and confirm them."),
        "test": ("test", "Test for miscalibration, and tell what these rows can detect."),
        "estimate": ("estimate", "Estimate metrics, or class shares, of a file without labels."),
        "monitor": (
            "monitor",
            "Track calibration over time, with a test for daily use.",
        ),
        "check": ("check", "Check requirements: exit code 0 pass, 1 fail, 3 inconclusive."),
        "plot": ("plot", "Draw a diagram: reliability, risk-coverage, shift and more."),
        "report": ("report", "Write a shareable HTML or Markdown report."),
        "cells": ("cells", "Summarise a file as cells: exact sums that can be added."),
        "merge": ("cells", "Add up cells: days to a month, machines to one file."),
        "split": ("split", "Split the rows of a file in two: to fit on, and to test on."),
        "inspect": ("inspect", "Show what would be read from a file, and any problems with it."),
    },
    "Fix": {
        "select": ("select", "Try every calibrator; keep the simplest of the best."),
        "fit": ("fit", f"Fit a calibrator; `calibtool fit --help` lists all {len(EVERY)}."),
        **{f"fit-{name}": ("fit", METHODS[name].summary) for name in LISTED},
        "apply": ("apply", "Apply a calibrator to a file, and write its predictions."),
        "export": (
            "export",
            "Export a calibrator as ONNX, Python or C.",
        ),
    },
    "Decide": {
        "threshold": (
            "threshold",
            "Choose a threshold that keeps a promise, such as a risk.",
        ),
        "sets": ("sets", "Make prediction sets with a promised coverage."),
    },
    "Train": {
        "train": (
            "train",
            "Train with focal loss or a relative; write logits and a report.",
        ),
        "predict": ("predict", "Apply the model of a run to new data, and write its outputs."),
    },
    "Learn": {
        "help": ("help", "Explain options that many commands share: `help reading`."),
        "metrics": ("metrics", "List the metrics, with definitions."),
        "losses": ("losses", "List the losses for training, with formulas."),
        "schema": ("schema", "Print the JSON Schema of a document, for editors and validators."),
        "completion": ("completion", "Print what makes a shell complete commands and options."),
        "example": ("example", "Write small example predictions to try the commands on."),
    },
}


class Commands(Sections):
    """The commands of the table, each imported when it is called."""

    def sections(self) -> dict[str, dict[str, str]]:
        return {
            title: {name: line for name, (_, line) in section.items()}
            for title, section in COMMANDS.items()
        }

    def unlisted(self) -> list[str]:
        fits = [f"fit-{name}" for name in EVERY if f"fit-{name}" not in COMMANDS["Fix"]]
        return [*fits, "hook", "man"]

    def make(self, name: str) -> click.Command:
        modules = {name: module for part in COMMANDS.values() for name, (module, _) in part.items()}
        file = modules.get(name) or name.partition("-")[0]
        module = import_module(f"calibtool.cli.{file}")
        command: click.Command = module.command(name)
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="calibtool %(version)s")
def group() -> None:
    """Measure, fix, see and gate the calibration of a classifier.

    Reads tables, arrays and logs. Start with: calibtool example demo/
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Every error becomes a message, never a traceback."""
    if sys.stdout is None:
        return _say("standard output is closed, so there is nowhere to print to")
    try:
        if COMPLETE in os.environ:
            from calibtool.cli.completion import complete

            complete(group, os.environ[COMPLETE])
            return OK
        code = _command(sys.argv[1:] if arguments is None else list(arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return CLOSED
    except OSError as error:
        if error.errno is None:
            return _say(f"internal error: {error}")
        _silence()
        return _say(f"standard output cannot be written: {error.strerror}")
    except Terminated:
        _say("terminated")
        return TERMINATED
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return INTERRUPTED
    return code


def _command(arguments: list[str]) -> int:
    try:
        with group.make_context("calibtool", arguments) as context:
            code = group.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except CalibtoolError as error:
        several = error.args[0] if error.args else ""
        return _fail(arguments, several if isinstance(several, Lines) else str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        return _say(Lines(error.format_message()), prefix="")
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f"Try '{error.ctx.command_path} --help'."
        lines = [error.format_message(), *([hint] if hint else [])]
        return _fail(arguments, Lines.of(lines))
    except (OSError, KeyboardInterrupt, click.Abort):
        raise
    except MemoryError:
        return _fail(arguments, "out of memory; use fewer --resamples or fewer bins")
    except Exception as error:
        if str(error) == _NO_THREAD:
            limits = "out of memory or threads; raise the limits of `ulimit -v` and `ulimit -u`"
            return _fail(arguments, limits)
        if os.environ.get("CALIBTOOL_TRACEBACK"):
            raise
        bug = "This is a bug in calibtool. CALIBTOOL_TRACEBACK=1 shows where; please report it."
        lines = [f"internal error: {type(error).__name__}: {error}", bug]
        return _fail(arguments, Lines.of(lines))
    return code if isinstance(code, int) else OK


def _fail(arguments: list[str], message: str) -> int:
    """Print an error, also in the format that was asked for; return the exit code for errors."""
    from calibtool.cli import failure, output

    _say(message)
    failure.write(arguments, output.message(message))
    return BAD


def _say(message: str, prefix: str = "calibtool: ") -> int:
    """Print an error to standard error, if that is still open; return the exit code for errors."""
    from calibtool.cli import output

    with contextlib.suppress(OSError, ValueError):
        click.echo(f"{prefix}{output.message(message)}", err=True)
    return BAD


def _silence() -> None:
    """Send what is still buffered to nowhere: Python would fail when it flushes at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
