"""The outputs of a run's model for new rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calibtool.data.predictions import Predictions
from calibtool.data.validation import Origin
from calibtool.errors import InputError, UsageError
from calibtool.train import forward
from calibtool.train.data.dataset import Data, Rows
from calibtool.train.data.read import read_new
from calibtool.train.data.text import Encoded, Texts
from calibtool.train.data.unseen import RawRows, Wanted
from calibtool.train.feed import Feed, watched
from calibtool.train.saved import Loaded, load_model
from calibtool.train.training import cpu_threads
from calibtool.train.world import World, choose_device, threads


def predict(
    run: str | Path | Loaded,
    data: str,
    *,
    part: str = "",
    with_labels: bool = True,
    required: Collection[str] = (),
    device: str = "auto",
    batch_size: int | None = None,
    **reading: Any,
) -> Predictions:
    """Return the logits of a run's model for new rows, with their labels, if any, and ids.

    Args:
        run: the folder of a finished run, or its model (`load_model`).
        data: as for `calibtool train --data`; labels may be missing.
        part: "train", "val" or "test" of data that are split.
        with_labels: whether to read labels if there are any.
        required: options of `reading` whose keys must be there: "inputs", "labels", "ids".
        device, batch_size: as for `Settings`; the batch size is that of the run by default.
        reading: settings of reading that differ from those of the run: `inputs`, `labels`, `ids`,
            `split`, `layout`, `image_size`.

    Raises InputError for rows that the model cannot take, and UsageError.
    """
    model = run if isinstance(run, Loaded) else load_model(run)
    known = model.run.data
    settings = replace(model.run.settings, data=data, device=device, **reading)
    if batch_size is not None:
        settings = replace(settings, batch_size=batch_size)
    wanted = Wanted(known, part, with_labels, frozenset(required))
    raw = read_new(data, settings, wanted)
    _require_alike(raw, known, data, tokens=model.tokens)
    ids = raw.class_ids(known.named_classes, f"{data}: labels")
    inputs = raw.inputs
    if isinstance(inputs, Texts) and model.encode is not None:
        inputs = Encoded(inputs.texts, model.encode)
    rows = Rows(inputs, np.zeros(len(inputs), np.int64) if ids is None else ids, raw.ids)
    world = World(choose_device(device, None))
    try:
        with threads(cpu_threads(settings, known)), watched():
            feed = Feed(rows, world.device)
            logits = forward.predict(model.to(world.device), feed, settings, world)
    except torch.OutOfMemoryError as error:
        raise UsageError(f"{world.device}: out of memory; try a smaller --batch-size") from error
    place = Origin(data, "logits")
    predictions = Predictions.from_logits(
        logits.numpy(), ids, class_names=known.class_names, place=place
    )
    return replace(predictions, extra={"ids": raw.ids}, source=data)


def _require_alike(raw: RawRows, known: Data, data: str, *, tokens: bool) -> None:
    """Check that rows are like those that the model was trained on; raise InputError otherwise."""
    if (raw.kind == "text") != (known.kind == "text"):
        raise InputError(
            f"{data}: holds {raw.kind}; {known.source} was trained on {known.kind} (name the "
            "column with --inputs)"
        )
    if raw.kind == "text":
        return
    shape = raw.inputs.take(np.arange(1)).shape[1:]
    if shape == known.shape or (tokens and len(shape) == len(known.shape) == 1):
        return
    if len(shape) == len(known.shape) == 1:
        raise InputError(
            f"{data}: has {shape[0]:,} inputs per row; {known.source} was trained on "
            f"{known.shape[0]:,}"
        )
    raise InputError(
        f"{data}: has inputs of shape {shape}; {known.source} was trained on shape {known.shape}"
    )
