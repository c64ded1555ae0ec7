"""benchmarks/gpu.py in its small form, so that it works on the day when there is a GPU."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from calibtool.cli.main import main

pytest.importorskip("torch", reason="training needs the extra calibtool[train]")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def test_the_gpu_script_passes_in_small(tmp_path, monkeypatch, capsys):
    """In this process, with `calibtool train` but where it runs on two: loading torch in processes
    of their own takes longer than all checks."""
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    gpu = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gpu)
    start = subprocess.run

    def run(command, **options):
        if command[: len(gpu.TRAIN)] != gpu.TRAIN:
            return start(command, **options)
        code = main(["train", *command[len(gpu.TRAIN) :]])
        return subprocess.CompletedProcess(command, code, *capsys.readouterr())

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("PYTHONPATH", "")  # the script sets it
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--small", "--results", str(tmp_path / "gpu.json")])
    assert gpu.main() == 0, capsys.readouterr()
    checks = json.loads((tmp_path / "gpu.json").read_text())["checks"]
    assert [line["check"] for line in checks] == [
        "losses in float32",
        "losses in bfloat16",
        "losses compiled",
        "train in float32",
        "two processes on cpu",
        "ResNet-50 in bfloat16",
    ]
    assert all(line["passed"] for line in checks)
