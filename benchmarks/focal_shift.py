"""Calibrated on clean rows, then the rows change: python benchmarks/focal_shift.py FOLDER

Trains the networks of benchmarks/focal.py on Fashion-MNIST with cross-entropy and with focal loss,
fits the temperature to clean validation images, and measures the test images with noise, turned,
and moved, at several strengths. FOLDER holds what benchmarks/focal_data.py makes. Writes
results/focal_shift.json after every run, and does not repeat runs that are there already.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from focal import DIGITS, HERE, SEEDS, Trained, trained, write
from torch import Tensor
from torch.nn import functional

import calibtool as ct
from calibtool.train.data.dataset import Arrays

RESULTS = HERE / "results" / "focal_shift.json"
LOSSES = ("cross-entropy", "focal")
NAMES = ("fashion", "fashion-conv")
METRICS = ("accuracy", "mean-confidence", "nll", "ece")


def noise(images: Tensor, strength: float) -> Tensor:
    """Gaussian noise, with this share of the range of pixels as its deviation."""
    generator = torch.Generator().manual_seed(0)
    return images + 255 * strength * torch.randn(images.shape, generator=generator)


def rotation(images: Tensor, degrees: float) -> Tensor:
    """Images turned about their middle; what comes in is black."""
    angle = torch.deg2rad(torch.tensor(degrees))
    turn = torch.tensor(
        [[torch.cos(angle), -torch.sin(angle), 0.0], [torch.sin(angle), torch.cos(angle), 0.0]]
    )
    grid = functional.affine_grid(turn.expand(len(images), 2, 3), images.shape, align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def translation(images: Tensor, pixels: float) -> Tensor:
    """Images moved to the right by whole pixels; what comes in is black."""
    return functional.pad(images, (int(pixels), 0))[..., : images.shape[-1]]


SHIFTS: dict[str, tuple[Callable[[Tensor, float], Tensor], tuple[float, ...]]] = {
    "noise": (noise, (0.0, 0.05, 0.1, 0.2, 0.3)),
    "rotation": (rotation, (0.0, 15.0, 30.0, 45.0, 60.0)),
    "translation": (translation, (0.0, 1.0, 2.0, 4.0, 6.0)),
}


def one(name: str, loss: str, seed: int, folder: Path) -> dict[str, Any]:
    """A run: the test rows under every shift, before and after the temperature of clean rows."""
    began = time.monotonic()
    with trained(name, loss, seed, folder) as run:
        cooled = ct.fit("temperature", run.predictions(run.parts.val))
        points = [
            {"shift": shift, "strength": strength, **measured(run, cooled, shift, strength)}
            for shift, (_, strengths) in SHIFTS.items()
            for strength in strengths
        ]
    return {
        "data": name,
        "loss": loss,
        "seed": seed,
        "temperature": round(cooled.map.temperature, DIGITS),
        "seconds": round(time.monotonic() - began, 1),
        "points": points,
    }


def measured(run: Trained, cooled: Any, shift: str, strength: float) -> dict[str, Any]:
    """The metrics of the test rows under a shift."""
    test = run.parts.test
    clean = torch.from_numpy(test.inputs.take(np.arange(len(test)))).float()
    moved = SHIFTS[shift][0](clean, strength).round().clamp(0, 255).to(torch.uint8).numpy()
    predictions = run.predictions(replace(test, inputs=Arrays(moved)))
    found = {}
    for when, each in (("before", predictions), ("after", cooled(predictions))):
        report = ct.evaluate(each, list(METRICS), ci="none")
        found[when] = {e.name: round(float(e.value), DIGITS) for e in report.estimates}
    return found


def main(folder: Path) -> None:
    """Every run that is not there yet."""
    record: dict[str, Any] = {"runs": []}
    if RESULTS.exists():
        record = json.loads(RESULTS.read_text())
    record["made_with"] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "calibtool": ct.__version__,
    }
    done = {(run["data"], run["loss"], run["seed"]) for run in record["runs"]}
    for which in ((n, loss, seed) for seed in SEEDS for n in NAMES for loss in LOSSES):
        if which not in done:
            record["runs"].append(one(*which, folder))
            write(record, RESULTS)
            print(*which, record["runs"][-1]["seconds"], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
