"""The options of `calibtool train`, which become its settings."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input
from calibtool.train.grammar import split_list
from calibtool.train.settings import (
    LAYOUTS,
    LR_STEPS,
    OPTIMIZERS,
    PRECISIONS,
    RECIPES,
    REDUCTIONS,
    SCHEDULES,
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


data_options = shared.stack(
    click.option(
        "--data", type=Input(), metavar="DATA", help="Data to train on; see the table below."
    ),
    click.option(
        "--val-data", type=Input(), metavar="DATA", help="Separate source of validation rows."
    ),
    click.option("--test-data", type=Input(), metavar="DATA", help="Separate source of test rows."),
    click.option(
        "--val-share",
        type=float,
        default=0.2,
        show_default=True,
        metavar="SHARE",
        help="Share of all rows for validation, within each class.",
    ),
    click.option(
        "--test-share",
        type=float,
        default=0.2,
        show_default=True,
        metavar="SHARE",
        help="Share of all rows for testing, within each class.",
    ),
    click.option("--inputs", metavar="KEY", help="Key or columns of the inputs."),
    click.option("--labels", metavar="KEY", help="Key or column of the labels."),
    click.option("--ids", metavar="KEY", help="Key or column that names the rows."),
    click.option("--split", metavar="KEY", help="Column with the values train, val and test."),
    click.option(
        "--group",
        metavar="KEY",
        help="Column of related rows, such as those of one patient, which stay in one part.",
    ),
    click.option(
        "--layout",
        type=click.Choice(LAYOUTS),
        default="auto",
        show_default=True,
        help="Position of the channels of images.",
    ),
    click.option(
        "--normalize",
        default="auto",
        show_default=True,
        metavar="HOW",
        help="none, train, imagenet, or means/deviations per channel.",
    ),
    click.option(
        "--image-size", type=int, metavar="PIXELS", help="Scale images of a folder to this size."
    ),
    click.option(
        "--max-length",
        type=int,
        metavar="TOKENS",
        help="Cut texts to this length, for hf: models.  [default: that of the tokenizer]",
    ),
    click.option(
        "--augment",
        type=Listed(),
        default=(),
        help="Augmentation of images: flip, crop, or transforms of torchvision.",
    ),
)

model_options = shared.stack(
    click.option(
        "--model",
        default="mlp",
        show_default=True,
        metavar="MODEL",
        help='A model of the table below, such as "mlp(hidden=64)".',
    ),
    click.option(
        "--checkpoint", type=Input(), metavar="FILE", help="File with the initial weights."
    ),
    click.option(
        "--fresh",
        type=Listed(),
        default=(),
        help="Weights to reinitialise despite --checkpoint, e.g. 'head.*'.",
    ),
    click.option(
        "--freeze", type=Listed(), default=(), help="Weights not to train, e.g. 'backbone.*'."
    ),
)

loop_options = shared.stack(
    click.option(
        "--recipe",
        type=click.Choice(list(RECIPES)),
        help="Train as a paper did; options that are given override it.",
    ),
    click.option(
        "--loss",
        default="cross-entropy",
        show_default=True,
        metavar="LOSS",
        help='A loss listed by `calibtool losses`, such as flsd-53 or "focal(gamma=3)", or your '
        "own, module:function.",
    ),
    click.option(
        "--reduction",
        type=click.Choice(REDUCTIONS),
        default="mean",
        show_default=True,
        help="Gradient of the mean loss of a batch, or of the sum.",
    ),
    click.option("--class-weights", metavar="W", help="balanced, or one number per class."),
    click.option(
        "--gamma-search",
        type=Listed(float),
        default=(),
        help="Choose the gamma of focal loss by cross-validation, e.g. 1,2,3,4,5.",
    ),
    click.option(
        "--gamma-folds",
        type=int,
        default=3,
        show_default=True,
        metavar="N",
        help="Folds of --gamma-search.",
    ),
    click.option(
        "--epochs",
        type=int,
        default=20,
        show_default=True,
        metavar="N",
        help="Passes over the training rows.",
    ),
    click.option(
        "--batch-size",
        type=int,
        default=128,
        show_default=True,
        metavar="ROWS",
        help="Rows per step, over all processes together.",
    ),
    click.option(
        "--accumulate",
        type=int,
        default=1,
        show_default=True,
        metavar="N",
        help="Pieces of a batch that pass through the network one after another, to save memory.",
    ),
    click.option(
        "--optimizer",
        type=click.Choice(list(OPTIMIZERS)),
        default="adamw",
        show_default=True,
        help="AdamW or SGD with momentum.",
    ),
    click.option(
        "--lr",
        type=float,
        metavar="RATE",
        help="Learning rate.  [default: 0.001 for adamw, 0.1 for sgd]",
    ),
    click.option(
        "--lr-head",
        type=float,
        metavar="RATE",
        help="Learning rate of the last layer.  [default: that of the others]",
    ),
    click.option(
        "--weight-decay",
        type=float,
        metavar="X",
        help="Weight decay.  [default: 0.01 for adamw, 0.0005 for sgd]",
    ),
    click.option("--decay-all", is_flag=True, help="Also decay biases and norms."),
    click.option(
        "--momentum",
        type=float,
        metavar="X",
        default=0.9,
        show_default=True,
        help="Momentum of sgd.",
    ),
    click.option(
        "--nesterov/--no-nesterov",
        default=True,
        show_default=True,
        help="Nesterov momentum of sgd.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(SCHEDULES),
        default="cosine",
        show_default=True,
        help="Schedule of the learning rate.",
    ),
    click.option(
        "--lr-steps",
        type=Listed(float),
        default=LR_STEPS,
        help="Epochs, or shares of them, after which `step` divides the rate by 10.  "
        "[default: 0.5,0.75]",
    ),
    click.option(
        "--warmup",
        type=float,
        default=0.0,
        metavar="EPOCHS",
        help="Epochs during which the rate rises to --lr.",
        show_default=True,
    ),
    click.option("--clip", type=float, metavar="NORM", help="Clip gradients to this norm."),
    click.option(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="Stop after this many epochs without a lower validation NLL; keep the best weights.",
    ),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="Precision of forward passes; auto is mixed on CUDA.",
    ),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="cuda, mps or cpu; auto takes the first that is available.",
    ),
    click.option(
        "--workers",
        type=int,
        metavar="N",
        help="Processes that read data ahead.  [default: 0, for a folder of images 1]",
    ),
    click.option(
        "--threads",
        type=int,
        metavar="N",
        help="Threads on the CPU.  [default: 1, except for networks on images]",
    ),
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Seed of the split, the initial weights, the order of rows, and all else.",
    ),
    click.option(
        "--save-every",
        type=int,
        metavar="STEPS",
        help="Also save a checkpoint every STEPS steps within an epoch.",
    ),
)
