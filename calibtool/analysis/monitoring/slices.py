"""Monitor every slice by itself, with one guarantee for all of them together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from calibtool.analysis.monitoring.monitor import monitor_periods
from calibtool.analysis.monitoring.period import Monitoring
from calibtool.analysis.monitoring.read import Periods
from calibtool.analysis.monitoring.wording import slices_reading
from calibtool.data.predictions import KIND_NAMES
from calibtool.evaluation.resampling import Resampling
from calibtool.types import Progress, Shown, silent


@dataclass(frozen=True)
class SliceMonitoring(Shown):
    """Calibration over time in every slice.

    Attributes:
        by: the columns whose values name the slices, such as "country" or "country,age".
        alpha: largest probability of ever raising a false alarm in any slice.
        slices: names of the slices, with what was measured in each; the one with the most evidence,
            for what it needs, first. `alpha` of a slice is its share of the whole.
        names: names of the periods of all slices, in order of time.
        reading: summary in words.
    """

    by: str
    alpha: float
    slices: tuple[tuple[str, Monitoring], ...]
    names: tuple[str, ...]
    reading: str = ""

    @property
    def rows(self) -> int:
        """Number of rows of all slices."""
        return sum(monitoring.rows for _, monitoring in self.slices)

    def describe(self) -> str:
        """Return one line about the source, the slices and the predictions."""
        first, count = self.slices[0][1], len(self.slices)
        slices = f"{count:,} slices" if count > 1 else "one slice"
        return f"{first.source}: {slices}, {self.rows:,} rows, {KIND_NAMES[first.kind]}"

    @property
    def alarms(self) -> list[str]:
        """Names of the slices with an alarm."""
        return [name for name, monitoring in self.slices if monitoring.alarmed is not None]


def monitor_slices(
    slices: Mapping[str, Periods],
    by: str,
    *,
    against: str,
    alpha: float,
    bins: int = 15,
    resampling: Resampling,
    progress: Progress | None = None,
) -> SliceMonitoring:
    """Do what `monitor_periods` does in every slice.

    The probability of ever raising an alarm in a slice without a change is at most that slice's
    share of alpha; so the probability of ever raising a false alarm, in any slice, is at most the
    sum of the shares (Bonferroni), whatever slices have to do with one another. The shares sum to
    alpha at most, however many slices there will be: see `shares`.

    Args:
        slices: periods of each slice, in order of the first.
        by: what the slices are called.
        against, alpha, bins, resampling, progress: as of `monitor_periods`.
    """
    tick = progress or silent
    found = []
    for k, ((name, periods), share) in enumerate(zip(slices.items(), shares(slices), strict=True)):
        monitoring = monitor_periods(
            periods, against=against, alpha=alpha * share, bins=bins, resampling=resampling
        )
        found.append((name, monitoring))
        tick("measuring slices", (k + 1) / len(slices))
    found.sort(key=lambda pair: -_strength(pair[1]))
    names = next(iter(slices.values())).names
    return SliceMonitoring(by, alpha, tuple(found), names, slices_reading(found, alpha))


def shares(slices: Mapping[str, Periods]) -> list[float]:
    """Return the share of alpha that each slice has.

    Of the K slices that there are from the first period on, each has 1 / (K + 1). What is left is
    for slices that appear later: those of the i-th later period with new slices divide
    1 / (i (i + 1)) of it, and these parts sum to 1. So a share never changes when further periods
    bring further slices.

    Args:
        slices: periods of each slice, in order of the first.

    >>> from calibtool.analysis.monitoring.period import Period
    >>> from calibtool.metrics.cells import Cells
    >>> day = {name: Period(name, Cells(*[None] * 4)) for name in ("mon", "tue")}
    >>> seen = {"fr": ("mon", "tue"), "it": ("mon",), "de": ("tue",)}
    >>> of = {name: Periods("", "day", tuple(day[d] for d in days)) for name, days in seen.items()}
    >>> [round(share, 3) for share in shares(of)]
    [0.333, 0.333, 0.167]
    """
    firsts = [series.periods[0].name for series in slices.values()]
    new = Counter(firsts)  # in order of time
    each = 1 / (new[firsts[0]] + 1)
    share = {
        name: each / (i * (i + 1) * count) if i else each
        for i, (name, count) in enumerate(new.items())
    }
    return [share[name] for name in firsts]


def _strength(monitoring: Monitoring) -> float:
    """Return the decimal logarithm of the largest e-value, over what raises an alarm."""
    return monitoring.most + math.log10(monitoring.alpha)
