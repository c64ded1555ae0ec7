"""torchrun with two processes on a CPU does what one process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from small import blobs

OPTIONS = (
    *("--data", "features.npz", "--epochs", "3", "--batch-size", "25", "--threads", "1"),
    *("--accumulate", "2"),  # processes wait until the second piece to share gradients
)


# the run, and then a mistake: one launch for both, since loading torch takes longer than either
RUN_TWICE = """
import sys
from calibtool.cli.main import main

print("first:", main(["train", *sys.argv[1:]]), flush=True)
sys.exit(main(["train", *sys.argv[1:]]))
"""


def torchrun(script, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [*command, script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_two_processes_train_as_one_and_cover_every_row_once(train, folder):
    # 251 rows: neither batches nor parts can be halved, and one batch in two is of odd length
    x, y = blobs(251)
    np.savez("features.npz", x=x, y=y)
    Path("twice.py").write_text(RUN_TWICE)
    run = torchrun("twice.py", *OPTIONS, "--out", "two")
    assert run.stdout.count("first: 0") == 2, run.stderr
    assert run.stdout.count("Wrote two/") == 1, "one process speaks"
    assert train(*OPTIONS, "--out", "one").code == 0

    ours, theirs = (load_file(f"{run}/model.safetensors") for run in ("one", "two"))
    for name, weight in ours.items():
        np.testing.assert_allclose(theirs[name], weight, atol=1e-5, err_msg=name)
    seen = []
    for file in ("val_logits.npz", "test_logits.npz"):
        a, b = np.load(f"one/{file}"), np.load(f"two/{file}")
        np.testing.assert_array_equal(a["ids"], b["ids"])
        np.testing.assert_array_equal(y[b["ids"]], b["labels"])
        np.testing.assert_allclose(a["logits"], b["logits"], atol=1e-4)
        seen += b["ids"].tolist()
    assert len(set(seen)) == len(seen)

    # a mistake ends both, in words, once
    assert run.returncode != 0
    messages = [line for line in run.stderr.splitlines() if line.startswith("calibtool:")]
    assert sum("is not empty" in line for line in messages) == 1
    assert "internal error" not in run.stderr
    assert Path("two/report.json").exists()
