"""Smoothed errors: relplot's smECE, as others take it over too, and netcal's kernel error."""

from __future__ import annotations

import math

import numpy as np

from calibtool.metrics.conventions.logistic import logit
from calibtool.types import Array


def smece(score: Array, outcome: Array, *, kernel: str = "reflected", torch: bool = False) -> float:
    """Return smECE at relplot's resolution: a mesh of 200 points or more, 10 bisections down to
    0.001 (Blasiok & Nakkiran 2024). With `torch`, as TorchUncertainty rounds mesh and grid."""
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
    """As `smece` with `torch`, of scores cast to float32."""
    return smece(score.astype(np.float32), outcome, kernel=kernel, torch=True)


def _mesh(width: float, torch: bool) -> Array:
    return np.linspace(0, 1, max(int(10 / width) if torch else round(10 / width), 200))


def _reflected_error(score: Array, gap: Array, width: float, torch: bool) -> float:
    t, size = _mesh(width, torch), _size(width, torch)
    smoothed = _smoothed(score, gap, t, width, size, reflect=True)
    density = _smoothed(score, np.ones_like(gap), t, width, size, reflect=True) + 1e-4
    return float(np.abs(smoothed).sum() / density.sum())


def _logit_error(score: Array, gap: Array, width: float, torch: bool) -> float:
    """Smoothed on the logit scale, clipped to 0.001 and stretched to [0, 1]."""
    t = _mesh(width, torch)[1:-1]
    z, at = np.log(t / (1 - t)), logit(score, 1e-3)
    low, high = min(at.min(), z.min()), max(at.max(), z.max())
    own, z, width = (at - low) / (high - low), (z - low) / (high - low), 4 * width / (high - low)
    size = _size(width, torch)
    smoothed = _smoothed(own, gap, z, width, size, reflect=False)
    density = _smoothed(own, np.ones_like(gap), z, width, size, reflect=False) + 1e-4
    ratio, weight = smoothed / density, density / (t * (1 - t))
    ends = np.concatenate([[0], np.arange(len(t)), [len(t) - 1]])
    return float(np.sum(np.abs(ratio[ends]) * weight[ends]) / weight[ends].sum())


def _size(width: float, torch: bool) -> int:
    half = max(2000, round(20 / width)) // 2
    return half | 1 if torch else half + 1


def _smoothed(
    score: Array, values: Array, t: Array, width: float, size: int, *, reflect: bool
) -> Array:
    """Values spread linearly over a grid on [0, 1], convolved with a Gaussian, read at t."""
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
    """Root of the mean over pairs of rows of gap gap' exp(-2.5 |score - score'|): of sorted rows,
    what all below add up to fades by the same factor from one row to the next."""
    order = np.argsort(score, kind="stable")
    gaps = (outcome - score)[order].astype(np.float64)
    fades = np.exp(-2.5 * np.diff(score[order], prepend=score[order[:1]]).astype(np.float64))
    total = below = 0.0
    for gap, fade in zip(gaps.tolist(), fades.tolist(), strict=True):
        below = below * fade
        total += gap * (2 * below + gap)
        below += gap
    return math.sqrt(max(total, 0.0)) / len(score)
