"""`module:factory` and `file.py:factory`: the user's own functions; torch-free.

They run the user's code, as importing it does; nothing is unpickled.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calibtool.errors import UsageError


def is_factory(text: str) -> bool:
    """Whether text names a factory: a dotted module or a .py file, a colon, a name.

    >>> is_factory("mypkg.models:build"), is_factory("./net.py:build"), is_factory("mlp")
    (True, True, False)
    """
    home, colon, name = text.rpartition(":")
    known = home.endswith(".py") or all(part.isidentifier() for part in home.split("."))
    return bool(colon) and known and all(part.isidentifier() for part in name.split("."))


def load(text: str, option: str) -> Callable[..., Any]:
    """The factory. A module is looked for in the working folder too.

    Raises UsageError where it is not there, or where importing it fails.
    """
    home, _, name = text.rpartition(":")
    try:
        found: Any = _file(home) if home.endswith(".py") else _module(home)
    except UsageError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and home.startswith(str(error.name)):
            raise UsageError(
                f"{option} {text}: there is no module {error.name!r}, neither installed nor in "
                "this folder"
            ) from error
        raise failure(error, f"{option} {text}: importing it failed") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{option} {text}: {home} has no {part!r}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{option} {text}: is no function or class, but {type(found).__name__}")
    factory: Callable[..., Any] = found
    return factory


def failure(error: Exception, what: str) -> UsageError:
    """The user's own exception in a line: what it was and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return UsageError(
        f"{what}: {type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
    )


def _module(home: str) -> Any:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(home)
    finally:
        if added:
            sys.path.remove(here)


def _file(home: str) -> Any:
    path = Path(home)
    if not path.is_file():
        raise UsageError(f"{home}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
