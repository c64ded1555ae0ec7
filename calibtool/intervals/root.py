"""The root of a decreasing step function that is costly to compute."""

from __future__ import annotations

from collections.abc import Callable, Generator


def root(f: Callable[[float], float], known: list[float], tolerance: float = 1e-5) -> float:
    """Return where a decreasing function crosses 0, in (-16, 1]; 1 if it is not negative there.

    `known` and `tolerance` are those of `search`.
    """
    steps = search(known, tolerance)
    u = next(steps)
    while True:
        try:
            u = steps.send(f(u))
        except StopIteration as end:
            return float(end.value)


def search(known: list[float], tolerance: float = 1e-5) -> Generator[float, float, float]:
    """Yield the points at which the value of a decreasing function is to be sent; return its root.

    Regula falsi with the Illinois rule (Dowell & Jarratt 1971), from the nearest of the points at
    which the function is known already. `tolerance` is in u: 1e-5 of the way from the observed
    profile to perfect calibration, far below the noise of the quantiles.
    """
    high, at_high = 1.0, (yield 1.0)
    if at_high >= 0:
        return 1.0
    low, at_low = 0.0, (yield 0.0)
    for u in known:
        value = yield u
        if value >= 0 and (u > low or at_low < 0):
            low, at_low = u, value
        elif value < 0 and u < high:
            high, at_high = u, value
    while at_low < 0:
        if low <= -16:  # every gap has grown by 16 times the largest: no candidate is farther out
            return low
        high, at_high = min((high, at_high), (low, at_low))
        low = 2 * low - 0.05
        at_low = yield low
    side = 0
    while high - low > tolerance * max(1.0, abs(low)):
        # regula falsi would creep along a stretch where f is 0: bisect there
        u = (low * at_high - high * at_low) / (at_high - at_low) if at_low else (low + high) / 2
        u = min(max(u, low + tolerance / 4), high - tolerance / 4)
        value = yield u
        if value >= 0:
            low, at_low = u, value
            at_high *= 0.5 if side == 1 else 1
            side = 1
        else:
            high, at_high = u, value
            at_low *= 0.5 if side == -1 else 1
            side = -1
    return low
