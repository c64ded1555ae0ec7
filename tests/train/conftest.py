"""Small data to train on, and one way to run the command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from small import blobs, pictures

from calibtool.cli.main import main

# as the command sets it before it loads torch: threads that wait sleep instead of spinning
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """One thread of torch: on batches this small, threads take seven times the CPU time of one,
    nearly all of it spent waiting for each other."""
    if find_spec("torch") is None:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test stands in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALIBTOOL_TRACEBACK", raising=False)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`calibtool train` in this process; it may fail, but never with a traceback or as a bug."""

    def call(*arguments: object, command: str = "train") -> Result:
        capsys.readouterr()
        code = main([command, *(str(argument) for argument in arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "internal error" not in err, err
        return Result(code, out, err)

    return call


@pytest.fixture
def refused(train: Callable[..., Result]) -> Callable[..., str]:
    """A call that must exit with 2, say `says`, and leave no run behind."""

    def call(*arguments: object, says: tuple[str, ...]) -> str:
        result = train(*arguments)
        assert result.code == 2, (result.code, result.out, result.err)
        assert result.out == ""
        for text in says:
            assert text in result.err, (text, result.err)
        if "--out" in arguments:
            out = Path(str(arguments[arguments.index("--out") + 1]))
            assert not (out / "model.safetensors").exists()
        return result.err

    return call


@pytest.fixture
def features(folder: Path) -> Path:
    """features.npz of 400 rows, with ids of its own."""
    x, y = blobs(400)
    np.savez("features.npz", x=x, y=y, ids=1000 + np.arange(400))
    return Path("features.npz")


@pytest.fixture
def images(folder: Path) -> Path:
    """images.npz, NHWC."""
    x, y = pictures(200)
    np.savez("images.npz", x=np.repeat(x[..., None], 3, axis=3), y=y)
    return Path("images.npz")
