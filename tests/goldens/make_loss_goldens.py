"""Ask torchvision and torch-uncertainty for their focal losses, one JSON a library.

    pip install torch==2.13.0 numpy
    pip install --no-deps torchvision==0.24.1 torch_uncertainty==0.13.0
    python tests/goldens/make_loss_goldens.py

torchvision's compiled operators want the torch they were built for, and torch-uncertainty much
that its losses do not use. Both losses are plain Python: the installed files themselves are run,
under stand-ins for the packages around them.
"""

import json
import re
import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

FORMAT = 1
FOLDER = Path(__file__).parent / "losses"
GRID = 2.0**10  # logits are multiples of 1 / GRID, exact in float32 and in JSON


def stand_in(package: str, inside: str) -> None:
    """A package that finds its own files but runs no `__init__`."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    root = Path(spec.submodule_search_locations[0])
    for name, folder in ((package, root), (f"{package}.{inside}", root / inside)):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(folder)]


def logits(*shape: int, seed: int) -> torch.Tensor:
    """Logits from sure to unsure, on the grid."""
    generator = torch.Generator().manual_seed(seed)
    drawn = 4 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return (drawn * GRID).round() / GRID


def torchvision() -> dict:
    """sigmoid_focal_loss, with alpha -1 (none) and with alpha."""
    stand_in("torchvision", "ops")
    utils = ModuleType("torchvision.utils")
    utils._log_api_usage_once = lambda _: None
    sys.modules["torchvision.utils"] = utils
    focal = import_module("torchvision.ops.focal_loss").sigmoid_focal_loss
    z = torch.cat([logits(37, seed=1), torch.tensor([0.0, 60.0, -60.0], dtype=torch.float64)])
    y = (torch.arange(40) % 3 == 0).double()
    values = []
    for gamma in (0.0, 0.5, 2.0, 5.0):
        for alpha in (-1.0, 0.25, 0.9):
            for reduction in ("none", "sum", "mean"):
                value = focal(z, y, alpha=alpha, gamma=gamma, reduction=reduction).tolist()
                entry = {"gamma": gamma, "alpha": alpha, "reduction": reduction, "value": value}
                values.append(entry)
    return {"logits": z.tolist(), "labels": y.tolist(), "values": values}


def torch_uncertainty() -> dict:
    """FocalLoss, with class weights and without."""
    stand_in("torch_uncertainty", "losses")
    focal = import_module("torch_uncertainty.losses.classification").FocalLoss
    z = logits(40, 4, seed=2)
    y = torch.arange(40) % 4
    values = []
    for gamma in (0.0, 0.5, 2.0, 3.0):
        for alpha in (None, [0.5, 1.0, 2.0, 0.25]):
            weights = None if alpha is None else torch.tensor(alpha, dtype=torch.float64)
            for reduction in ("none", "sum", "mean"):
                value = focal(gamma, weights, reduction)(z, y).tolist()
                entry = {"gamma": gamma, "alpha": alpha, "reduction": reduction, "value": value}
                values.append(entry)
    return {"logits": z.tolist(), "labels": y.tolist(), "values": values}


def main() -> None:
    """Write `<library>-<version>.json`, lists of numbers on one line."""
    FOLDER.mkdir(exist_ok=True)
    for library, ask in (("torchvision", torchvision), ("torch_uncertainty", torch_uncertainty)):
        made_with = {"torch": version("torch")}
        head = {"format": FORMAT, "library": library, "version": version(library)}
        record = head | {"made_with": made_with} | ask()
        text = json.dumps(record, indent=1)
        text = re.sub(r"\[[^\[\]{}\"]*\]", lambda found: " ".join(found[0].split()), text)
        path = FOLDER / f"{library}-{version(library)}.json"
        path.write_text(text + "\n", encoding="utf-8")
        sys.stdout.write(f"{path}: {len(record['values'])} values\n")


if __name__ == "__main__":
    main()
