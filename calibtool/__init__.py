"""calibtool: measure, fix, see and gate the calibration of classifiers.

>>> import calibtool as ct
>>> p = ct.Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]], [0, 1])
>>> round(ct.evaluate(p, metrics=["brier"], ci="none")["brier"].value, 6)
0.2
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from calibtool.version import __version__

if TYPE_CHECKING:
    from calibtool import plot as plot
    from calibtool import sklearn as sklearn
    from calibtool.calibrators import fit, load_calibrator
    from calibtool.comparison import compare
    from calibtool.engines.frame import from_dask
    from calibtool.errors import CalibtoolError
    from calibtool.evaluation import evaluate
    from calibtool.files import load, scan
    from calibtool.gate import check
    from calibtool.mapping import cells
    from calibtool.monitoring import monitor
    from calibtool.perfection import significance
    from calibtool.predictions import Predictions
    from calibtool.report import Estimate, Report
    from calibtool.search import search_slices
    from calibtool.selection import select
    from calibtool.send import write_report
    from calibtool.sliced import evaluate_by
    from calibtool.state import State
    from calibtool.state.file import load_cells, save_cells

# name -> the module it lives in; loaded when first used, so that importing calibtool is cheap
_HOME = {
    "CalibtoolError": "calibtool.errors",
    "Estimate": "calibtool.report",
    "Predictions": "calibtool.predictions",
    "Report": "calibtool.report",
    "State": "calibtool.state",
    "cells": "calibtool.mapping",
    "check": "calibtool.gate",
    "compare": "calibtool.comparison",
    "evaluate": "calibtool.evaluation",
    "evaluate_by": "calibtool.sliced",
    "fit": "calibtool.calibrators",
    "from_dask": "calibtool.engines.frame",
    "load": "calibtool.files",
    "load_calibrator": "calibtool.calibrators",
    "load_cells": "calibtool.state.file",
    "save_cells": "calibtool.state.file",
    "scan": "calibtool.files",
    "monitor": "calibtool.monitoring",
    "search_slices": "calibtool.search",
    "select": "calibtool.selection",
    "significance": "calibtool.perfection",
    "write_report": "calibtool.send",
}
_MODULES = ("plot", "sklearn")  # the latter of an optional extra


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"calibtool.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'calibtool' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*_HOME, *_MODULES, "__version__"])


__all__ = [
    "CalibtoolError",
    "Estimate",
    "Predictions",
    "Report",
    "State",
    "__version__",
    "cells",
    "check",
    "compare",
    "evaluate",
    "evaluate_by",
    "fit",
    "from_dask",
    "load",
    "load_calibrator",
    "load_cells",
    "monitor",
    "save_cells",
    "scan",
    "search_slices",
    "select",
    "significance",
    "write_report",
]
