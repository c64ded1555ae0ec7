"""calibtool fit NAME, or fit-NAME: one command per calibrator in the registry."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from calibtool.calibrators.registry import EVERY, METHODS, WITH_COLUMNS, module_of
from calibtool.cli import class_shares
from calibtool.cli import options as shared
from calibtool.cli.files import Column, Input, Output
from calibtool.cli.groups import Grouped, Sections
from calibtool.cli.progress import in_steps_shown, quiet

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.data.files.roles import Choice
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions
    from calibtool.streaming.summary import Summary

REPORTED = ("nll", "brier", "ece", "classwise-ece")  # metrics of the report after a fit
# A file with more rows or values than this is read pass by pass if the fit can do without loading
# it. Below, loading is faster and allows cross-fitting; 2**30 float32 values are 4 GB. The limit of
# rows is that from which on `evaluate` streams a file (EXACT_ROWS).
MAX_ROWS = 1 << 20
MAX_VALUES = 1 << 30
KEEPS_ORDER = "Of all classes at once, the predicted class stays"
MOVES_ORDER = "Of all classes at once"
OF_ONE = "Of one score; with more classes, one curve per class"
OF_SLICES = "Of slices, by columns of the file"
FAMILIES = (KEEPS_ORDER, MOVES_ORDER, OF_ONE, OF_SLICES)
IN_SAMPLE = (
    "The calibrator is reported on the rows it was fitted on, without cross-fitting: with this "
    "many rows, overfitting is negligible. --test FILE reports on other rows."
)
EACH = "Fit one calibrator per value of COLUMN, or per combination of several."
PATCHED = "Patch the slices by these columns, and by each two of them. Required."
NO_ROWS = "Cells hold no rows to report on; --test FILE reports on the rows of a file."


class Calibrators(Sections):
    """One command per line of the table, by family."""

    noun = "calibrator"

    def sections(self) -> dict[str, dict[str, str]]:
        families: dict[str, dict[str, str]] = {title: {} for title in FAMILIES}
        for name, method in METHODS.items():
            of_all = KEEPS_ORDER if method.keeps_order else MOVES_ORDER
            families[OF_ONE if method.binary else of_all][name] = method.summary
        families[OF_SLICES] = {name: method.summary for name, method in WITH_COLUMNS.items()}
        return families

    def make(self, name: str) -> click.Command:
        return command(f"fit-{name}")


def command(name: str) -> click.Command:
    """Return the group of all calibrators, or the command of one; the options of the method come
    from its `fit`."""
    if name == "fit":
        return click.command("fit", cls=Calibrators, subcommand_metavar="METHOD [OPTIONS] FILE")(
            calibrators
        )
    method = name.removeprefix("fit-")
    entry = EVERY[method]
    method_options = options_of(method)

    def run(**options: Any) -> None:
        _fit(method, {key: options.pop(key) for key in method_options}, options)

    by_passes = (
        f"A file with more than {MAX_ROWS:,} rows is read in a few passes rather than loaded; the "
        "report is then on the rows of the fit. "
        if entry.by_passes
        else ""
    )
    to_cells = "FILE may hold cells, as `calibtool cells` writes them. " if entry.to_cells else ""
    of_confidences = (
        "FILE may hold confidences, and whether each was right. " if entry.to_confidences else ""
    )
    run.__doc__ = (
        f"{entry.summary}\n\n{entry.when}\n\nWithout --test, the report is by cross-fitting: "
        f"each row is calibrated by a fit to the other four fifths. "
        f"{by_passes}{of_confidences}{to_cells}({entry.source})"
    )
    decorated = shared.stack(
        click.argument("file", type=Input()),
        click.option(
            "-o",
            "--output",
            type=Output(),
            metavar="JSON",
            help="Write the calibrator to this file.",
        ),
        *method_options.values(),
        click.option(
            "--by",
            type=Column(),
            metavar="COLUMN,...",
            help=PATCHED if method in WITH_COLUMNS else EACH,
        ),
        class_shares.options,
        click.option(
            "--test",
            type=Input(),
            metavar="FILE",
            help="Report on this file instead of cross-fitting.",
        ),
        shared.intervals,
        shared.form,
        quiet,
        shared.reading,
    )(run)
    return click.command(name, cls=Grouped)(decorated)


def calibrators() -> None:
    """Fit a calibrator to a file, and report what it changes.

    \b
    calibtool fit temperature val.npz -o temperature.json
    calibtool select val.npz -o best.json     tries all of them
    """


def options_of(method: str) -> dict[str, Any]:
    """Return the options of a calibrator's `fit`, by name.

    They are its keyword-only parameters: choices come from the types, help from the docstring.
    """
    function = module_of(method).fit
    hints, docstring = get_type_hints(function), inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters.values()
    keyword_only = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    return {p.name: _option(p, hints[p.name], docstring) for p in keyword_only}


def _option(parameter: inspect.Parameter, hint: Any, docstring: str) -> Any:
    """Return the option of a parameter: a flag, a choice or a value."""
    # "    name: text", and the lines of the text that are indented by 8
    line = re.search(rf"^ +{parameter.name}: (.+(?:\n {{8}}.+)*)", docstring, re.MULTILINE)
    name = f"--{parameter.name.replace('_', '-')}"
    text = " ".join(line[1].split()) if line else ""
    text = text[:1].upper() + text[1:]
    if hint is bool:
        return click.option(name, parameter.name, is_flag=True, help=text)
    if type(None) in get_args(hint):
        hint = get_args(hint)[0]
    return click.option(
        name,
        parameter.name,
        type=click.Choice(get_args(hint)) if get_origin(hint) is Literal else hint,
        default=parameter.default,
        show_default=parameter.default is not None,
        help=text,
    )


def _fit(method: str, method_options: dict[str, Any], options: dict[str, Any]) -> None:
    """Run a fit command: read, fit, report, write."""
    from calibtool.analysis.evaluate import evaluate
    from calibtool.calibrators.fit import fit
    from calibtool.calibrators.groups import columns_by, require_columns
    from calibtool.cli import output
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions
    from calibtool.evaluation.wording import harms
    from calibtool.metrics.resolve import defaults

    path, test, format_ = (options.pop(key) for key in ("output", "test", "format_"))
    by, given = options.pop("by"), class_shares.take(options)
    if method in WITH_COLUMNS:
        require_columns(method, columns_by(by))
    cluster = method_options.get("cluster")
    file = options.pop("file")
    choice = shared.choice(options)
    rows, skipped = _fit_rows(method, file, choice, by, method_options, weighted=bool(given))
    has_rows = isinstance(rows, Predictions | Source)
    if not has_rows and not test and format_ != "table":
        raise _nothing_to_report(file, format_)

    with in_steps_shown(f"fitting {method}") as progress:
        calibrator = fit(method, rows, by=by, progress=progress, **method_options)
        target, said = class_shares.target_of(
            given, calibrator.fitted.prior, file, rows, choice, options["seed"], progress
        )

        def moved(fitted: Calibrator) -> Calibrator:
            return fitted.for_prior(target) if target else fitted

        def fit_to(rows: Any) -> Calibrator:
            return moved(fit(method, rows, by=by, **method_options))

        calibrator, report = moved(calibrator), None
        if has_rows or test:
            data, variant = _report_on(method, fit_to, rows, calibrator, test, choice, by, cluster)
            data = class_shares.weighted(data, target) if target else data
            specs = defaults(REPORTED)
            report = evaluate(
                data, specs, calibrator=variant, cluster=cluster, progress=progress, **options
            )
    in_sample = isinstance(rows, Source) and not test
    if path:
        calibrator.save(path)
    if format_ == "table":
        where = f" -> {path}" if path else ""
        output.say(f"Fitted on {rows.rows:,} rows: {calibrator.describe()}{where}")
        if in_sample or not report:
            output.say(IN_SAMPLE if in_sample else NO_ROWS)
        click.echo()
    if report:
        output.show(report, format_, None)
    further = [IN_SAMPLE] if in_sample and format_ != "table" else []
    for harm in harms(report) if report else ():
        output.tell(f"Warning: {calibrator.describe()} makes {harm}, beyond chance.")
    for note in (*said, *calibrator.fitted.notes, *skipped, *further):
        output.tell(f"Note: {note}")
    if not path and format_ == "table":
        click.echo(f"Nothing was written; -o {method}.json saves the calibrator.")


def _fit_rows(
    method: str,
    file: str,
    choice: Choice,
    by: str | None,
    method_options: dict[str, Any],
    *,
    weighted: bool,
) -> tuple[Source | Predictions | Summary, list[str]]:
    """Return what is fitted to, and notes on files that were left out.

    That is predictions, a file of them that is read pass by pass, or a summary. Files whose rows
    are weighted for other class shares have to be loaded.
    """
    from calibtool.calibrators.fit import fits_by_passes
    from calibtool.calibrators.fit_rows import notes_of_skipped
    from calibtool.data.files.open import open_source

    if shared.is_cells(file):
        return shared.opened(file, choice), []
    source = open_source(file, choice).also(_columns(by, method_options.get("cluster")))
    large = _is_large(source) and not weighted
    if large and fits_by_passes(method, source.classes, by=by, **method_options):
        return source, []
    loaded = source.load()
    return loaded, notes_of_skipped(source)


def _columns(by: str | None, cluster: str | None) -> list[str]:
    """Return the columns that a fit and its report need besides the predictions."""
    from calibtool.calibrators.groups import columns_by

    return [*columns_by(by), *([cluster] if cluster else [])]


def _report_on(
    method: str,
    fit_to: Callable[[Any], Calibrator],
    rows: Any,
    calibrator: Calibrator,
    test: str | None,
    choice: Choice,
    by: str | None,
    cluster: str | None,
) -> tuple[Any, Any]:
    """Return the predictions that the report is on, and the calibrator for them."""
    from calibtool.calibrators.crossfit import cross_fit
    from calibtool.data.files.open import open_source
    from calibtool.data.predictions import Predictions

    if test:
        return open_source(test, choice).also(_columns(by, cluster)), calibrator
    if isinstance(rows, Predictions):
        return cross_fit(fit_to, rows, EVERY[method].title, cluster=cluster)
    return rows, calibrator


def _nothing_to_report(file: str, format_: str) -> Exception:
    from calibtool.errors import UsageError

    return UsageError(
        f"{file}: holds cells, no rows that --format {format_} could report on; give some with "
        "--test FILE"
    )


def _is_large(source: Source) -> bool:
    """Return whether a file is too large to be loaded if the fit can do without."""
    limit = min(MAX_ROWS, MAX_VALUES // source.width)
    # `rows` counts the rows that a filter leaves, which reads a column; the bound may save that
    return source.rows_at_most > limit and source.rows > limit
