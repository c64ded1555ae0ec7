"""`module:factory` and `file.py:factory`: functions of the user; torch-free.

Loading one runs the user's code, as an import does; nothing is unpickled.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calibtool.errors import CalibtoolError, UsageError


def is_factory(text: str) -> bool:
    """Return whether `text` names a factory: a dotted module or a .py file, a colon, a name.

    >>> is_factory("mypkg.models:build"), is_factory("./net.py:build"), is_factory("mlp")
    (True, True, False)
    """
    home, colon, name = text.rpartition(":")
    known = home.endswith(".py") or all(part.isidentifier() for part in home.split("."))
    return bool(colon) and known and all(part.isidentifier() for part in name.split("."))


def load(text: str, option: str) -> Callable[..., Any]:
    """Return the factory. A module is also looked up in the working folder.

    Raises UsageError if it does not exist, or if importing it fails.
    """
    home, _, name = text.rpartition(":")
    try:
        factory: Any = _file(home) if home.endswith(".py") else _module(home)
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
        if not hasattr(factory, part):
            raise UsageError(f"{option} {text}: {home} has no {part!r}")
        factory = getattr(factory, part)
    if not callable(factory):
        raise UsageError(
            f"{option} {text}: must be a function or class, not {type(factory).__name__}"
        )
    function: Callable[..., Any] = factory
    return function


def failure(error: Exception, what: str) -> UsageError:
    """Return an exception of the user's code as an error of one line: what it was and where."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return UsageError(
        f"{what}: {type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
    )


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise whatever the user's code, or a package, raises in a block as the error of `failure`."""
    try:
        yield
    except CalibtoolError:
        raise
    except Exception as error:
        raise failure(error, what) from error


def _module(home: str) -> Any:
    folder = str(Path.cwd())  # the console script does not have it on its path, python -m has
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(home)
    finally:
        if added:
            sys.path.remove(folder)


def _file(home: str) -> Any:
    path = Path(home)
    if not path.is_file():
        raise UsageError(f"{home}: no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses and typing look modules up there
    spec.loader.exec_module(module)
    return module
