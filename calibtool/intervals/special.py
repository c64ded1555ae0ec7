"""Special functions: those of SciPy, without the package around them.

    from calibtool.intervals.special import ndtr  # scipy.special.ndtr

Importing scipy.special takes 0.2 s, a tenth of many commands: it imports the tests of NumPy and its
compiler of Fortran, and takes its own docstrings apart, all to serve other kinds of arrays. The
compiled functions take a tenth of that.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_PACKAGE = "scipy.special"
_LOADING = RLock()


def __getattr__(name: str) -> Any:
    """Return a universal function of scipy.special."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_functions(), name)


@cache
def _functions() -> ModuleType:
    """Return the module of the compiled functions; the whole package where it is loaded already,
    or where a version of SciPy has its functions elsewhere."""
    try:
        return _alone()
    except (ImportError, AttributeError):
        return import_module(_PACKAGE)


def _alone() -> ModuleType:
    """Import the compiled functions with a package around them that was found but not run."""
    spec = find_spec(_PACKAGE)
    if spec is None:
        raise ImportError(_PACKAGE)
    package = module_from_spec(spec)

    def whole(name: str) -> Any:
        """Return what another thread asks of the package meanwhile, from the one that is run."""
        if name.startswith("_"):
            raise AttributeError(name)
        with _LOADING:
            return getattr(import_module(_PACKAGE), name)

    vars(package)["__getattr__"] = whole
    with _LOADING:
        if sys.modules.setdefault(_PACKAGE, package) is not package:
            return import_module(_PACKAGE)
        try:
            return import_module(f"{_PACKAGE}._ufuncs")
        finally:
            del sys.modules[_PACKAGE]
