"""Ask the authors' own code for losses and gradients: one JSON of all.

    git clone https://github.com/torrvision/focal_calibration
    git clone https://github.com/mdca-loss/MDCA-Calibration
    git clone https://github.com/by-liu/MbLS
    python tests/goldens/make_author_goldens.py focal_calibration MDCA-Calibration MbLS

MMCE there is a port of github.com/aviralkumar2907/MMCE, by the same formulas, from TensorFlow. The
files were taken at focal_calibration@8239b9b, MDCA-Calibration@80b5e17 and MbLS@2c92990. Only the
files with the losses are run; their code is not part of this project.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from make_loss_goldens import FOLDER, FORMAT, logits

ROWS, CLASSES = 12, 5
DIGITS = 13  # more than the tests compare, fewer than would fill the file
AT = {"focal_calibration": "8239b9b", "MDCA-Calibration": "80b5e17", "MbLS": "2c92990"}


def batches() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Rows of which some are right, all are right, none is, and all but one are right."""
    z = logits(ROWS, CLASSES, seed=7)
    right = z.argmax(1)
    one_wrong = right.clone()
    one_wrong[0] = (right[0] + 1) % CLASSES
    return {
        "mixed": (z, torch.where(torch.arange(ROWS) % 3 == 0, (right + 1) % CLASSES, right)),
        "all right": (z, right),
        "all wrong": (z, (right + 2) % CLASSES),
        "one wrong": (z, one_wrong),
    }


def theirs(focal: Path, mdca: Path, mbls: Path) -> dict[str, Callable[..., torch.Tensor]]:
    """The spec of each of our losses and the authors' loss, of the mean of the batch."""
    kernel = runpy.run_path(str(focal / "Losses/mmce.py"))
    plain = runpy.run_path(str(focal / "Losses/focal_loss.py"))["FocalLoss"]
    steps = runpy.run_path(str(focal / "Losses/focal_loss_adaptive_gamma.py"))["FocalLossAdaptive"]
    classes = runpy.run_path(str(mdca / "solvers/loss.py"))["ClassficationAndMDCA"]
    margin = runpy.run_path(str(mbls / "calibrate/losses/logit_margin_l1.py"))["LogitMarginL1"]
    entropy = torch.nn.CrossEntropyLoss()
    cpu = torch.device("cpu")
    square, weighted = kernel["MMCE"](cpu), kernel["MMCE_weighted"](cpu)
    return {
        "focal(gamma=3)": plain(3.0, size_average=True),
        "focal(gamma=0.5)": plain(0.5, size_average=True),
        "flsd-53": steps(3.0, size_average=True, device=cpu),
        "mmce(weight=2,squared=True)": lambda z, y: entropy(z, y) + 2 * square(z, y),
        "mmce-weighted(weight=2)": lambda z, y: entropy(z, y) + 2 * weighted(z, y),
        "mmce-weighted(weight=8)": lambda z, y: entropy(z, y) + 8 * weighted(z, y),
        "mdca(gamma=0)": classes("NLL+MDCA", beta=1.0),
        "mdca(gamma=3,weight=5)": classes("FL+MDCA", beta=5.0, gamma=3.0),
        "mbls": lambda z, y: margin()(z, y)[0],
        "mbls(margin=2,weight=0.5)": lambda z, y: margin(2.0, 0.5)(z, y)[0],
    }


def short(gradient: torch.Tensor) -> list[list[float]]:
    """A gradient, rounded."""
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in gradient.tolist()]


def main() -> int:
    """Write authors.json."""
    if len(sys.argv) != 4:
        print(__doc__)
        return 2
    torch.Tensor.cuda = lambda self: self  # MDCA moves its sum to a GPU
    warnings.simplefilter("ignore")  # log_softmax without a dimension
    found: dict[str, Any] = {}
    for name, (z, y) in batches().items():
        found[name] = {"logits": z.tolist(), "labels": y.tolist(), "values": []}
        for spec, loss in theirs(*(Path(folder) for folder in sys.argv[1:])).items():
            leaf = z.clone().requires_grad_()
            value = loss(leaf, y)
            value.backward()
            entry = {"spec": spec, "value": value.item(), "gradient": short(leaf.grad)}
            found[name]["values"].append(entry)
    record = {"format": FORMAT, "library": "the authors' code", "version": AT, "batches": found}
    text = json.dumps(record | {"made_with": {"torch": torch.__version__}}, indent=1)
    text = re.sub(r"\[[^\[\]{}\"]*\]", lambda inner: " ".join(inner[0].split()), text)
    (FOLDER / "authors.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
