"""The command `calibtool evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli import side_by_side
from calibtool.cli.files import Column, Input
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown

if TYPE_CHECKING:
    from calibtool.analysis.side_by_side import SideBySide
    from calibtool.errors import NoScoresError
    from calibtool.evaluation.report import Report
    from calibtool.types import Progress

INTERVALS = ("ci", "resamples", "level", "seed")


def command(name: str) -> click.Command:
    """Return the command of this module."""
    return evaluate


@click.command(cls=Grouped)
@click.argument("files", type=Input(), metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--metrics",
    metavar="LIST",
    help='"ece(bins=20),nll", or a set: see `calibtool metrics`.',
)
@click.option(
    "--by",
    type=Column(),
    metavar="COLUMN",
    multiple=True,
    help="In every slice; also a,b, `predicted`, `confidence`.",
)
@click.option(
    "--calibrator",
    type=Input(),
    metavar="JSON",
    multiple=True,
    help="Also after this calibrator: one, or one per FILE.",
)
@click.option(
    "--ood",
    type=Input(),
    metavar="FILE",
    help="Rows of another kind: does confidence tell them apart?",
)
@click.option(
    "--sets",
    type=Input(),
    metavar="JSON",
    help="Measure these prediction sets instead.",
)
@click.option(
    "--background",
    metavar="CLASS",
    help="Also average errors without this class (number or name).",
)
@click.option("--plot", is_flag=True, help="Also draw a reliability diagram in the terminal.")
@click.option("--signatures", is_flag=True, help="Print how to reproduce each number.")
@click.option("--as", "library", metavar="LIBRARY", help="The numbers that another library gives.")
@click.option("--conventions", is_flag=True, help="ECE as every library defines it.")
@shared.cluster
@shared.intervals
@shared.passes
@side_by_side.output
@side_by_side.layout
@quiet
@shared.reading
def evaluate(
    files: tuple[str, ...],
    metrics: str | None,
    by: tuple[str, ...],
    calibrator: tuple[str, ...],
    ood: str | None,
    sets: str | None,
    background: str | None,
    plot: bool,
    signatures: bool,
    library: str | None,
    conventions: bool,
    format_: str,
    output: str | None,
    **options: Any,
) -> None:
    """Measure the calibration of each FILE, with intervals, in one table.

    \b
    calibtool evaluate test.npz --metrics all --plot
    calibtool evaluate visits.parquet --by country --cluster user_id
    calibtool evaluate 'scores/*.parquet' --score p --labels clicked
    calibtool evaluate a.npz b.npz --metrics paper --format latex --percent
    """
    from calibtool.cli import output as out
    from calibtool.metrics.resolve import beside_background
    from calibtool.metrics.spec import parse_list

    context = click.get_current_context()
    beside = side_by_side.wanted(context)
    layout = {name: options.pop(name) for name in side_by_side.LAYOUT}
    if sets:
        from calibtool.cli.sets import report_on

        out.show(report_on(files[0], sets, by, options), format_, output)
        return
    _require_possible(context)
    # before anything is opened: a mistyped metric costs no reading and no cluster
    specs = parse_list(_default(by, options) if metrics is None else metrics)
    fitted = _loaded(calibrator) or [None]
    if not (library or conventions or by or plot):
        each = fitted * len(files) if len(fitted) == 1 else fitted
        reports = _reports(files, specs, each, ood, background, options)
        found: Any = shared.with_flags(reports[0], context)
        if beside:
            found = side_by_side.result(reports, files, layout)
        out.emit(_rendered(found, reports, format_, output, signatures=signatures), output)
        return
    source = shared.readable(files[0], options, fitted[0].columns if fitted[0] else ())
    if library or conventions:
        with shown() as progress:
            text = _conventions(source, library, format_, out.terminal(output), progress, options)
        out.emit(text, output)
        return
    if background is not None:
        specs = beside_background(specs, source, background)
    if by:
        out.emit(_sliced(source, by, specs, fitted[0], format_, output, options), output)
        return
    other = shared.source(ood, {}) if ood else None
    report, drawn = _drawn(source, specs, fitted[0], other, output, options)
    text = _rendered(report, [report], format_, output, signatures=signatures)
    out.emit(text + drawn, output)


def _loaded(paths: Sequence[str]) -> list[Any]:
    """Return the calibrators in files."""
    if not paths:
        return []
    from calibtool.calibrators.fit import load_calibrator

    return [load_calibrator(path) for path in paths]


def _drawn(
    source: Any,
    specs: list[Any],
    fitted: Any,
    ood: Any,
    output: str | None,
    options: dict[str, Any],
) -> tuple[Report, str]:
    """Return the report of a file, and the reliability diagram that is printed below its table."""
    from calibtool.analysis.evaluate import evaluate as measure
    from calibtool.parallel import in_steps

    with shown() as show:
        progress = in_steps(show)
        settings = {"calibrator": fitted, "ood": ood, "progress": progress, **options}
        report = shared.with_flags(measure(source, specs, **settings), click.get_current_context())
        return report, _picture(source, fitted, progress, options, output)


def _reports(
    files: Sequence[str],
    specs: list[Any],
    fitted: Sequence[Any],
    ood: str | None,
    background: str | None,
    options: dict[str, Any],
) -> list[Report]:
    """Return the report of each file, with its calibrator; of a log without confidences, the
    accuracy alone."""
    from calibtool.analysis.evaluate import evaluate as measure
    from calibtool.errors import NoScoresError
    from calibtool.metrics.resolve import beside_background
    from calibtool.parallel import Work, parts_alike

    reports = []
    with shown() as progress:
        work = Work(progress, parts_alike(len(files)))
        for number, (file, calibrator) in enumerate(zip(files, fitted, strict=True)):
            work.next(str(number))
            given, asked = dict(options), specs
            try:
                source = shared.readable(file, given, calibrator.columns if calibrator else ())
            except NoScoresError as error:
                if calibrator or ood or options.get("state"):
                    raise
                intervals = {name: options[name] for name in ("cluster", *INTERVALS)}
                reports.append(_accuracy(error, specs, **intervals))
                continue
            if background is not None:
                asked = beside_background(specs, source, background)
            other = shared.source(ood, {}) if ood else None
            more = {"calibrator": calibrator, "ood": other, **given}
            reports.append(measure(source, asked, progress=_named(work, file, files), **more))
    return reports


def _named(progress: Progress, file: str, files: Sequence[str]) -> Progress:
    """Return a progress callback that names the file, where there are several."""
    if len(files) == 1:
        return progress
    return lambda stage, share: progress(f"{file}: {stage}", share)


def _rendered(
    found: Report | SideBySide,
    reports: Sequence[Report],
    format_: str,
    output: str | None,
    *,
    signatures: bool,
) -> str:
    """Return a result in a format, followed by how to reproduce each number of its reports."""
    from calibtool.cli import output as out
    from calibtool.reports.render import render

    text = render(found, format_, **out.terminal(output))
    if signatures and format_ in ("table", "markdown"):
        every = (e for report in reports for e in (*report.estimates, *report.after))
        lines = dict.fromkeys(e.signature for e in every if not e.missing)
        text += "\n" + "\n".join(f"    {line}" for line in lines) + "\n"
    return text


def _require_possible(context: click.Context) -> None:
    """Refuse options that cannot be combined. Raises UsageError."""
    from calibtool.errors import UsageError

    given = context.params
    library = given["library"] or given["conventions"]
    if library:
        _alone(context)
    if given["plot"] and (given["format_"] != "table" or library):
        raise UsageError(
            "--plot can only be combined with --format table; use calibtool plot to write images"
        )
    if given["by"] and (given["plot"] or library or given["ood"] or given["signatures"]):
        raise UsageError(
            "--by cannot be combined with --plot, --as, --conventions, --ood or --signatures"
        )
    if given["state"] and (given["by"] or given["plot"]):
        raise UsageError("--state resumes a single pass and cannot be combined with --by or --plot")


def _accuracy(
    error: NoScoresError, specs: list[Any], cluster: str | None, **intervals: Any
) -> Report:
    """Return the accuracy of a log without confidences."""
    from calibtool.evaluation.accuracy_only import accuracy_only
    from calibtool.evaluation.resampling import Resampling

    return accuracy_only(error, specs, cluster, Resampling(**intervals))


def _default(by: tuple[str, ...], options: dict[str, Any]) -> Any:
    """Return the default metrics: those of levels, or fewer for slices, which are shown side by
    side."""
    if not by:
        return shared.default_metrics(options, "default")
    from calibtool.analysis.slices import METRICS

    return shared.default_metrics(options, METRICS)


def _sliced(
    source: Any,
    by: tuple[str, ...],
    specs: list[Any],
    fitted: Any,
    format_: str,
    output: str | None,
    options: dict[str, Any],
) -> str:
    """Return every metric in every slice, rendered."""
    from calibtool.analysis.slices import evaluate_by
    from calibtool.cli import output as out
    from calibtool.reports.render import render

    with shown() as progress:
        report = evaluate_by(
            source,
            by,
            specs,
            calibrator=fitted,
            progress=progress,
            **options,
        )
    return render(report, format_, **out.terminal(output))


def _picture(
    source: Any, fitted: Any, progress: Any, options: dict[str, Any], output: str | None
) -> str:
    """Return the reliability diagram that is printed below the table."""
    from calibtool.cli import output as out
    from calibtool.diagrams import reliability, terminal

    intervals = {name: options[name] for name in INTERVALS}
    calibrators = [] if fitted is None else [fitted]
    data = reliability.compute(source, calibrators=calibrators, progress=progress, **intervals)
    return "\n" + terminal.reliability(data, **out.terminal(output), letters=out.encoding(output))


def _alone(context: click.Context) -> None:
    """Refuse options that have no effect on other libraries' numbers. Raises click.UsageError."""
    typed = [
        option
        for option in (
            *("library", "conventions", "metrics", "calibrator", "ood", "signatures"),
            *("dask", "state"),
        )
        if context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE
    ]
    first = "--as" if typed[0] == "library" else "--conventions"
    if len(typed) > 1:
        other = f"--{typed[1]}"
        advice = {
            "--metrics": "it prints every number that the library has",
            "--calibrator": "write the calibrated predictions with `calibtool apply` first",
            "--dask": "other libraries' numbers need whole rows in one place",
            "--state": "other libraries' numbers need whole rows in one place",
        }
        raise click.UsageError(
            f"{first} cannot be combined with {other}; {advice.get(other, 'use one of them')}"
        )


def _conventions(
    source: Any,
    library: str | None,
    format_: str,
    terminal: dict[str, Any],
    progress: Any,
    options: dict[str, Any],
) -> str:
    """Return one library's numbers, or the ECE of every library, rendered."""
    from calibtool.analysis.evaluate import evaluate as measure
    from calibtool.metrics.conventions.reproduce import reproduce, spread
    from calibtool.reports.conventions import LibraryComparison, LibraryReport
    from calibtool.reports.render import render

    predictions = source.load()
    if library:
        values = reproduce(library, predictions)
        return render(LibraryReport(source.source, values), format_, **terminal)
    ece = measure(source, ["ece"], progress=progress, **options)["ece"]
    comparison = LibraryComparison(source.source, spread(predictions), ece)
    return render(comparison, format_, **terminal)
