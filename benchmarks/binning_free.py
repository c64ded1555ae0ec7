"""Errors without bins, beside their peers: python benchmarks/binning_free.py

Smooth ECE beside relplot, and how close each is to the fixed point it defines; MMCE beside netcal,
whose n x n matrices end at about 5,000 rows. Prints a markdown table and writes
results/binning_free.json. Peers that are not installed are named. Times are medians.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from scipy.optimize import brentq
from speed import HERE, Floats, Row, alternately, installed, line, missing, table

import calibtool as ct
from calibtool import __version__
from calibtool.metrics.cells import Cells
from calibtool.metrics.kernel import mmce
from calibtool.metrics.smooth import smece

PEERS = ("relplot", "netcal")
ROWS, FEW = 50_000, 5_000
MESH = 40_000  # points at which the fixed point is looked for


def main() -> None:
    """Measure everything and write it down."""
    load = os.getloadavg()[0]
    rows: list[Row] = []
    for row in (*smooth(), *pairs(), *replicates(), *many()):
        rows.append(row)
        print(line(row), flush=True)
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": round(load, 2),
        "python": platform.python_version(),
        "versions": {
            "calibtool": __version__,
            **{name: installed(name) for name in ("numpy", "scipy", *PEERS)},
        },
    }
    results = HERE / "results" / "binning_free.json"
    results.parent.mkdir(exist_ok=True)
    record = {"made_with": about, "rows": [asdict(row) for row in rows]}
    results.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{json.dumps(about)}\n\n{table(rows)}")


# ------------------------------------------------------------------ what is measured


def smooth() -> Iterator[Row]:
    """Smooth ECE from rows, cells included."""
    for name, (x, y) in data().items():
        what = f"smECE, {ROWS:,} rows, {name}"
        truth = fixed_point(x, y)
        value = float(smece(Cells.from_rows(x, y)))
        if installed("relplot") is None:
            (seen,) = alternately(lambda x=x, y=y: smece(Cells.from_rows(x, y)))
            note = f"not installed; {value:.7f}, off by {value - truth:+.1e}"
            yield Row("smece", what, seen, "relplot", note=note)
            continue
        import relplot

        theirs = float(relplot.smECE(x, y))
        seen, took = alternately(
            lambda x=x, y=y: smece(Cells.from_rows(x, y)),
            lambda x=x, y=y: relplot.smECE(x, y),
        )
        ours, relplots = value - truth, theirs - truth
        note = f"fixed point {truth:.7f}: off by {ours:+.1e}, relplot by {relplots:+.1e}"
        met = abs(value - truth) < 1e-6 and took >= 10 * seen
        yield Row("smece", what, seen, "relplot", took, ">= 10x, within 1e-6", met, note=note)
        (again,) = alternately(lambda x=x, y=y: smece(Cells.from_rows(x, y), kernel="logit"))
        yield Row("smece", f"{what}, logit kernel", again, "")


def pairs() -> Iterator[Row]:
    """MMCE from rows, cells included."""
    x, y = data()["overconfident"]
    x, y = np.maximum(x, 1 - x), np.where(x > 0.5, y, 1 - y)  # netcal looks at the top label
    (large,) = alternately(lambda: mmce(Cells.from_rows(x, y)))
    what = "MMCE, {:,} rows".format
    yield Row("mmce", what(len(x)), large, "")
    if installed("netcal") is None:
        yield missing("mmce", what(FEW), "netcal")
        return
    from netcal.metrics import MMCE

    x, y = x[:FEW], y[:FEW]
    seen, took = alternately(
        lambda: mmce(Cells.from_rows(x, y)), lambda: MMCE().measure(x, y), times=5
    )
    value, theirs = float(mmce(Cells.from_rows(x, y))), float(MMCE().measure(x, y))
    note = f"{value:.9f} beside {theirs:.9f}; {8 * FEW**2 / 1e6:.0f} MB a matrix"
    close = abs(value - theirs) < 1e-9
    yield Row("mmce", what(FEW), seen, "netcal", took, "the same value", close, note=note)


def replicates() -> Iterator[Row]:
    """1,000 resamples of 1,024 cells."""
    x, y = data()["overconfident"]
    edges = np.append(np.quantile(x, np.arange(1, 1024) / 1024), 1.0)
    c = Cells.from_rows(x, y).pool(edges)
    w = np.random.Generator(np.random.PCG64(1)).poisson(c.n, (1000, len(c.n))) / c.n
    many = Cells(c.at, w * c.n, w * c.p, w * c.y)
    for name, call in (
        ("smECE", lambda: smece(many)),
        ("smECE, logit kernel", lambda: smece(many, kernel="logit")),
        ("MMCE", lambda: mmce(many)),
    ):
        (seen,) = alternately(call, times=3)
        yield Row("resampled", f"{name}, 1,000 replicates of 1,024 cells", seen, "")


def many() -> Iterator[Row]:
    """All metrics of 50,000 x 1,000 beside the binned ones; all of the top label, resampled."""
    rng = np.random.Generator(np.random.PCG64(0))
    z = 2 * rng.standard_normal((ROWS, 1000), dtype=np.float32)
    y = (z / 1.5 + rng.gumbel(size=z.shape).astype(np.float32)).argmax(1)
    large = ct.Predictions.from_logits(z, y)
    binned, every = alternately(
        lambda: ct.evaluate(large, "binned", ci="none"),
        lambda: ct.evaluate(large, "all", ci="none"),
        times=3,
    )
    what, met = "evaluate(L, all metrics, ci=none)", every <= 5 * binned
    yield Row("many", what, every, "the binned ones alone", binned, "<= 5x", met)
    x, y = data()["overconfident"]
    top = ct.Predictions.from_confidence(np.maximum(x, 1 - x), np.where(x > 0.5, y, 1 - y) > 0)
    (seen,) = alternately(lambda: ct.evaluate(top, "all"), times=3)
    report = ct.evaluate(top, "all", ci="none")
    count = sum(one.value is not None for one in report)
    what = f"{count} metrics of {ROWS:,} confidences, 1,000 resamples"
    yield Row("many", what, seen, "", target="< 10 s", met=seen < 10)


# ------------------------------------------------------------------ tools


def data() -> dict[str, tuple[Floats, Floats]]:
    """Scores and outcomes: the scores' log-odds are those of the outcomes, times a temperature."""
    rng = np.random.Generator(np.random.PCG64(0))
    z, u = rng.standard_normal(ROWS), rng.random(ROWS)

    def scores(scale: float, shift: float, temperature: float) -> tuple[Floats, Floats]:
        true = scale * z + shift
        return 1 / (1 + np.exp(-temperature * true)), (u < 1 / (1 + np.exp(-true))) * 1.0

    return {
        "overconfident": scores(2, 0, 2.0),
        "calibrated": scores(2, 0, 1.0),
        "next to 1": scores(2, 4, 2.0),
    }


def fixed_point(x: Floats, y: Floats) -> float:
    """The bandwidth that equals its error, by Brent: every cosine of every row summed directly."""
    waves = [float((y - x).mean())]

    def error(s: float) -> float:
        while len(waves) < 9 / (np.pi * s):
            waves.append(2 * float(((y - x) * np.cos(np.pi * len(waves) * x)).mean()))
        k = np.arange(len(waves))
        damped = np.array(waves) * np.exp(-0.5 * (np.pi * k * s) ** 2)
        t = (np.arange(MESH) + 0.5) / MESH
        total = sum(a * np.cos(np.pi * j * t) for j, a in enumerate(damped) if abs(a) > 1e-14)
        return float(np.abs(total).mean())

    high = 0.5
    while error(high / 2) < high / 2:
        high /= 2
    return float(brentq(lambda s: error(s) - s, high / 2, high, xtol=1e-9))


if __name__ == "__main__":
    main()
