"""How fast the losses are, beside cross-entropy and loops over rows: python benchmarks/losses.py

Forward, and forward with backward, of a batch of 1,024 rows on one thread; each number is the
median of repetitions that are taken by turns. The yardsticks are torch's own cross_entropy, and
FLSD-53 written as a loop: a row at a time through torch (`rows`), and, as the paper's code does it,
the batch at once but for gamma, which is looked up a row at a time (`gammas`). With many classes
all of them spend their time in log_softmax.

A small batch, 128 rows of 10 classes, takes what its operations take to start: each loss in blocks
of calls, by turns, and its seconds over those of torch's cross_entropy. Memory is what forward and
backward of 1,024 rows of 20,000 classes add to the process at their peak, over the same of
cross_entropy; Linux alone tells it. Writes results/losses.json.
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
SMALL_ROWS, SMALL_CLASSES, BLOCK, WARM = 128, 10, 40, 5
MANY_CLASSES = 20_000
TORCH = "torch cross_entropy"


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


def small() -> list[dict[str, object]]:
    """Seconds of a small batch, and their ratio to those of cross_entropy."""
    generator = torch.Generator().manual_seed(0)
    z = 3 * torch.randn(SMALL_ROWS, SMALL_CLASSES, generator=generator)
    y = torch.arange(SMALL_ROWS) % SMALL_CLASSES
    whole = {TORCH: cross_entropy} | {
        name: make_loss(name, classes=SMALL_CLASSES) for name in LOSSES
    }
    calls = {name: both(loss, z, y) for name, loss in whole.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(50):
        for name, call in calls.items():
            for turn in range(BLOCK):
                began = time.perf_counter()
                call()
                if turn >= WARM:
                    taken[name].append(time.perf_counter() - began)
    found = {name: statistics.median(own) for name, own in taken.items()}
    return [
        {"loss": name, "seconds": own, "ratio": round(own / found[TORCH], 2)}
        for name, own in found.items()
    ]


def memory() -> list[dict[str, object]]:
    """Bytes that a call adds at its peak, and their ratio to those of cross_entropy."""
    z = torch.randn(ROWS, MANY_CLASSES, generator=torch.Generator().manual_seed(0))
    y = torch.arange(ROWS)
    whole = {TORCH: cross_entropy} | {
        name: make_loss(name, classes=MANY_CLASSES) for name in LOSSES
    }
    found = {name: added(both(loss, z, y)) for name, loss in whole.items()}
    return [
        {"loss": name, "bytes": own, "ratio": round(own / found[TORCH], 2)}
        for name, own in found.items()
    ]


def added(call: Callable[[], object]) -> int:
    """Bytes by which the peak of the process rises during a call, the second one."""
    call()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


def status(key: str) -> int:
    """A number of bytes from /proc/self/status."""
    (line,) = [
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key)
    ]
    return 1024 * int(line.split()[1])


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
        whole |= {TORCH: cross_entropy, "rows": rows, "gammas": gammas}
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
    sections = {"rows": record, "small": small(), "memory": memory()}
    texts = [f' "made_with": {json.dumps(made)}']
    for name, lines in sections.items():
        listed = ",\n  ".join(json.dumps(line) for line in lines)
        texts.append(f' "{name}": [\n  {listed}\n ]')
    RESULTS.write_text("{\n" + ",\n".join(texts) + "\n}\n")
    for line in record:
        if "rows / ours" in line:
            print(f"{line['classes']} classes, {line['part']}: {line['rows / ours']} times as fast")


if __name__ == "__main__":
    main()
