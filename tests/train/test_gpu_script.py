"""benchmarks/gpu.py in its small form, so that it works on the day when there is a GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the extra calibtool[train]")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def test_the_gpu_script_passes_in_small(tmp_path):
    command = [sys.executable, str(SCRIPT), "--small", "--results", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
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
