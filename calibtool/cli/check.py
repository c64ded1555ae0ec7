"""calibtool check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from calibtool.cli import FAILED, OK
from calibtool.cli import options as shared


def command(name: str) -> click.Command:
    """The command."""
    return check


@click.command()
@click.argument("file", required=False)
@click.option(
    "--require",
    multiple=True,
    metavar="REQUIREMENT",
    help='Such as "ece <= 0.03"; repeat for several.',
)
@click.option("--config", metavar="TOML", help="Read [tool.calibtool.check] of this file.")
@click.option("--calibrator", metavar="JSON", help="Hold what it makes of FILE to them.")
@shared.intervals
@shared.output
@shared.reading
@click.pass_context
def check(
    ctx: click.Context,
    /,
    file: str | None,
    require: tuple[str, ...],
    config: str | None,
    calibrator: str | None,
    format_: str,
    output: str | None,
    **options: Any,
) -> int:
    """Hold the predictions in FILE to requirements.

    Requirements come from --require, and from --config or, without either, from pyproject.toml.
    Exit code 0: all met. 1: one is not met. 2: could not be decided (bad input or use).

    \b
    calibtool check test.npz --require "ece <= 0.03" --require "nll <= 0.4"
    """
    from calibtool import gate
    from calibtool.calibrators import load_calibrator
    from calibtool.cli import out
    from calibtool.errors import UsageError

    settings = gate.Config()
    if config or not require:
        path = Path(config or "pyproject.toml")
        if not config and not path.exists():
            raise UsageError(
                "nothing is required; give --require 'ece <= 0.03', or a list `require` in "
                "[tool.calibtool.check] of pyproject.toml"
            )
        settings = gate.read_config(path)
    wanted = [gate.parse_requirement(text) for text in (*settings.require, *require)]
    given = {**settings.options}
    for key, value in {"file": file, "calibrator": calibrator, **options}.items():
        typed = ctx.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE
        if typed or key not in given:
            given[key] = value
    chosen, calibrated = given.pop("file"), given.pop("calibrator")
    if not chosen:
        raise UsageError("no FILE to check; name it, or set `file` in [tool.calibtool.check]")
    source = shared.source(chosen, given)
    fitted = load_calibrator(calibrated) if calibrated else None
    source = source.also(fitted.columns) if fitted else source
    with out.progress() as progress:
        found = gate.check(
            source,
            wanted,
            calibrator=fitted,
            progress=progress,
            **given,
        )
    out.show("outcome", found, format_, output)
    return OK if found.passed else FAILED
