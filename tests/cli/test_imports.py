"""What a short command leaves unimported: importing is most of its time."""

import subprocess
import sys

import numpy as np

NEEDLESS = (
    *("scipy", "pyarrow", "numpy.ma", "tomllib"),
    *("calibtool.analysis.slices", "calibtool.cli.sets", "calibtool.data.logs.log"),
    *("calibtool.evaluation.evaluate_cells", "calibtool.evaluation.pairs"),
    *("calibtool.evaluation.subsample", "calibtool.streaming.engines.dask_frame"),
)


def test_arrays_are_evaluated_without_what_other_sources_and_answers_need(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((5000, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    np.savez(tmp_path / "arrays.npz", logits=logits, labels=labels)
    code = f"""
import sys
from calibtool.cli.main import main
assert main(["evaluate", "arrays.npz", "--resamples", "100"]) == 0
print(sorted(set(sys.modules) & set({NEEDLESS!r})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "[]"
