"""The command line: the only place that knows click, exit codes and the terminal.

The table of commands is read without importing any of them: `calibtool --help` stays quick.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from calibtool.calibrators.registry import METHODS
from calibtool.errors import CalibtoolError
from calibtool.version import __version__

OK = 0
FAILED = 1  # a gate failed
BAD = 2  # bad use or bad input
INCONCLUSIVE = 3  # the rows are too few for a gate to tell
INTERRUPTED = 130
CLOSED = 141  # whoever read our output stopped reading, as by `| head`
# title -> name -> (module of calibtool.cli, one line)
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Measure": {
        "evaluate": ("evaluate", "Calibration metrics of a file of predictions, with intervals."),
        "compare": ("compare", "Which of several predictions of the same rows is better, on what."),
        "slices": ("slices", "The slices with the worst calibration: found, and confirmed."),
        "test": ("test", "Tests of perfect calibration, and the smallest error this n can show."),
        "monitor": ("monitor", "Calibration over time, with a test that may be looked at daily."),
        "check": ("check", "Hold predictions to requirements: exit 0 pass, 1 fail, 3 unclear."),
        "plot": ("plot", "Draw a diagram: reliability, risk-coverage, shift and more."),
        "report": ("report", "A page to send: the verdict in words, and what it rests on."),
        "cells": ("cells", "What calibration needs of a file, without its rows; it adds up."),
        "merge": ("cells", "Add cells of several files: days to a month, machines to one."),
        "inspect": ("inspect", "What would be read from a file, and what is odd about it."),
    },
    "Fix": {
        "select": ("select", "Try every calibrator and keep the simplest of the best."),
        **{f"fit-{name}": ("fit", line.summary) for name, line in METHODS.items()},
        "apply": ("apply", "Write the predictions that a fitted calibrator makes of a file."),
        "export": ("export", "Write a calibrator as an ONNX graph, a Python module or a C header."),
    },
    "Train": {
        "train": ("train", "Train with focal loss and its relatives; logits, temperature, report."),
    },
    "Learn": {
        "metrics": ("metrics", "The table of metrics, with definitions."),
        "losses": ("losses", "The table of losses for training, with formulas."),
        "example": ("example", "Write small real predictions to try the commands on."),
    },
}


class Commands(click.Group):
    """Commands by the table, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        for section in COMMANDS.values():
            if name in section:
                module = import_module(f"calibtool.cli.{section[name][0]}")
                made: click.Command = module.command(name)
                return made
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in section.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            import difflib

            known = self.list_commands(ctx)
            close = difflib.get_close_matches(args[0], known, n=2)
            advice = (
                f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
            )
            raise click.UsageError(f"there is no command {args[0]!r}; {advice}", ctx)
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="calibtool %(version)s")
def group() -> None:
    """Measure, fix, see and gate the calibration of a classifier.

    Reads logits or probabilities and labels from npz, npy, parquet, Arrow, Feather or csv.
    Start with: calibtool example demo/
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Every error ends here, and none as a traceback."""
    if sys.stdout is None:
        return _say("standard output is closed; there is nowhere to print to")
    try:
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
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return INTERRUPTED
    return code


def run() -> None:
    """The console script."""
    sys.exit(main())


def _command(arguments: list[str]) -> int:
    try:
        with group.make_context("calibtool", arguments) as context:
            code = group.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except CalibtoolError as error:
        return _say(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        return _say(error.format_message(), prefix="")
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f"\nTry '{error.ctx.command_path} --help'."
        return _say(f"{error.format_message()}{hint}")
    except (OSError, KeyboardInterrupt, click.Abort):
        raise
    except MemoryError:
        return _say("out of memory; draw fewer --resamples, or ask for fewer bins")
    except Exception as error:
        if os.environ.get("CALIBTOOL_TRACEBACK"):
            raise
        return _say(
            f"internal error: {type(error).__name__}: {error}\n"
            "This is a bug in calibtool. CALIBTOOL_TRACEBACK=1 shows where; please report it."
        )
    return code if isinstance(code, int) else OK


def _say(message: str, prefix: str = "calibtool: ") -> int:
    """An error for people, if anybody still reads standard error."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"{prefix}{message}", err=True)
    return BAD


def _silence() -> None:
    """Nobody reads standard output any more: keep Python from failing when it flushes at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
