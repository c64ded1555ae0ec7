"""calibtool train."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.train_options import Listed, data_options, loop_options, model_options
from calibtool.cli.train_progress import watching
from calibtool.train.settings import Settings


def command(name: str) -> click.Command:
    """The command; its help ends with the tables of models and of data."""
    from calibtool.train.data.read import READERS
    from calibtool.train.models.registry import ELSEWHERE, MODELS

    models = [(name, line.summary) for name, line in MODELS.items()]
    models += [(f"{kind}:NAME", "where the package is installed") for kind in ELSEWHERE]
    models += [("module:factory", "your own, also file.py:factory; see docs/train.md")]
    data = [(text, line.what) for text, line in READERS.items()]
    train.epilog = f"\b\nModels\n{_columns(models)}\n\n\b\nData\n{_columns(data)}"
    return train


def _columns(lines: list[tuple[str, str]]) -> str:
    return "\n".join(f"  {name:<16} {what}" for name, what in lines)


@click.command()
@data_options
@model_options
@loop_options
@click.option("--out", metavar="FOLDER", help="Where everything is written.")
@click.option("--config", metavar="TOML", help="Options from a file, such as a run's config.toml.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--sweep", metavar="LOSSES", help="Several losses, side by side, instead of --loss.")
@click.option("--seeds", type=Listed(int), default=(), help="Of a sweep: 0,1,2.")
@shared.form
def train(
    format_: str,
    config: str | None,
    resume: bool,
    sweep: str | None,
    seeds: tuple[int, ...],
    **options: Any,
) -> None:
    """Train a classifier, fit a temperature on validation rows, measure on test rows.

    \b
    calibtool train --model mlp --data features.npz --loss flsd-53 --out run/
    calibtool train --out run/ --resume
    """
    from calibtool.cli import output
    from calibtool.reports.render import render
    from calibtool.train import require_torch

    require_torch()
    settings = _settings(options, config, resume, sweep, seeds)
    data = None if resume else _looked_at(settings, sweep)
    # torch reads it when it is imported: threads that wait sleep, for on busy cores those that spin
    # took 8.7 s for a step of ResNet-20, these 1.6 s
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with watching() as watch:
            how = {"resume": resume, "watch": watch, "data": data}
            shown, next_ = _sweep(settings, sweep, seeds, how) if sweep else _run(settings, how)
    except KeyboardInterrupt:
        click.echo("Add --resume to the command to go on from the last checkpoint.", err=True)
        raise
    if not _first():
        return
    output.emit(render(shown, format_, **output.terminal()), None)
    if format_ == "table":
        click.echo(f"\nWrote {Path(settings.out)}/\nNext: calibtool {next_}")


def _looked_at(settings: Settings, sweep: str | None) -> Any:
    """The data. What can be wrong without torch is found before the wait for it."""
    from calibtool.train import folder, grammar
    from calibtool.train.data.read import read
    from calibtool.train.losses.spec import parse_loss

    for loss in grammar.split_list(sweep) if sweep else [settings.loss]:
        parse_loss(loss)
    if _first():
        folder.require_empty(Path(settings.out), settings)
    return read(settings)


def _run(settings: Settings, how: dict[str, Any]) -> tuple[Any, str]:
    """One run: what is shown, and what to type next."""
    from calibtool.train.run import run
    from calibtool.train.trained import listing

    found = run(settings, **how)
    folder = Path(found.out)
    next_ = ["evaluate", f"{folder / 'test_logits.npz'}"]
    if found.calibrator:
        next_ += ["--calibrator", f"{folder / 'temperature.json'}"]
    return listing(found), shlex.join(next_)


def _sweep(
    settings: Settings, losses: str, seeds: tuple[int, ...], how: dict[str, Any]
) -> tuple[Any, str]:
    """Several runs side by side."""
    from calibtool.train.grammar import split_list
    from calibtool.train.sweep import listing, sweep

    found = sweep(settings, split_list(losses), seeds or (settings.seed,), **how)
    first = Path(found.runs[0].out) / "test_logits.npz"
    return listing(found), shlex.join(["evaluate", str(first)])


def _first() -> bool:
    """Whether this is the process of torchrun that speaks."""
    return os.environ.get("RANK", "0") == "0"


def _settings(
    options: dict[str, Any], config: str | None, resume: bool, sweep: str | None, seeds: Any
) -> Settings:
    """Settings: what the command line says, else the file, else the defaults."""
    from calibtool.errors import UsageError
    from calibtool.train.config import NAME, RESOLVED, read_document
    from calibtool.train.settings import from_mapping

    told = click.get_current_context().get_parameter_source
    said = click.core.ParameterSource.COMMANDLINE
    if sweep and told("loss") is said:
        raise UsageError("--sweep names the losses; drop --loss")
    if seeds and not sweep:
        raise UsageError("--seeds is of a --sweep; a single run has --seed")
    if not options["out"]:
        raise UsageError("--out FOLDER is missing: where everything is written")
    if resume and config is None and (Path(options["out"]) / NAME).is_file():
        config = str(Path(options["out"]) / NAME)
    values = {key: value for key, value in options.items() if value is not None}
    if config is not None:
        document = read_document(Path(config))
        document.pop(RESOLVED, None)
        values = {**document, **{k: v for k, v in values.items() if told(k) is said}}
    if "data" not in values:
        raise UsageError("--data DATA is missing: what to train on, such as features.npz")
    return from_mapping(values, config or "calibtool train")
