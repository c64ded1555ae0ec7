"""The settings of a run of `calibtool train`; torch-free, and written as config.toml."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, get_args, get_origin, get_type_hints

from calibtool.data.files.document import LARGE, shown
from calibtool.errors import UsageError, near

# name -> default learning rate and weight decay: those of torch.optim.AdamW, and those with which
# Mukhoti et al. 2020 train ResNets on CIFAR
OPTIMIZERS = {"adamw": (1e-3, 1e-2), "sgd": (0.1, 5e-4)}
# What Mukhoti et al. 2020 trained CIFAR with: the defaults of train.py, clip_grad_norm in
# train_utils.py and the shares of Data/cifar10.py in github.com/torrvision/focal_calibration
RECIPES: dict[str, dict[str, Any]] = {
    "mukhoti2020": {
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 5e-4,
        "decay_all": True,
        "schedule": "step",
        "lr_steps": (150.0, 250.0),
        "epochs": 350,
        "batch_size": 128,
        "reduction": "sum",
        "clip": 2.0,
        "val_share": 0.1,
        "augment": ("flip", "crop"),
    }
}
REDUCTIONS = ("mean", "sum")
LR_STEPS = (0.5, 0.75)
SCHEDULES = ("cosine", "step", "constant")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
AUGMENTATIONS = ("flip", "crop")
LAYOUTS = ("auto", "nhwc", "nchw")
# Settings that may differ in a resumed run: more epochs train on; a device changes only rounding.
# The others decide the numbers of the epochs that are over.
MAY_CHANGE = frozenset({"out", "device", "save_every", "epochs", "patience", "workers"})
LEAST = {  # whole numbers
    **dict.fromkeys(("epochs", "batch_size", "accumulate", "patience", "save_every"), 1),
    **dict.fromkeys(("image_size", "max_length", "threads"), 1),
    "workers": 0,
    "seed": 0,
    "gamma_folds": 2,
}
_EXPECTED = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Settings:
    """Options of a run, named as on the command line with _ for -.

    Shares are of all rows; `lr` and `weight_decay` default to those of the optimizer (OPTIMIZERS).
    Raises UsageError for invalid values.
    """

    data: str
    out: str
    model: str = "mlp"
    loss: str = "cross-entropy"
    val_data: str | None = None
    test_data: str | None = None
    val_share: float = 0.2
    test_share: float = 0.2
    inputs: str | None = None
    labels: str | None = None
    ids: str | None = None
    split: str | None = None
    layout: str = "auto"
    image_size: int | None = None
    max_length: int | None = None
    normalize: str = "auto"
    augment: tuple[str, ...] = ()
    checkpoint: str | None = None
    fresh: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    epochs: int = 20
    batch_size: int = 128
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    decay_all: bool = False
    momentum: float = 0.9
    nesterov: bool = True
    schedule: str = "cosine"
    lr_steps: tuple[float, ...] = LR_STEPS
    warmup: float = 0.0
    clip: float | None = None
    class_weights: str | None = None
    gamma_search: tuple[float, ...] = ()
    gamma_folds: int = 3
    patience: int | None = None
    precision: str = "auto"
    device: str = "auto"
    threads: int | None = None
    seed: int = 0
    save_every: int | None = None
    reduction: str = "mean"
    group: str | None = None
    workers: int | None = None
    accumulate: int = 1
    lr_head: float | None = None

    def __post_init__(self) -> None:
        _one_of("optimizer", self.optimizer, tuple(OPTIMIZERS))
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("layout", self.layout, LAYOUTS)
        _one_of("reduction", self.reduction, REDUCTIONS)
        for name in self.augment:
            if name not in AUGMENTATIONS and not name[:1].isupper():
                raise UsageError(
                    f"--augment: must be {', '.join(AUGMENTATIONS)}, or a transform of "
                    f"torchvision.transforms.v2 such as RandomRotation(degrees=15) (got {name!r})"
                )
        for name, minimum in LEAST.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise UsageError(f"--{_flag(name)}: must be at least {minimum}, not {value}")
        for name in ("lr", "lr_head", "clip"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"--{_flag(name)}: must be above 0, not {value:g}")
        for name in ("warmup", "momentum", "weight_decay"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"--{_flag(name)}: must be 0 or more, not {value:g}")
        for name in ("val_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(
                    f"--{_flag(name)}: must be between 0 and 1, not {getattr(self, name):g}"
                )
        if self.val_share + self.test_share >= 1:
            raise UsageError("--val-share and --test-share leave no rows to train on")
        if self.warmup >= self.epochs:
            raise UsageError(
                f"--warmup: {self.warmup:g} must be below the number of epochs, {self.epochs}"
            )

    def falls(self) -> tuple[float, ...]:
        """Return the epochs after which `step` divides the rate by 10; steps below 1 are shares.

        Raises UsageError for steps that no schedule takes, or that the run does not reach.
        """
        steps, last = self.lr_steps, self.epochs
        if self.schedule != "step" and steps != LR_STEPS:
            raise UsageError(f"--lr-steps needs --schedule step, not {self.schedule}")
        shares = [step < 1 for step in steps]
        falls = tuple(step * last if all(shares) else step for step in steps)
        if self.schedule == "step" and not all(0 < fall < last for fall in falls):
            raise UsageError(
                f"--lr-steps {','.join(f'{step:g}' for step in steps)}: each must lie between 0 "
                f"and the number of epochs, {last}; below 1, they are shares of it"
            )
        if any(shares) and not all(shares):
            raise UsageError("--lr-steps: must be epochs, or shares below 1 of them, not both")
        return falls

    @property
    def learning_rate(self) -> float:
        """The learning rate after warm-up, before the schedule."""
        return OPTIMIZERS[self.optimizer][0] if self.lr is None else self.lr

    @property
    def decay(self) -> float:
        """The weight decay."""
        return OPTIMIZERS[self.optimizer][1] if self.weight_decay is None else self.weight_decay


def differences(now: Settings, before: Settings) -> list[str]:
    """Return the settings in which a resumed run differs from its start, as text.

    Settings of MAY_CHANGE are not compared.
    """
    return [
        f"--{_flag(f.name)} {getattr(now, f.name)!r}, it was {getattr(before, f.name)!r}"
        for f in fields(Settings)
        if f.name not in MAY_CHANGE and getattr(now, f.name) != getattr(before, f.name)
    ]


def from_mapping(document: dict[str, Any], where: str) -> Settings:
    """Return the settings of a TOML document; lists become tuples.

    Raises UsageError, which begins with `where`, for unknown names and invalid values.
    """
    known = [f.name for f in fields(Settings)]
    document = with_recipe(document)
    for key in document:
        if key not in known:
            raise UsageError(f"{where}: there is no setting {key!r}{near(key, known)}")
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in document.items()
    }
    kinds = get_type_hints(Settings)
    for key, value in values.items():
        _require_type(where, key, value, kinds[key])
    if missing := [name for name in ("data", "out") if name not in values]:
        raise UsageError(f"{where}: {missing[0]} is missing")
    return Settings(**values)


def with_recipe(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with those of their recipe, if they name one, in its place and below them."""
    values = dict(values)
    if (name := values.pop("recipe", None)) is None:
        return values
    _one_of("recipe", name, tuple(RECIPES))
    return {**RECIPES[name], **values}


def _require_type(where: str, key: str, value: Any, kind: Any) -> None:
    """Raise UsageError for a value that is not of the annotated type of its setting."""
    of, inside = get_origin(kind), get_args(kind)
    if of is tuple:
        if not isinstance(value, tuple):
            raise UsageError(f"{where}: {key}: expected a list, not {shown(value)}")
        for item in value:
            _require_type(where, key, item, inside[0])
        return
    kind, *_ = inside or (kind,)  # `str | None`: no file can hold None
    if value is None and inside:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is float and number and abs(value) <= LARGE:
        return
    if type(value) is not kind:
        raise UsageError(f"{where}: {key}: expected {_EXPECTED[kind]}, not {shown(value)}")


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"--{_flag(name)}: must be one of {', '.join(known)} (got {value!r})")
