"""The table of calibrators. A calibrator is a module and a line here: `calibtool fit-NAME` and
`ct.fit("NAME", ...)` pick it up.

A calibrator module has `fit(predictions, *, options) -> calibrator` and the calibrator's class,
with `method`, `classes`, `class_names`, `fitted`, `__call__`, `describe`, `parameters` and
`from_parameters`. This table imports none of them: `calibtool --help` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibtool.errors import UsageError

if TYPE_CHECKING:
    from calibtool.predictions import Predictions


@dataclass(frozen=True)
class Method:
    """A line of the table.

    Attributes:
        module: where `fit` and the class live.
        calibrator: the class's name.
        summary: one line, for the list of commands.
        when: two sentences, for --help: when to use it.
        title: what it is called in prose.
    """

    module: str
    calibrator: str
    summary: str
    when: str
    title: str


METHODS: dict[str, Method] = {
    "temperature": Method(
        "calibtool.calibrators.temperature",
        "Temperature",
        "Fit temperature scaling: one parameter, the predicted class never changes.",
        "Use it first: it needs few rows, cannot overfit, and repairs a network that is over- or "
        "underconfident throughout. It cannot repair classes that are off in different directions.",
        "temperature scaling",
    ),
}


def fit(method: str, predictions: Predictions, **options: Any) -> Any:
    """Fit a calibrator by name.

    Args:
        method: a key of METHODS, such as "temperature".
        predictions: with labels.
        options: the method's own, such as objective="ece".

    Returns a calibrator: call it on predictions, save it with `.save(path)`.

    >>> import numpy as np
    >>> from calibtool.predictions import Predictions
    >>> z = np.log([[0.8, 0.2]] * 5)
    >>> cal = fit("temperature", Predictions.from_logits(2 * z, [0, 0, 0, 0, 1]))
    >>> round(cal.temperature, 6)
    2.0
    """
    line = _line(method)
    try:
        return import_module(line.module).fit(predictions, **options)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise UsageError(f"fit {method}: {error}") from error
        raise


def load_calibrator(path: str | Path) -> Any:
    """Read a calibrator file. Loading runs no code of the file.

    Raises InputError for a file that is no calibrator, truncated, or of a newer version.
    """
    from calibtool.calibrators import file

    classes = {
        name: getattr(import_module(line.module), line.calibrator) for name, line in METHODS.items()
    }
    return file.load(path, classes)


def _line(method: str) -> Method:
    if method not in METHODS:
        raise UsageError(f"there is no calibrator {method!r}; there are {', '.join(METHODS)}")
    return METHODS[method]
