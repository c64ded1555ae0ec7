"""How fast calibtool is, beside a yardstick measured in the same run: python benchmarks/speed.py

Prints a markdown table and writes results/speed.json. Peers that are not installed are named.
The file is in the page cache throughout; times are medians.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calibtool as ct
from calibtool.data.files.open import open_source

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
HERE = Path(__file__).parent
TOOL = str(Path(sys.executable).with_name("calibtool"))
LIBRARIES = ("calibtool", "numpy", "scipy", "scikit-learn", "torch")
PEERS = ("uncertainty-calibration", "netcal", "torchmetrics")
MB = 1e6
LOOK = 0.002  # seconds between looks at a process's memory


@dataclass(frozen=True)
class Row:
    """One comparison: our seconds beside the yardstick's, and what is asked of the two."""

    part: str
    what: str
    ours: float | None
    yardstick: str
    theirs: float | None = None
    target: str = ""
    met: bool | None = None
    unit: str = "s"
    note: str = ""


def main() -> None:
    """Measure everything and write it down."""
    rows: list[Row] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        large = write(Path(folder) / "L.npz", 50_000, 1_000, signal=4.2, sharp=3.4)
        small = write(Path(folder) / "S.npz", 10_000, 10, signal=2.5, sharp=1.85)
        for part in (one_pass, memory, resampled, temperature, ece, start_up, marginal):
            for row in part(large, small):
                rows.append(row)
                print(line(row), flush=True)
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(load, 2),
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in (*LIBRARIES, *PEERS)},
    }
    results = HERE / "results" / "speed.json"
    results.parent.mkdir(exist_ok=True)
    record = {"made_with": about, "rows": [asdict(row) for row in rows]}
    results.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{json.dumps(about)}\n\n{table(rows)}")


# ------------------------------------------------------------------ what is measured


def one_pass(large: Path, small: Path) -> Iterator[Row]:
    """(a) Every default metric, without intervals."""

    def whole() -> None:
        z = np.asarray(open_source(large).load().values)
        np.exp(z - z.max(1, keepdims=True)).sum(1)

    def blocked() -> None:
        z = np.asarray(open_source(large).load().values)
        for low in range(0, len(z), 128):
            block = z[low : low + 128]
            np.exp(block - block.max(1, keepdims=True)).sum(1)

    def ours() -> None:
        ct.evaluate(open_source(large), ci="none")

    def process() -> None:
        run(TOOL, "evaluate", str(large), "--ci", "none")

    def version_() -> None:
        run(TOOL, "--version")

    seen, floor, kind = alternately(ours, whole, blocked)
    both, start = alternately(process, version_)
    numpy_pass = "numpy: max(1), exp(z - max), sum, whole arrays"
    yield Row("a", "evaluate(L, ci=none)", seen, numpy_pass, floor, *at_most(3, seen, floor))
    what = "`evaluate L --ci none` less `--version`"
    yield Row("a", what, both - start, numpy_pass, floor, *at_most(2, both - start, floor))
    yield Row("a", "evaluate(L, ci=none)", seen, "the same in blocks of 128 rows", kind)


def memory(large: Path, small: Path) -> Iterator[Row]:
    """(a) Memory that is the process's own: pages of the mapped file are not."""
    for what, limit, arguments in (
        ("`evaluate L --ci none`", 150.0, ("--ci", "none")),
        ("`evaluate L`, 1,000 resamples", None, ()),
    ):
        peak = peak_memory([TOOL, "evaluate", str(large), *arguments]) / MB
        target = f"< {limit:.0f} MB" if limit else ""
        met = peak < limit if limit else None
        yield Row("a", what, peak, "", None, target, met, "MB", "peak of anonymous memory")


def resampled(large: Path, small: Path) -> Iterator[Row]:
    """(b) Every default metric with 1,000 resamples."""
    (seen,) = alternately(lambda: ct.evaluate(open_source(large)), times=3)
    yield Row("b", "evaluate(L), 1,000 resamples", seen, "", None, "< 5 s", seen < 5)


def temperature(large: Path, small: Path) -> Iterator[Row]:
    """(c) Temperature scaling of L, and the NLL that is reached."""
    z, y = arrays(large)
    predictions = ct.Predictions.from_logits(z, y)
    (seen,) = alternately(lambda: ct.fit("temperature", predictions), times=5)
    own = ct.fit("temperature", predictions).map.temperature
    best = nll(z, y, own)
    for name, what, times, fit in (
        ("scikit-learn", "", 15, sklearn_temperature),
        ("netcal", " on float64: it fits", 40, netcal_temperature),
        ("netcal", " on the same float32: it stays at T = 1", None, netcal_float32),
    ):
        ours = "fit('temperature', L)"
        if installed(name) is None:
            yield missing("c", ours, name)
            continue
        took, theirs = fit(z, y)
        reached = nll(z, y, theirs)
        met = None if times is None else took / seen >= times and best <= reached
        target = "" if times is None else f">= {times}x, NLL no higher"
        note = f"NLL {best:.9f} (T = {own:.6f}) beside {reached:.9f} (T = {theirs:.6f})"
        yield Row("c", ours, seen, f"{name}{what}", took, target, met, note=note)


def ece(large: Path, small: Path) -> Iterator[Row]:
    """(d) ECE-15 of L's probabilities, in memory."""
    z, y = arrays(large)
    p = softmax(z)
    predictions = ct.Predictions.from_probs(p, y)
    (seen,) = alternately(lambda: ct.evaluate(predictions, ["ece"], ci="none"))
    value = ct.evaluate(predictions, ["ece"], ci="none")["ece"].value
    (check,) = alternately(lambda: ct.Predictions.from_probs(p, y))
    yield Row("d", "ECE of L's probabilities", seen, "checking them: from_probs", check)
    for name in PEERS:
        if installed(name) is None:
            yield missing("d", "ECE of L's probabilities", name)
            continue
        took, theirs = PEER_ECE[name](p, y)
        note = f"{value:.7f} beside {theirs:.7f}"
        yield Row("d", "ECE of L's probabilities", seen, name, took, note=note)


def start_up(large: Path, small: Path) -> Iterator[Row]:
    """(e) Whole processes."""
    helped, floor, whole = alternately(
        lambda: run(TOOL, "--help"),
        lambda: run(sys.executable, "-c", "pass"),
        lambda: run(TOOL, "evaluate", str(small)),
        times=11,
    )
    extra = helped - floor
    yield Row("e", "`--help` less `python -c pass`", extra, "", None, "< 0.15 s", extra < 0.15)
    yield Row("e", "`evaluate S`, 1,000 resamples", whole, "", None, "< 1 s", whole < 1)


def marginal(large: Path, small: Path) -> Iterator[Row]:
    """(f) Class-wise ECE of L's probabilities, in memory."""
    z, y = arrays(large)
    p = softmax(z)
    predictions = ct.Predictions.from_probs(p, y)
    specs = ["classwise-ece"]
    (seen,) = alternately(lambda: ct.evaluate(predictions, specs, ci="none"))
    value = ct.evaluate(predictions, specs, ci="none")["classwise-ece"].value
    name = "uncertainty-calibration"
    if installed(name) is None:
        yield missing("f", "class-wise ECE of L", name)
        return
    took, theirs = uncertainty_calibration(p, y, "marginal", times=1)
    # it sums over classes as weighted norms do: the mean over classes, like ours
    note = f"{value:.4e} beside {theirs:.4e}"
    yield Row("f", "class-wise ECE of L", seen, name, took, note=note)


# ------------------------------------------------------------------ peers


def sklearn_temperature(z: Floats, y: Ints) -> tuple[float, float]:
    from sklearn.calibration import _TemperatureScaling  # what CalibratedClassifierCV runs

    (took,) = alternately(lambda: _TemperatureScaling().fit(z, y), times=3)
    return took, 1 / float(_TemperatureScaling().fit(z, y).beta_)


def netcal_float32(z: Floats, y: Ints) -> tuple[float, float]:
    return netcal_temperature(z, y, np.float32)


def netcal_temperature(
    z: Floats, y: Ints, dtype: type[np.floating[Any]] = np.float64
) -> tuple[float, float]:
    from netcal.scaling import TemperatureScaling

    p, cal = softmax(z.astype(dtype)), TemperatureScaling()
    (took,) = alternately(lambda: cal.fit(p, y, tensorboard=False), times=1)
    return took, 1 / float(np.ravel(cal.weights)[0])


def uncertainty_calibration(
    p: Floats, y: Ints, mode: str = "top-label", times: int = 5
) -> tuple[float, float]:
    from calibration import get_ece

    values: list[float] = []
    (took,) = alternately(lambda: values.append(get_ece(p, y, mode=mode)), times=times)
    return took, float(values[-1])


def netcal_ece(p: Floats, y: Ints) -> tuple[float, float]:
    from netcal.metrics import ECE

    (took,) = alternately(lambda: ECE(15).measure(p, y))
    return took, float(ECE(15).measure(p, y))


def torchmetrics_ece(p: Floats, y: Ints) -> tuple[float, float]:
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    def measure() -> torch.Tensor:
        p_, y_ = torch.from_numpy(p), torch.from_numpy(y)
        return multiclass_calibration_error(p_, y_, num_classes=p.shape[1], n_bins=15)

    (took,) = alternately(measure)
    return took, float(measure())


PEER_ECE: dict[str, Callable[[Floats, Ints], tuple[float, float]]] = {
    "uncertainty-calibration": uncertainty_calibration,
    "netcal": netcal_ece,
    "torchmetrics": torchmetrics_ece,
}


# ------------------------------------------------------------------ tools


def write(path: Path, rows: int, classes: int, *, signal: float, sharp: float) -> Path:
    """Logits of a classifier that is right 75 % of the time and overconfident: `sharp` makes its
    T about 1, and then they are multiplied by 1.5."""
    rng = np.random.default_rng(0)
    y = rng.integers(classes, size=rows)
    z = rng.standard_normal((rows, classes), np.float32)
    z[np.arange(rows), y] += np.float32(signal) + rng.standard_normal(rows, np.float32)
    z *= np.float32(1.5 * sharp)
    np.savez(path, logits=z, labels=y)
    return path


def arrays(path: Path) -> tuple[Floats, Ints]:
    with np.load(path) as file:
        return file["logits"], file["labels"]


def softmax(z: Floats) -> Floats:
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p


def nll(z: Floats, y: Ints, temperature: float) -> float:
    """Mean NLL in float64."""
    total = 0.0
    for low in range(0, len(z), 1000):
        at = slice(low, low + 1000)
        scaled = z[at].astype(np.float64) / temperature
        scaled -= scaled.max(1, keepdims=True)
        total += float(
            (np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(scaled)), y[at]]).sum()
        )
    return total / len(z)


def alternately(*calls: Callable[[], object], times: int = 7) -> list[float]:
    """Median seconds of each call, taken in turn so that all meet the same machine."""
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(times):
        for call, seconds in zip(calls, found, strict=True):
            t0 = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - t0)
    return [statistics.median(seconds) for seconds in found]


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def peak_memory(command: list[str]) -> float:
    """Highest RssAnon seen, in bytes."""
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for text in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if text.startswith("RssAnon:"):
                    peak = max(peak, 1024 * int(text.split()[1]))
            time.sleep(LOOK)
    return peak


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def at_most(times: float, ours: float, theirs: float) -> tuple[str, bool]:
    return f"<= {times:g}x", ours <= times * theirs


def missing(part: str, what: str, name: str) -> Row:
    return Row(part, what, None, name, note="not installed")


HEAD = ("", "what", "calibtool", "yardstick", "its time", "its / ours", "target", "met", "note")


def line(row: Row) -> str:
    ratio = f"{row.theirs / row.ours:.2f}" if row.ours and row.theirs else ""
    ours = "" if row.ours is None else f"{row.ours:.3f} {row.unit}"
    theirs = "" if row.theirs is None else f"{row.theirs:.3f} s"
    met = {None: "", True: "yes", False: "**no**"}[row.met]
    cells = (row.part, row.what, ours, row.yardstick, theirs, ratio, row.target, met, row.note)
    return f"| {' | '.join(cells)} |"


def table(rows: list[Row]) -> str:
    rule = f"|{' --- |' * len(HEAD)}"
    return "\n".join([f"| {' | '.join(HEAD)} |", rule, *(line(row) for row in rows)])


if __name__ == "__main__":
    main()
