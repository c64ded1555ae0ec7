"""Whether rows are streamed, which can be told without importing what streams them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calibtool.data.files.source import Source
from calibtool.data.readable import Readable
from calibtool.errors import UsageError
from calibtool.metrics.spec import Spec
from calibtool.streaming.layout import streams

# With more rows, `evaluate` computes from cells and holds no rows. Data-dependent edges of bins are
# then moved to ends of cells, which changes a metric by little next to its interval at that many
# rows; fewer rows fit in memory many times over.
STREAMED_ROWS = 1 << 17


def max_rows(readable: Readable) -> int:
    """Return the number of rows before any filter, which is known without reading them."""
    return readable.rows_at_most if isinstance(readable, Source) else readable.rows


def is_streamed(readable: Readable, rows: int = STREAMED_ROWS) -> bool:
    """Return whether rows are streamed: there are more than `rows`, or an engine reads them."""
    if has_engine(readable) or max_rows(readable) <= rows:
        return has_engine(readable)
    # a filter has to read the file to count: only if the answer depends on it
    filtered = isinstance(readable, Source) and readable.choice.filter
    return not filtered or readable.rows > rows


def has_engine(readable: Readable) -> bool:
    """Return whether the user named an engine (--dask) or a checkpoint file (--state)."""
    return isinstance(readable, Source) and readable.run is not None


def require_streamed(
    readable: Readable, specs: Sequence[Spec], *, cluster: Any = None, ood: Any = None
) -> None:
    """Check that everything can be computed from summaries.

    Raises UsageError.
    """
    refused = [spec.name for spec in specs if not streams([spec])]
    refused += ["--cluster"] if cluster is not None else []
    refused += ["--ood"] if ood is not None else []
    if refused:
        raise UsageError(
            f"{readable.source}: {', '.join(refused)} needs whole rows in one place, and cannot be "
            "combined with a cluster or --state"
        )
