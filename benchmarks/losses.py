"""How fast the losses are, beside loops over rows: python benchmarks/losses.py

Forward, and forward with backward, of a batch of 1,024 rows on one thread; each number is the
median of repetitions that are taken by turns. The yardsticks are torch's own cross_entropy, and
FLSD-53 written as a loop: a row at a time through torch (`rows`), and, as the paper's code does it,
the batch at once but for gamma, which is looked up a row at a time (`gammas`). With many classes
all of them spend their time in log_softmax. Writes results/losses.json.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from calibtool.train import make_loss
from calibtool.train.losses.registry import LOSSES

RESULTS = Path(__file__).parent / "results" / "losses.json"
ROWS, CLASSES = 1024, (10, 100, 1000)


def rows(logits: Tensor, labels: Tensor) -> Tensor:
    """FLSD-53, a row at a time."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        log_p = log_softmax(row, 0)[label]
        p = log_p.exp()
        gamma = 5.0 if p.item() < 0.2 else 3.0
        losses.append(-((1 - p) ** gamma) * log_p)
    return torch.stack(losses).mean()


def gammas(logits: Tensor, labels: Tensor) -> Tensor:
    """FLSD-53, with a loop for gamma alone."""
    log_p = log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]
    p = log_p.exp()
    found = torch.tensor([5.0 if one.item() < 0.2 else 3.0 for one in p])
    return (-((1 - p) ** found) * log_p).mean()


def seconds(calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Median seconds of each call, taken by turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeat + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(own) for name, own in taken.items()}


def forward(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> Callable[[], object]:
    def call() -> None:
        with torch.no_grad():
            loss(z, y)

    return call


def both(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, y: Tensor) -> Callable[[], object]:
    leaf = z.clone().requires_grad_()

    def call() -> None:
        leaf.grad = None
        loss(leaf, y).backward()

    return call


def main() -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    record = []
    for classes in CLASSES:
        generator = torch.Generator().manual_seed(0)
        z = 3 * torch.randn(ROWS, classes, generator=generator)
        y = torch.arange(ROWS) % classes
        ours = make_loss("flsd-53", classes=classes)
        torch.testing.assert_close(ours(z, y), rows(z, y))
        torch.testing.assert_close(ours(z, y), gammas(z, y))
        p = log_softmax(z, 1).gather(1, y[:, None])[:, 0].exp()
        alone = {
            "flsd-53": lambda p=p, ours=ours: ours.gamma_at(p),
            "gammas": lambda p=p: torch.tensor([5.0 if one.item() < 0.2 else 3.0 for one in p]),
        }
        parts = {"gamma alone": alone}
        whole = {name: make_loss(name, classes=classes) for name in LOSSES}
        whole |= {"torch cross_entropy": cross_entropy, "rows": rows, "gammas": gammas}
        for part, way in (("forward", forward), ("forward and backward", both)):
            parts[part] = {name: way(loss, z, y) for name, loss in whole.items()}
        for part, calls in parts.items():
            found = seconds(calls, repeat=15)
            for name, own in found.items():
                line = {"classes": classes, "part": part, "loss": name, "seconds": own}
                for other in ("rows", "gammas"):
                    if name == "flsd-53" and other in found:
                        line[f"{other} / ours"] = round(found[other] / own, 1)
                record.append(line)
                print(json.dumps(line), flush=True)
    made = {"python": platform.python_version(), "torch": torch.__version__, "threads": 1}
    text = ",\n  ".join(json.dumps(line) for line in record)
    RESULTS.write_text(f'{{\n "made_with": {json.dumps(made)},\n "rows": [\n  {text}\n ]\n}}\n')
    for line in record:
        if "rows / ours" in line:
            print(f"{line['classes']} classes, {line['part']}: {line['rows / ours']} times as fast")


if __name__ == "__main__":
    main()
