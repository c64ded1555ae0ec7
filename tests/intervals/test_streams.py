"""Random streams never meet."""

from __future__ import annotations

from itertools import product

import numpy as np

from calibtool.intervals.streams import Stream, generator


def first_words(stream, seed, *index):
    return tuple(generator(stream, seed, *index).integers(0, 1 << 63, 2))


def test_streams_pieces_and_seeds_never_coincide():
    """Keys padded with zeros once made some of these the same stream."""
    keys = [
        (stream, seed, *index)
        for stream in Stream
        for seed in (0, 1, 2**32, 2**64 + 1)
        for length in (0, 1, 2)
        for index in product((0, 1, 2, 5, 6), repeat=length)
    ]
    assert len({first_words(*key) for key in keys}) == len(keys)


def test_the_same_key_gives_the_same_draws():
    one, other = (generator(Stream.WEIGHTS, 3, 1, 2).normal(size=5) for _ in range(2))
    np.testing.assert_array_equal(one, other)
