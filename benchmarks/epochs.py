"""Epochs of `calibtool train` beside a bare loop over torch's DataLoader that does the same work.

python benchmarks/epochs.py [NAME ...]

The same work: the same network, with inputs standardised in it, the same optimizer and schedule,
cross-entropy of torch, validation NLL, accuracy and ECE after each epoch, and the weights and the
optimizer saved. The bare loop takes a batch of arrays by one index, which is several times faster
than DataLoader's default of 128 items that are stacked.

Runs take turns in one process on one thread. Of the epochs after the first, two numbers are kept:
the median of seconds of the processor, which other work on the machine hardly moves, and the least
by the clock, which counts where workers read.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
)

from calibtool.train import run
from calibtool.train.data.dataset import Arrays, Data, Rows
from calibtool.train.data.factory import Items
from calibtool.train.data.split import Splits
from calibtool.train.optimise import optimizer
from calibtool.train.settings import Settings
from calibtool.train.start import begin
from calibtool.train.world import World

RESULTS = Path(__file__).parent / "results" / "epochs.json"
TURNS = 3
EPOCHS = 6
SLOW = 0.005  # seconds per item of "items": a JPEG of ImageNet takes about as long to decode


@dataclass(frozen=True)
class Case:
    """A network, its data, and the most that an epoch may take, in those of the bare loop."""

    model: str
    data: Callable[[], tuple[Any, np.ndarray, str]]
    most: float
    workers: int = 0


def features() -> tuple[np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16_000, 512)).astype(np.float32)
    return x, (x[:, :10] + rng.normal(size=(16_000, 10))).argmax(1), "features"


def images() -> tuple[np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (600, 3, 32, 32), np.uint8), rng.integers(0, 10, 600), "images"


class Slow(Dataset[tuple[torch.Tensor, int]]):
    """Items that take a while to read."""

    def __init__(self) -> None:
        self.x, y, _ = images()
        self.x, self.targets = self.x[:400], y[:400]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        time.sleep(SLOW)
        return torch.from_numpy(self.x[i]), int(self.targets[i])


def items() -> tuple[Slow, np.ndarray, str]:
    slow = Slow()
    return slow, slow.targets, "images"


CASES = {
    "a linear head on features": Case("linear", features, 1.5),
    "two hidden layers on features": Case("mlp", features, 1.5),
    "ResNet-20 on images": Case("resnet20", images, 1.1),
    "items of 5 ms, 4 workers": Case("linear", items, 1.1, workers=4),
}


class Clock:
    """The time at which each epoch was over: measured, and before it that of the last was saved."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def start(self, title: str, epochs: int) -> None: ...
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...

    def epoch(self, row: Any) -> None:
        self.ends.append(now())


def now() -> tuple[float, float]:
    """Seconds of the processor, and by the clock."""
    return time.process_time(), time.perf_counter()


def parts_of(case: Case) -> tuple[Data, dict[str, Rows]]:
    x, y, kind = case.data()
    inputs = Items(x) if isinstance(x, Dataset) else Arrays(x)
    rows = Rows(inputs, y, np.arange(len(y)))
    cut = np.split(np.arange(len(y)), [len(y) * 6 // 10, len(y) * 8 // 10])
    parts = {name: rows.take(at) for name, at in zip(("train", "val", "test"), cut, strict=True)}
    shape = inputs.take(np.arange(1)).shape[1:]
    return Data("made", parts, 10, shape, kind), parts


def ours(case: Case, settings: Settings) -> list[list[float]]:
    """Seconds of each epoch of `calibtool train` after the first."""
    data, _ = parts_of(case)
    clock = Clock()
    run(settings, data=data, watch=clock)
    return np.diff(clock.ends, axis=0).tolist()


def bare(case: Case, settings: Settings) -> list[list[float]]:
    """Seconds of each epoch of the loop that is typed after the first."""
    data, parts = parts_of(case)
    torch.manual_seed(0)
    state = begin(settings, data, Splits(**parts), World(torch.device("cpu")))
    model, optimizer_ = state.model, optimizer(state.model, settings)
    loaders = {}
    for name in ("train", "val"):
        rows = parts[name]
        if isinstance(source := case.data()[0], Dataset):
            held: Any = Subset(source, rows.ids.tolist())
        else:
            x = rows.inputs.take(np.arange(len(rows)))
            held = TensorDataset(torch.from_numpy(x), torch.from_numpy(rows.labels))
        train = name == "train"
        if isinstance(source, Dataset):
            loaders[name] = DataLoader(
                held,
                settings.batch_size,
                shuffle=train,
                num_workers=case.workers,
                persistent_workers=True,
            )
        else:  # a batch of rows by one index, instead of 128 items that are stacked
            order = RandomSampler(held) if train else SequentialSampler(held)
            batches = BatchSampler(order, settings.batch_size, drop_last=False)
            loaders[name] = DataLoader(held, sampler=batches, batch_size=None)
    steps = len(loaders["train"]) * settings.epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer_, steps)
    ends = []
    for _ in range(settings.epochs):
        model.train()
        total = 0.0
        for x, y in loaders["train"]:
            optimizer_.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer_.step()
            schedule.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            outputs = [(model(x), y) for x, y in loaders["val"]]
        logits, labels = (torch.cat(column) for column in zip(*outputs, strict=True))
        measured(logits, labels)
        ends.append(now())
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer_.state_dict()},
            f"{settings.out}.pt",
        )
    return np.diff(ends, axis=0).tolist()


def measured(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float]:
    """NLL, accuracy and ECE of 15 bins."""
    p, top = logits.softmax(1).max(1)
    right = (top == labels).double()
    bins = (p.double() * 15).long().clamp_max(14)
    gaps = torch.zeros(15, dtype=torch.double).index_add_(0, bins, p.double() - right)
    ece = float(gaps.abs().sum() / len(labels))
    return float(functional.cross_entropy(logits, labels)), float(right.mean()), ece


def main(names: list[str]) -> None:
    """Measure the cases, all of them by default, and write results/epochs.json."""
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    record["made_with"] = {"python": platform.python_version(), "torch": torch.__version__}
    torch.set_num_threads(1)
    for name, case in CASES.items():
        if names and name not in names:
            continue
        taken: dict[str, list[list[float]]] = {"bare": [], "calibtool": []}
        for turn in range(TURNS):
            for who, loop in (("bare", bare), ("calibtool", ours)):
                with tempfile.TemporaryDirectory() as folder:
                    settings = Settings(
                        data="made",
                        out=str(Path(folder) / str(turn)),
                        model=case.model,
                        epochs=EPOCHS,
                        device="cpu",
                        threads=1,
                        workers=case.workers,
                    )
                    taken[who] += loop(case, settings)
        measured_by = "clock" if case.workers else "processor"
        cpu = {who: median(own[0] for own in all_) for who, all_ in taken.items()}
        wall = {who: min(own[1] for own in all_) for who, all_ in taken.items()}
        kept = wall if case.workers else cpu
        ratio = kept["calibtool"] / kept["bare"]
        record["cases"][name] = {
            **{f"{who}_cpu_seconds": round(seconds, 4) for who, seconds in cpu.items()},
            **{f"{who}_seconds": round(seconds, 4) for who, seconds in wall.items()},
            "measured_by": measured_by,
            "ratio": round(ratio, 2),
            "most": case.most,
            "workers": case.workers,
        }
        print(f"{name}: {kept['bare']:.4f} s, {kept['calibtool']:.4f} s, {ratio:.2f}x", flush=True)
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
