"""What other tools have, checked in their code: python -P benchmarks/beside.py

Needs all peers: pip install netcal torchmetrics relplot uncertainty-calibration probmetrics numba
scikit-learn. -P, as coverage.py beside it would hide a package of that name, which numba imports.
A cell of the table names what does the task; the name must exist, else this fails. An empty cell
must be empty: no public name of the package may contain what `absent` of the row describes. Writes
results/beside.json.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import platform
import re
import sys
import time
import warnings
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import click

from calibtool.calibrators.registry import EVERY
from calibtool.cli.main import COMMANDS, group
from calibtool.metrics.registry import METRICS

HERE = Path(__file__).parent
NO_FACE = {"tests", "conftest", "externals"}  # packages whose names are not for users
# distribution: the module that it installs
TOOLS = {
    "netcal": "netcal",
    "torchmetrics": "torchmetrics",
    "scikit-learn": "sklearn",
    "relplot": "relplot",
    "uncertainty-calibration": "calibration",
    "probmetrics": "probmetrics",
}


class Row(NamedTuple):
    """A task, and what does it in each tool.

    Names are dotted, below the tool's module; `name(parameter)` names a parameter. Those of
    calibtool are `command NAME`, `option NAME` of evaluate, `metric NAME`, `calibrator NAME` or
    dotted names. `absent` is a pattern: a tool without a cell has no public name that contains it.
    Rows that are `short` are those of the README.
    """

    task: str
    calibtool: str
    absent: str
    cells: dict[str, str]
    short: bool = False


ROWS = [
    Row(
        "Calibration error in bins",
        "metric ece",
        "calibration_?error|^ece$",
        {
            "netcal": "metrics.ECE, metrics.MCE, metrics.ACE",
            "torchmetrics": "classification.MulticlassCalibrationError",
            "relplot": "metrics.binnedECE",
            "uncertainty-calibration": "get_ece, get_calibration_error",
            "probmetrics": "metrics.CalibrationError",
        },
    ),
    Row(
        "Calibration error without bins",
        "metric smece, metric ks, metric kuiper, metric skce",
        "smece|smooth_?calib|mmce|kuiper|kolmogorov_?smirnov_?calib|kernel_?calib",
        {
            "netcal": "metrics.MMCE",
            "relplot": "smECE",
            "probmetrics": "metrics.SmoothCalibrationError, metrics.KuiperCalibrationMetric, "
            "metrics.ProperLpLoss",
        },
    ),
    Row(
        "Calibration error without the bias of noise",
        "command evaluate, metric debiased-ece, metric debiased-rmsce",
        "debias|unbiased|bias_?correct",
        {"uncertainty-calibration": "unbiased_l2_ce, normal_debiased_ce"},
        short=True,
    ),
    Row(
        "Interval of a calibration error",
        "command evaluate",
        "bootstrap|confidence_?interval|error_uncertainties",
        {
            "torchmetrics": "wrappers.BootStrapper",
            "relplot": "prepare_rel_diagram(report_CE_std)",
            "uncertainty-calibration": "get_calibration_error_uncertainties",
        },
        short=True,
    ),
    Row(
        "Test of calibration, with a p-value",
        "command test",
        "hosmer|spiegelhalter|calibration_?test|consistency_?test|calibration_?belt",
        {},
    ),
    Row(
        "Two models on the same rows, paired",
        "command compare",
        "paired_?(bootstrap|difference|test)|compare_?models",
        {},
    ),
    Row(
        "Calibrators",
        "calibrator temperature, calibrator isotonic, calibrator structured-matrix",
        "temperature_?scal|isotonic|platt|histogram_?(binning|calibrator)",
        {
            "netcal": "scaling.TemperatureScaling, scaling.BetaCalibration, binning.ENIR",
            "scikit-learn": "calibration.CalibratedClassifierCV",
            "uncertainty-calibration": "PlattBinnerCalibrator, HistogramCalibrator",
            "probmetrics": "calibrators.get_calibrator, calibrators.SMSCalibrator",
        },
        short=True,
    ),
    Row(
        "Bayesian fits of a calibrator",
        "",
        "mcmc|markov_?chain|calib.*(bayes|variational)",
        {"netcal": "scaling.LogisticCalibration(method)"},
    ),
    Row(
        "Calibrators that are boosted trees",
        "",
        "(catboost|xgboost|lightgbm|tree).*calib",
        {"probmetrics": "calibrators.CatBoostCalibrator, calibrators.XGBoostCalibrator"},
    ),
    Row(
        "Choice of a calibrator on held-out rows",
        "command select",
        "(select|choose|search)_?calibrat|best_?calibrat",
        {"scikit-learn": "model_selection.GridSearchCV"},
    ),
    Row(
        "Reliability diagram",
        "command plot",
        "reliab|rel_?diagram|calibration_?(display|plot|curve)",
        {
            "netcal": "presentation.ReliabilityDiagram",
            "scikit-learn": "calibration.CalibrationDisplay",
            "relplot": "rel_diagram",
        },
    ),
    Row(
        "Gate for CI, with an exit code",
        "command check",
        "exit_?code|quality_?gate|requirement",
        {},
        short=True,
    ),
    Row(
        "Search for slices that are off",
        "command slices, calibrator multicalibration",
        "multi_?calib|slice_?find|subgroup",
        {},
    ),
    Row("Monitoring over time", "command monitor", "monitor_?calib|drift", {}),
    Row(
        "Batches of rows, and sums that can be added",
        "command cells, scan",
        "calib(ration)?_?(cells|stream|accumul)",
        {"torchmetrics": "classification.MulticlassCalibrationError.update"},
        short=True,
    ),
    Row(
        "Tensors on a GPU",
        "",
        "cuda|_gpu|gpu_",
        {
            "torchmetrics": "classification.MulticlassCalibrationError.to",
            "netcal": "scaling.TemperatureScaling(use_cuda)",
            "scikit-learn": "config_context(array_api_dispatch)",
            "probmetrics": "metrics.Metrics.compute_all_from_labels_logits",
        },
        short=True,
    ),
    Row(
        "Metrics over several training processes",
        "",
        "all_?gather|sync_?(dist|process)|process_?group",
        {"torchmetrics": "classification.MulticlassCalibrationError.sync"},
    ),
    Row(
        "Object detection, by position and size",
        "",
        "detection_?(calib|ece)|^d_?ece",
        {"netcal": "metrics.ECE(detection), presentation.ReliabilityDiagram(detection)"},
        short=True,
    ),
    Row(
        "Regression",
        "",
        "variance_?scaling|quantile_?(calib|coverage)|pinball|crps",
        {
            "netcal": "regression.VarianceScaling, metrics.PICP",
            "torchmetrics": "regression.ContinuousRankedProbabilityScore",
            "scikit-learn": "metrics.mean_pinball_loss",
            "probmetrics": "metrics.PinballLoss, metrics.CRPS",
        },
    ),
    Row(
        "Several labels per row",
        "option --multilabel",
        "multi_?label_?calib|independent_?prob",
        {"netcal": "scaling.TemperatureScaling(independent_probabilities)"},
    ),
    Row(
        "Logs of language-model evaluators, read",
        "option --reader",
        "lm_?eval|inspect_?(log|ai)|harness",
        {},
    ),
    Row(
        "Net benefit, decision curves",
        "metric net-benefit",
        "net_?benefit|decision_?curve",
        {},
    ),
    Row(
        "Threshold for a target",
        "command threshold",
        "tuned_?threshold|choose_?threshold|operating_?point|threshold_?for",
        {"scikit-learn": "model_selection.TunedThresholdClassifierCV"},
    ),
    Row("Prediction sets", "command sets", "conformal|prediction_?set", {}),
    Row(
        "Losses and penalties for training",
        "command train, command losses",
        "focal|mmce|confidence_?penalty",
        {"netcal": "regularization.MMCEPenalty, regularization.ConfidencePenalty"},
    ),
    Row("Calibrators as ONNX, Python or C", "command export", "onnx|export_c|to_c_code", {}),
    Row("Numbers as other libraries define them", "option --as", "convention", {}),
    Row(
        "Estimator of scikit-learn",
        "sklearn.Calibrator",
        "base_?estimator|classifier_?mixin|as_?classifier",
        {
            "netcal": "AbstractCalibration",
            "scikit-learn": "calibration.CalibratedClassifierCV",
            "probmetrics": "calibrators.WrapCalibratorAsClassifier",
        },
    ),
]


def named(text: str) -> list[str]:
    """Return the names of a cell."""
    return [name for name in re.split(r",\s*", text) if name]


def check(module: str, name: str) -> None:
    """Check that a dotted name exists below a module; with (parameter), that it takes this."""
    dotted, _, parameter = name.rstrip(")").partition("(")
    found: Any = importlib.import_module(module)
    for part in dotted.split("."):
        below = f"{found.__name__}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(below)
    if parameter and not any(parameter in _parameters(base) for base in _bases(found)):
        raise SystemExit(f"{module}: {dotted} has no parameter {parameter}")


def _bases(found: Any) -> tuple[Any, ...]:
    """Return a class and its bases, whose arguments it hands on; or a function alone."""
    return inspect.getmro(found) if inspect.isclass(found) else (found,)


def _parameters(found: Any) -> list[str]:
    function = found.__init__ if inspect.isclass(found) else found
    try:
        return list(inspect.signature(function).parameters)
    except ValueError:  # of built-in types
        return []


def own(name: str) -> None:
    """Check that calibtool has what a cell names."""
    kind, _, rest = name.partition(" ")
    evaluate = group.get_command(click.Context(group), "evaluate")
    tables = {
        "option": {option for parameter in evaluate.params for option in parameter.opts},
        "command": {one for section in COMMANDS.values() for one in section},
        "metric": METRICS,
        "calibrator": EVERY,
    }
    if kind not in tables:
        check("calibtool", name)
    elif rest not in tables[kind]:
        raise SystemExit(f"calibtool has no {name}")


def public(module: str) -> dict[str, str]:
    """Return the public names of a package: of its modules, classes and functions, and where."""
    root = importlib.import_module(module)
    names: dict[str, str] = {}
    for info in pkgutil.walk_packages(root.__path__, f"{module}.", onerror=lambda _: None):
        if any(part[0] == "_" or part in NO_FACE for part in info.name.split(".")):
            continue
        names[info.name.rpartition(".")[2]] = info.name
        try:
            inside = vars(importlib.import_module(info.name))
        except ImportError:  # needs a package that is not installed
            print(f"{info.name}: not searched, cannot be imported")
            continue
        for name, value in inside.items():
            if getattr(value, "__module__", "").partition(".")[0] == module and name[0] != "_":
                names[name] = f"{info.name}.{name}"
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--dry", action="store_true", help="write nothing")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # deprecations inside the peers
    names = {tool: public(module) for tool, module in TOOLS.items()}
    wrong = []
    for row in ROWS:
        for name in named(row.calibtool):
            own(name)
        for tool, module in TOOLS.items():
            for name in named(row.cells.get(tool, "")):
                check(module, name)
            if tool not in row.cells:
                absent = re.compile(row.absent, re.IGNORECASE)
                hits = [at for name, at in names[tool].items() if absent.search(name)]
                wrong += [f"{row.task}: {tool} has {at}" for at in hits]
    print("\n".join(wrong) or "every cell holds")
    if wrong:
        sys.exit(1)
    if given.dry:
        return
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "versions": {tool: distribution(tool).version for tool in TOOLS},
        "searched": {tool: len(found) for tool, found in names.items()},
        "rows": [row._asdict() for row in ROWS],
    }
    (HERE / "results" / "beside.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
