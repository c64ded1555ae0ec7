"""Small data to train on."""

from __future__ import annotations

import numpy as np


def blobs(rows: int, columns: int = 8, classes: int = 3, seed: int = 0):
    """Overlapping clouds: features and labels."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, columns))
    y = rng.integers(0, classes, rows)
    return (centres[y] + rng.normal(size=(rows, columns))).astype(np.float32), y


def pictures(rows: int, classes: int = 3, size: int = 8, seed: int = 0):
    """Noisy patterns: (N, size, size) uint8 and labels."""
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 255, (classes, size, size))
    y = rng.integers(0, classes, rows)
    x = 0.5 * patterns[y] + rng.normal(64, 40, (rows, size, size))
    return np.clip(x, 0, 255).astype(np.uint8), y
