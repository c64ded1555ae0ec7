"""The command `calibtool threshold`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Column, Input, Output
from calibtool.cli.groups import Grouped
from calibtool.cli.main import INCONCLUSIVE, OK
from calibtool.cli.progress import quiet, shown

if TYPE_CHECKING:
    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.data.readable import Readable
    from calibtool.decisions.costs import Costs


def command(name: str) -> click.Command:
    """Return the command of this module."""
    return threshold


@click.command(cls=Grouped)
@click.argument("file", type=Input())
@click.option(
    "--target",
    metavar="TARGET",
    help='What is promised: "accuracy >= 0.95", "risk <= 5 %"; of two classes also precision, '
    'recall and npv; with --cost "cost <= 0.2".',
)
@click.option(
    "-o",
    "--output",
    type=Output(),
    metavar="JSON",
    help="Write the threshold to this file.",
)
@click.option(
    "--delta",
    type=float,
    default=0.05,
    show_default=True,
    metavar="SHARE",
    help="How often, over the rows that choose, the promise may be broken.",
)
@click.option(
    "--by",
    type=Column(),
    metavar="COLUMN,...",
    help="One threshold per value of COLUMN, or per combination of several; `predicted` stands "
    "for the predicted class. The promise is for all of them together.",
)
@click.option(
    "--calibrator",
    type=Input(),
    metavar="JSON",
    help="Calibrate FILE first, by a calibrator that was fitted on other rows.",
)
@click.option(
    "--cross-fit",
    is_flag=True,
    help="The calibrator may have been fitted on FILE: choose on rows calibrated by fits that did "
    "not see them.",
)
@click.option(
    "--cost", type=Input(), metavar="TOML", help="What decisions cost, and what a rejection costs."
)
@shared.seed
@shared.form
@quiet
@shared.reading
def threshold(
    file: str,
    target: str | None,
    output: str | None,
    by: str | None,
    calibrator: str | None,
    cost: str | None,
    format_: str,
    **options: Any,
) -> int:
    """Choose the threshold from which on the predictions in FILE may decide alone.

    Of all thresholds that keep the promise, the one that accepts most rows. With a probability of
    at least 1 - delta over the rows that choose it, what is accepted truly meets the target
    (Angelopoulos et al. 2021). Exit code 0: there is one. 3: none keeps the promise, nothing is
    written, and the message says how many rows would do. 2: bad input or usage.

    Without --target, --cost shows what decisions cost: by the most probable class, and by the least
    expected cost; as given, and calibrated.

    \b
    calibtool threshold val.npz --target "accuracy >= 0.95" -o threshold.json
    calibtool threshold val.npz --target "risk <= 5 %" --calibrator cal.json
    calibtool threshold log.jsonl --target "risk <= 5 %" --by question
    calibtool threshold val.npz --target "precision >= 0.9" --delta 0.1
    calibtool threshold val.npz --cost costs.toml --calibrator cal.json
    """
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.cli import output as out
    from calibtool.decisions.choose import choose_threshold
    from calibtool.decisions.costs import read_costs
    from calibtool.decisions.target import parse_target

    goal = parse_target(target) if target else None  # before anything is read
    fitted = load_calibrator(calibrator) if calibrator else None
    costs = read_costs(cost) if cost else None
    source = shared.opened(file, shared.choice(options))
    if goal is None:
        _show_costs(source, costs, fitted, output, format_, by=by, **options)
        return OK
    with shown() as progress:
        progress("choosing a threshold", math.nan)
        chosen = choose_threshold(
            source, target=goal, by=by, calibrator=fitted, costs=costs, **options
        )
    if output and chosen.found:
        chosen.save(output)
    out.show(chosen, format_, None)
    if not chosen.found:
        if output:
            out.tell(f"Nothing was written to {output}: there is no threshold.")
        return INCONCLUSIVE
    if output:
        out.tell(f"Wrote {chosen.describe()}, to {output}")
    elif format_ == "table":
        out.tell("Nothing was written; -o threshold.json saves the threshold.")
    return OK


def _show_costs(
    source: Readable,
    costs: Costs | None,
    fitted: Calibrator | None,
    output: str | None,
    format_: str,
    *,
    by: str | None,
    cross_fit: bool,
    delta: float,
    seed: int,
) -> None:
    """Print what decisions cost. Raises UsageError without costs, and where a threshold is to be
    written or chosen by groups."""
    from calibtool.cli import output as out
    from calibtool.decisions.cost_report import decision_costs
    from calibtool.errors import UsageError

    if costs is None:
        raise UsageError(
            "nothing is promised; give --target 'accuracy >= 0.95', or --cost TOML to see what "
            "decisions cost"
        )
    if output or by:
        raise UsageError(
            f"--{'output' if output else 'by'} is for a threshold; give --target 'cost <= ...' too"
        )
    with shown() as progress:
        progress("measuring costs", math.nan)
        report = decision_costs(source, costs=costs, calibrator=fitted, cross_fit=cross_fit)
    out.show(report, format_, None)
