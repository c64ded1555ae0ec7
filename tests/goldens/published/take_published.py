"""Take the published predictions, which this project does not commit, from their repositories.

    git clone https://github.com/luferrer/expected_cost
    git clone https://github.com/hollance/reliability-diagrams
    python tests/goldens/published/take_published.py expected_cost reliability-diagrams FOLDER
    CALIBTOOL_PUBLISHED=FOLDER pytest

Both repositories are under the MIT licence. The files were taken at expected_cost@96253fe and
reliability-diagrams@e133f3d; other commits are refused where their arrays have another shape.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

# file to write -> folder below notebooks/data of expected_cost, rows, classes
SCORES = {
    "cifar10_resnet20": ("cifar10_resnet-20", 10_000, 10),
    "cifar100_resnet20": ("cifar100_resnet-20", 10_000, 100),
    "sst2_gpt2": ("sst2_gpt2", 1_821, 2),
    "fvcaus_plda": ("fvcaus_plda", 114_072, 2),
}
# file to write -> file below results/markus93 of reliability-diagrams; 10,000 rows each
TOP_LABEL = {
    "toplabel_cifar10_resnet110": "probs_resnet110_c10_logits.csv",
    "toplabel_cifar100_resnet110": "probs_resnet110_c100_logits.csv",
}


def main() -> int:
    """Write one npz file per published set."""
    if len(sys.argv) != 4:
        print(__doc__)
        return 2
    expected_cost, diagrams, folder = (Path(argument) for argument in sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (source, rows, classes) in SCORES.items():
        data = expected_cost / "notebooks" / "data" / source
        logits = np.load(data / "scores.npy").astype(np.float32)
        labels = np.load(data / "targets.npy").astype(np.int64)
        if logits.shape != (rows, classes) or labels.shape != (rows,):
            print(f"{data}: {logits.shape} scores, {labels.shape} labels; not {rows} x {classes}")
            return 1
        np.savez_compressed(folder / f"{name}.npz", logits=logits, labels=labels)
    for name, source in TOP_LABEL.items():
        path = diagrams / "results" / "markus93" / source
        with path.open(encoding="utf-8", newline="") as file:
            records = list(csv.DictReader(file))
        if len(records) != 10_000:
            print(f"{path}: {len(records):,} rows, not 10,000")
            return 1
        np.savez_compressed(
            folder / f"{name}.npz",
            confidence=np.array([float(record["confidence"]) for record in records]),
            predictions=np.array([int(record["pred_label"]) for record in records]),
            labels=np.array([int(record["true_label"]) for record in records]),
        )
    print(f"{len(SCORES) + len(TOP_LABEL)} files in {folder}; set CALIBTOOL_PUBLISHED={folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
