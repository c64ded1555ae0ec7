"""Training with torch: focal loss and its relatives, and the loop of `calibtool train`.

Needs the extra: pip install 'calibtool[train]'. Importing this package does not load torch; using
a loss does:

    from calibtool.train import FocalLoss
    loss = FocalLoss(gamma=3)(logits, labels)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from calibtool.train.losses.registry import CLASSES

# The public names and the modules below calibtool.train that define them, imported on first use. No
# module has the name of a function: `from calibtool.train import run` would find the module.
_HOME = {
    "Settings": "settings",
    "finish": "conclusion",
    "lightning_callback": "loops.lightning",
    "load_model": "saved",
    "make_loss": "losses.make",
    "predict": "prediction",
    "run": "training",
    "trainer_loss": "loops.transformers",
    **CLASSES,
}
_WITHOUT_TORCH = {"Settings"}
__all__ = [*_HOME, "require_torch"]  # noqa: PLE0604 - every key is a string


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'calibtool.train' has no attribute {name!r}")
    if name not in _WITHOUT_TORCH:
        require_torch()
    return getattr(import_module(f"calibtool.train.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def require_torch() -> None:
    """Check that the extra is installed; raise UsageError with the command that installs it."""
    from importlib.util import find_spec

    from calibtool.errors import UsageError

    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {' and '.join(missing)}: pip install 'calibtool[train]'")
