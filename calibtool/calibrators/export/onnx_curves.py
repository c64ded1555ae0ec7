"""Curves as nodes of an ONNX graph: from scores (N, C), and which curve each of the C takes, to
probabilities (N, C)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from calibtool.calibrators.curves import Bend, Crossed, Line, Pair, Sigmoid, Steps
from calibtool.calibrators.export.form import Numbers
from calibtool.calibrators.export.graph import Graph


class Table:
    """The numbers of curves, one behind the other, as constants.

    Attributes:
        sets: a set of numbers a curve, or a curve and fold.
        folds: sets a curve.
    """

    def __init__(self, g: Graph, curves: list[list[Numbers]]) -> None:
        self.g, self.folds = g, len(curves[0])
        self.sets = [numbers for own in curves for numbers in own]
        self.constants: dict[str, str] = {}

    def at(self, name: str, index: str) -> str:
        """Entries of all the numbers of a name. Index -1 is one that is above all others."""
        if name not in self.constants:
            parts = [numbers[name].ravel() for numbers in self.sets]
            self.constants[name] = self.g.constant(np.concatenate([*parts, [np.inf]]))
        return self.g("Gather", self.constants[name], index)

    def first(self, name: str, which: str) -> str:
        """Where the entries of a set begin."""
        starts = np.cumsum([0, *(numbers[name].size for numbers in self.sets)])[:-1]
        return self.g("Gather", starts, which)

    def last(self, name: str, score: str, which: str, compare: str) -> str:
        """The last edge e with e < score (compare="Less") or e <= score ("LessOrEqual"), as an
        index into all edges of the name; one before a set's own if there is none.

        A search by halves: a few nodes a doubling of the edges, and an index a score.
        """
        g, left = self.g, np.array([numbers[name].size for numbers in self.sets])
        found = g("Sub", self.first(name, which), 1)
        while True:
            half = np.where(left > 1, left // 2, left)
            tried = g("Add", found, g("Gather", half, which))
            found = g("Where", g(compare, self.at(name, tried), score), tried, found)
            left = np.where(left > 1, left - half, 0)
            if not left.any():
                return found


def _sigmoid(g: Graph, table: Table, x: str, which: str) -> str:
    a, b, c = (table.at(name, which) for name in "abc")
    tail = g("Log", g("Add", 1.0, g("Exp", g("Neg", g("Abs", x)))))
    yes = g("Sub", g("Min", x, 0.0), tail)
    no = g("Sub", g("Min", g("Neg", x), 0.0), tail)
    return g("Sigmoid", g("Add", g("Sub", g("Mul", a, yes), g("Mul", b, no)), c))


def _steps(g: Graph, table: Table, x: str, which: str) -> str:
    last = table.last("edges", x, which, "Less")
    return table.at("values", g("Add", last, g("Add", which, 1)))


def _line(g: Graph, table: Table, x: str, which: str) -> str:
    for numbers in table.sets:
        numbers["gap"] = np.append(np.diff(numbers["x"]), 1.0)
        numbers["rise"] = np.append(np.diff(numbers["y"]), 0.0)
    k = g("Max", table.last("x", x, which, "LessOrEqual"), table.first("x", which))
    past = g("Max", g("Sub", x, table.at("x", k)), 0.0)
    share = g("Div", past, table.at("gap", k))
    return g("Add", table.at("y", k), g("Mul", share, table.at("rise", k)))


def bend(g: Graph, table: Table, x: str, which: str) -> str:
    """The height of a smooth curve, any number."""
    k = g("Max", table.last("knots", x, which, "LessOrEqual"), table.first("knots", which))
    d = g("Sub", x, table.at("knots", k))
    slope = g("Mul", g("Mul", g("Max", d, 0.0), table.at("bends", k)), 0.5)
    return g("Add", table.at("heights", k), g("Mul", d, g("Add", table.at("slopes", k), slope)))


def _pairs(g: Graph, table: Table, x: str, which: str) -> str:
    no = yes = ""
    for fold in range(table.folds):
        own = g("Add", g("Mul", which, table.folds), fold)
        below = table.last("below", x, own, "LessOrEqual")
        above = table.last("above", x, own, "Less")
        low = table.at("p0", g("Add", below, g("Add", own, 1)))
        high = table.at("p1", g("Add", above, g("Add", own, 1)))
        log_no, log_yes = g("Log", g("Sub", 1.0, low)), g("Log", high)
        no = g("Add", no, log_no) if no else log_no
        yes = g("Add", yes, log_yes) if yes else log_yes
    no, yes = (g("Exp", g("Div", mean, float(table.folds))) for mean in (no, yes))
    return g("Div", yes, g("Add", no, yes))


CURVES: dict[type[Any], Callable[[Graph, Table, str, str], str]] = {
    Sigmoid: _sigmoid,
    Steps: _steps,
    Line: _line,
    Bend: lambda g, table, x, which: g("Sigmoid", bend(g, table, x, which)),
    Pair: _pairs,
    Crossed: _pairs,
}
