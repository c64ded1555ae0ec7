"""Resampling: how intervals are made, checked once and handed down as one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibtool.data.readable import Readable
from calibtool.errors import UsageError
from calibtool.intervals import bootstrap
from calibtool.intervals.draws import Draws
from calibtool.metrics.spec import Spec
from calibtool.types import Array

# With fewer rows no interval is given: a bootstrap of a handful of rows repeats so few distinct
# samples that its intervals cover far less often than their level says.
FEW_ROWS = 10
# Fewer replicates cannot place the ends of a 95 % interval: 1 / 20 is its whole error rate.
FEW_RESAMPLES = 20
# Bytes of replicates that one metric may hold (1 GiB): beyond it, `require_memory` says how many
# resamples fit, before anything is read.
MAX_REPLICATE_BYTES = 1 << 30


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        ci: "inverted", "percentile", "basic", "bca", or "none" for no intervals.
        resamples: bootstrap replicates, at least FEW_RESAMPLES.
        level: confidence level of the intervals, in (0, 1).
        seed: of the replicates, not negative.

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
        require_level(self.level)
        if self.ci != "none":
            require_resamples(self.resamples, advice="; use --ci none for no intervals")
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


def require_level(level: float) -> None:
    """Check that a confidence level lies in (0, 1). Raises UsageError."""
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level:g}")


def require_resamples(resamples: int, least: int = FEW_RESAMPLES, advice: str = "") -> None:
    """Check that there are at least `least` replicates.

    Raises UsageError, whose message ends with `advice`.
    """
    if resamples < least:
        raise UsageError(f"--resamples must be at least {least}, not {resamples}{advice}")


def require_seed(seed: int) -> None:
    """Check that a seed is not negative, which numpy's seed sequences refuse. Raises UsageError."""
    if seed < 0:
        raise UsageError(f"--seed must not be negative (got {seed})")


def require_memory(specs: Sequence[Spec], predictions: Readable, resamples: int) -> None:
    """Check that the replicates of every metric fit in MAX_REPLICATE_BYTES. Raises UsageError."""
    for spec in specs:
        per_class = spec.view in ("class", "label")
        classes = (predictions.classes or 0) if per_class else 1
        cells = spec.options.get("bins", 1) * classes
        if cells * resamples * 8 > MAX_REPLICATE_BYTES:  # 8 bytes: float64
            fits = MAX_REPLICATE_BYTES // (cells * 8)
            raise UsageError(
                f"{spec.name}: {resamples:,} resamples of {cells:,} bins do not fit in memory; "
                f"use --resamples {fits:,} or fewer, or fewer bins"
            )
