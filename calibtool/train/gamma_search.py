"""--gamma-search: the gamma of focal loss by cross-validation on the training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from calibtool.analysis.evaluate import evaluate
from calibtool.data.files.document import Document
from calibtool.data.folds import grouped_folds, stratified_folds
from calibtool.data.predictions import Predictions
from calibtool.errors import UsageError
from calibtool.formatting import number
from calibtool.reports.table import Table
from calibtool.train import grammar
from calibtool.train.data.dataset import Data
from calibtool.train.data.split import Splits
from calibtool.train.feed import Feed
from calibtool.train.folder import SEARCH, write_table
from calibtool.train.forward import predict
from calibtool.train.loop import Watch, fit
from calibtool.train.losses.spec import parse_loss
from calibtool.train.settings import Settings
from calibtool.train.start import begin
from calibtool.train.world import World, seeded
from calibtool.types import Array, silent


@dataclass(frozen=True)
class GammaResult:
    """A gamma, and its metrics on rows that were held out of training."""

    gamma: float
    nll: float
    ece: float
    accuracy: float


def chosen_loss(settings: Settings, data: Data, parts: Splits, world: World, watch: Watch) -> str:
    """Return the loss with the gamma of the search, or of gamma_search.json in a resumed run."""
    path = Path(settings.out) / SEARCH
    if path.is_file():
        table = searched(path)
    else:
        loss, results = search(settings, data, parts, world, watch)
        table = listing(results, loss, settings.gamma_folds)
        world.first_alone(write_table, path, table, "json")
    return str(table.body["chosen"])


def searched(path: Path) -> Table:
    """Return the table of a search from its file; raise InputError if it is damaged."""
    document = Document(str(path), "a search for gamma").read_json()
    chosen, names = document["chosen"].text(), [field.name for field in fields(GammaResult)]
    results = [
        GammaResult(*(tried[name].number() for name in names))
        for tried in document["tried"].items()
    ]
    return listing(results, chosen, document["folds"].whole(2))


def search(
    settings: Settings, data: Data, parts: Splits, world: World, watch: Watch
) -> tuple[str, list[GammaResult]]:
    """Return the loss whose gamma has the smallest held-out NLL, and the results of all gammas.

    Each fold is held out once; validation and test rows are not used. Raises UsageError for a loss
    other than focal.
    """
    name, options = grammar.parse(settings.loss)
    if name != "focal":
        raise UsageError(f"--gamma-search needs --loss focal, not {settings.loss}")
    groups, folds = parts.train.groups, settings.gamma_folds
    if groups is None:
        fold = stratified_folds(parts.train.labels, folds, settings.seed)
    else:
        fold = grouped_folds(groups, folds, settings.seed)
    results = []
    for gamma in settings.gamma_search:
        loss = _spec(name, {**options, "gamma": gamma})
        logits = torch.zeros((len(fold), data.classes))
        for k in range(settings.gamma_folds):
            held_out = np.flatnonzero(fold == k)
            # without patience: early stopping would choose its epoch on the held-out rows
            logits[held_out] = _fold(
                replace(settings, loss=loss, patience=None), data, parts, held_out, world, watch
            )
        report = evaluate(
            Predictions.from_logits(logits.numpy(), parts.train.labels),
            "nll,ece,accuracy",
            ci="none",
        )
        values = [report[metric].value or 0.0 for metric in ("nll", "ece", "accuracy")]
        results.append(GammaResult(gamma, *values))
    best = min(results, key=lambda result: result.nll)
    return _spec(name, {**options, "gamma": best.gamma}), results


def _fold(
    settings: Settings, data: Data, parts: Splits, held_out: Array, world: World, watch: Watch
) -> torch.Tensor:
    """Return the logits of the held-out rows by a model trained on the other training rows."""
    rest = np.setdiff1d(np.arange(len(parts.train)), held_out)
    inner = replace(parts, train=parts.train.take(rest), val=parts.train.take(held_out))
    with seeded(settings.seed, world.device):
        state = begin(settings, data, inner, world)
        watch.start(settings.loss, settings.epochs)
        val = Feed(inner.val, world.device, settings.workers)
        fit(
            state,
            Feed(inner.train, world.device, settings.workers),
            val,
            settings,
            world,
            watch=watch,
            save=silent,
            rows=len(parts.train),  # as many steps as the final training
        )
        return predict(state.model, val, settings, world)


def _spec(name: str, options: dict[str, object]) -> str:
    return parse_loss(f"{name}({', '.join(f'{k}={v!r}' for k, v in options.items())})").name


def listing(results: Sequence[GammaResult], loss: str, folds: int) -> Table:
    """Return the table of a search."""
    records = [vars(result) for result in results]
    return Table(
        "calibtool-gamma-search",
        f"Gamma by cross-validation in {folds} folds of the training rows",
        ["gamma", "nll", "ece", "accuracy"],
        [
            [f"{row.gamma:g}", number(row.nll), number(row.ece), number(row.accuracy)]
            for row in results
        ],
        records,
        "tried",
        [f"Chosen: {loss}, which has the smallest NLL on held-out rows."],
        {"chosen": loss, "folds": folds},
    )
