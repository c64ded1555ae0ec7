"""--gamma-search: focal loss's gamma by cross-validation on the training rows alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from calibtool.data.files.write import write_text
from calibtool.data.folds import stratified_folds
from calibtool.data.predictions import Predictions
from calibtool.errors import UsageError
from calibtool.evaluation.evaluate import evaluate
from calibtool.formatting import number
from calibtool.reports.render import render
from calibtool.reports.table import Table
from calibtool.train import grammar
from calibtool.train.augment import augmentation
from calibtool.train.data.dataset import Data
from calibtool.train.data.split import Splits
from calibtool.train.feed import Feed
from calibtool.train.folder import SEARCH
from calibtool.train.forward import predict
from calibtool.train.loop import Watch, fit
from calibtool.train.losses.spec import parse_loss
from calibtool.train.settings import Settings
from calibtool.train.start import begin
from calibtool.train.world import World, seeded
from calibtool.types import Array, silent


@dataclass(frozen=True)
class Tried:
    """A gamma, and what it did to rows that it was not trained on."""

    gamma: float
    nll: float
    ece: float
    accuracy: float


def chosen(settings: Settings, data: Data, parts: Splits, place: World, watch: Watch) -> str:
    """The loss with the gamma that the search finds, or found before the run was broken."""
    path = Path(settings.out) / SEARCH
    if path.is_file():
        return str(json.loads(path.read_text(encoding="utf-8"))["chosen"])
    loss, tried = search(settings, data, parts, place, watch)
    shown = listing(tried, loss, settings.gamma_folds)
    place.first_alone(write_text, path, render(shown, "json", width=80, colour=False))
    return loss


def search(
    settings: Settings, data: Data, parts: Splits, place: World, watch: Watch
) -> tuple[str, list[Tried]]:
    """The loss of the gamma whose held-out NLL is least, and all that were tried.

    Each fold is held out once; validation and test rows are not looked at.
    """
    name, options = grammar.parse(settings.loss)
    if name != "focal":
        raise UsageError(f"--gamma-search is of focal loss; --loss is {settings.loss}")
    fold = stratified_folds(parts.train.labels, settings.gamma_folds, settings.seed)
    tried = []
    for gamma in settings.gamma_search:
        loss = _spec(name, {**options, "gamma": gamma})
        logits = torch.zeros((len(fold), data.classes))
        for k in range(settings.gamma_folds):
            held = np.flatnonzero(fold == k)
            logits[held] = _fold(
                replace(settings, loss=loss, patience=None), data, parts, held, place, watch
            )
        found = evaluate(
            Predictions.from_logits(logits.numpy(), parts.train.labels),
            "nll,ece,accuracy",
            ci="none",
        )
        values = [found[metric].value or 0.0 for metric in ("nll", "ece", "accuracy")]
        tried.append(Tried(gamma, *values))
    best = min(tried, key=lambda one: one.nll)
    return _spec(name, {**options, "gamma": best.gamma}), tried


def _fold(
    settings: Settings,
    data: Data,
    parts: Splits,
    held: Array,
    place: World,
    watch: Watch,
) -> torch.Tensor:
    """Logits of the held-out rows by a model of the others."""
    rest = np.setdiff1d(np.arange(len(parts.train)), held)
    inner = replace(parts, train=parts.train.take(rest), val=parts.train.take(held))
    with seeded(settings.seed, place.device):
        state = begin(settings, data, inner, place)
        watch.start(settings.loss, settings.epochs)
        val = Feed(inner.val, place.device)
        fit(
            state,
            Feed(inner.train, place.device),
            val,
            settings,
            place,
            watch=watch,
            keep=silent,
            augment=augmentation(settings.augment),
        )
        return predict(state.model, val, settings, place)


def _spec(name: str, options: dict[str, object]) -> str:
    return parse_loss(f"{name}({', '.join(f'{k}={v!r}' for k, v in options.items())})").name


def listing(tried: Sequence[Tried], loss: str, folds: int) -> Table:
    """What was tried, for the report."""
    records = [vars(one) for one in tried]
    return Table(
        "calibtool-gamma-search",
        f"Gamma by cross-validation in {folds} folds of the training rows",
        ["gamma", "nll", "ece", "accuracy"],
        [
            [f"{one.gamma:g}", number(one.nll), number(one.ece), number(one.accuracy)]
            for one in tried
        ],
        records,
        "tried",
        [f"Chosen: {loss}, of the least NLL on rows that it was not trained on."],
        {"chosen": loss, "folds": folds},
    )
