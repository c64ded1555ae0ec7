"""Random streams: every use of randomness, each with a key of its own.

Whatever is drawn has a stream, and where it is drawn in pieces, each piece has an index: the same
seed gives the same digits in any order, on any number of threads or machines.
"""

from __future__ import annotations

from enum import IntEnum, unique

import numpy as np


@unique
class Stream(IntEnum):
    """What is drawn; the name says what, the comment with which indices.

    The numbers begin a key, so they are larger than any index: no two streams can meet. They are
    arbitrary, but changing one changes digits that people have written down.
    """

    # intervals
    WEIGHTS = 0x5EED0001  # bootstrap weights of rows: block of rows, group of replicates
    UNITS = 0x5EED0002  # the resampling unit of each row: block of rows
    CLUSTERS = 0x5EED0003  # the resampling unit of each of many clusters
    NOISE = 0x5EED0004  # normal deviates that complete the spread of bootstrap residuals

    # evaluation
    OUTCOMES = 0x5EED0011  # simulated outcomes of cells: binary problem
    LABELS = 0x5EED0012  # simulated labels of rows: block of rows, group of replicates
    RANKS = 0x5EED0013  # replicates of metrics of cells in memory
    CELL_WEIGHTS = 0x5EED0014  # bootstrap replicates of cells: binary problem, cell
    CELL_OUTCOMES = 0x5EED0015  # simulated outcomes of cells: binary problem, cell
    BIN_NOISE = 0x5EED0016  # replicates of bins that only summaries know
    DEVIATES = 0x5EED0017  # order of evenly spaced deviates: the letters of the metric's name

    # metrics
    BANDWIDTH = 0x5EED0021  # cells or rows that choose a kernel's bandwidth; the seed is always 0

    # analysis
    NULL = 0x5EED0031  # outcomes under perfect calibration, by cell: group of replicates
    NULL_LABELS = 0x5EED0032  # labels under perfect calibration: block, classes, kind of draw
    HALF = 0x5EED0033  # rows that are searched for slices; the others confirm
    PERIOD = 0x5EED0034  # bins of a period

    # train
    SPLIT = 0x5EED0041  # rows set aside
    ORDER = 0x5EED0042  # order of rows: epoch
    SAMPLE = 0x5EED0043  # rows from which input statistics are taken


def generator(stream: Stream, seed: int, *index: int) -> np.random.Generator:
    """Return the generator of one piece of a stream.

    Args:
        stream: what is drawn.
        seed: the user's seed, >= 0.
        index: which piece, each >= 0; a stream always has the same number of indices.

    >>> a, b = generator(Stream.HALF, 0), generator(Stream.PERIOD, 0)
    >>> bool(a.integers(1 << 60) == b.integers(1 << 60))
    False
    """
    # A spawn key is hashed after the seed's words have been padded to a fixed number, so that a
    # long seed cannot pass for a short one with an index.
    key = np.random.SeedSequence(seed, spawn_key=(int(stream), *index))
    return np.random.Generator(np.random.SFC64(key))
