"""Does focal loss calibrate? The paper's table (Mukhoti et al. 2020) on data at hand, by seed.

    python benchmarks/focal_data.py FOLDER
    python benchmarks/focal.py FOLDER          about two hours on one core

Trains each network with each loss and seed by calibtool's own loop, long enough for cross-entropy
to overfit its NLL, and measures the test rows before and after the temperature of the validation
rows. After each epoch of a loss that is drawn it looks at the training rows as the paper does: NLL
and entropy of those that are right and those that are wrong, and the norm of the last layer's
weights. Writes results/focal.json after every run, and does not repeat runs that are there already.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import log_softmax

import calibtool as ct
from calibtool.errors import FitError
from calibtool.train.data.dataset import Rows
from calibtool.train.data.read import read
from calibtool.train.data.split import Splits, split
from calibtool.train.feed import Feed
from calibtool.train.forward import predict
from calibtool.train.gamma_search import search
from calibtool.train.loop import Silent, TrainingState, fit
from calibtool.train.models.registry import tokenized
from calibtool.train.settings import Settings
from calibtool.train.start import begin
from calibtool.train.world import open_world, seeded, threads

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "focal.json"
METRICS = ("accuracy", "nll", "brier", "ece", "ada-ece", "classwise-ece", "mean-confidence")
SEEDS = (0, 1, 2)
FIRST = ("cross-entropy", "focal", "flsd-53", "label-smoothing", "brier")
THEN = ("adafocal", "dual-focal")
SEARCHED = "focal, gamma by cross-validation"
LATER = (
    *("focal-auto", "focal-auto(least=3)", "mdca", "mbls"),
    *("mmce", "mmce-weighted", "mmce-weighted(divided=1)", SEARCHED),
)
AS_AUTHORS = {"reduction": "sum", "clip": 2.0}  # by Mukhoti et al. 2020, see calibtool's RECIPES
SUMMED = {f"{loss}, summed and clipped": loss for loss in ("cross-entropy", "focal")}
GAMMAS = (0.0, 1.0, 2.0, 3.0, 5.0)  # in two folds, to halve the time
DRAWN = {  # by focal_figures.py
    (name, loss)
    for name in ("fashion", "debian")
    for loss in ("cross-entropy", "focal", "label-smoothing", "brier")
}
SEARCHES = ("fashion", "fashion-short")  # a search is ten trainings
ONLY_IN = {SEARCHED: SEARCHES, **dict.fromkeys(SUMMED, ("fashion",))}
DIGITS = 5
KEPT = (
    *("head_norm", "norm", "train_error", "val_error", "val_nll", "val_ece"),
    *("train_right_nll", "train_wrong_nll", "train_right_entropy", "train_wrong_entropy"),
    *("val_right_nll", "val_wrong_nll", "val_right_entropy", "val_wrong_entropy"),
)


@dataclass(frozen=True)
class Setup:
    """A data set and how a network is trained on it; the rest is as `calibtool train` has it."""

    data: str
    model: str
    epochs: int
    options: dict[str, Any]


FASHION = Setup(
    "fashion.npz",
    "mlp(hidden=256)",
    60,
    {"optimizer": "sgd", "lr": 0.05, "schedule": "step", "lr_steps": (0.5, 0.75)},
)
SETUPS = {
    "fashion": FASHION,
    "debian": Setup(
        "debian.npz",
        "text-bag(buckets=16384, width=32)",
        30,
        {"optimizer": "adamw", "lr": 0.005, "weight_decay": 0.0001},
    ),
    "fashion-short": replace(FASHION, epochs=8),
    "fashion-conv": Setup(
        "fashion-small.npz",
        "focal_net.py:conv",
        25,
        {**FASHION.options, "normalize": "train"},
    ),
}
BY_TIME = ("fashion-short", "fashion-conv", "fashion", "debian")  # of a run, the shortest first


class Notes:
    """What is seen after each epoch."""

    def __init__(self, train: Feed, val: Feed, settings: Settings, place: Any) -> None:
        self.feeds = {"train": train, "val": val}
        self.settings, self.place = settings, place
        self.rows: list[dict[str, float]] = []

    def __call__(self, state: TrainingState) -> None:
        last = [p for name, p in state.model.network.named_parameters() if name.startswith("head")]
        everything = list(state.model.network.parameters())
        row: dict[str, float] = {
            "head_norm": norm(last[:1]),
            "norm": norm(everything),
        }
        for name, feed in self.feeds.items():
            logits = predict(state.model, feed, self.settings, self.place).double()
            row |= {f"{name}_{k}": v for k, v in seen(logits, feed.labels).items()}
        for key in ("val_nll", "val_ece"):
            row[key] = state.history[-1][key]
        self.rows.append(row)


def norm(parameters: list[torch.Tensor]) -> float:
    """Euclidean norm of all of them together."""
    return float(torch.sqrt(sum(p.detach().double().square().sum() for p in parameters)))


def seen(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Mean NLL and entropy, of the rows that are right and of those that are wrong."""
    log_p = log_softmax(logits, 1)
    p = log_p.exp()
    nll = -log_p.gather(1, labels[:, None])[:, 0]
    entropy = -(p * log_p).sum(1)
    right = log_p.argmax(1) == labels
    found = {"error": float((~right).double().mean())}
    for name, rows in (("right", right), ("wrong", ~right)):
        if rows.any():
            found[f"{name}_nll"] = float(nll[rows].mean())
            found[f"{name}_entropy"] = float(entropy[rows].mean())
    return found


@dataclass
class Trained:
    """A network at the end of its training, and what measures it; inside `trained` alone."""

    state: TrainingState
    parts: Splits
    notes: Notes | None
    loss: str
    settings: Settings
    place: Any

    def logits(self, rows: Rows) -> np.ndarray:
        """Logits of rows."""
        feed = Feed(rows, self.place.device)
        return predict(self.state.model, feed, self.settings, self.place).numpy()

    def predictions(self, rows: Rows) -> ct.Predictions:
        """Logits and labels of rows."""
        return ct.Predictions.from_logits(self.logits(rows), rows.labels)


@contextmanager
def trained(
    name: str, loss: str, seed: int, folder: Path, *, noted: bool = False
) -> Iterator[Trained]:
    """Train a network of a setup. Nothing but this knows how calibtool's own loop is called."""
    setup = SETUPS[name]
    with tempfile.TemporaryDirectory() as out:
        settings = Settings(
            data=str(folder / setup.data),
            out=out,
            model=setup.model.replace("focal_net.py", str(HERE / "focal_net.py")),
            loss="focal" if loss == SEARCHED else SUMMED.get(loss, loss),
            epochs=setup.epochs,
            seed=seed,
            device="cpu",
            gamma_search=GAMMAS if loss == SEARCHED else (),
            gamma_folds=2,
            **setup.options,
            **(AS_AUTHORS if loss in SUMMED else {}),
        )
        with open_world("cpu") as place, seeded(seed, place.device), threads(1):
            data = tokenized(settings.model, read(settings))
            parts = split(data, val_share=0.2, test_share=0.2, seed=seed)
            if loss == SEARCHED:
                chosen, _ = search(settings, data, parts, place, Silent())
                settings = replace(settings, loss=chosen, gamma_search=())
                torch.manual_seed(seed)
            state = begin(settings, data, parts, place)
            train, val = (Feed(p, place.device) for p in (parts.train, parts.val))
            notes = Notes(train, val, settings, place) if noted else None
            save = notes or (lambda _: None)
            fit(state, train, val, settings, place, watch=Silent(), save=save)
            yield Trained(state, parts, notes, settings.loss, settings, place)


def one(name: str, loss: str, seed: int, folder: Path) -> dict[str, Any]:
    """A run: what was seen in training, and the test rows before and after temperature."""
    began = time.monotonic()
    with trained(name, loss, seed, folder, noted=(name, loss) in DRAWN) as run:
        on_val, on_test = (run.predictions(rows) for rows in (run.parts.val, run.parts.test))
    try:
        cooled = ct.fit("temperature", on_val)
    except FitError:  # a network that learned nothing has none
        cooled = None
    return {
        "data": name,
        "loss": loss,
        "seed": seed,
        **({"chosen": run.loss} if loss == SEARCHED else {}),
        "temperature": round(cooled.map.temperature, DIGITS) if cooled else None,
        "before": measured(on_test),
        "after": measured(cooled(on_test)) if cooled else None,
        "seconds": round(time.monotonic() - began, 1),
        **({"epochs": columns(run.notes.rows)} if run.notes else {}),
    }


def columns(rows: list[dict[str, float]]) -> dict[str, list[float | None]]:
    """What is kept of the epochs, a list each; None where there was none, such as no wrong row."""
    return {key: [float(f"{row[key]:.4g}") if key in row else None for row in rows] for key in KEPT}


def measured(predictions: ct.Predictions) -> dict[str, float]:
    """The table's metrics, and their bias-corrected values where there are such."""
    report = ct.evaluate(predictions, list(METRICS), resamples=200, seed=0)
    found = {e.name: e.value for e in report.estimates}
    found |= {
        f"{e.name} corrected": e.corrected for e in report.estimates if e.corrected is not None
    }
    return {key: round(float(value), DIGITS) for key, value in found.items()}


def main(folder: Path) -> None:
    """Every run that is not there yet."""
    record: dict[str, Any] = {"runs": []}
    if RESULTS.exists():
        record = json.loads(RESULTS.read_text())
    done = {(r["data"], r["loss"], r["seed"]) for r in record["runs"]}
    record["made_with"] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "calibtool": ct.__version__,
    }
    record["setups"] = {
        name: {"model": s.model, "epochs": s.epochs, **s.options} for name, s in SETUPS.items()
    }
    todo = [
        (name, loss, seed)
        for seed in SEEDS
        for name in BY_TIME
        for loss in (*FIRST, *THEN, *LATER, *SUMMED)
        if name in ONLY_IN.get(loss, BY_TIME)
    ]
    for which in todo:
        if which not in done:
            run = one(*which, folder)
            record["runs"].append(run)
            write(record)
            print(line(run), flush=True)


def line(run: dict[str, Any]) -> str:
    """A run in a line."""
    before, after = run["before"], run["after"]
    cooled = (
        f"T {run['temperature']:.3f} -> nll {after['nll']:.4f} ece {after['ece']:.4f}"
        if after
        else "no T"
    )
    return (
        f"{run['data']} {run['loss']} {run['seed']}: error {1 - before['accuracy']:.4f} "
        f"nll {before['nll']:.4f} ece {before['ece']:.4f} {cooled}; {run['seconds']} s"
    )


def write(record: dict[str, Any], results: Path = RESULTS) -> None:
    """The results, whole or not at all; what is innermost on one line."""
    text = json.dumps(record, indent=1)
    for inner in (r"\{[^{}\[\]]*\}", r"\[[^{}\[\]]*\]"):
        text = re.sub(inner, lambda found: " ".join(found[0].split()), text)
    other = results.with_suffix(".part")
    other.write_text(text + "\n")
    other.replace(results)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
