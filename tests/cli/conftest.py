"""What the tests of the command line share: a folder of its own, real data, one way to run."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import calibtool as ct
from calibtool.cli.main import main


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test stands in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("CALIBTOOL_TRACEBACK", raising=False)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """A command in this process; it may fail, but never with a traceback or as a bug."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "internal error" not in err, err
        return Result(code, out, err)

    return call


@pytest.fixture
def refused(run: Callable[..., Result], folder: Path) -> Callable[..., str]:
    """A command that must exit with 2, say `says`, print nothing, or what says the same as JSON,
    and leave nothing behind."""

    def call(*arguments: object, says: tuple[str, ...] = ()) -> str:
        before = sorted(str(path) for path in folder.rglob("*"))
        result = run(*arguments)
        assert result.code == 2, (result.code, result.out, result.err)
        if "json" in arguments:
            assert result.err == f"calibtool: {json.loads(result.out)['error']}\n"
        else:
            assert result.out == ""
        for text in says:
            assert text in result.err, (text, result.err)
        assert sorted(str(path) for path in folder.rglob("*")) == before
        return result.err

    return call


@pytest.fixture
def without_privileges() -> Callable[[Callable[[], object]], None]:
    """Call a function in a thread to which file permissions apply, also where root runs the tests.

    Root passes over permissions by capabilities, which a thread can lay down for itself, for good.
    """

    def call(function: Callable[[], object]) -> None:
        with ThreadPoolExecutor(1, initializer=_lay_down_capabilities) as thread:
            thread.submit(function).result()

    return call


def _lay_down_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    none = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, in two words each
    assert libc.capset(header, none) == 0, os.strerror(ctypes.get_errno())


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A command in a process of its own, where what the process does is the question.

    As text it is a shell's line, in which `calibtool` is the command.
    """

    def call(line: str | list[str], **options: object) -> subprocess.CompletedProcess[str]:
        tool = [sys.executable, "-m", "calibtool"]
        if isinstance(line, str):
            quoted = " ".join(f"'{part}'" for part in tool)
            wrapped = f'set -o pipefail; calibtool() {{ {quoted} "$@"; }}; {line}'
            command = ["bash", "-c", wrapped]
        else:
            command = [*tool, *line]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, **{"timeout": 60, **options}
        )

    return call


class Data(NamedTuple):
    """Plausible predictions of 3 classes: logits, probabilities, labels."""

    logits: np.ndarray
    probs: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="session")
def data() -> Data:
    rng = np.random.default_rng(0)
    logits = (2 * rng.normal(size=(240, 3))).astype(np.float32)
    noise = rng.integers(0, 3, 240)
    labels = np.where(rng.random(240) < 0.6, logits.argmax(axis=1), noise)
    probs = np.exp(logits.astype(np.float64))
    return Data(logits, probs / probs.sum(axis=1, keepdims=True), labels)


@pytest.fixture
def good(data: Data) -> Path:
    """A file with nothing wrong."""
    np.savez("good.npz", logits=data.logits, labels=data.labels)
    return Path("good.npz")


@pytest.fixture
def calibrator(data: Data) -> Path:
    """A calibrator fitted on the good file."""
    ct.fit("temperature", ct.Predictions.from_logits(data.logits, data.labels)).save("cal.json")
    return Path("cal.json")
