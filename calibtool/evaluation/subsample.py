"""A random subsample of rows, for work that need not see them all."""

from __future__ import annotations

import numpy as np

from calibtool.calibrators.fit_rows import joined
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Readable
from calibtool.errors import UsageError
from calibtool.evaluation.resampling import require_seed
from calibtool.intervals.streams import Stream, generator
from calibtool.streaming.streamed import STREAMED_ROWS


def draw_rows(rows: Readable, count: int, seed: int = 0) -> Predictions:
    """Return `count` rows drawn without replacement, in their order; all rows if there are no more.

    A file is read in blocks, of which the drawn rows alone are kept. Which rows are drawn depends
    on their number and on the seed.

    Raises UsageError for a count below 1 and for a seed that is none.

    >>> p = Predictions.from_probs([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1])
    >>> draw_rows(p, 2).rows, draw_rows(p, 9).rows
    (2, 4)
    """
    if count < 1:
        raise UsageError(f"--subsample must be at least 1 (got {count:,})")
    require_seed(seed)
    total = rows.rows
    if count >= total:
        return rows.load()
    drawn = np.sort(generator(Stream.SUBSAMPLE, seed).choice(total, count, replace=False))
    if isinstance(rows, Predictions):
        return rows.take(drawn)
    blocks, start = [], 0
    for block in rows.blocks(STREAMED_ROWS):
        first, last = np.searchsorted(drawn, [start, start + block.rows])
        if last > first:
            blocks.append(block.take(drawn[first:last] - start))
        start += block.rows
    return joined(blocks)
