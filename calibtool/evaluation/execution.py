"""Execution: what changes how long a measurement takes and what is shown meanwhile, but no digit.

It is separate from `Resampling`: requests with equal Resampling give equal numbers, with any number
of threads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from calibtool.parallel import cores
from calibtool.types import Progress, silent


@dataclass(frozen=True, eq=False)
class Execution:
    """How a measurement is run.

    Attributes:
        threads: how many threads may work at once.
        progress: called now and then with what is being done and the share that is done.
    """

    threads: int = field(default_factory=cores)
    progress: Progress = silent

    @staticmethod
    def of(threads: int | None = None, progress: Progress | None = None) -> Execution:
        """Return the record of public keyword arguments, in which None stands for the default."""
        return Execution(threads or cores(), progress or silent)
