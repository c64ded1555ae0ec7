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
    from calibtool.analysis.comparison import compare
    from calibtool.analysis.monitoring.monitor import monitor
    from calibtool.analysis.selection import select
    from calibtool.analysis.significance.run import significance
    from calibtool.analysis.slice_search import search_slices
    from calibtool.analysis.slices import evaluate_by
    from calibtool.calibrators.fit import fit, load_calibrator
    from calibtool.data.files.open import load, scan
    from calibtool.data.predictions import Predictions
    from calibtool.errors import CalibtoolError
    from calibtool.evaluation.evaluate import evaluate
    from calibtool.evaluation.report import Report
    from calibtool.gate.check import check
    from calibtool.intervals.estimate import Estimate
    from calibtool.reports.page.write import write_report
    from calibtool.streaming.cells_file import load_cells, save_cells
    from calibtool.streaming.engines.dask_frame import from_dask
    from calibtool.streaming.summarize import cells
    from calibtool.streaming.summary import State

# name -> the module it lives in; loaded when first used, so that importing calibtool is cheap
_HOME = {
    "CalibtoolError": "calibtool.errors",
    "Estimate": "calibtool.intervals.estimate",
    "Predictions": "calibtool.data.predictions",
    "Report": "calibtool.evaluation.report",
    "State": "calibtool.streaming.summary",
    "cells": "calibtool.streaming.summarize",
    "check": "calibtool.gate.check",
    "compare": "calibtool.analysis.comparison",
    "evaluate": "calibtool.evaluation.evaluate",
    "evaluate_by": "calibtool.analysis.slices",
    "fit": "calibtool.calibrators.fit",
    "from_dask": "calibtool.streaming.engines.dask_frame",
    "load": "calibtool.data.files.open",
    "load_calibrator": "calibtool.calibrators.fit",
    "load_cells": "calibtool.streaming.cells_file",
    "save_cells": "calibtool.streaming.cells_file",
    "scan": "calibtool.data.files.open",
    "monitor": "calibtool.analysis.monitoring.monitor",
    "search_slices": "calibtool.analysis.slice_search",
    "select": "calibtool.analysis.selection",
    "significance": "calibtool.analysis.significance.run",
    "write_report": "calibtool.reports.page.write",
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
