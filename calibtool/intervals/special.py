"""Special functions: those of SciPy, without the package around them.

    from calibtool.intervals.special import ndtr  # scipy.special.ndtr

Importing scipy.special takes 0.2 s, a tenth of many commands; it takes its own docstrings apart,
for one, to serve other kinds of arrays. The compiled functions take a tenth of that.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from calibtool.intervals.scipy_parts import ELSEWHERE, compiled

_PACKAGE = "scipy.special"


def __getattr__(name: str) -> Any:
    """Return a universal function of scipy.special."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_functions(), name)


@cache
def _functions() -> ModuleType:
    """Return the module of the compiled functions; the whole package where a version of SciPy has
    its functions elsewhere."""
    try:
        return compiled(f"{_PACKAGE}._ufuncs")
    except ELSEWHERE:
        return import_module(_PACKAGE)
