"""Calibrators on real predictions, and their speed beside the peers'.

python benchmarks/calibrators.py quality FOLDER   every calibrator, cross-fitted, on the sets there
python benchmarks/calibrators.py speed [PART ...] fit and apply beside the peers that are installed

Each writes its part of results/calibrators.json.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from speed import HERE, Floats, Ints, Row, arrays, installed, line, missing, softmax, write

import calibtool as ct
from calibtool.data.rows import to_probs
from calibtool.formatting import number

# a peer imports the package `coverage`, which our own script of that name would hide
sys.path = [path for path in sys.path if Path(path).resolve() != HERE.resolve()]

RESULTS = HERE / "results" / "calibrators.json"
SETS = ("cifar10_resnet20", "cifar100_resnet20", "sst2_gpt2", "fvcaus_plda")
LIBRARIES = ("calibtool", "numpy", "scipy", "scikit-learn", "netcal", "probmetrics")
LIBRARIES = (*LIBRARIES, "torch-uncertainty", "uncertainty-calibration", "venn-abers", "torch")


def main() -> None:
    """Measure the part that is asked for and write it down."""
    record: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    load = os.getloadavg()[0]
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "quality":
        record["quality"] = [quality(Path(sys.argv[2]) / f"{name}.npz") for name in SETS]
    elif what == "speed":
        parts = sys.argv[2:] or list(PARTS)
        kept = [row for row in record.get("speed", []) if row["part"] not in parts]
        record["speed"] = sorted(
            [*kept, *(asdict(row) for row in speed(parts))],
            key=lambda row: list(PARTS).index(row["part"]),
        )
    else:
        sys.exit(__doc__)
    record[f"{what}_made_with"] = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(load, 2),
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in LIBRARIES},
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


def quality(path: Path) -> dict[str, Any]:
    """One set: NLL and ECE of every calibrator on rows it was not fitted on."""
    p = ct.load(path)
    began = time.perf_counter()
    found = ct.select(p, "all")
    seconds = time.perf_counter() - began
    scores = {
        one.method: {"nll": number(one.nll), "ece": number(one.ece)}
        for one in found.candidates
        if not one.failed
    }
    print(path.stem, found.why, f"{seconds:.1f} s", flush=True)
    return {
        "name": path.stem,
        "rows": p.rows,
        "classes": p.classes,
        "best": found.best,
        "chosen": found.chosen,
        "seconds": round(seconds, 1),
        "scores": scores,
    }


# ------------------------------------------------------------------ speed


def speed(parts: list[str]) -> Iterator[Row]:
    """Fit and apply, ours beside each peer's, alternately, medians."""
    with tempfile.TemporaryDirectory() as folder:
        large = write(Path(folder) / "L.npz", 50_000, 1_000, signal=4.2, sharp=3.4)
        small = write(Path(folder) / "S.npz", 10_000, 10, signal=2.5, sharp=1.85)
        middle = write(Path(folder) / "M.npz", 10_000, 100, signal=3.4, sharp=2.6)
        for part in parts:
            for row in PARTS[part](large, small, middle):
                print(line(row), flush=True)
                yield row


def isotonic(large: Path, small: Path, middle: Path) -> Iterator[Row]:
    """One-vs-rest isotonic regression, fit and predict on the same rows."""
    z, y = arrays(large)
    own = timed(lambda: calibrate("isotonic", z, y), 5)
    what = "isotonic one-vs-rest, fit and apply L"
    yield from peer("isotonic", what, own, "scikit-learn", lambda: sklearn_isotonic(z, y), 9)
    yield from peer("isotonic", what, own, "netcal", lambda: netcal("IsotonicRegression", z, y), 9)


def histogram(large: Path, small: Path, middle: Path) -> Iterator[Row]:
    """One-vs-rest histogram binning, 15 bins of equal width."""
    z, y = arrays(large)
    own = timed(lambda: calibrate("histogram", z, y), 5)
    what = "histogram one-vs-rest, fit and apply L"
    yield from peer("histogram", what, own, "netcal", lambda: netcal("HistogramBinning", z, y), 15)


def vector(large: Path, small: Path, middle: Path) -> Iterator[Row]:
    """Vector scaling; the NLL it reaches stands in the note."""
    for name, path in (("S", small), ("L", large)):
        z, y = arrays(path)
        times = 5 if name == "S" else 1
        own = timed(lambda z=z, y=y: calibrate("vector", z, y), times)
        mine = nll_of(calibrate("vector", z, y), y)
        what = f"vector scaling, fit and apply {name}"
        peers = {"probmetrics": probmetrics_vector, "torch-uncertainty": tu_vector}
        for library, call in peers.items():
            if installed(library) is None:
                yield missing("vector", what, library)
                continue
            theirs = timed(lambda call=call, z=z, y=y: call(z, y), times)
            note = f"NLL {mine:.6f}, theirs {nll_of(call(z, y), y):.6f}"
            yield Row("vector", what, own, library, theirs, "", None, note=note)


def venn_abers(large: Path, small: Path, middle: Path) -> Iterator[Row]:
    """Inductive Venn-Abers of two classes."""
    z, y = arrays(small)
    two, labels = np.stack([z[:, 0], z[:, 1:].max(axis=1)], axis=1), (y > 0).astype(np.int64)
    own = timed(lambda: calibrate("venn-abers", two, labels), 5)
    what = "venn-abers, two classes, 10,000 rows, fit and apply"
    yield from peer("venn-abers", what, own, "venn-abers", lambda: va(two, labels), 1)


def peer(
    part: str, what: str, own: float, library: str, call: Callable[[], object], target: float
) -> Iterator[Row]:
    """Our time beside a peer's, with the ratio that is aimed at."""
    if installed(library) is None:
        yield missing(part, what, library)
        return
    theirs = timed(call, 1)
    yield Row(part, what, own, library, theirs, f">= {target:g}x", theirs / own >= target)


def calibrate(method: str, z: Floats, y: Ints) -> Floats:
    p = ct.Predictions.from_logits(z, y)
    return to_probs(ct.fit(method, p)(p)).values


def sklearn_isotonic(z: Floats, y: Ints) -> Floats:
    from sklearn.isotonic import IsotonicRegression

    p = softmax(z).astype(np.float64)
    out = np.empty_like(p)
    for k in range(p.shape[1]):
        fitted = IsotonicRegression(out_of_bounds="clip").fit(p[:, k], y == k)
        out[:, k] = fitted.predict(p[:, k])
    return out / out.sum(axis=1, keepdims=True)


def netcal(name: str, z: Floats, y: Ints) -> Floats:
    import netcal.binning

    p = softmax(z).astype(np.float64)
    options = {"bins": 15} if name == "HistogramBinning" else {}
    fitted = getattr(netcal.binning, name)(**options)
    fitted.fit(p, y)
    return fitted.transform(p)


def probmetrics_vector(z: Floats, y: Ints) -> Floats:
    import torch
    from probmetrics.calibrators import VectorScalingCalibrator
    from probmetrics.distributions import CategoricalLogits

    fitted = VectorScalingCalibrator()
    logits, labels = torch.from_numpy(z), torch.from_numpy(y)
    fitted.fit_torch(CategoricalLogits(logits), labels)
    return fitted.predict_proba_torch(CategoricalLogits(logits)).get_probs().numpy()


def tu_vector(z: Floats, y: Ints) -> Floats:
    """Its vector scaling has no bias. What it imports beside (lightning) is not needed."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    scalers = torch_uncertainty_scalers()
    logits, labels = torch.from_numpy(z), torch.from_numpy(y)
    fitted = scalers.VectorScaler(z.shape[1])
    fitted.fit(DataLoader(TensorDataset(logits, labels), batch_size=len(z)), progress=False)
    scale = fitted.inv_temperature[0].detach()
    with torch.no_grad():
        return torch.softmax(logits * scale, dim=1).numpy()


@cache
def torch_uncertainty_scalers() -> Any:
    """Its scalers, without the imports of the rest of the package."""
    root = importlib.util.find_spec("torch_uncertainty").submodule_search_locations[0]
    for name in ("torch_uncertainty", "torch_uncertainty.post_processing"):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [root + name[17:].replace(".", "/")]
    abstract = importlib.import_module("torch_uncertainty.post_processing.abstract")
    sys.modules["torch_uncertainty.post_processing"].PostProcessing = abstract.PostProcessing
    return importlib.import_module("torch_uncertainty.post_processing.calibration")


def va(z: Floats, y: Ints) -> Floats:
    from venn_abers import VennAbers

    p = softmax(z).astype(np.float64)
    fitted = VennAbers()
    fitted.fit(p, y)
    return fitted.predict_proba(p)[0]


def nll_of(p: Floats, y: Ints) -> float:
    return float(-np.log(p[np.arange(len(y)), y].astype(np.float64)).mean())


def timed(call: Callable[[], object], times: int) -> float:
    call() if times > 1 else None
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


PARTS = {
    "isotonic": isotonic,
    "histogram": histogram,
    "vector": vector,
    "venn-abers": venn_abers,
}

if __name__ == "__main__":
    main()
