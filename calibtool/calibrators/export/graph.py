"""The nodes of an ONNX graph, before they are ONNX.

A graph is written by calling it: `g("Add", x, 1.0)` adds a node and returns the name of its result.
The operators used mean the same from opset 13 on, but for where ReduceMax finds its axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from calibtool.calibrators.export.form import Form
from calibtool.types import Array

OPSET = 13  # the lowest that serves


class Graph:
    """Nodes and constants, in the order they were made.

    Attributes:
        form: what goes in.
        classes: K.
        opset: whose operators are written.
        prefix: before the name of everything inside.
        nodes: (operator, names that go in, name that comes out, attributes); types as of NumPy.
        constants: by name.
    """

    def __init__(
        self, form: Form, classes: int, opset: int = OPSET, prefix: str = "calibtool/"
    ) -> None:
        self.form, self.classes, self.opset, self.prefix = form, classes, opset, prefix
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.constants: dict[str, Array] = {}

    def __call__(self, op: str, *inputs: Any, out: str | None = None, **attributes: Any) -> str:
        """The name of the result of a node; numbers among its inputs become constants."""
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        out = out or f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        self.nodes.append((op, names, out, attributes))
        return out

    def constant(self, value: Any) -> str:
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def cast(self, x: str, dtype: DTypeLike) -> str:
        return self("Cast", x, to=np.dtype(dtype))

    def double(self, x: str) -> str:
        return self.cast(x, np.float64)

    def total(self, x: str) -> str:
        """Over the classes, which stay as an axis of 1."""
        return self("ReduceSum", x, np.array([1]), keepdims=1)

    def highest(self, x: str) -> str:
        """Over the classes, which stay as an axis of 1."""
        if self.opset < 18:
            return self("ReduceMax", x, axes=[1], keepdims=1)
        return self("ReduceMax", x, np.array([1]), keepdims=1)

    def is_top(self, top: str) -> str:
        """(N, K) of whether a class is the top, (N, 1)."""
        return self("Equal", top, np.arange(self.classes)[None])
