"""calibtool train."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.progress import watching
from calibtool.train.settings import LAYOUTS, OPTIMIZERS, PRECISIONS, SCHEDULES


def command(name: str) -> click.Command:
    """The command; its help ends with the tables of models and of data."""
    from calibtool.train.data import READERS
    from calibtool.train.models import ELSEWHERE, MODELS

    models = [(name, line.summary) for name, line in MODELS.items()]
    models += [(f"{kind}:NAME", "where the package is installed") for kind in ELSEWHERE]
    models += [("module:factory", "your own, also file.py:factory; see docs/train.md")]
    data = [(text, line.what) for text, line in READERS.items()]
    train.epilog = f"\b\nModels\n{_columns(models)}\n\n\b\nData\n{_columns(data)}"
    return train


def _columns(lines: list[tuple[str, str]]) -> str:
    return "\n".join(f"  {name:<16} {what}" for name, what in lines)


class Listed(click.ParamType[tuple[Any, ...]]):
    """A list with commas."""

    name = "list"

    def __init__(self, kind: type = str) -> None:
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(value)
        try:
            return tuple(self.kind(part.strip()) for part in value.split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r}: give a list with commas", param, ctx)


data_options = shared.stack(
    click.option("--data", metavar="DATA", help="What to train on; the forms are below."),
    click.option("--val-data", metavar="DATA", help="Validation rows from elsewhere."),
    click.option("--test-data", metavar="DATA", help="Test rows from elsewhere."),
    click.option(
        "--val-share",
        type=float,
        default=0.2,
        show_default=True,
        metavar="SHARE",
        help="Of all rows, class by class.",
    ),
    click.option(
        "--test-share",
        type=float,
        default=0.2,
        show_default=True,
        metavar="SHARE",
        help="Of all rows, class by class.",
    ),
    click.option("--inputs", metavar="KEY", help="Key or columns of the inputs."),
    click.option("--labels", metavar="KEY", help="Key or column of the labels."),
    click.option("--ids", metavar="KEY", help="Key or column that names the rows."),
    click.option("--split", metavar="KEY", help="Column that says train, val or test."),
    click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        default="auto",
        show_default=True,
        help="Of images: where the channels are.",
    ),
    click.option(
        "--normalize",
        default="auto",
        show_default=True,
        metavar="HOW",
        help="none, train, imagenet, or means/deviations a channel.",
    ),
    click.option("--image-size", type=int, metavar="PIXELS", help="Of a folder: scale to this."),
    click.option("--augment", type=Listed(), default=(), help="Images: flip, crop."),
)

model_options = shared.stack(
    click.option(
        "--model",
        default="mlp",
        show_default=True,
        metavar="MODEL",
        help='Such as "mlp(hidden=64)"; the names are below.',
    ),
    click.option("--checkpoint", metavar="FILE", help="Weights to start from."),
    click.option(
        "--fresh", type=Listed(), default=(), help="Weights that start anew all the same: 'head.*'."
    ),
    click.option(
        "--freeze", type=Listed(), default=(), help="Weights that are not trained: 'backbone.*'."
    ),
)

loop_options = shared.stack(
    click.option(
        "--loss",
        default="cross-entropy",
        show_default=True,
        metavar="LOSS",
        help='Such as flsd-53 or "focal(gamma=3)"; `calibtool losses` lists them.',
    ),
    click.option("--class-weights", metavar="W", help="balanced, or a number a class."),
    click.option(
        "--gamma-search",
        type=Listed(float),
        default=(),
        help="Choose focal loss's gamma among these by cross-validation: 1,2,3,4,5.",
    ),
    click.option("--gamma-folds", type=int, default=3, show_default=True, metavar="N"),
    click.option("--epochs", type=int, default=20, show_default=True, metavar="N"),
    click.option(
        "--batch-size",
        type=int,
        default=128,
        show_default=True,
        metavar="ROWS",
        help="Of all processes together.",
    ),
    click.option(
        "--optimizer", type=click.Choice(list(OPTIMIZERS)), default="adamw", show_default=True
    ),
    click.option(
        "--lr", type=float, metavar="RATE", help="Learning rate: 0.001 for adamw, 0.1 for sgd."
    ),
    click.option("--weight-decay", type=float, metavar="X", help="0.01 for adamw, 0.0005 for sgd."),
    click.option("--decay-all", is_flag=True, help="Decay biases and norms too."),
    click.option(
        "--momentum", type=float, metavar="X", default=0.9, show_default=True, help="Of sgd."
    ),
    click.option("--nesterov/--no-nesterov", default=True, show_default=True, help="Of sgd."),
    click.option(
        "--schedule",
        type=click.Choice(SCHEDULES),
        default="cosine",
        show_default=True,
        help="Of the learning rate.",
    ),
    click.option(
        "--lr-steps",
        type=Listed(float),
        default=(0.5, 0.75),
        help="Shares of the epochs at which `step` divides the rate by 10.  [default: 0.5,0.75]",
    ),
    click.option(
        "--warmup",
        type=float,
        default=0.0,
        metavar="EPOCHS",
        help="Epochs in which the rate rises to --lr.",
        show_default=True,
    ),
    click.option("--clip", type=float, metavar="NORM", help="Clip the gradient to this norm."),
    click.option(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="Stop when validation NLL has not fallen for so long; keep the best weights.",
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="Of forward passes; auto is mixed on CUDA.",
    ),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="cuda, mps, cpu; auto takes the first there is.",
    ),
    click.option(
        "--threads", type=int, metavar="N", help="Of the CPU; 1 where inputs are no images."
    ),
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Of the split, the weights, the order and all else.",
    ),
    click.option("--save-every", type=int, metavar="STEPS", help="Checkpoints within an epoch."),
)


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
    from calibtool.cli import out
    from calibtool.render import listing as ink
    from calibtool.train import require_torch

    require_torch()
    settings = _settings(options, config, resume, sweep, seeds)
    with watching() as watch:
        if sweep:
            from calibtool.train import sweep as side_by_side
            from calibtool.train.grammar import split_list

            swept = side_by_side.sweep(
                settings, split_list(sweep), seeds or (settings.seed,), resume=resume, watch=watch
            )
            shown = side_by_side.listing(swept)
            next_ = f"calibtool evaluate {swept.runs[0].out}/test_logits.npz"
        else:
            from calibtool.train.report import listing
            from calibtool.train.run import run

            found = run(settings, resume=resume, watch=watch)
            shown = listing(found)
            folder = Path(found.out)
            next_ = f"calibtool evaluate {folder / 'test_logits.npz'}"
            if found.calibrator:
                next_ += f" --calibrator {folder / 'temperature.json'}"
    if not _first():
        return
    out.emit(ink.render(shown, format_, **out.terminal()), None)
    if format_ == "table":
        click.echo(f"\nWrote {Path(settings.out)}/\nNext: {next_}")


def _first() -> bool:
    """Whether this is the process of torchrun that speaks."""
    return os.environ.get("RANK", "0") == "0"


def _settings(
    options: dict[str, Any], config: str | None, resume: bool, sweep: str | None, seeds: Any
) -> Any:
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
