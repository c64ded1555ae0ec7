"""Curves as nodes of an ONNX graph: from scores (N, C), and the number of the curve that each of
them takes, to probabilities (N, C)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from calibtool.calibrators.curves import (
    FARTHEST,
    Bend,
    Crossed,
    Line,
    Pair,
    Parabola,
    Sigmoid,
    Steps,
)
from calibtool.calibrators.export.form import Numbers
from calibtool.calibrators.export.graph import Graph


class Table:
    """The numbers of curves, one after another, as constants.

    Attributes:
        sets: one set of numbers per curve, or per curve and fold.
        folds: the number of sets per curve.
    """

    def __init__(self, g: Graph, curves: list[list[Numbers]]) -> None:
        self.g, self.folds = g, len(curves[0])
        self.sets = [numbers for sets in curves for numbers in sets]
        self.constants: dict[str, str] = {}

    def at(self, name: str, index: str) -> str:
        """Add a look-up in all the numbers of a name. Index -1 is infinity, above all others."""
        if name not in self.constants:
            parts = [numbers[name].ravel() for numbers in self.sets]
            self.constants[name] = self.g.constant(np.concatenate([*parts, [np.inf]]))
        return self.g("Gather", self.constants[name], index)

    def first(self, name: str, which: str) -> str:
        """Add the index at which the entries of a set begin."""
        starts = np.cumsum([0, *(numbers[name].size for numbers in self.sets)])[:-1]
        return self.g("Gather", starts, which)

    def last(self, name: str, score: str, which: str, compare: str) -> str:
        """Add the search for the last edge e with e < score (compare="Less") or e <= score
        ("LessOrEqual").

        The result is an index into all edges of the name; it is one less than the first of the set
        if no edge qualifies.

        A binary search, unrolled: a few nodes per doubling of the number of edges, and memory of
        one index per score. Comparing every score with every edge would take one boolean each.
        """
        g, left = self.g, np.array([numbers[name].size for numbers in self.sets])
        index = g("Sub", self.first(name, which), 1)
        while True:
            half = np.where(left > 1, left // 2, left)
            candidate = g("Add", index, g("Gather", half, which))
            index = g("Where", g(compare, self.at(name, candidate), score), candidate, index)
            left = np.where(left > 1, left - half, 0)
            if not left.any():
                return index


def _sigmoid(g: Graph, table: Table, x: str, which: str) -> str:
    a, b, c = (table.at(name, which) for name in "abc")
    tail = g("Log", g("Add", 1.0, g("Exp", g("Neg", g("Abs", x)))))
    yes = g("Sub", g("Min", x, 0.0), tail)
    no = g("Sub", g("Min", g("Neg", x), 0.0), tail)
    return g("Sigmoid", g("Add", g("Sub", g("Mul", a, yes), g("Mul", b, no)), c))


def _parabola(g: Graph, table: Table, x: str, which: str) -> str:
    a, b, c, low, high = (table.at(name, which) for name in ("a", "b", "c", "low", "high"))
    x = g("Min", g("Max", x, -FARTHEST), FARTHEST)
    inside = g("Min", g("Max", x, low), high)
    bent = g("Mul", c, inside)
    rise = g("Max", g("Add", b, g("Mul", 2.0, bent)), 0.0)
    height = g("Add", a, g("Mul", inside, g("Add", b, bent)))
    return g("Sigmoid", g("Add", height, g("Mul", g("Sub", x, inside), rise)))


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
    """Add the height of a smooth curve, before the sigmoid."""
    k = g("Max", table.last("knots", x, which, "LessOrEqual"), table.first("knots", which))
    d = g("Sub", x, table.at("knots", k))
    slope = g("Mul", g("Mul", g("Max", d, 0.0), table.at("bends", k)), 0.5)
    return g("Add", table.at("heights", k), g("Mul", d, g("Add", table.at("slopes", k), slope)))


def _pairs(g: Graph, table: Table, x: str, which: str) -> str:
    no = yes = ""
    for fold in range(table.folds):
        number = g("Add", g("Mul", which, table.folds), fold)
        below = table.last("below", x, number, "LessOrEqual")
        above = table.last("above", x, number, "Less")
        # every set has one value more than edges: `number` more before it, 1 for the value above
        # the edge
        low = table.at("p0", g("Add", below, g("Add", number, 1)))
        high = table.at("p1", g("Add", above, g("Add", number, 1)))
        log_no, log_yes = g("Log", g("Sub", 1.0, low)), g("Log", high)
        no = g("Add", no, log_no) if no else log_no
        yes = g("Add", yes, log_yes) if yes else log_yes
    no, yes = (g("Exp", g("Div", mean, float(table.folds))) for mean in (no, yes))
    return g("Div", yes, g("Add", no, yes))


CURVES: dict[type[Any], Callable[[Graph, Table, str, str], str]] = {
    Sigmoid: _sigmoid,
    Parabola: _parabola,
    Steps: _steps,
    Line: _line,
    Bend: lambda g, table, x, which: g("Sigmoid", bend(g, table, x, which)),
    Pair: _pairs,
    Crossed: _pairs,
}
