"""The command `calibtool check`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Column, Input, Output, reads
from calibtool.cli.groups import Grouped
from calibtool.cli.main import FAILED, INCONCLUSIVE, OK
from calibtool.cli.progress import quiet, shown

if TYPE_CHECKING:
    from calibtool.analysis.monitoring.read import Periods
    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.data.readable import Readable
    from calibtool.gate.baseline import Saved
    from calibtool.gate.config import Config
    from calibtool.gate.outcome import Outcome
    from calibtool.gate.requirement import Requirement
    from calibtool.types import Progress

FORMATS = ("table", "json", "csv", "markdown", "github", "gitlab", "junit", "sarif", "tap")
# settings of a configuration that name files which are read
READ = ("file", "baseline", "calibrator", "threshold", "sets", "labels_file")
CODES = {"pass": OK, "fail": FAILED, "inconclusive": INCONCLUSIVE}
LOGS = ("mlflow", "wandb")


def command(name: str) -> click.Command:
    """Return the command of this module."""
    return check


@click.command(cls=Grouped)
@click.argument("file", type=Input(), required=False)
@click.option(
    "--require",
    multiple=True,
    metavar="REQUIREMENT",
    help='Such as "ece <= 0.03". Can be repeated.',
)
@click.option(
    "--mode",
    type=click.Choice(["prove", "tolerate", "point"]),
    default="tolerate",
    show_default=True,
    help="prove passes only what is proven to hold, tolerate fails only what is proven not to, "
    "point compares the measured value.",
)
@click.option(
    "--inconclusive",
    type=click.Choice(["pass", "fail"]),
    help="What an inconclusive verdict counts as  [default: exit code 3]",
)
@click.option(
    "--baseline",
    type=Input(),
    metavar="FILE",
    help="Predictions or a saved report for delta(...).",
)
@click.option(
    "--every", metavar="PERIOD", help="Periods for e(change): day, week, month, file or a column."
)
@click.option(
    "--time",
    type=Column(),
    metavar="COLUMN",
    help="Column of times, for --every day, week or month.",
)
@click.option(
    "--by",
    type=Column(),
    metavar="COLUMNS",
    help="Check every requirement in each slice by these columns.",
)
@click.option(
    "--calibrator",
    type=Input(),
    metavar="JSON",
    help="Apply this calibrator to FILE before checking.",
)
@click.option(
    "--threshold",
    type=Input(),
    metavar="JSON",
    help="Check that what this threshold accepts still meets its target.",
)
@click.option(
    "--sets",
    type=Input(),
    metavar="JSON",
    help="Prediction sets, for requirements on set-coverage and set-size.",
)
@click.option(
    "--config", type=Input(), metavar="TOML", help="Read [tool.calibtool.check] of this file."
)
@click.option(
    "--init", type=Output(), metavar="TOML", help="Write such a file from today's numbers and exit."
)
@click.option("--log-to", type=click.Choice(LOGS), help="Also log metrics and the outcome to it.")
@shared.intervals
@shared.cluster
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
)
@shared.to_file
@quiet
@shared.reading
@click.pass_context
def check(
    ctx: click.Context,
    /,
    file: str | None,
    require: tuple[str, ...],
    config: str | None,
    init: str | None,
    log_to: str | None,
    format_: str,
    output: str | None,
    **options: Any,
) -> int:
    """Check the predictions in FILE against requirements.

    Requirements come from --require, and from --config or, without either, from calibtool.toml or
    pyproject.toml. Exit code 0: all met. 1: at least one is not met. 3: too few rows
    to decide. 2: bad input or usage.

    \b
    calibtool check test.npz --require "ece <= 0.03" --require "nll <= 0.4"
    calibtool check test.npz --require "ece <= 0.03" --mode prove
    calibtool check new.npz --baseline main.npz --require "delta(nll) <= 0.005"
    calibtool check test.npz --require "ece <= 0.05 by country"
    calibtool check test.npz --require "worst(ece by class) <= 0.1"
    calibtool check test.npz --require "p(spiegelhalter) >= 0.01"
    calibtool check test.npz --sets sets.json --require "set-coverage >= 0.88"
    calibtool check 'scores/day=*' --every day --require "e(change) < 20"
    calibtool check new.npz --threshold threshold.json --mode prove
    calibtool check test.npz --init calibtool.toml
    """
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.cli import output as out
    from calibtool.data.slicing import names_in
    from calibtool.gate import check as gate
    from calibtool.gate import requirement

    if init:
        return _init(init, file, require, config, options)
    settings = _config(ctx, config, typed=bool(require or options["threshold"]))
    options = _merged(ctx, settings.options, {"file": file, **options})
    options["id_"] = shared.matching(options)
    for key in READ:
        if options[key]:
            reads(ctx, options[key])
    requirements = [*settings.require, *(requirement.parse_requirement(text) for text in require)]
    over_time = [r for r in requirements if r.evidence]
    periods = _periods(options, over_time)
    source = fitted = other = None
    if over_time and len(over_time) == len(requirements):
        _refuse_predictions(options, over_time[0].text)
    else:
        fitted = load_calibrator(path) if (path := options.pop("calibrator")) else None
        source, other = _sources(options, fitted.columns if fitted else ())
    by, inconclusive = options.pop("by"), options.pop("inconclusive")
    if by is not None:
        by = ",".join(names_in(by))
        requirements = [r if r.by or r.evidence else replace(r, by=by) for r in requirements]
    with shown() as progress:
        outcome = gate.check(
            source,
            requirements,
            calibrator=fitted,
            baseline=other,
            periods=periods,
            progress=progress,
            **options,
        )
        outcome = replace(outcome, inconclusive=inconclusive or "")
        picture = _picture(source, fitted, progress, options, log_to, format_)
    out.show(outcome, format_, output)
    if format_ == "github":
        from calibtool.reports.ci import github_summary
        from calibtool.reports.render import table_of

        out.add_to_step_summary(github_summary(table_of(outcome), picture))
    if log_to:
        _log(log_to, outcome, picture)
    return CODES[outcome.decision]


def _config(ctx: click.Context, config: str | None, *, typed: bool) -> Config:
    """Return the configuration: of the named file, or of one in this folder unless something
    that is required was typed."""
    from calibtool.errors import UsageError
    from calibtool.gate import check as gate
    from calibtool.gate.config import Config, find_config, read_config

    if not config and typed:
        return Config()
    path = Path(config) if config else find_config(Path())
    if path is None:
        raise UsageError(gate.NOTHING)
    reads(ctx, str(path))
    return read_config(path)


def _merged(ctx: click.Context, written: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    """Return the options: those typed override those written in the file, which override the
    defaults."""
    options = dict(written)
    for key, value in typed.items():
        by_hand = ctx.get_parameter_source(key) is click.core.ParameterSource.COMMANDLINE
        if by_hand or key not in options:
            options[key] = value
    return options


def _sources(
    options: dict[str, Any], columns: Sequence[str]
) -> tuple[Readable, Readable | Saved | None]:
    """Return the predictions, with further columns, and the baseline; remove the options that name
    them. Both are read by the same keys. Thresholds and prediction sets are loaded in place."""
    from calibtool.data.files.open import open_source
    from calibtool.decisions.prediction_sets import load_sets
    from calibtool.decisions.threshold import load_threshold
    from calibtool.errors import UsageError
    from calibtool.gate.baseline import read_saved

    file, baseline = options.pop("file"), options.pop("baseline")
    if not file:
        raise UsageError("no FILE to check; give one, or set `file` in [tool.calibtool.check]")
    choice = shared.choice(options)
    if options["threshold"]:
        options["threshold"] = load_threshold(options["threshold"])
    if options["sets"]:
        options["sets"] = load_sets(options["sets"])
    source = shared.opened(file, choice, columns)
    if not baseline:
        return source, None
    if Path(baseline).suffix.lower() == ".json":
        return source, read_saved(baseline)
    return source, open_source(baseline, choice)


def _periods(options: dict[str, Any], over_time: Sequence[Requirement]) -> Periods | None:
    """Return the periods for evidence over time, None if none is required; remove the options of
    periods."""
    from calibtool.analysis.monitoring.read import read
    from calibtool.errors import UsageError

    every, time = options.pop("every"), options.pop("time")
    if not over_time:
        if every or time:
            raise UsageError(
                f"--{'every' if every else 'time'} is for evidence over time; require "
                "'e(change) < 20', or see calibtool monitor"
            )
        return None
    if not options["file"] or not every:
        raise UsageError(
            f"{over_time[0].text}: evidence over time needs files and periods; give --every day, "
            "week, month, file or a column"
        )
    choice = shared.choice(dict(options))  # a copy: the predictions are read by the same options
    with shown() as progress:
        return read(options["file"], every, time=time, choice=choice, progress=progress)


def _refuse_predictions(options: dict[str, Any], text: str) -> None:
    """Check that no option concerns predictions, as evidence over time alone needs none, and
    remove these options. Raises UsageError that names the requirement `text`."""
    from calibtool.errors import UsageError

    for name in ("calibrator", "baseline", "threshold", "sets", "by", "cluster", "id_"):
        if options.get(name):
            raise UsageError(
                f"{text}: evidence over time cannot be combined with --{name.strip('_')}"
            )
    for name in ("file", "baseline", "calibrator", "threshold", "sets", *shared.READING):
        options.pop(name, None)


def _init(
    path: str,
    file: str | None,
    require: tuple[str, ...],
    config: str | None,
    options: dict[str, Any],
) -> int:
    """Write a configuration to `path` with requirements that FILE meets; return the exit code."""
    from calibtool.calibrators.fit import load_calibrator
    from calibtool.cli import output as out
    from calibtool.errors import UsageError
    from calibtool.evaluation.execution import Execution
    from calibtool.gate import init_config
    from calibtool.gate.config import FILES

    if not file:
        raise UsageError("--init needs a FILE to take today's numbers from")
    single = ("baseline", "threshold", "sets")
    if require or config or options["by"] is not None or any(options[name] for name in single):
        raise UsageError(
            "--init cannot be combined with --require, --config, --baseline, --threshold, --sets "
            "or --by; it writes requirements from FILE alone, and others can be added to it"
        )
    keys = (*shared.READING, "calibrator", "cluster")
    written = {"file": file} | {key: options[key] for key in keys if options[key]}
    fitted = load_calibrator(options["calibrator"]) if options["calibrator"] else None
    source = shared.source(file, options).also(fitted.columns if fitted else ())
    with shown() as progress:
        report = init_config.write_config(
            path,
            source,
            written,
            calibrator=fitted,
            cluster=options["cluster"],
            resampling=shared.resampling(options),
            execution=Execution.of(progress=progress),
        )
    out.say(
        f"Wrote requirements that {report.data.source} meets to {path}. Now: calibtool check"
        + ("" if Path(path).name in FILES else f" --config {path}")
    )
    return OK


def _picture(
    source: Readable | None,
    fitted: Calibrator | None,
    progress: Progress,
    options: dict[str, Any],
    log_to: str | None,
    format_: str,
) -> str:
    """Return the reliability diagram as text if it is logged or summarized, otherwise ""."""
    if source is None:
        return ""
    if not log_to and not (format_ == "github" and os.environ.get("GITHUB_STEP_SUMMARY")):
        return ""
    from calibtool.diagrams import reliability, terminal

    intervals = {name: options[name] for name in ("resamples", "level", "seed")}
    calibrators = [] if fitted is None else [fitted]
    data = reliability.compute(source, calibrators=calibrators, progress=progress, **intervals)
    return terminal.reliability(data, width=80, colour=False, letters="utf-8")


def _log(tracker: str, outcome: Outcome, picture: str) -> None:
    """Log the outcome. A server that is down is a warning: it changes no verdict."""
    from calibtool.cli import output as out
    from calibtool.errors import CalibtoolError, UsageError
    from calibtool.reports.tracking import log

    try:
        log(tracker, outcome, picture)
    except UsageError:
        raise
    except CalibtoolError as error:
        out.tell(f"warning: {error}")
