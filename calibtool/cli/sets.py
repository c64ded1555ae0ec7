"""The command `calibtool sets`, and what other commands do with a file of prediction sets."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input, Output
from calibtool.cli.groups import Grouped
from calibtool.cli.progress import quiet, shown
from calibtool.decisions.set_scores import K_REG, METHODS, PENALTY

if TYPE_CHECKING:
    from calibtool.decisions.set_report import SetReport


def command(name: str) -> click.Command:
    """Return the command of this module."""
    return sets


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "-o", "--output", type=Output(), metavar="JSON", help="Write the sets' rule to this file."
)
@click.option(
    "--coverage",
    type=float,
    default=0.9,
    show_default=True,
    metavar="SHARE",
    help="Probability with which a set is to hold the label.",
)
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="aps",
    show_default=True,
    help="lac gives the smallest sets, aps sets that adapt to how hard a row is, raps smaller ones "
    "of many classes.",
)
@click.option("--per-class", is_flag=True, help="Promise the coverage for the rows of each class.")
@click.option(
    "--randomized/--deterministic",
    default=None,
    help="aps, raps: count a class with a random share of its probability, or with all of it, "
    "which makes larger sets, and empty ones of the surest rows.  [default: randomized]",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of these shares."
)
@click.option(
    "--penalty",
    type=float,
    default=PENALTY,
    show_default=True,
    metavar="X",
    help="raps: what a class costs per rank beyond --k-reg.",
)
@click.option(
    "--k-reg",
    type=int,
    default=K_REG,
    show_default=True,
    metavar="K",
    help="raps: the first ranks, which cost nothing.",
)
@click.option(
    "--calibrator",
    type=Input(),
    metavar="JSON",
    help="Apply this calibrator first, here and wherever the sets are used.",
)
@click.option(
    "--cross-fit",
    is_flag=True,
    help="Calibrate each row by fits of the same method that did not see it, so that --calibrator "
    "may have been fitted on FILE.",
)
@shared.form
@quiet
@shared.reading
def sets(
    file: str, output: str | None, calibrator: str | None, format_: str, **options: Any
) -> None:
    """Make prediction sets that hold the label with a promised probability.

    FILE holds labelled rows that neither the model nor the calibrator has seen. They set the
    largest score with which a class is taken into a set (split conformal prediction). The promise
    holds for any model, if new rows are drawn as these.

    \b
    calibtool sets val.npz --coverage 0.9 -o sets.json
    calibtool apply sets.json test.npz -o with_sets.parquet
    calibtool evaluate test.npz --sets sets.json
    calibtool check test.npz --sets sets.json --require "set-coverage >= 0.88"
    """
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.cli import output as out
    from calibtool.data.files.open import open_source
    from calibtool.decisions.prediction_sets import fit_sets

    fitted = load_calibrator(calibrator) if calibrator else None
    source = open_source(file, shared.choice(options))
    with shown() as progress:
        progress("choosing the sets", math.nan)
        made = fit_sets(source, calibrator=fitted, **options)
    if output:
        made.save(output)
    out.show(made, format_, None)
    if output:
        out.tell(f"Wrote {output}")
    elif format_ == "table":
        click.echo("\nNothing was written; -o sets.json saves the sets.")


def alone(context: click.Context, kept: Collection[str]) -> None:
    """Refuse options that have no effect on prediction sets; `kept` are those that have one.

    Raises click.UsageError.
    """
    for parameter in context.command.params:
        name = str(parameter.name)
        typed = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if typed and name not in {
            "file",
            "files",
            "sets",
            "format_",
            "output",
            *kept,
            *shared.READING,
        }:
            raise click.UsageError(
                f"--sets cannot be combined with {parameter.opts[0]}, which has no effect on "
                "prediction sets"
            )


def report_on(file: str, sets: str, by: Sequence[str], options: dict[str, Any]) -> SetReport:
    """Return what the prediction sets of a file do on the rows of another, by the options of
    `evaluate`. Raises click.UsageError for options without effect."""
    from calibtool.data.files.open import open_source
    from calibtool.decisions.prediction_sets import load_sets
    from calibtool.decisions.set_report import evaluate_sets

    alone(click.get_current_context(), ("by", "resamples", "level", "seed"))
    rule = load_sets(sets)
    source = open_source(file, shared.choice(options))
    settings = {name: options[name] for name in ("resamples", "level", "seed")}
    with shown() as progress:
        progress("measuring sets", math.nan)
        return evaluate_sets(source, rule, by, **settings)
