"""What was asked for, settled before anything is read: metrics, views, how intervals are made."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.data.readable import Readable
from calibtool.errors import UsageError
from calibtool.evaluation.measurement import Settings
from calibtool.intervals import bootstrap
from calibtool.intervals.draws import Draws
from calibtool.metrics.spec import Spec
from calibtool.types import Progress

MAX_DRAWS = 1 << 30  # bytes of replicates that a metric may take
FEW_ROWS = 10  # below, no interval is given


def settings_of(ci: str, draws: Draws, level: float, threads: int, progress: Progress) -> Settings:
    """How intervals are made, if they can be."""
    if ci not in bootstrap.METHODS:
        raise UsageError(f"--ci {ci!r}: there are {', '.join(bootstrap.METHODS)}")
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level:g}")
    if ci != "none" and draws.replicates < 20:
        raise UsageError(
            f"--resamples must be at least 20, not {draws.replicates}; --ci none for none"
        )
    if draws.seed < 0:
        raise UsageError(f"--seed must not be negative, not {draws.seed}")
    none = ci == "none" or draws.rows < FEW_ROWS
    return Settings(ci, None if none else draws, level, threads, progress)


def require_memory(specs: Sequence[Spec], predictions: Readable, draws: Draws) -> None:
    """Whether the replicates of every metric fit in memory."""
    for spec in specs:
        many = spec.view in ("class", "label")
        classes = (predictions.classes or 0) if many else 1
        cells = spec.options.get("bins", 1) * classes
        if cells * draws.replicates * 8 > MAX_DRAWS:
            fits = MAX_DRAWS // (cells * 8)
            raise UsageError(
                f"{spec.name}: {draws.replicates:,} resamples of {cells:,} bins do not fit in "
                f"memory; ask for --resamples {fits:,} or fewer, or for fewer bins"
            )
