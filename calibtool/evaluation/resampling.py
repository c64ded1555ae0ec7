"""Resampling: how intervals are made, checked once and handed down as one record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calibtool.data.readable import Readable
from calibtool.errors import UsageError, brief
from calibtool.formatting import ROUNDING
from calibtool.intervals import bootstrap
from calibtool.intervals.draws import Draws
from calibtool.metrics.spec import Spec
from calibtool.types import Array

# With fewer rows no interval is given: a bootstrap of a handful of rows repeats so few distinct
# samples that its intervals cover far less often than their level says.
FEW_ROWS = 10
# Fewer replicates cannot place the ends of a 95 % interval: 1 / 20 is its whole error rate.
FEW_RESAMPLES = 20
# More replicates would only cost time: the ends of a 95 % interval of as many scatter by a
# thousandth of its width.
MOST_RESAMPLES = 1_000_000
# Seeds are the numbers of 64 bits, which other languages can write and JSON readers keep as text.
MOST_SEED = (1 << 64) - 1
# Bytes of replicates that one metric may hold (1 GiB): beyond it, `require_memory` says how many
# resamples fit, before anything is read.
MAX_REPLICATE_BYTES = 1 << 30


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        ci: "inverted", "percentile", "basic", "bca", or "none" for no intervals.
        resamples: bootstrap replicates, FEW_RESAMPLES to MOST_RESAMPLES; 0 for no intervals, which
            makes `ci` "none".
        level: confidence level of the intervals; `require_level` says which are possible.
        seed: of the replicates, 0 to MOST_SEED.

    Raises UsageError when it is built from values outside these ranges.

    >>> Resampling(level=0.9).method(is_error=True), Resampling().method(is_error=False)
    ('inverted', 'bca')
    """

    ci: str = "inverted"
    resamples: int = 1000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ci not in bootstrap.METHODS:
            raise UsageError(
                f"--ci must be one of {', '.join(bootstrap.METHODS)} (got {self.ci!r})"
            )
        if self.resamples == 0:
            object.__setattr__(self, "ci", "none")
        if self.ci != "none":
            require_resamples(self.resamples, zero=" (or 0 for no intervals)")
        require_level(self.level, 0 if self.ci == "none" else self.resamples)
        require_seed(self.seed)

    def method(self, *, is_error: bool) -> str:
        """Return the method for a metric that brings none of its own: inverting the bootstrap is
        for calibration errors, whose replicates lie above their value; replicates that centre on
        the value get BCa instead."""
        return "bca" if self.ci == "inverted" and not is_error else self.ci

    def draws(self, rows: int, cluster: Array | None = None) -> Draws | None:
        """Return the bootstrap weights of `rows` rows; None where no interval is made, because
        `ci` is "none" or there are fewer than FEW_ROWS rows.

        Args:
            rows: how many rows are resampled.
            cluster: (rows,) numbers of the clusters that are resampled together, or None.
        """
        if self.ci == "none" or rows < FEW_ROWS:
            return None
        return Draws(self.resamples, self.seed, rows, cluster)


def require_level(level: float, resamples: int = 0) -> None:
    """Check that a confidence level lies in (0, 1), and that so many replicates can place the ends
    of its interval: at least one of R + 1 steps between replicates must lie beyond them.

    With MOST_RESAMPLES, and where nothing is resampled (0), that is up to 0.999999; and no less
    than what that leaves out: both ends of an interval would be one number. Raises UsageError.
    """
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level:g}")
    if level < 1 / MOST_RESAMPLES:
        raise UsageError(f"--level must be at least {1 / MOST_RESAMPLES:g}, not {level:g}")
    needed = fewest_resamples(level)
    if needed > MOST_RESAMPLES:
        highest = 1 - 1 / MOST_RESAMPLES
        raise UsageError(f"--level must be at most {highest}, not {level}")
    if 0 < resamples < needed:
        raise UsageError(
            f"--level {level} needs --resamples {needed:,} or more: the ends of its interval lie "
            f"beyond all {resamples:,} replicates"
        )


def fewest_resamples(level: float) -> int:
    """Return the smallest number of replicates for intervals of this level.

    >>> fewest_resamples(0.95), fewest_resamples(0.999)
    (19, 999)
    """
    # a level such as 0.95 is not 1 - 1 / 20 exactly, but within a rounding error of it
    return math.ceil(1 / (1 - level) * (1 - ROUNDING) - 1)


def require_resamples(resamples: int, least: int = FEW_RESAMPLES, zero: str = "") -> None:
    """Check that there are `least` to MOST_RESAMPLES replicates.

    Raises UsageError, in which `zero` says what 0 would mean.
    """
    typed = brief(str(resamples))
    if resamples < least:
        raise UsageError(f"--resamples must be at least {least}{zero}, not {typed}")
    if resamples > MOST_RESAMPLES:
        raise UsageError(f"--resamples must be at most {MOST_RESAMPLES:,}, not {typed}")


def require_seed(seed: int) -> None:
    """Check that a seed is one of 64 bits. Raises UsageError."""
    if seed < 0:
        raise UsageError(f"--seed must not be negative (got {brief(str(seed))})")
    if seed > MOST_SEED:
        raise UsageError(f"--seed must be at most {MOST_SEED} (got {brief(str(seed))})")


def require_memory(
    specs: Sequence[Spec], predictions: Readable, resamples: int, *, of_cells: bool = False
) -> None:
    """Check that the replicates of every metric fit in MAX_REPLICATE_BYTES, as far as is known
    before anything is read. Raises UsageError.

    Of rows, bins that all classes share have replicates only where they hold rows: at least the
    first of each class does, and `require_bins` checks those that do.
    """
    for spec in specs:
        classes = (predictions.classes or 0) if spec.view in ("class", "label") else 1
        listed = spec.view == "class" and spec.one_edge_for_all and not of_cells
        bins = 1 if listed else spec.options.get("bins", 1)
        require_bins(spec, bins * classes, resamples)


def require_bins(spec: Spec, bins: int, resamples: int) -> None:
    """Check that the replicates of that many bins fit in MAX_REPLICATE_BYTES. Raises UsageError."""
    if bins * resamples * 8 > MAX_REPLICATE_BYTES:  # 8 bytes: float64
        fits = MAX_REPLICATE_BYTES // (bins * 8)
        raise UsageError(
            f"{spec.name}: {resamples:,} resamples of {bins:,} bins do not fit in memory; "
            f"use --resamples {fits:,} or fewer, or fewer bins"
        )
