"""calibtool fit-NAME, one command a line of the table of calibrators."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from calibtool.calibrators import METHODS, Method
from calibtool.cli import options as shared

REPORTED = "nll,brier,ece,classwise-ece"


def command(name: str) -> click.Command:
    """The command of a calibrator; its own options are read off its `fit`."""
    method = name.removeprefix("fit-")
    line = METHODS[method]
    function = import_module(line.module).fit
    parameters = inspect.signature(function).parameters.values()
    own = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    hints, told = get_type_hints(function), inspect.getdoc(function) or ""

    def run(**options: Any) -> None:
        _fit(method, line, {p.name: options.pop(p.name) for p in own}, options)

    run.__doc__ = (
        f"{line.summary}\n\n{line.when}\n\nWithout --test, what it does is reported by "
        "cross-fitting: each row by a fit of the other four fifths."
    )
    decorated = shared.stack(
        click.argument("file"),
        click.option("-o", "--output", metavar="JSON", help="Where the calibrator is written."),
        *[_option(p, hints[p.name], told) for p in own],
        click.option("--test", metavar="FILE", help="Report what it does to this file."),
        shared.intervals,
        shared.form,
        shared.reading,
    )(run)
    return click.command(name)(decorated)


def _option(parameter: inspect.Parameter, hint: Any, told: str) -> Any:
    """An option of `fit`, with its choices from the type and its help from the docstring."""
    choices = get_args(hint) if get_origin(hint) is Literal else None
    line = re.search(rf"^ +{parameter.name}: (.+(?:\n {{8}}.+)*)", told, re.MULTILINE)
    return click.option(
        f"--{parameter.name.replace('_', '-')}",
        parameter.name,
        type=click.Choice(choices) if choices else type(parameter.default),
        default=parameter.default,
        show_default=True,
        help=" ".join(line[1].split()) if line else None,
    )


def _fit(method: str, line: Method, own: dict[str, Any], options: dict[str, Any]) -> None:
    from functools import partial

    from calibtool.calibrators import fit
    from calibtool.cli import out
    from calibtool.crossfit import cross_fit
    from calibtool.evaluation import Readable, evaluate
    from calibtool.files import open_source

    output, test, format_ = (options.pop(key) for key in ("output", "test", "format_"))
    file = options.pop("file")
    choice = shared.choice(options)
    predictions = open_source(file, choice).load()
    fitted = fit(method, predictions, **own)
    judged: Readable
    if test:
        judged, judge = open_source(test, choice), fitted
    else:
        judged, judge = cross_fit(partial(fit, method, **own), predictions, line.title)
    with out.progress() as progress:
        report = evaluate(judged, REPORTED, calibrator=judge, progress=progress, **options)
    if output:
        fitted.save(output)
    if format_ == "table":
        where = f" -> {output}" if output else ""
        click.echo(f"Fitted on {predictions.rows:,} rows: {fitted.describe()}{where}\n")
    out.show("report", report, format_, None)
    if not output and format_ == "table":
        click.echo("Nothing was written; -o temperature.json keeps the calibrator.")
