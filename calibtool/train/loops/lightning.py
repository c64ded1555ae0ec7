"""Lightning: a callback that finishes a run after `trainer.test`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from calibtool.errors import UsageError
from calibtool.train.conclusion import finish
from calibtool.train.trained import Trained

PACKAGES = ("lightning.pytorch", "pytorch_lightning")  # the same code under two names


def lightning_callback(out: str | Path, *, val: Iterable[Any] | None = None, **options: Any) -> Any:
    """Return a callback of Lightning that calls `finish` after `trainer.test`.

    The weights are those of the test: `ckpt_path="best"`, for example. The module itself is called
    on the inputs of each batch. After the test, the callback has the result as `trained`.

    Args:
        out: the folder.
        val: batches of validation rows; by default those of `trainer.fit`, `trainer.validate` or
            the data module.
        options: of `finish`: `method`, `class_names`, `about`, `page`.

    Raises UsageError if Lightning is not installed.
    """
    # Defined here, since its base class is of a package that may be missing.
    kind = type("CalibtoolFinish", (_Finish, _base()), {})
    return kind(out, val, options)


def _base() -> Any:
    """Return Lightning's class of callbacks, of the package that is in use already, if any."""
    for name in sorted(PACKAGES, key=lambda name: name not in sys.modules):
        try:
            return import_module(name).Callback
        except ModuleNotFoundError:
            continue
    raise UsageError("lightning_callback needs Lightning: pip install lightning")


class _Finish:
    """What the callback does and keeps."""

    trained: Trained | None = None

    def __init__(self, out: str | Path, val: Iterable[Any] | None, options: dict[str, Any]) -> None:
        super().__init__()
        self.out, self.val, self.options = out, val, options
        self.loaders: Any = None

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Keep the loaders of validation rows: the trainer drops them when a test begins."""
        self.loaders = trainer.val_dataloaders

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Do what `finish` does, on the batches of the trainer.

        Raises UsageError without validation rows, and in several processes.
        """
        if trainer.fast_dev_run:
            return
        if trainer.world_size > 1:
            raise UsageError(
                f"trainer.test in {trainer.world_size} processes repeats rows to fill its batches; "
                "test with Trainer(devices=1), as Lightning advises"
            )
        val = self._val(trainer)
        test = _one(trainer.test_dataloaders, "test")
        self.trained = finish(pl_module, val, test, self.out, **self.options)

    def _val(self, trainer: Any) -> Iterable[Any]:
        if self.val is not None:
            return self.val
        loaders = self.loaders
        if loaders is None and trainer.datamodule is not None:
            loaders = trainer.datamodule.val_dataloader()
        if loaders is None:
            raise UsageError(
                "the trainer has no validation rows, which a calibrator is fitted on; give "
                "lightning_callback(..., val=loader), or call trainer.validate first"
            )
        return _one(loaders, "validation")


def _one(loaders: Any, what: str) -> Iterable[Any]:
    """Return the only loader; raise UsageError if there are several."""
    several = loaders if isinstance(loaders, (list, tuple)) else [loaders]
    if len(several) != 1:
        raise UsageError(
            f"the trainer has {len(several)} {what} loaders; call calibtool.train.finish on one"
        )
    loader: Iterable[Any] = several[0]
    return loader
