"""The functions of exported Python modules: each module gets a copy of those that it needs.

A function stands below those it calls, and nothing but `math` is imported.
"""

from __future__ import annotations

import math


def log(x: float) -> float:
    """Natural logarithm, that of 0 as well."""
    return math.log(x) if x > 0 else -math.inf


def expit(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    small = math.exp(x)
    return small / (1 + small)


def log_expit(x: float) -> float:
    """log(expit(x)), without underflow."""
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


def normalised(p: list[float]) -> list[float]:
    """Numbers that sum to 1, in proportion."""
    total = sum(p)
    return [x / total for x in p]


def softmax(z: list[float]) -> list[float]:
    """Probabilities of logits."""
    highest = max(z)
    return normalised([math.exp(x - highest) for x in z])


def log_probs(z: list[float]) -> list[float]:
    """Log-probabilities of logits."""
    highest = max(z)
    total = math.log(sum(math.exp(x - highest) for x in z))
    return [x - highest - total for x in z]


def logs(p: list[float], floor: float) -> list[float]:
    """Log-probabilities of probabilities; 0 counts as the floor."""
    return [log(max(x, floor)) for x in p]


def log_odds(log_p: list[float]) -> list[float]:
    """Return log p - log(1 - p) per class. For the top class, 1 - p is summed over the others,
    which keeps its digits where p rounds to 1."""
    top = log_p.index(max(log_p))
    others = [x for k, x in enumerate(log_p) if k != top]
    highest = max(others)
    rest = highest + math.log(sum(math.exp(x - highest) for x in others))
    return [x - rest if k == top else x - math.log1p(-math.exp(x)) for k, x in enumerate(log_p)]


def count_below(edges: list[float], x: float) -> int:
    """Return how many of the rising edges lie below x."""
    low, high = 0, len(edges)
    while low < high:
        middle = (low + high) // 2
        if edges[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


def count_up_to(edges: list[float], x: float) -> int:
    """Return how many of the rising edges lie at or below x."""
    low, high = 0, len(edges)
    while low < high:
        middle = (low + high) // 2
        if edges[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low


def sigmoid(x: float, a: float, b: float, c: float) -> float:
    """Return the sigmoid of log-odds with one slope towards 0 and one towards 1."""
    if a == b:
        return expit(a * x + c)
    return expit(a * log_expit(x) - b * log_expit(-x) + c)


def parabola(x: float, a: float, b: float, c: float, low: float, high: float) -> float:
    """Return the sigmoid of a parabola of log-odds, which goes on straight and never falls beyond
    both ends. Log-odds beyond those of the float64 next to 1 count as these."""
    x = min(max(x, -36.7368005696771), 36.7368005696771)
    inside = min(max(x, low), high)
    rise = max(b + 2 * c * inside, 0.0)
    return expit(a + inside * (b + c * inside) + (x - inside) * rise)


def steps(x: float, edges: list[float], values: list[float]) -> float:
    """Return the value of the bin of x; an edge belongs to the bin below it."""
    return values[count_below(edges, x)]


def line(x: float, xs: list[float], ys: list[float]) -> float:
    """Interpolate linearly between points; constant beyond them."""
    k = count_up_to(xs, x)
    if k in (0, len(xs)):
        return ys[max(k - 1, 0)]
    share = (x - xs[k - 1]) / (xs[k] - xs[k - 1])
    return ys[k - 1] + share * (ys[k] - ys[k - 1])


def bend(
    x: float, knots: list[float], heights: list[float], slopes: list[float], bends: list[float]
) -> float:
    """Return a smooth curve at x: quadratic between knots, straight beyond them."""
    k = max(count_up_to(knots, x) - 1, 0)
    d = x - knots[k]
    return heights[k] + d * (slopes[k] + max(d, 0.0) * bends[k] / 2)


def bent_sigmoid(
    x: float, knots: list[float], heights: list[float], slopes: list[float], bends: list[float]
) -> float:
    """Return the sigmoid of a smooth curve of log-odds."""
    return expit(bend(x, knots, heights, slopes, bends))


def pairs(x: float, *folds: tuple[list[float], list[float], list[float], list[float]]) -> float:
    """Return the probability between two step functions per fold, merged by geometric means."""
    low = [p0[count_up_to(below, x)] for below, p0, _, _ in folds]
    high = [p1[count_below(above, x)] for _, _, above, p1 in folds]
    no = math.exp(sum(log(1 - p) for p in low) / len(folds))
    yes = math.exp(sum(log(p) for p in high) / len(folds))
    return yes / (no + yes)


def with_top(p: list[float], top: int, new: float) -> list[float]:
    """Give the top class a new probability; the others share the rest in proportion."""
    rest = sum(x for k, x in enumerate(p) if k != top)
    even = (1 - new) / (len(p) - 1)
    after = [x / rest * (1 - new) if rest > 0 else even for x in p]
    after[top] = new
    return after


def meets(
    columns: dict[str, float | str | None],
    column: str,
    test: str,
    low: float | str | None,
    high: float | None,
) -> bool:
    """Return whether the value of a column is missing, is `low`, or is above `low` up to `high`."""
    value = columns[column]
    if isinstance(low, str):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{column} must be a text, not {value!r}")
        return str(value) == low
    if isinstance(value, str):
        raise TypeError(f"{column} must be a number, not {value!r}")
    missing = value is None or not math.isfinite(value)
    if value is None or missing or test == "missing":
        return missing and test == "missing"
    if test == "is":
        return value == low
    return (low is None or value > low) and (high is None or value <= high)


def patched(
    x: float,
    columns: dict[str, float | str | None],
    knots: list[float],
    patches: list[tuple[list[tuple[str, str, float | str | None, float | None]], list[float]]],
) -> float:
    """Return log-odds with the shifts of all slices that the row is in, one after the other."""
    for where, shifts in patches:
        if all(meets(columns, *test) for test in where):
            x += line(x, knots, shifts)
    return x
