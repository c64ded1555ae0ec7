"""Does training work on a GPU? python benchmarks/gpu.py, about five minutes on one GPU.

Checks, each in its line, and writes results/gpu.json:

- every loss on the device against the CPU: value and gradient, in float32 and under bfloat16;
- every loss compiled to one graph (`torch.compile(fullgraph=True)`) against itself;
- `calibtool train` in float32, in bfloat16, and in float16 with the gradient scaler;
- `calibtool train` by torchrun with two processes: on two GPUs, or on the CPU if there is one;
- a ResNet-50 trained on 20,000 made images of 32 by 32 pixels with focal loss: seconds,
  and an error far below that of guessing.

`--small` does the same on a CPU in half a minute, with few rows and a thin network, and runs graphs
as they are instead of compiling them; float16 is left out, which CPUs do not train in.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import calibtool as ct
from calibtool.train import make_loss
from calibtool.train.losses.registry import LOSSES

RESULTS = Path(__file__).parent / "results" / "gpu.json"
CLASSES = 10
# Largest distance from the CPU's loss in float64. bfloat16 keeps 8 bits of the logits.
OFF = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
TRAIN = [sys.executable, "-m", "calibtool", "train"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def agree(device: str, dtype: torch.dtype) -> str:
    """Every loss and its gradient on the device, against the CPU in float64."""
    z, y = logits(256)
    z = z.to(dtype).double()  # the same numbers in both places
    for name in LOSSES:
        loss = make_loss(name, classes=CLASSES)
        value, gradient = both(loss, z, y)
        ours, theirs = both(loss.to(device), z.to(device, dtype), y.to(device))
        close(name, ours, value, OFF[dtype])
        close(f"{name}, gradient", theirs, gradient, OFF[dtype])
    return f"{len(LOSSES)} losses"


def compiled(device: str, small: bool) -> str:
    """Every loss as one graph, against itself."""
    z, y = (part.to(device) for part in logits(256))
    for name in LOSSES:
        torch.compiler.reset()
        loss = make_loss(name, classes=CLASSES).to(device)
        graph = torch.compile(loss, fullgraph=True, backend="eager" if small else "inductor")
        value, gradient = both(loss, z, y)
        ours, theirs = both(graph, z, y)
        close(name, ours, value, OFF[torch.float32])
        close(f"{name}, gradient", theirs, gradient, OFF[torch.float32])
    return f"{len(LOSSES)} losses"


def logits(rows: int) -> tuple[Tensor, Tensor]:
    """Logits and labels."""
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(rows, CLASSES, generator=generator), torch.arange(rows) % CLASSES


def both(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """A loss and its gradient."""
    leaf = z.detach().clone().requires_grad_()
    value = loss(leaf, y)
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def close(what: str, ours: Tensor, theirs: Tensor, off: float) -> None:
    """Check that two tensors agree, by the largest number in them."""
    ours, theirs = ours.double().cpu(), theirs.double().cpu()
    distance = float((ours - theirs).abs().max() / theirs.abs().max())
    if not distance <= off:
        raise AssertionError(f"{what}: off by {distance:.2g}, more than {off:g}")


def images(path: Path, rows: int, size: int) -> None:
    """Write made images: a class is the direction of stripes, under noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(CLASSES, size=rows)
    angle = np.pi * y / CLASSES
    across = np.arange(size) * 2 * np.pi / 8
    phase = (
        np.cos(angle)[:, None, None] * across[None, :, None]
        + np.sin(angle)[:, None, None] * across[None, None, :]
        + rng.uniform(0, 2 * np.pi, (rows, 1, 1))
    )
    grey = 128 + 60 * np.sin(phase)[..., None] + rng.normal(0, 50, (rows, size, size, 3))
    np.savez(path, x=grey.clip(0, 255).astype(np.uint8), y=y)


def train(start: list[str], folder: Path, out: str, *options: str) -> dict[str, float]:
    """Run `calibtool train`; the error of its test rows, and seconds."""
    began = time.monotonic()
    command = [*start, "--data", str(folder / "images.npz"), "--out", str(folder / out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"exit code {done.returncode}: {done.stderr[-2000:]}")
    found = np.load(folder / out / "test_logits.npz")
    test = ct.Predictions.from_logits(found["logits"], found["labels"])
    values = {e.name: e.value for e in ct.evaluate(test, ["accuracy", "ece"], ci="none").estimates}
    return {
        "error": round(1 - values["accuracy"], 4),
        "ece": round(values["ece"], 4),
        "seconds": round(time.monotonic() - began, 1),
    }


def learned(found: dict[str, float], most: float) -> str:
    """Check the error of a run; the run as text."""
    if not found["error"] <= most:
        raise AssertionError(f"error {found['error']}, more than {most}")
    return ", ".join(f"{key} {value:g}" for key, value in found.items())


def checks(folder: Path, device: str, small: bool) -> dict[str, Callable[[], str]]:
    """What is checked, by name."""
    rows, size, width, epochs = (300, 8, 2, 1) if small else (20_000, 32, 64, 6)
    images(folder / "images.npz", rows, size)
    most = 1.0 if small else 0.3  # guessing: 0.9; a thin network learns nothing from 180 images
    model = ["--model", f"resnet50(width={width})", "--loss", "focal", "--threads", "1"]
    long = [*model, "--epochs", str(epochs), "--device", device]
    short = [*model, "--epochs", "1", "--device", device]
    two = device if torch.cuda.device_count() > 1 else "cpu"
    head = ["--model", "linear", "--epochs", "1", "--threads", "1", "--device", two]
    found: dict[str, Callable[[], str]] = {
        "losses in float32": lambda: agree(device, torch.float32),
        "losses in bfloat16": lambda: agree(device, torch.bfloat16),
        "losses compiled": lambda: compiled(device, small),
        "train in float32": lambda: learned(
            train(TRAIN, folder, "float32", *short, "--precision", "float32"), 1.0
        ),
        f"two processes on {two}": lambda: learned(
            train([*TORCHRUN, "-m", "calibtool", "train"], folder, "two", *head), 1.0
        ),
        "ResNet-50 in bfloat16": lambda: learned(
            train(TRAIN, folder, "resnet", *long, "--precision", "bfloat16"), most
        ),
    }
    if device == "cuda":
        found["train in float16, scaled"] = lambda: learned(
            train(TRAIN, folder, "float16", *short, "--precision", "float16"), 1.0
        )
    return found


def main() -> int:
    """Check everything; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--small", action="store_true", help="on a CPU, in half a minute")
    parser.add_argument("--results", type=Path, help="file to write, default results/gpu.json")
    given = parser.parse_args()
    if not given.small and not torch.cuda.is_available():
        parser.error("torch sees no GPU here; --small runs on a CPU")
    device = "cpu" if given.small else "cuda"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(ct.__file__).parents[1]), *sys.path])
    record: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, check in checks(Path(folder), device, given.small).items():
            began = time.monotonic()
            try:
                line = {"check": name, "passed": True, "found": check()}
            except (AssertionError, RuntimeError) as error:
                line = {"check": name, "passed": False, "found": str(error)}
            line["seconds"] = round(time.monotonic() - began, 1)
            record.append(line)
            print(json.dumps(line), flush=True)
    made = {
        "device": "cpu" if given.small else torch.cuda.get_device_name(0),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    path = given.results or (None if given.small else RESULTS)
    if path:
        text = ",\n  ".join(json.dumps(line) for line in record)
        path.write_text(f'{{\n "made_with": {json.dumps(made)},\n "checks": [\n  {text}\n ]\n}}\n')
    return 0 if all(line["passed"] for line in record) else 1


if __name__ == "__main__":
    sys.exit(main())
