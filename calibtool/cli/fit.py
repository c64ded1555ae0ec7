"""calibtool fit-NAME, one command a line of the table of calibrators."""

from __future__ import annotations

import inspect
import os
import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from calibtool.calibrators.registry import METHODS, module_of
from calibtool.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.data.files.roles import Choice
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions
    from calibtool.streaming.summary import Summary

REPORTED = "nll,brier,ece,classwise-ece"
MOST_ROWS = 1 << 20  # of a file that is loaded where a fit need not hold it
MOST_VALUES = 1 << 30
IN_SAMPLE = (
    "What it does is reported on the rows it was fitted on, without cross-fitting: so many rows "
    "cannot be overfitted visibly. --test reports it on other rows."
)
NO_ROWS = "Cells hold no rows to report on; --test FILE reports what it does to those of a file."


def command(name: str) -> click.Command:
    """The command of a calibrator; its own options are read off its `fit`."""
    # fits work in threads of their own, which those of BLAS get in the way of; it looks here once
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    method = name.removeprefix("fit-")
    line = METHODS[method]
    own = own_options(method)

    def run(**options: Any) -> None:
        _fit(method, {key: options.pop(key) for key in own}, options)

    by_passes = (
        f"A file of more than {MOST_ROWS:,} rows is not held in memory but gone over in a few "
        "passes; the report is then of the rows of the fit. "
        if line.by_passes
        else ""
    )
    to_cells = "FILE may hold cells, of `calibtool cells`. " if line.to_cells else ""
    run.__doc__ = (
        f"{line.summary}\n\n{line.when}\n\nWithout --test, what it does is reported by "
        f"cross-fitting: each row by a fit of the other four fifths. "
        f"{by_passes}{to_cells}({line.source})"
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
    from calibtool.calibrators.fit import fit
    from calibtool.cli import output as out
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions
    from calibtool.evaluation.evaluate import evaluate

    output, test, format_ = (options.pop(key) for key in ("output", "test", "format_"))
    by, target = options.pop("by"), _shares(options.pop("target_prior"))
    file = options.pop("file")
    choice = shared.choice(options)
    rows, left_out = _rows(method, file, choice, by, own, weighted=target is not None)
    held = isinstance(rows, Predictions | Source)
    if not held and not test and format_ != "table":
        raise _nothing_to_report(file, format_)

    def make(rows: Any, progress: Any = None) -> Calibrator:
        fitted = fit(method, rows, by=by, progress=progress, **own)
        return fitted.for_prior(target) if target else fitted

    with out.progress() as progress:
        fitted = make(rows, progress)
        report = None
        if held or test:
            judged, judge = _judged(method, make, rows, fitted, test, choice, by)
            judged = _with_shares(judged, target) if target else judged
            report = evaluate(judged, REPORTED, calibrator=judge, progress=progress, **options)
    in_sample = isinstance(rows, Source) and not test
    if output:
        fitted.save(output)
    if format_ == "table":
        where = f" -> {output}" if output else ""
        out.say(f"Fitted on {rows.rows:,} rows: {fitted.describe()}{where}")
        if in_sample or not report:
            out.say(IN_SAMPLE if in_sample else NO_ROWS)
        click.echo()
    if report:
        out.show(report, format_, None)
    told = [IN_SAMPLE] if in_sample and format_ != "table" else []
    for note in (*fitted.fitted.notes, *left_out, *told):
        click.echo(f"Note: {note}", err=True)
    if not output and format_ == "table":
        click.echo(f"Nothing was written; -o {method}.json keeps the calibrator.")


def _rows(
    method: str, file: str, choice: Choice, by: str | None, own: dict[str, Any], *, weighted: bool
) -> tuple[Source | Predictions | Summary, list[str]]:
    """What is fitted to: predictions, a file of them that is not loaded, or cells; and what to tell
    of files that were left out."""
    from calibtool.calibrators.fit import fits_by_passes
    from calibtool.calibrators.fit_rows import notes_of_skipped
    from calibtool.data.files.open import open_source

    if shared.is_cells(file):
        return shared.opened(file, choice), []
    source = open_source(file, choice).also([by] if by else [])
    likely = _too_many(source) and not weighted
    by_passes = likely and fits_by_passes(method, source.classes, by=by, **own)
    if by_passes:
        return source, []
    loaded = source.load()
    return loaded, notes_of_skipped(source)


def _judged(
    method: str,
    make: Callable[[Any], Calibrator],
    rows: Any,
    fitted: Calibrator,
    test: str | None,
    choice: Choice,
    by: str | None,
) -> tuple[Any, Any]:
    """The predictions that the report is of, and the calibrator of them."""
    from calibtool.calibrators.crossfit import cross_fit
    from calibtool.data.files.open import open_source
    from calibtool.data.predictions import Predictions

    if test:
        return open_source(test, choice).also([by] if by else []), fitted
    if isinstance(rows, Predictions):
        return cross_fit(make, rows, METHODS[method].title)
    return rows, fitted


def _nothing_to_report(file: str, format_: str) -> Exception:
    from calibtool.errors import UsageError

    return UsageError(
        f"{file}: holds cells, no rows that --format {format_} could report on; give some with "
        "--test FILE"
    )


def _too_many(source: Source) -> bool:
    """Whether a file is read block by block where that will do."""
    most = min(MOST_ROWS, MOST_VALUES // source.width)
    return source.rows_at_most > most and source.rows > most  # the latter reads what a filter needs


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


def _with_shares(given: Source | Predictions, target: list[float]) -> Predictions:
    """The rows, loaded, weighted as if the classes had these shares."""
    from dataclasses import replace

    import numpy as np

    from calibtool.calibrators.fitted import class_shares
    from calibtool.data.predictions import Predictions

    predictions = given if isinstance(given, Predictions) else given.load()
    shares = class_shares(predictions)
    ratio = np.divide(target, shares, out=np.zeros_like(shares), where=shares > 0)
    assert predictions.labels is not None
    weights = ratio[predictions.labels]
    if predictions.weights is not None:
        weights = weights * predictions.weights
    return replace(predictions, weights=weights)
