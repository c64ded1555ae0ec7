"""calibtool train."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from calibtool.cli import options as shared
from calibtool.cli.progress import watching


def command(name: str) -> click.Command:
    """The command."""
    return train


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
    click.option("--data", metavar="DATA", help="What to train on; see below."),
    click.option("--val-data", metavar="DATA", help="Validation rows from elsewhere."),
    click.option("--test-data", metavar="DATA", help="Test rows from elsewhere."),
    click.option("--val-share", type=float, default=0.2, show_default=True, metavar="SHARE"),
    click.option("--test-share", type=float, default=0.2, show_default=True, metavar="SHARE"),
    click.option("--inputs", metavar="KEY", help="Key or columns of the inputs."),
    click.option("--labels", metavar="KEY", help="Key or column of the labels."),
    click.option("--ids", metavar="KEY", help="Key or column that names the rows."),
    click.option("--split", metavar="KEY", help="Column that says train, val or test."),
    click.option("--layout", default="auto", show_default=True, help="Images: nhwc or nchw."),
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
    click.option("--model", default="mlp", show_default=True, metavar="MODEL"),
    click.option("--checkpoint", metavar="FILE", help="Weights to start from."),
    click.option("--fresh", type=Listed(), default=(), help="Weights not taken from there."),
    click.option("--freeze", type=Listed(), default=(), help='Weights not trained: "backbone.*".'),
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
    click.option("--gamma-folds", type=int, default=3, show_default=True),
    click.option("--epochs", type=int, default=20, show_default=True),
    click.option(
        "--batch-size", type=int, default=128, show_default=True, help="Of all processes."
    ),
    click.option("--optimizer", default="adamw", show_default=True, help="adamw or sgd."),
    click.option("--lr", type=float, help="Learning rate: 0.001 for adamw, 0.1 for sgd."),
    click.option("--weight-decay", type=float, help="0.01 for adamw, 0.0005 for sgd."),
    click.option("--momentum", type=float, default=0.9, show_default=True, help="Of sgd."),
    click.option("--schedule", default="cosine", show_default=True, help="cosine, step, constant."),
    click.option(
        "--lr-steps",
        type=Listed(float),
        default=(0.5, 0.75),
        help="Shares of the epochs at which `step` divides the rate by 10.  [default: 0.5,0.75]",
    ),
    click.option("--warmup", type=float, default=0.0, metavar="EPOCHS", help="Rise of the rate."),
    click.option("--clip", type=float, metavar="NORM", help="Clip the gradient to this norm."),
    click.option(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="Stop when validation NLL has not fallen for so long; keep the best weights.",
    ),
    click.option("--precision", default="auto", show_default=True),
    click.option("--device", default="auto", show_default=True),
    click.option("--threads", type=int, help="Of the CPU; 1 where inputs are no images."),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option("--save-every", type=int, metavar="STEPS", help="Checkpoints within an epoch."),
)


@click.command()
@data_options
@model_options
@loop_options
@click.option("--out", metavar="FOLDER", help="Where everything is written.")
@click.option("--config", metavar="TOML", help="Options from a file, such as a run's config.toml.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--sweep", metavar="LOSSES", help="Several losses, side by side; no --loss.")
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
    settings = _settings(options, config, resume)
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


def _settings(options: dict[str, Any], config: str | None, resume: bool) -> Any:
    """Settings: what the command line says, else the file, else the defaults."""
    from calibtool.errors import UsageError
    from calibtool.train.config import NAME, RESOLVED, read_document
    from calibtool.train.settings import from_mapping

    if not options["out"]:
        raise UsageError("--out FOLDER is missing: where everything is written")
    context = click.get_current_context()
    if resume and config is None and (Path(options["out"]) / NAME).is_file():
        config = str(Path(options["out"]) / NAME)
    values = {key: value for key, value in options.items() if value is not None}
    if config is not None:
        document = read_document(Path(config))
        document.pop(RESOLVED, None)
        said = click.core.ParameterSource.COMMANDLINE
        told = {k: v for k, v in values.items() if context.get_parameter_source(k) is said}
        values = {**document, **told}
    if "data" not in values:
        raise UsageError("--data DATA is missing: what to train on, such as features.npz")
    return from_mapping(values, config or "calibtool train")
