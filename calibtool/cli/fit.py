"""calibtool fit-NAME, one command a line of the table of calibrators."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from calibtool.calibrators import METHODS, module_of
from calibtool.cli import options as shared

if TYPE_CHECKING:
    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.predictions import Predictions

REPORTED = "nll,brier,ece,classwise-ece"


def command(name: str) -> click.Command:
    """The command of a calibrator; its own options are read off its `fit`."""
    method = name.removeprefix("fit-")
    line = METHODS[method]
    own = own_options(method)

    def run(**options: Any) -> None:
        _fit(method, {key: options.pop(key) for key in own}, options)

    run.__doc__ = (
        f"{line.summary}\n\n{line.when}\n\nWithout --test, what it does is reported by "
        f"cross-fitting: each row by a fit of the other four fifths. ({line.source})"
    )
    decorated = shared.stack(
        click.argument("file"),
        click.option("-o", "--output", metavar="JSON", help="Where the calibrator is written."),
        *own.values(),
        click.option("--by", metavar="COLUMN", help="Fit each value of a column by itself."),
        click.option(
            "--target-prior",
            metavar="A,B,...",
            help="Class shares where it will be used, if they differ from those of FILE. What it "
            "does is then reported for those shares.",
        ),
        click.option("--test", metavar="FILE", help="Report what it does to this file."),
        shared.intervals,
        shared.form,
        shared.reading,
    )(run)
    return click.command(name)(decorated)


def own_options(method: str) -> dict[str, Any]:
    """The options of a calibrator's `fit`, by name: choices from the types, help from the
    docstring."""
    function = module_of(method).fit
    hints, told = get_type_hints(function), inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters.values()
    own = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    return {p.name: _option(p, hints[p.name], told) for p in own}


def _option(parameter: inspect.Parameter, hint: Any, told: str) -> Any:
    line = re.search(rf"^ +{parameter.name}: (.+(?:\n {{8}}.+)*)", told, re.MULTILINE)
    name = f"--{parameter.name.replace('_', '-')}"
    told = " ".join(line[1].split()) if line else ""
    told = told[:1].upper() + told[1:]
    if hint is bool:
        return click.option(name, parameter.name, is_flag=True, help=told)
    if type(None) in get_args(hint):
        hint = get_args(hint)[0]
    return click.option(
        name,
        parameter.name,
        type=click.Choice(get_args(hint)) if get_origin(hint) is Literal else hint,
        default=parameter.default,
        show_default=parameter.default is not None,
        help=told,
    )


def _fit(method: str, own: dict[str, Any], options: dict[str, Any]) -> None:
    from calibtool.asked import Calibrator as Applicable
    from calibtool.asked import Readable
    from calibtool.calibrators import fit
    from calibtool.cli import out
    from calibtool.crossfit import cross_fit
    from calibtool.evaluation import evaluate
    from calibtool.files import open_source

    output, test, format_ = (options.pop(key) for key in ("output", "test", "format_"))
    by, target = options.pop("by"), _shares(options.pop("target_prior"))
    file = options.pop("file")
    choice = shared.choice(options)
    columns = [by] if by else []
    predictions = open_source(file, choice).also(columns).load()

    def make(rows: Predictions) -> Calibrator:
        fitted = fit(method, rows, by=by, **own)
        return fitted.for_prior(target) if target else fitted

    fitted = make(predictions)
    judged: Readable
    if test:
        judge: Applicable = fitted
        judged = open_source(test, choice).also(columns)
        judged = _with_shares(judged.load(), target) if target else judged
    else:
        judged, judge = cross_fit(make, predictions, METHODS[method].title)
        judged = _with_shares(judged, target) if target else judged
    with out.progress() as progress:
        report = evaluate(judged, REPORTED, calibrator=judge, progress=progress, **options)
    if output:
        fitted.save(output)
    if format_ == "table":
        where = f" -> {output}" if output else ""
        out.say(f"Fitted on {predictions.rows:,} rows: {fitted.describe()}{where}")
        click.echo()
    out.show("report", report, format_, None)
    for note in fitted.fitted.notes:
        click.echo(f"Note: {note}", err=True)
    if not output and format_ == "table":
        click.echo(f"Nothing was written; -o {method}.json keeps the calibrator.")


def _shares(text: str | None) -> list[float] | None:
    from calibtool.errors import UsageError

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--target-prior {text!r}: give a share a class, such as 0.9,0.1"
        ) from error


def _with_shares(predictions: Predictions, target: list[float]) -> Predictions:
    """The rows weighted as if the classes had these shares."""
    from dataclasses import replace

    import numpy as np

    from calibtool.calibrators.fitted import class_shares

    shares = class_shares(predictions)
    ratio = np.divide(target, shares, out=np.zeros_like(shares), where=shares > 0)
    assert predictions.labels is not None
    weights = ratio[predictions.labels]
    if predictions.weights is not None:
        weights = weights * predictions.weights
    return replace(predictions, weights=weights)
