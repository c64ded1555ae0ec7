"""The model of a finished run, for use elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, overload

import numpy as np
import torch
from torch import Tensor, nn

from calibtool.calibrators.calibrator import Calibrator
from calibtool.calibrators.fit import load_calibrator
from calibtool.data.predictions import Predictions
from calibtool.data.rows import to_probs
from calibtool.errors import InputError, UsageError
from calibtool.train import config, folder, grammar, tensors
from calibtool.train.conclusion import CALIBRATOR, TEMPERATURE, VAL
from calibtool.train.data.dataset import Data
from calibtool.train.data.text import Encode, Texts
from calibtool.train.models import registry
from calibtool.train.models.registry import Network
from calibtool.train.prepare import Prepared
from calibtool.types import Array

Raw: TypeAlias = Tensor | Array | Sequence[str]


class Run:
    """What the folder of a finished run says of its model.

    Attributes:
        out: the folder.
        settings: the options of the run.
        data: its data, without rows: classes, shape, kind and columns of the inputs.

    Raises InputError if the folder does not hold a finished run.
    """

    def __init__(self, run: str | Path) -> None:
        self.out = Path(run)
        if not (self.out / folder.MODEL).is_file():
            raise InputError(_not_a_run(self.out))
        self.settings, resolved = config.read(self.out / config.NAME)
        shape = tuple(size.whole(1) for size in resolved["shape"].items())
        classes, kind = resolved["classes"].whole(2), resolved["kind"].text()
        names, columns = (
            None if entry is None else entry.texts()
            for entry in (resolved.get("class_names"), resolved.get("columns"))
        )
        self.data = Data(str(self.out), {}, classes, shape, kind, names, columns=columns)

    def network(self) -> tuple[Network, Encode | None]:
        """Return the network with initial weights, and the function from texts to token ids."""
        name, _ = grammar.parse(self.settings.model)
        is_text = self.data.kind == "text"
        if not name.startswith("hf:"):
            return registry.build(self.settings.model, self.data), _hashed if is_text else None
        from calibtool.train.models import packages

        kept = self.out / folder.HF
        if kept.is_dir():
            name = f"hf:{kept}"
            tokens = self.data.kind in ("text", "tokens")
            network = Network(*packages.kept(kept, self.data), tokens, external=True)
        else:  # a run of an older version, whose model is found by its name
            network = registry.build(self.settings.model, self.data)
        if not is_text:
            return network, None
        return network, packages.encoder(name, self.settings.max_length)

    def calibrator_path(self) -> Path | None:
        """Return the file of its calibrator: `calibrator.json`, which only a person or `select` put
        there, or else `temperature.json`; None if it has neither."""
        paths = (self.out / name for name in (CALIBRATOR, TEMPERATURE))
        return next((path for path in paths if path.is_file()), None)

    def calibrator(self, calibrated: bool | str | Path = True) -> Calibrator:
        """Return the calibrator of the run, or the one in another file.

        Raises InputError if the run has none.
        """
        path = self.calibrator_path() if isinstance(calibrated, bool) else calibrated
        if path is None:
            raise InputError(
                f"{self.out}: has no {TEMPERATURE}: no finite temperature fitted its validation "
                f"rows. Try calibtool select {self.out / VAL} -o {self.out / CALIBRATOR}"
            )
        return load_calibrator(path)


class Loaded(Prepared):
    """The model of a run. Call it on raw inputs, or on texts if it was trained on texts."""

    def __init__(
        self,
        network: Network,
        moments: Mapping[str, Tensor | None],
        run: Run,
        encode: Encode | None,
    ) -> None:
        super().__init__(network, moments["mean"], moments["deviation"])
        self.run, self.encode = run, encode

    def forward(self, x: Raw) -> Tensor:
        """Return (n, K) float32 logits.

        Raises UsageError for texts if the run was not trained on texts.
        """
        if isinstance(x, Tensor):
            return super().forward(x)
        if isinstance(x, (list, tuple)) and all(isinstance(text, str) for text in x):
            if self.encode is None:
                raise UsageError(f"{self.run.out}: was trained on {self.run.data.kind}, not texts")
            x = self.encode(x)
        device = next((weight.device for weight in self.network.parameters()), None)
        return super().forward(torch.from_numpy(np.asarray(x)).to(device))


class Calibrated(nn.Module):
    """The model of a run and a calibrator: raw inputs to probabilities, without gradients."""

    def __init__(self, model: Loaded, calibrator: Calibrator) -> None:
        super().__init__()
        self.model, self.calibrator = model, calibrator

    @torch.no_grad()
    def forward(self, x: Raw) -> Tensor:
        """Return (n, K) probabilities, on the CPU."""
        logits = self.model(x).cpu().numpy()
        names = self.model.run.data.class_names
        predictions = Predictions.from_logits(logits, None, class_names=names)
        return torch.from_numpy(to_probs(self.calibrator(predictions)).matrix())


@overload
def load_model(run: str | Path, *, calibrated: Literal[False] = False) -> Loaded: ...
@overload
def load_model(run: str | Path, *, calibrated: Literal[True] | str | Path) -> Calibrated: ...


def load_model(run: str | Path, *, calibrated: bool | str | Path = False) -> Loaded | Calibrated:
    """Return the trained model of a run's folder, on the CPU and in evaluation mode.

    Call it on raw inputs as in the data: (n, C, H, W) uint8 images, (n, d) features, token ids or a
    list of texts. It returns (n, K) float32 logits. `model.network` is the network itself.

    Args:
        run: the folder.
        calibrated: return a model of probabilities instead: with True by the calibrator of the run,
            `calibrator.json` if there is one, otherwise `temperature.json`; or by the one in this
            file.

    Raises InputError if the folder does not hold a finished run, or has no calibrator.
    """
    found = Run(run)
    calibrator = None if calibrated is False else found.calibrator(calibrated)
    weights, _ = tensors.read(found.out / folder.MODEL)
    moments = {name: weights.pop(f"{folder.PREFIX}{name}", None) for name in ("mean", "deviation")}
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights draw from the caller's generator
            network, encode = found.network()
        network.module.load_state_dict(weights)
    except RuntimeError as error:  # of other names or shapes, or of more than memory holds
        reason = " ".join(str(error).split())
        raise InputError(f"{found.out / folder.MODEL}: holds other weights ({reason})") from error
    shape = found.data.shape
    for name, moment in moments.items():
        if moment is not None and not _is_per_input(moment, shape):
            raise InputError(
                f"{found.out / folder.MODEL}: {folder.PREFIX}{name} does not fit inputs of shape "
                f"{shape}"
            )
    model = Loaded(network, moments, found, encode).eval()
    return model if calibrator is None else Calibrated(model, calibrator).eval()


def _not_a_run(out: Path) -> str:
    """Return the message for a folder without a model, which says what the folder is instead."""
    if not out.is_dir():
        return f"{out}: no such folder; give the folder of a run of calibtool train"
    if (out / folder.REPORT).is_file() and not (out / config.NAME).is_file():
        return (
            f"{out}: holds no {folder.MODEL}: it was written by calibtool.train.finish, which "
            "leaves the model to your own loop"
        )
    runs = sorted(path.parent for path in out.glob(f"*/{folder.MODEL}"))
    if runs:
        return f"{out}: holds runs, such as {runs[0]}; give one of them"
    return f"{out}: holds no {folder.MODEL}; is the run finished?"


def _hashed(texts: Sequence[str]) -> Array:
    return Texts(texts).take(np.arange(len(texts)))


def _is_per_input(moment: Tensor, shape: tuple[int, ...]) -> bool:
    """Return whether a moment can be subtracted from an input: per value or per channel."""
    sizes = zip(reversed(moment.shape), reversed(shape), strict=False)
    return moment.ndim <= len(shape) and all(size in (1, whole) for size, whole in sizes)
