"""calibtool train."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input
from calibtool.cli.progress import quiet
from calibtool.cli.train_options import Listed, setting_options
from calibtool.cli.train_progress import is_first_process, watching
from calibtool.reports.trackers import TRACKERS
from calibtool.train.settings import Settings


def command(name: str) -> click.Command:
    """Return the command; its help ends with the tables of models and data."""
    from calibtool.train.data.read import READERS
    from calibtool.train.models.registry import ELSEWHERE, MODELS

    models = [(name, model.summary) for name, model in MODELS.items()]
    models += [(f"{kind}:NAME", "if the package is installed") for kind in ELSEWHERE]
    models += [("module:factory", "your own, also file.py:factory; see docs/how-to/train.md")]
    data = [(form, reader.what) for form, reader in READERS.items()]
    train.epilog = f"\b\nModels\n{_columns(models)}\n\n\b\nData\n{_columns(data)}"
    return train


def _columns(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"  {name:<16} {summary}" for name, summary in rows)


@click.command()
@setting_options
@click.option("--out", metavar="FOLDER", help="Folder for the results, new or empty.")
@click.option(
    "--config",
    type=Input(),
    metavar="TOML",
    help="Read options from a file, such as the config.toml of a run.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
@click.option("--sweep", metavar="LOSSES", help="Compare several losses, instead of --loss.")
@click.option("--seeds", type=Listed(int), default=(), help="Seeds of a --sweep, such as 0,1,2.")
@click.option(
    "--log",
    "--log-to",
    type=click.Choice(list(TRACKERS)),
    help="Also log every epoch, test metrics and the report to it.",
)
@shared.form
@quiet
def train(
    format_: str,
    config: str | None,
    resume: bool,
    sweep: str | None,
    seeds: tuple[int, ...],
    log: str | None,
    **options: Any,
) -> None:
    """Train a classifier, fit a temperature on validation rows, and measure test rows.

    \b
    calibtool train --model mlp --data features.npz --loss flsd-53 --out run/
    calibtool train --out run/ --resume
    """
    from calibtool.cli import output
    from calibtool.errors import UsageError
    from calibtool.formatting import Lines
    from calibtool.reports.render import render
    from calibtool.train import require_torch

    require_torch()
    settings = _settings(options, config, resume, sweep, seeds)
    if log and (sweep or settings.gamma_search):
        raise UsageError("--log follows one training: drop --sweep, --gamma-search")
    data = None if resume else _read_data(settings, sweep)
    # Waiting threads then sleep instead of spinning: on busy cores, a step of ResNet-20 takes 1.6 s
    # instead of 8.7 s. It is read when torch is imported, which has not happened yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with watching(_trainings(settings, sweep, seeds)) as watch:
            shared_options = {"resume": resume, "watch": watch, "data": data}
            if sweep:
                result, next_ = _sweep(settings, sweep, seeds, shared_options)
            else:
                result, next_ = _run(settings, log if is_first_process() else None, shared_options)
    except KeyboardInterrupt:
        output.tell("Add --resume to the command to continue from the last checkpoint.")
        raise
    if not is_first_process():
        return
    from calibtool.train import folder, gamma_search

    searched = Path(settings.out) / folder.SEARCH
    if format_ == "table" and settings.gamma_search and searched.is_file():
        output.emit(render(gamma_search.searched(searched), format_, **output.terminal()), None)
        click.echo()
    output.emit(render(result, format_, **output.terminal()), None)
    if format_ == "table":
        below = Lines.of(["", f"Wrote {Path(settings.out)}/", f"Next: calibtool {next_}"])
        click.echo(output.message(below))


def _trainings(settings: Settings, sweep: str | None, seeds: tuple[int, ...]) -> int:
    """Return how many trainings there will be: of a sweep, and to choose gamma."""
    from calibtool.train.grammar import split_list

    tried = len(settings.gamma_search or ()) * settings.gamma_folds
    runs = len(split_list(sweep)) * max(len(seeds), 1) if sweep else 1
    return runs * (tried + 1)


def _read_data(settings: Settings, sweep: str | None) -> Any:
    """Return the data, after checks that need no torch: mistakes show before it is loaded."""
    from calibtool.train import folder, grammar
    from calibtool.train.data.read import read
    from calibtool.train.losses.spec import parse_loss

    for loss in grammar.split_list(sweep) if sweep else [settings.loss]:
        parse_loss(loss)
    settings.falls()
    if is_first_process():
        folder.require_empty(Path(settings.out))
    return read(settings)


def _run(settings: Settings, log: str | None, options: dict[str, Any]) -> tuple[Any, str]:
    """Return the table of a run, which a tracker may log, and the command to type next."""
    from calibtool.train.tracked import tracked
    from calibtool.train.trained import listing
    from calibtool.train.training import run

    if log is None:
        trained = run(settings, **options)
    else:
        with tracked(log, settings, options["watch"]) as watch:
            trained = run(settings, **{**options, "watch": watch})
            watch.finish(trained)
    folder = Path(trained.out)
    next_ = ["evaluate", f"{folder / 'test_logits.npz'}"]
    if trained.calibrator:
        next_ += ["--calibrator", f"{folder / 'temperature.json'}"]
    return listing(trained), shlex.join(next_)


def _sweep(
    settings: Settings, losses: str, seeds: tuple[int, ...], options: dict[str, Any]
) -> tuple[Any, str]:
    """Return the table of a sweep, and the command to type next."""
    from calibtool.train.grammar import split_list
    from calibtool.train.sweep import listing, sweep

    swept = sweep(settings, split_list(losses), seeds or (settings.seed,), **options)
    first = Path(swept.runs[0].out) / "test_logits.npz"
    return listing(swept), shlex.join(["evaluate", str(first)])


def _settings(
    options: dict[str, Any], config: str | None, resume: bool, sweep: str | None, seeds: Any
) -> Settings:
    """Return the settings: from the command line, else from the file, else the defaults."""
    from calibtool.errors import UsageError
    from calibtool.train.config import NAME, RESOLVED, read_document
    from calibtool.train.settings import from_mapping, with_recipe

    source_of = click.get_current_context().get_parameter_source
    typed = click.core.ParameterSource.COMMANDLINE
    if sweep and source_of("loss") is typed:
        raise UsageError("--sweep cannot be combined with --loss")
    if seeds and not sweep:
        raise UsageError("--seeds needs --sweep; use --seed for a single run")
    if not options["out"]:
        raise UsageError("--out FOLDER is missing: the folder for the results")
    if resume and config is None and (Path(options["out"]) / NAME).is_file():
        config = str(Path(options["out"]) / NAME)
    values = {key: value for key, value in options.items() if value is not None}
    given = with_recipe({k: v for k, v in values.items() if source_of(k) is typed})
    values.pop("recipe", None)
    if config is not None:
        values = with_recipe(read_document(Path(config)))
        values.pop(RESOLVED, None)
    values |= given
    if "data" not in values:
        raise UsageError("--data DATA is missing: the data to train on, such as features.npz")
    return from_mapping(values, config or "calibtool train")
