"""Several files in one table: options of `calibtool evaluate A B`, and what excludes what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared

if TYPE_CHECKING:
    from calibtool.analysis.side_by_side import SideBySide
    from calibtool.evaluation.report import Report

# of evaluate, what shows something else than metrics by file: parameter -> option
OTHERS = {
    "by": "--by",
    "sets": "--sets",
    "library": "--as",
    "conventions": "--conventions",
    "plot": "--plot",
}
ONE_FILE = {"ood": "--ood", "state": "--state", "dask": "--dask"}
LAYOUT = {"names": "--name", "digits": "--digits", "percent": "--percent", "half_widths": "--pm"}
ROUNDED = ("table", "markdown", "latex")  # formats whose numbers have a number of decimals

output = shared.stack(
    click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json", "csv", "markdown", "latex"]),
        default="table",
        show_default=True,
        metavar="FORMAT",
        help="table, json, csv, markdown or latex.",
    ),
    shared.to_file,
)
named = click.option(
    "--name",
    "names",
    metavar="NAME",
    multiple=True,
    help="What the table calls a FILE: once per FILE, in their order  [default: the file's name]",
)
layout = shared.stack(
    named,
    click.option(
        "--digits",
        type=int,
        metavar="N",
        help="Decimals; with --percent, of percentages: other numbers then have two more  "
        "[default: 4; 2 with --percent]",
    ),
    click.option(
        "--percent",
        is_flag=True,
        help="Print metrics that lie between -1 and 1 in percent: errors, accuracy.",
    ),
    click.option(
        "--pm",
        "half_widths",
        is_flag=True,
        help="Print ± the distance to the farther end of the interval, in place of the interval.",
    ),
)


def wanted(context: click.Context) -> bool:
    """Return whether the files are shown side by side: several, one by an option of this layout,
    or a table for a paper.

    Raises UsageError for options that cannot be combined with it.
    """
    from calibtool.errors import UsageError

    given, files = context.params, context.params["files"]
    typed = [
        option
        for name, option in LAYOUT.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    asked = ["several files"] if len(files) > 1 else typed
    others = [option for name, option in OTHERS.items() if given[name]]
    if asked and others:
        raise UsageError(f"{others[0]} cannot be combined with {asked[0]}")
    for name, option in ONE_FILE.items():
        if len(files) > 1 and given[name]:
            raise UsageError(
                f"{option} takes one file (got {len(files)}); run one command per file"
            )
    check_names(given["names"], files)
    if len(given["calibrator"]) not in (0, 1, len(files)):
        raise UsageError(
            f"--calibrator must be given once for all files, or once per file: {len(files)} of "
            f"them (got {len(given['calibrator'])})"
        )
    for option in typed:
        if option != "--name" and given["format_"] not in ROUNDED:
            raise UsageError(
                f"{option} only applies to --format {', '.join(ROUNDED[:-1])} or {ROUNDED[-1]}; "
                f"{given['format_']} holds every digit"
            )
    return bool(asked) or (given["format_"] == "latex" and not others)


def check_names(names: tuple[str, ...], files: tuple[str, ...]) -> None:
    """Raise UsageError unless --name is left out, or gives each file a name of its own."""
    from calibtool.errors import UsageError

    if names and (len(names) != len(files) or len(set(names)) < len(names)):
        raise UsageError(
            f"--name must be given once per file, each another one: {len(files)} of them "
            f"(got {', '.join(names)})"
        )


def result(reports: list[Report], files: tuple[str, ...], layout: dict[str, Any]) -> SideBySide:
    """Return the reports of files in one table; `layout` holds the values of LAYOUT."""
    from calibtool.analysis.side_by_side import side_by_side
    from calibtool.formatting import names_of

    names = layout["names"] or names_of(files)
    settings = {name: layout[name] for name in ("digits", "percent", "half_widths")}
    return side_by_side(dict(zip(names, reports, strict=True)), **settings)
