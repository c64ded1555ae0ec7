"""The nodes of an ONNX graph, before they are ONNX.

A graph is written by calling it: `g("Add", x, 1.0)` adds a node and returns the name of its result.
All operators used have the same meaning from opset 13 on, except that ReduceMax takes its axes as
an input since opset 18.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from calibtool.calibrators.export.form import Form
from calibtool.types import Array

OPSET = 13  # the lowest in which ReduceSum takes its axes as an input


class Graph:
    """Nodes and constants, in the order they were made.

    Attributes:
        form: the form of the input.
        classes: K.
        opset: the version of the operators.
        prefix: what the names of all nodes and constants begin with.
        nodes: (operator, names of inputs, name of the output, attributes); dtypes are NumPy's.
        constants: arrays by name.
    """

    def __init__(
        self, form: Form, classes: int, opset: int = OPSET, prefix: str = "calibtool/"
    ) -> None:
        self.form, self.classes, self.opset, self.prefix = form, classes, opset, prefix
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.constants: dict[str, Array] = {}

    def __call__(self, op: str, *inputs: Any, out: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output; numbers among inputs become constants."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        out = out or f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        self.nodes.append((op, names, out, attributes))
        return out

    def constant(self, value: Any) -> str:
        """Add a constant and return its name."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def cast(self, x: str, dtype: DTypeLike) -> str:
        """Add a cast to a dtype."""
        return self("Cast", x, to=np.dtype(dtype))

    def double(self, x: str) -> str:
        """Add a cast to float64."""
        return self.cast(x, np.float64)

    def total(self, x: str) -> str:
        """Add the sum over classes, (N, K) to (N, 1)."""
        return self("ReduceSum", x, np.array([1]), keepdims=1)

    def highest(self, x: str) -> str:
        """Add the maximum over classes, (N, K) to (N, 1)."""
        if self.opset < 18:
            return self("ReduceMax", x, axes=[1], keepdims=1)
        return self("ReduceMax", x, np.array([1]), keepdims=1)

    def is_top(self, top: str) -> str:
        """Add the one-hot form of the top class: (N, 1) indices to (N, K) booleans."""
        return self("Equal", top, np.arange(self.classes)[None])
