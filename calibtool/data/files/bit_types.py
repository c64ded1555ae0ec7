"""Types that numpy has not, or does not check: brain floats, and booleans of any byte."""

from __future__ import annotations

import numpy as np

from calibtool.types import Array

BFLOAT16 = np.dtype("<u2")  # bytes of a brain float, as numpy can map them
FLAG = np.dtype("u1")  # those of a boolean


def from_bfloat16(values: Array) -> Array:
    """Return brain floats as float32, of which they are the upper half.

    >>> from_bfloat16(np.array([0x3F80, 0xC000], np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    wide = np.asarray(values).astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def from_flags(values: Array) -> Array:
    """Return bytes as booleans: all but 0 is true."""
    return np.asarray(values != 0)
