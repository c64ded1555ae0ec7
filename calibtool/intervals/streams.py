"""Random streams: every use of randomness has a stream with a key of its own.

Where a stream is drawn in pieces, each piece has an index: the same seed gives the same digits in
any order, on any number of threads or machines.
"""

from __future__ import annotations

from enum import IntEnum, unique

import numpy as np


@unique
class Stream(IntEnum):
    """The streams. The comments say what is drawn and, after a colon, the indices of a piece.

    The numbers begin a key and are larger than any index, so that no two streams can coincide. They
    are arbitrary, but changing one changes digits that people have written down.
    """

    # intervals
    WEIGHTS = 0x5EED0001  # bootstrap weights: block of rows (or units), group of replicates
    UNITS = 0x5EED0002  # the resampling unit of each row: block of rows
    CLUSTERS = 0x5EED0003  # the resampling unit of each cluster, of more clusters than units
    NOISE = 0x5EED0004  # normal deviates that complete the spread of bootstrap residuals
    TIES = 0x5EED0005  # order of equal noise in replicates of perfect calibration
    UNSEEN = 0x5EED0006  # the row that was not seen: its weight, its score, its label

    # evaluation, from rows
    OUTCOMES = 0x5EED0011  # simulated outcomes of fine cells: binary problem
    LABELS = 0x5EED0012  # simulated labels of rows: block of rows, group of replicates
    TWO_FILES = 0x5EED0013  # replicates of metrics of two files
    PERFECT = 0x5EED0014  # outcomes, or labels, of rows under perfect calibration: problem

    # evaluation, from a summary
    CELL_BINS = 0x5EED0021  # bins of a binary problem: problem, cell
    CELL_CURVES = 0x5EED0022  # fine cells of a binary problem: problem, cell
    CELL_COLUMN = 0x5EED0023  # fine cells of a binned error: problem, cell
    CELL_SCORES = 0x5EED0024  # scores of simulated data sets: problem, cell
    CLASS_BINS = 0x5EED0025  # bins of many classes
    DEVIATES = 0x5EED0026  # order of evenly spaced deviates: the bytes of the metric's name

    # metrics
    BANDWIDTH = 0x5EED0031  # cells or rows that choose a kernel's bandwidth; the seed is always 0

    # analysis
    NULL = 0x5EED0041  # outcomes under perfect calibration, by cell: group of replicates
    NULL_KERNEL = 0x5EED0042  # labels under perfect calibration: block of rows, classes
    NULL_CLASSES = 0x5EED0043  # the same for class-wise consistency
    POWER = 0x5EED0044  # outcomes under a known miscalibration, for what a test can detect
    HALVES = 0x5EED0045  # rows that are searched for slices; the others confirm
    PERIOD = 0x5EED0046  # bins of a period
    SUBSAMPLE = 0x5EED0047  # rows that `select` looks at, of a larger file
    CLASS_SHARES = 0x5EED0048  # labelled rows within their class, and unlabelled ones: replicate
    IMPLIED = 0x5EED0049  # labels drawn from probabilities that are taken to be calibrated: draw
    CHANGE = 0x5EED004A  # order of equal outcomes of periods; the seed is always 0

    # decisions
    SETS = 0x5EED0061  # how much of a class's own probability counts: 0 fit or 1 use, block of rows
    EQUAL_SCORES = 0x5EED0062  # order of rows with equal scores, in tests of thresholds

    # train
    SPLIT = 0x5EED0051  # rows set aside: class
    ORDER = 0x5EED0052  # order of rows: epoch
    MOMENTS = 0x5EED0053  # rows that means and deviations of inputs are taken from
    WORLD = 0x5EED0054  # initial weights, and whatever is drawn before the first step
    STEP = 0x5EED0055  # dropout and augmentation: epoch, rank; three words per forward pass
    ITEMS = 0x5EED0056  # what a dataset of the user draws as it is read: pass, rank, batch


def generator(stream: Stream, seed: int, *index: int) -> np.random.Generator:
    """Return the generator of one piece of a stream.

    Args:
        stream: what is drawn.
        seed: the user's seed, >= 0.
        index: which piece, each >= 0; a stream always has the same number of indices.

    >>> a, b = generator(Stream.HALVES, 0), generator(Stream.PERIOD, 0)
    >>> bool(a.integers(1 << 60) == b.integers(1 << 60))
    False
    """
    return np.random.Generator(np.random.SFC64(_sequence(stream, seed, index)))


def words(stream: Stream, seed: int, *index: int, count: int) -> list[int]:
    """Return `count` 32-bit words of a piece of a stream, to seed generators of other packages."""
    return [int(word) for word in _sequence(stream, seed, index).generate_state(count)]


def _sequence(stream: Stream, seed: int, index: tuple[int, ...]) -> np.random.SeedSequence:
    # A spawn key is hashed after the seed's words have been padded to a fixed number, so that a
    # long seed cannot pass for a short one with an index.
    return np.random.SeedSequence(seed, spawn_key=(int(stream), *index))
