"""calibtool: measure, fix, see and gate the calibration of classifiers.

>>> import calibtool as ct
>>> p = ct.Predictions.from_probs([0.2, 0.6], [0, 1])
>>> round(ct.evaluate(p, metrics=["brier"], ci="none")["brier"].value, 6)  # mean of 0.04, 0.16
0.1
"""

from __future__ import annotations

from calibtool.version import __version__ as __version__

# The public names and the modules that define them. Each is imported on first use, so that
# `import calibtool` and `calibtool --help` load nothing heavy. The imports below tell type checkers
# the same; tests/test_house.py holds the two lists together.
_HOME = {
    "CalibtoolError": "calibtool.errors",
    "Estimate": "calibtool.intervals.estimate",
    "PredictionSets": "calibtool.decisions.prediction_sets",
    "Predictions": "calibtool.data.predictions",
    "Report": "calibtool.evaluation.report",
    "State": "calibtool.streaming.summary",  # the former name of Summary
    "Summary": "calibtool.streaming.summary",
    "cells": "calibtool.streaming.summarize",
    "check": "calibtool.gate.check",
    "choose_threshold": "calibtool.decisions.choose",
    "compare": "calibtool.analysis.comparison",
    "decision_costs": "calibtool.decisions.cost_report",
    "estimate": "calibtool.analysis.implied",
    "estimate_prior": "calibtool.analysis.label_shift",
    "evaluate": "calibtool.analysis.evaluate",
    "evaluate_by": "calibtool.analysis.slices",
    "evaluate_sets": "calibtool.decisions.set_report",
    "fit": "calibtool.calibrators.fit",
    "fit_sets": "calibtool.decisions.prediction_sets",
    "from_dask": "calibtool.streaming.engines.dask_frame",
    "load": "calibtool.data.files.open",
    "load_calibrator": "calibtool.calibrators.fit",
    "load_cells": "calibtool.streaming.cells_file",
    "load_sets": "calibtool.decisions.prediction_sets",
    "load_threshold": "calibtool.decisions.threshold",
    "read": "calibtool.streaming.read",
    "monitor": "calibtool.analysis.monitoring.run",
    "save_cells": "calibtool.streaming.cells_file",
    "read_costs": "calibtool.decisions.costs",
    "scan": "calibtool.data.files.open",
    "search_slices": "calibtool.analysis.slice_search",
    "select": "calibtool.analysis.selection",
    "side_by_side": "calibtool.analysis.side_by_side",
    "significance": "calibtool.analysis.significance.run",
    "write_report": "calibtool.reports.page.write",
}
# Public modules, and the package of an extra that each of them needs, if any.
_MODULES = {"plot": None, "sklearn": "sklearn"}

# Known to type checkers by its name. typing and importlib would take more time than the rest of a
# command until it can handle Ctrl-C (`calibtool.cli.process`).
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from calibtool import plot as plot
    from calibtool import sklearn as sklearn
    from calibtool.analysis.comparison import compare as compare
    from calibtool.analysis.evaluate import evaluate as evaluate
    from calibtool.analysis.implied import estimate as estimate
    from calibtool.analysis.label_shift import estimate_prior as estimate_prior
    from calibtool.analysis.monitoring.run import monitor as monitor
    from calibtool.analysis.selection import select as select
    from calibtool.analysis.side_by_side import side_by_side as side_by_side
    from calibtool.analysis.significance.run import significance as significance
    from calibtool.analysis.slice_search import search_slices as search_slices
    from calibtool.analysis.slices import evaluate_by as evaluate_by
    from calibtool.calibrators.fit import fit as fit
    from calibtool.calibrators.fit import load_calibrator as load_calibrator
    from calibtool.data.files.open import load as load
    from calibtool.data.files.open import scan as scan
    from calibtool.data.predictions import Predictions as Predictions
    from calibtool.decisions.choose import choose_threshold as choose_threshold
    from calibtool.decisions.cost_report import decision_costs as decision_costs
    from calibtool.decisions.costs import read_costs as read_costs
    from calibtool.decisions.prediction_sets import PredictionSets as PredictionSets
    from calibtool.decisions.prediction_sets import fit_sets as fit_sets
    from calibtool.decisions.prediction_sets import load_sets as load_sets
    from calibtool.decisions.set_report import evaluate_sets as evaluate_sets
    from calibtool.decisions.threshold import load_threshold as load_threshold
    from calibtool.errors import CalibtoolError as CalibtoolError
    from calibtool.evaluation.report import Report as Report
    from calibtool.gate.check import check as check
    from calibtool.intervals.estimate import Estimate as Estimate
    from calibtool.reports.page.write import write_report as write_report
    from calibtool.streaming.cells_file import load_cells as load_cells
    from calibtool.streaming.cells_file import save_cells as save_cells
    from calibtool.streaming.engines.dask_frame import from_dask as from_dask
    from calibtool.streaming.read import read as read
    from calibtool.streaming.summarize import cells as cells
    from calibtool.streaming.summary import State as State
    from calibtool.streaming.summary import Summary as Summary


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _MODULES:
        if not _installed(_MODULES[name]):
            # AttributeError, not ImportError: help(), hasattr() and inspect.getmembers() must work
            # where the extra is not installed.
            raise AttributeError(
                f"calibtool.{name} needs the extra {name!r}: pip install 'calibtool[{name}]'"
            )
        return import_module(f"calibtool.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'calibtool' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def _installed(package: str | None) -> bool:
    from importlib.util import find_spec

    return package is None or find_spec(package) is not None


def __dir__() -> list[str]:
    usable = [name for name, needed in _MODULES.items() if _installed(needed)]
    return sorted([*_HOME, *usable, "__version__"])


__all__ = [*_HOME, "__version__"]  # noqa: PLE0604 - every key is a string
