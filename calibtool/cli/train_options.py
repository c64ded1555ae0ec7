"""The options of `calibtool train`, which become its settings."""

from __future__ import annotations

from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.train.settings import LAYOUTS, OPTIMIZERS, PRECISIONS, SCHEDULES


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
