"""What a short command leaves unimported: importing is most of its time."""

import subprocess
import sys

import numpy as np

import calibtool as ct

NEEDLESS = (
    *("scipy", "pyarrow", "numpy.ma", "tomllib"),
    *("calibtool.analysis.slices", "calibtool.cli.sets", "calibtool.data.logs.log"),
    *("calibtool.evaluation.evaluate_cells", "calibtool.evaluation.pairs"),
    *("calibtool.evaluation.subsample", "calibtool.streaming.engines.dask_frame"),
    *("calibtool.calibrators.fit", "calibtool.streaming.passes", "calibtool.streaming.engines"),
)


def test_arrays_are_evaluated_without_what_other_sources_and_answers_need(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((5000, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    np.savez(tmp_path / "arrays.npz", logits=logits, labels=labels)
    words = ["evaluate", "arrays.npz", "--resamples", "100"]
    assert imported_by(words, NEEDLESS, tmp_path) == "[]"


def test_cells_are_monitored_without_what_rows_and_other_metrics_need(tmp_path):
    rng = np.random.default_rng(0)
    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        p = rng.random(500)
        rows = ct.Predictions.from_probs(p, (rng.random(500) < p).astype(int))
        ct.save_cells(ct.cells(rows), tmp_path / f"{day}.cells")
    needless = [f"calibtool.evaluation.{name}" for name in ("from_cells", "request")]
    needless += ["calibtool.data.files.open", "calibtool.streaming.passes"]
    words = ["monitor", ".", "--format", "json"]
    assert imported_by(words, ("scipy", "pyarrow", "numpy.ma", *needless), tmp_path) == "[]"


def test_intervals_are_made_without_the_rest_of_scipy(tmp_path):
    rng = np.random.default_rng(0)
    p = rng.random(300)
    np.savez(tmp_path / "arrays.npz", probs=np.stack([1 - p, p], 1), labels=rng.random(300) < p)
    words = ["evaluate", "arrays.npz", "--metrics", "citl,ici", "--resamples", "100"]
    needless = ("scipy.special", "numpy.testing", "numpy.f2py")
    assert imported_by(words, needless, tmp_path) == "[]"


def test_all_metrics_and_a_report_are_made_without_the_packages_of_scipy(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((500, 4))
    np.savez(tmp_path / "arrays.npz", logits=logits, labels=rng.integers(0, 4, 500))
    needless = [f"scipy.{name}" for name in ("fft", "optimize", "sparse", "spatial", "special")]
    needless += ["numpy.testing", "numpy.f2py"]
    words = ["evaluate", "arrays.npz", "--metrics", "all", "--resamples", "100"]
    assert imported_by(words, needless, tmp_path) == "[]"
    needless += ["calibtool.analysis.slices", "calibtool.streaming.passes"]
    words = ["report", "arrays.npz", "-o", "page.html", "--resamples", "100"]
    assert imported_by(words, needless, tmp_path) == "[]"


def imported_by(words, modules, folder):
    """Return which of the modules a command imports, as a list prints them."""
    code = f"""
import sys
from calibtool.cli.main import main
assert main({words!r}) == 0
print(sorted(set(sys.modules) & set({modules!r})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder
    )
    return done.stdout.splitlines()[-1]
