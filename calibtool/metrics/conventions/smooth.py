"""Smoothed errors: relplot's smECE, which others use too, and net:cal's kernel error.

All constants are those of the libraries: relplot 1.0.3, TorchUncertainty 0.13.0, net:cal 1.4.0.
"""

from __future__ import annotations

import math

import numpy as np

from calibtool.metrics.conventions.logistic import logit
from calibtool.types import Array


def smece(score: Array, outcome: Array, *, kernel: str = "reflected", torch: bool = False) -> float:
    """Return smECE at relplot's resolution (Blasiok & Nakkiran 2024).

    A mesh of at least 200 points, and 10 bisections of the width down to 0.001. With `torch`, mesh
    and grid are rounded as by TorchUncertainty.
    """
    at = {"reflected": _reflected_error, "logit": _logit_error}[kernel]
    score, gap = score.astype(np.float64), score - outcome.astype(np.float64)

    def resolved(width: float) -> bool:
        return width < 1e-3 or width < at(score, gap, width, torch)

    if resolved(1.0):
        return at(score, gap, 1.0, torch)
    low, high = 1.0, 0.0
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if resolved(middle) else (middle, high)
    return at(score, gap, low, torch)


def smece_single(score: Array, outcome: Array, *, kernel: str = "logit") -> float:
    """Return `smece` with `torch`, of scores cast to float32."""
    return smece(score.astype(np.float32), outcome, kernel=kernel, torch=True)


def _mesh(width: float, torch: bool) -> Array:
    """Return the points of [0, 1] at which the smoothed gap is read."""
    return np.linspace(0, 1, max(int(10 / width) if torch else round(10 / width), 200))


def _reflected_error(score: Array, gap: Array, width: float, torch: bool) -> float:
    """Return the error of gaps smoothed on [0, 1], reflected at both ends."""
    t, size = _mesh(width, torch), _size(width, torch)
    smoothed = _smoothed(score, gap, t, width, size, reflect=True)
    density = _smoothed(score, np.ones_like(gap), t, width, size, reflect=True) + 1e-4
    return float(np.abs(smoothed).sum() / density.sum())


def _logit_error(score: Array, gap: Array, width: float, torch: bool) -> float:
    """Return the error of gaps smoothed on the logit scale, clipped at 0.001, scaled to [0, 1]."""
    t = _mesh(width, torch)[1:-1]
    z, at = np.log(t / (1 - t)), logit(score, 1e-3)
    low, high = min(at.min(), z.min()), max(at.max(), z.max())
    position, z, width = (
        (at - low) / (high - low),
        (z - low) / (high - low),
        4 * width / (high - low),
    )
    size = _size(width, torch)
    smoothed = _smoothed(position, gap, z, width, size, reflect=False)
    density = _smoothed(position, np.ones_like(gap), z, width, size, reflect=False) + 1e-4
    ratio, weight = smoothed / density, density / (t * (1 - t))
    ends = np.concatenate([[0], np.arange(len(t)), [len(t) - 1]])
    return float(np.sum(np.abs(ratio[ends]) * weight[ends]) / weight[ends].sum())


def _size(width: float, torch: bool) -> int:
    """Return the number of points of the grid for the convolution."""
    half = max(2000, round(20 / width)) // 2
    return half | 1 if torch else half + 1


def _smoothed(
    score: Array, values: Array, t: Array, width: float, size: int, *, reflect: bool
) -> Array:
    """Return values spread linearly over a grid on [0, 1] and smoothed by a Gaussian, at t."""
    low = np.clip((score * (size - 1)).astype(int), 0, size - 2)
    share = score * (size - 1) - low
    left = np.bincount(low, weights=(1 - share) * values, minlength=size)
    grid = left + np.bincount(low + 1, weights=share * values, minlength=size)
    x = np.linspace(0, 1, size) - 0.5
    kernel = np.exp(-(x**2) / (2 * width**2)) / (math.sqrt(2 * math.pi) * width)
    if reflect:
        mirrored = np.concatenate([grid[:0:-1], grid, grid[-2::-1]])
        grid = np.convolve(mirrored, kernel, "valid")[size // 2 : size // 2 + size]
    else:
        grid = np.convolve(grid, kernel, "same")
    place = np.clip((t * (size - 1)).astype(int), 0, size - 2)
    share = t * (size - 1) - place
    return grid[place] * (1 - share) + grid[place + 1] * share


def mmce(score: Array, outcome: Array) -> float:
    """Return the root of the mean over pairs of rows of gap gap' exp(-2.5 |score - score'|).

    One pass over the sorted rows: the sum over all rows below fades by one factor from row to row.
    """
    order = np.argsort(score, kind="stable")
    gaps = (outcome - score)[order].astype(np.float64)
    fades = np.exp(-2.5 * np.diff(score[order], prepend=score[order[:1]]).astype(np.float64))
    total = below = 0.0
    for gap, fade in zip(gaps.tolist(), fades.tolist(), strict=True):
        below = below * fade
        total += gap * (2 * below + gap)
        below += gap
    return math.sqrt(max(total, 0.0)) / len(score)
