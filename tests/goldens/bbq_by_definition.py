"""BBQ (Naeini et al. 2015) term by term, slowly, for scores without ties: what the docstring of
`calibtool.calibrators.bbq` says."""

from itertools import pairwise
from math import ceil, exp, lgamma


def binnings(rows: int) -> range:
    """Return the numbers of bins: from N^(1/3) / 10 to 10 N^(1/3), and at most N / 5."""
    root = rows ** (1 / 3)
    least = max(1, int(root / 10))
    return range(least, max(least, min(ceil(rows / 5), ceil(10 * root))) + 1)


def binned(scores: list[float], outcomes: list[int], bins: int) -> list[dict[str, float]]:
    """Return equal-mass bins of floor(N / B) sorted rows, what is left over in the last; edges lie
    halfway between scores, and the outermost at 0 and 1."""
    rows = sorted(zip(scores, outcomes, strict=True))
    size = len(rows) // bins
    cuts = [0, *range(size, size * bins, size), len(rows)]
    found = []
    for first, end in pairwise(cuts):
        own = rows[first:end]
        low = 0.0 if first == 0 else (rows[first - 1][0] + rows[first][0]) / 2
        high = 1.0 if end == len(rows) else (rows[end - 1][0] + rows[end][0]) / 2
        ones = [score for score, outcome in own if outcome]
        found.append(
            {
                "low": low,
                "high": high,
                "middle": (low + high) / 2,
                "n": len(own),
                "n1": len(ones),
                "p0": (sum(ones) + (low + high) / 2) / (len(ones) + 1),
            }
        )
    return found


def log_likelihood(binning: list[dict[str, float]]) -> float:
    """Return the marginal likelihood under a beta prior of 2 rows a bin, by its logarithm."""
    total = 0.0
    for one in binning:
        mean = min(max(one["middle"], 0.005), 0.995)
        a, b = 2 * mean, 2 * (1 - mean)
        n0 = one["n"] - one["n1"]
        total += lgamma(a + b) - lgamma(a + b + one["n"])
        total += lgamma(a + one["n1"]) - lgamma(a) + lgamma(b + n0) - lgamma(b)
    return total


def bbq(scores: list[float], outcomes: list[int], at: list[float]) -> list[float]:
    """Return the average of the binnings' estimates, by their likelihood, at each of `at`."""
    models = [binned(scores, outcomes, bins) for bins in binnings(len(scores))]
    logs = [log_likelihood(model) for model in models]
    shares = [exp(one - max(logs)) for one in logs]
    found = []
    for score in at:
        total = 0.0
        for share, model in zip(shares, models, strict=True):
            own = next(one for one in model if score <= one["high"])
            total += share * (own["n1"] + own["p0"]) / (own["n"] + 1)
        found.append(total / sum(shares))
    return found
