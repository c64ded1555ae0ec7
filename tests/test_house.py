"""The house: what the design promises about structure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import calibtool as ct
from calibtool import metrics
from calibtool.cli.main import main
from calibtool.metrics import norms, profiles
from calibtool.reports import metrics as reference

ROOT = Path(__file__).parents[1]


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


def test_importing_calibtool_loads_nothing_heavy():
    code = "import sys, calibtool; print(*sys.modules)"
    assert not {"numpy", "scipy", "matplotlib", "pyarrow", "rich", "torch"} & set(run(code))


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_nothing_heavy(argument):
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['{argument}']); print(*sys.modules)"
    )
    assert not {"numpy", "scipy", "matplotlib", "pyarrow", "rich", "torch"} & set(run(code))


def test_evaluating_an_npz_loads_neither_scipy_nor_pyarrow_nor_matplotlib(examples):
    file = examples / "fashion_test.npz"
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['evaluate', {str(file)!r}]); print(*sys.modules)"
    )
    assert not {"scipy", "matplotlib", "pyarrow", "torch"} & set(run(code))


def test_nothing_seeds_the_global_generator(overconfident):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    ct.evaluate(overconfident, resamples=50)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def fourth(q):
    """Fourth root of the mean fourth power of a bin's gap."""
    ratio = np.divide(q.gap, q.mass, out=np.zeros_like(q.gap), where=q.mass > 0)
    return (q.mass * ratio**4).sum(-1) ** 0.25


def hinge(rows, *, margin: float = 0.5):
    """Mean of max(0, margin - p(label))."""
    return np.maximum(0, margin - rows.prob)


def test_a_toy_metric_of_two_lines_reaches_the_help_the_json_and_the_docs(
    monkeypatch, capsys, examples
):
    """CONTRIBUTING shows these lines."""
    line = metrics.BinnedError("toy-ce", "Toy error", "4-norm of the gaps", "", norm="fourth")
    score = metrics.Score("toy-hinge", "Toy hinge", "mean shortfall", "", hinge)
    monkeypatch.setitem(metrics.NORMS, "fourth", fourth)
    monkeypatch.setitem(metrics.SECTIONS, "binned", (*metrics.BINNED, line))
    monkeypatch.setitem(metrics.SECTIONS, "scores", (*metrics.SCORES, score))
    monkeypatch.setitem(metrics.METRICS, "toy-ce", line)
    monkeypatch.setitem(metrics.METRICS, "toy-hinge", score)

    assert main(["metrics"]) == 0
    assert "toy-ce" in capsys.readouterr().out
    assert "[toy-hinge](metrics/toy-hinge.md) | Toy hinge: mean shortfall |" in reference.page()
    assert "| margin | 0.5 |" in reference.metric_page(score)

    file = str(examples / "fashion_test.npz")
    specs = "toy-ce(bins=10),toy-hinge(margin=0.9),ece(norm=fourth)"
    assert main(["evaluate", file, "--metrics", specs, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    names = [entry["name"] for entry in found]
    assert names == ["toy-ce(bins=10)", "toy-hinge(margin=0.9)", "ece(norm=fourth)"]
    assert all(entry["low"] <= entry["value"] <= entry["high"] for entry in found[1:2])
    assert found[0]["p_value"] < 0.05
    assert main(["check", file, "--require", "toy-ce <= 0.9"]) == 0


def test_norms_and_views_are_options_of_ece(overconfident):
    specs = ["ece(norm=l2)", "rmsce", "ece(view=class)", "classwise-ece", "ece(norm=worst)", "mce"]
    found = [e.value for e in ct.evaluate(overconfident, specs, ci="none")]
    assert found[0::2] == found[1::2]


def test_norms_take_leading_axes():
    rng = np.random.Generator(np.random.PCG64(0))
    gap, mass = rng.normal(size=(2, 3, 5)), rng.random((2, 3, 5))
    for norm in (norms.l1, norms.l2, norms.worst):
        whole = norm(profiles.Profile(gap, mass))
        assert whole.shape == (2, 3)
        assert whole[1, 2] == pytest.approx(float(norm(profiles.Profile(gap[1, 2], mass[1, 2]))))
