"""The options of `calibtool train`, which become its settings."""

from __future__ import annotations

from dataclasses import MISSING, fields
from types import NoneType
from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input
from calibtool.train.grammar import split_list
from calibtool.train.settings import (
    LAYOUTS,
    OPTIMIZERS,
    PRECISIONS,
    RECIPES,
    REDUCTIONS,
    SCHEDULES,
    Settings,
)


class Listed(click.ParamType[tuple[Any, ...]]):
    """A comma-separated list."""

    name = "list"

    def __init__(self, kind: type = str) -> None:
        self.kind = kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(value)
        try:
            return tuple(self.kind(part) for part in split_list(value))
        except ValueError:
            self.fail(f"{value!r}: must be a comma-separated list", param, ctx)


DEFAULTS = {field.name: field.default for field in fields(Settings)}


def _option(flags: str, kind: Any, text: str, metavar: str | None = None) -> Any:
    """Return the option of a setting, which has the setting's default, and shows it if it says
    something; `text` is the help."""
    name = flags.removeprefix("--").partition("/")[0].replace("-", "_")
    default = DEFAULTS.get(name)
    default = None if default is MISSING else default
    return click.option(
        flags,
        type=kind,
        default=default,
        show_default=not isinstance(default, (tuple, NoneType)) and default is not False,
        is_flag=kind is bool,
        metavar=metavar,
        help=text,
    )


setting_options = shared.stack(
    _option("--data", Input(), "Data to train on; see the table below.", "DATA"),
    _option("--val-data", Input(), "Separate source of validation rows.", "DATA"),
    _option("--test-data", Input(), "Separate source of test rows.", "DATA"),
    _option("--val-share", float, "Share of all rows for validation, within each class.", "SHARE"),
    _option("--test-share", float, "Share of all rows for testing, within each class.", "SHARE"),
    _option("--inputs", str, "Key or columns of the inputs.", "KEY"),
    _option("--labels", str, "Key or column of the labels.", "KEY"),
    _option("--ids", str, "Key or column that names the rows.", "KEY"),
    _option("--split", str, "Column with the values train, val and test.", "KEY"),
    _option(
        "--group",
        str,
        "Column of related rows, such as those of one patient, which stay in one part.",
        "KEY",
    ),
    _option("--layout", click.Choice(LAYOUTS), "Position of the channels of images."),
    _option("--normalize", str, "none, train, imagenet, or means/deviations per channel.", "HOW"),
    _option("--image-size", int, "Scale images of a folder to this size.", "PIXELS"),
    _option(
        "--max-length",
        int,
        "Cut texts to this length, for hf: models.  [default: that of the tokenizer]",
        "TOKENS",
    ),
    _option(
        "--augment", Listed(), "Augmentation of images: flip, crop, or transforms of torchvision."
    ),
    _option("--model", str, 'A model of the table below, such as "mlp(hidden=64)".', "MODEL"),
    _option("--checkpoint", Input(), "File with the initial weights.", "FILE"),
    _option("--fresh", Listed(), "Weights to reinitialise despite --checkpoint, e.g. 'head.*'."),
    _option("--freeze", Listed(), "Weights not to train, e.g. 'backbone.*'."),
    _option(
        "--recipe",
        click.Choice(list(RECIPES)),
        "Train as a paper did; options that are given override it.",
    ),
    _option(
        "--loss",
        str,
        'A loss listed by `calibtool losses`, such as flsd-53 or "focal(gamma=3)", or your '
        "own, module:function.",
        "LOSS",
    ),
    _option(
        "--reduction",
        click.Choice(REDUCTIONS),
        "Gradient of the mean loss of a batch, or of the sum.",
    ),
    _option("--class-weights", str, "balanced, or one number per class.", "W"),
    _option(
        "--gamma-search",
        Listed(float),
        "Choose the gamma of focal loss by cross-validation, e.g. 1,2,3,4,5.",
    ),
    _option("--gamma-folds", int, "Folds of --gamma-search.", "N"),
    _option("--epochs", int, "Passes over the training rows.", "N"),
    _option("--batch-size", int, "Rows per step, over all processes together.", "ROWS"),
    _option(
        "--accumulate",
        int,
        "Pieces of a batch that pass through the network one after another, to save memory.",
        "N",
    ),
    _option("--optimizer", click.Choice(list(OPTIMIZERS)), "AdamW or SGD with momentum."),
    _option("--lr", float, "Learning rate.  [default: 0.001 for adamw, 0.1 for sgd]", "RATE"),
    _option(
        "--lr-head",
        float,
        "Learning rate of the last layer.  [default: that of the others]",
        "RATE",
    ),
    _option(
        "--weight-decay", float, "Weight decay.  [default: 0.01 for adamw, 0.0005 for sgd]", "X"
    ),
    _option("--decay-all", bool, "Also decay biases and norms."),
    _option("--momentum", float, "Momentum of sgd.", "X"),
    _option("--nesterov/--no-nesterov", bool, "Nesterov momentum of sgd."),
    _option("--schedule", click.Choice(SCHEDULES), "Schedule of the learning rate."),
    _option(
        "--lr-steps",
        Listed(float),
        "Epochs, or shares of them, after which `step` divides the rate by 10.  "
        "[default: 0.5,0.75]",
    ),
    _option("--warmup", float, "Epochs during which the rate rises to --lr.", "EPOCHS"),
    _option("--clip", float, "Clip gradients to this norm.", "NORM"),
    _option(
        "--patience",
        int,
        "Stop after this many epochs without a lower validation NLL; keep the best weights.",
        "EPOCHS",
    ),
    _option(
        "--precision",
        click.Choice(PRECISIONS),
        "Precision of forward passes; auto is mixed on CUDA.",
    ),
    _option("--device", str, "cuda, mps or cpu; auto takes the first that is available."),
    _option(
        "--workers",
        int,
        "Processes that read data ahead.  [default: 0, for a folder of images 1]",
        "N",
    ),
    _option(
        "--threads", int, "Threads on the CPU.  [default: 1, except for networks on images]", "N"
    ),
    _option(
        "--seed",
        int,
        "Seed of the split, the initial weights, the order of rows, and all else.",
        "N",
    ),
    _option(
        "--save-every", int, "Also save a checkpoint every STEPS steps within an epoch.", "STEPS"
    ),
)
