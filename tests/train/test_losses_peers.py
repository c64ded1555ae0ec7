"""Losses against other libraries' and their authors' own, as kept in tests/goldens/losses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="losses need the extra calibtool[train]")

from calibtool.train import FocalLoss, make_loss  # noqa: E402

FOLDER = Path(__file__).parents[1] / "goldens" / "losses"
LIBRARIES = [FOLDER / f"{name}.json" for name in ("torch_uncertainty-0.13.0", "torchvision-0.24.1")]
AUTHORS = json.loads((FOLDER / "authors.json").read_text())["batches"]
# The authors' weighted MMCE adds 1e-5 to squared numbers of rows, which are 1 or more, and their
# MDCA adds up in float32; everything else agrees to rounding.
OFF = {"mmce-weighted": 2e-5, "mdca": 1e-6}


def of(file):
    document = json.loads(file.read_text())
    z = torch.tensor(document["logits"], dtype=torch.float64)
    return document, z, torch.tensor(document["labels"])


@pytest.mark.parametrize("file", LIBRARIES, ids=lambda file: file.stem)
def test_agrees_with_other_libraries(file):
    """Their mean is not weighted by alpha; ours is, so theirs is compared with the rows' mean."""
    document, z, y = of(file)
    binary = document["library"] == "torchvision"
    for entry in document["values"]:
        weights = entry["alpha"]
        if binary:
            alpha = entry["alpha"]
            weights = None if alpha < 0 else torch.tensor([1 - alpha, alpha], dtype=torch.float64)
        elif weights:
            weights = torch.tensor(weights, dtype=torch.float64)
        loss = FocalLoss(
            entry["gamma"],
            class_weights=weights,
            sigmoid=binary,
            reduction="sum" if entry["reduction"] == "sum" else "none",
        )
        losses = loss(z, y)
        losses = losses.mean() if entry["reduction"] == "mean" else losses
        expected = torch.tensor(entry["value"], dtype=torch.float64)
        torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", AUTHORS)
def test_agrees_with_the_authors_code(name):
    """Value and gradient of the mean of a batch."""
    batch = AUTHORS[name]
    y = torch.tensor(batch["labels"])
    for entry in batch["values"]:
        z = torch.tensor(batch["logits"], dtype=torch.float64, requires_grad=True)
        loss = make_loss(entry["spec"], classes=z.shape[1])(z, y)
        loss.backward()
        off = OFF.get(entry["spec"].split("(")[0], 1e-11)
        assert loss.item() == pytest.approx(entry["value"], rel=off), entry["spec"]
        theirs = torch.tensor(entry["gradient"], dtype=torch.float64)
        assert (z.grad - theirs).abs().max() <= off * theirs.abs().max(), entry["spec"]
