"""Where columns of many numbers are divided when slices are streamed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.data.cuts import Cuts, is_cut, octiles, tenths
from calibtool.data.files.source import Source
from calibtool.data.slicing import carrying, confidence, names_in
from calibtool.evaluation.subsample import draw_rows
from calibtool.streaming.streamed import STREAMED_ROWS

DRAWN = f"Divided at the quantiles of {STREAMED_ROWS:,} rows drawn at random."


def cuts_of(source: Source, every_by: Sequence[str], seed: int) -> dict[str, Cuts]:
    """Return how columns of many numbers are divided: at the quantiles of a sample of the rows, one
    for all that slices are asked by."""
    names = dict.fromkeys(name for by in every_by for name in names_in(by))
    if all(name == "predicted" or _is_text(source, name) for name in names):
        return {}
    sample = draw_rows(carrying(source, every_by), STREAMED_ROWS, seed)
    drawn, cuts = sample.rows < source.rows, {}
    for name in names:
        column = sample.extra.get(name)
        if column is None and name == "confidence":
            cuts[name] = tenths(confidence(sample), drawn=drawn)
        elif column is not None and is_cut(column):
            cuts[name] = octiles(column.astype(np.float64), f"{source.source}: {name}", drawn=drawn)
    return cuts


def _is_text(source: Source, name: str) -> bool:
    """Return whether it is known without reading that a column holds texts."""
    column = source.table.columns.get(name)
    return column is not None and column.family == "text"
