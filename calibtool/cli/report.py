"""calibtool report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Column, Input, Output
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown

if TYPE_CHECKING:
    from calibtool.reports.page.collect import Methods


def command(name: str) -> click.Command:
    """Return the command."""
    return report


@click.command(cls=Grouped)
@click.argument("files", type=Input(), nargs=-1, required=True, metavar="FILE...")
@click.option("-o", "--output", type=Output(), metavar="FILE", help="report.html, or report.md.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["html", "md"]),
    help="html, a page that is one file, or md, for pull requests and model cards; by default that "
    "of the output's suffix.",
)
@click.option("--metrics", metavar="LIST", help="As for `evaluate`.")
@click.option(
    "--calibrator",
    type=Input(),
    metavar="JSON",
    help="Show the effect of this calibrator; try no others.",
)
@click.option(
    "--select",
    metavar="LIST",
    help='Calibrators to try, such as "temperature,vector", or "all", or "none"; by default '
    "temperature, and platt for one score column.",
)
@click.option(
    "--by",
    multiple=True,
    type=Column(),
    metavar="COLUMN",
    help="Slices by a column. Can be repeated.",
)
@click.option(
    "--clinical",
    is_flag=True,
    help="Begin with what a report on a clinical prediction model has to show: AUROC, a smooth "
    "calibration plot, decision curves, the probabilities by outcome. Two classes.",
)
@click.option(
    "--threshold",
    type=float,
    metavar="P",
    help="With --clinical: at which P(class 1) one acts, for net benefit in the table; by default "
    "0.1.",
)
@click.option("--title", default="", metavar="TEXT", help="The heading.")
@click.option(
    "--model-card",
    metavar="TASK",
    help='Begin the md with Hugging Face metadata for a task such as "image-classification".',
)
@click.option(
    "--model-name", default="", metavar="TEXT", help="The model's name, in that metadata."
)
@click.option(
    "--cluster",
    type=Column(),
    metavar="COLUMN",
    help="Rows with the same value (one patient) stay together: in intervals, and in the folds of "
    "calibrators that are tried.",
)
@shared.intervals
@quiet
@shared.reading
def report(
    files: tuple[str, ...],
    output: str | None,
    format_: str | None,
    metrics: str | None,
    calibrator: str | None,
    select: str | None,
    by: tuple[str, ...],
    clinical: bool,
    threshold: float | None,
    title: str,
    model_card: str | None,
    model_name: str,
    **options: Any,
) -> None:
    """Write a shareable page about the predictions in FILE.

    It begins with the verdict, what to do and how sure that is. Metrics, diagrams, the effect of a
    calibrator, classes, slices, problems in the data, how each number was computed and a glossary
    follow. Several files are compared.

    \b
    calibtool report test.npz -o report.html
    calibtool report test.parquet --by country --select all -o report.html
    calibtool report old.npz new.npz -o compared.html
    calibtool report test.npz --clinical --threshold 0.2 -o report.html
    calibtool report test.npz --format md
    """
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.cli import output as out
    from calibtool.data.files.write import require_writable
    from calibtool.errors import UsageError
    from calibtool.metrics.spec import parse_list
    from calibtool.reports.page.build import build_page
    from calibtool.reports.page.panels import THRESHOLD
    from calibtool.reports.page.write import form_of, text

    form = form_of(output, format_, model_card)
    if form == "html" and not output:
        raise UsageError("a page needs a file; give -o report.html (or -o - for standard output)")
    if output and output != "-":
        require_writable(output)
    if threshold is not None and not clinical:
        raise UsageError("--threshold goes with --clinical")
    default = shared.default_metrics(options, "default")
    specs = parse_list(default if metrics is None else metrics)
    choice = shared.choice(options)
    fitted = load_calibrator(calibrator) if calibrator else None
    columns = fitted.columns if fitted is not None else ()
    sources = [shared.opened(file, choice, columns) for file in files]
    context = click.get_current_context()
    with shown() as progress:
        report = build_page(
            sources,
            specs,
            calibrator=fitted,
            methods=_methods(select, calibrator),
            by=by,
            clinical=clinical,
            threshold=THRESHOLD if threshold is None else threshold,
            title=title,
            command=shared.again(context),
            flags=shared.flags_of(context),
            calibrator_file=_quoted(calibrator) if calibrator else "",
            progress=progress,
            **options,
        )
    out.emit(text(report, form, task=model_card, model=model_name), output)
    if output and output != "-":
        out.tell(f"Wrote {output}")


def _methods(select: str | None, calibrator: str | None) -> Methods:
    """Return the calibrators to try."""
    from calibtool.calibrators.registry import require_scored
    from calibtool.errors import UsageError

    if calibrator is not None and select is not None:
        raise UsageError("--calibrator and --select cannot be combined; give one of them")
    if select in (None, "all"):
        return "quick" if select is None else "all"
    names = [name.strip() for name in str(select).split(",") if name.strip()]
    names = [] if names == ["none"] else names
    for name in names:
        require_scored(name)
    return names


def _quoted(file: str) -> str:
    """Return a file's name as a shell takes it, for the command that the page names."""
    import shlex

    from calibtool.data.files.secrets import without_secrets
    from calibtool.formatting import printable

    return printable(shlex.quote(without_secrets(file)))
