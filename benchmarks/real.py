"""Every metric on the real predictions of ../shared/data: python benchmarks/real.py [FOLDER]

Writes results/real.json, from which docs/evidence/real-data.md is made.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import calibtool as ct
from calibtool.data.files.open import open_source

HERE = Path(__file__).parent
FILES = (
    *("cifar10_resnet20", "cifar100_resnet20", "sst2_gpt2", "fvcaus_plda"),
    *("toplabel_cifar10_resnet110", "toplabel_cifar100_resnet110"),
)


def measured(path: Path) -> dict[str, Any]:
    """All metrics of a file, as texts and numbers."""
    start = time.perf_counter()
    report = ct.evaluate(open_source(path), "all")
    return {
        "file": path.stem,
        "rows": report.data.rows,
        "classes": report.data.classes,
        "seconds": round(time.perf_counter() - start, 1),
        "metrics": {
            e.name: [e.value, e.corrected, e.low, e.high, e.view, e.missing]
            for e in report
            if not e.name.startswith("ood-")
        },
    }


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "shared" / "data"
    found = []
    for name in FILES:
        found.append(measured(folder / f"{name}.npz"))
        print(name, found[-1]["seconds"], flush=True)
    record = {"date": time.strftime("%Y-%m-%d"), "calibtool": ct.__version__, "files": found}
    (HERE / "results" / "real.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
