"""The form of the input of an export, and the numbers of a curve.

A score that is computed elsewhere may differ from ours in its last digits, and the edges of a curve
are scores of the fit data. Edges are therefore moved outwards by more than that difference, so that
rows of the fit data stay on their side. Saved float32 or float16 probabilities are the scores
themselves, with no rounding in between; then edges are rounded to their precision instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from calibtool.calibrators.curves import (
    Bend,
    Crossed,
    Curve,
    Line,
    Pair,
    Parabola,
    Sigmoid,
    Steps,
)
from calibtool.calibrators.maps import Affine, Map
from calibtool.calibrators.nested_maps import Patched, Shifted
from calibtool.errors import UsageError
from calibtool.types import Array

# How far a softmax computed elsewhere may be off, relative to it: 8 to 16 units in the last place.
# The exponential and the sum over classes each add a few.
SLACK = 2.0**-49


@dataclass(frozen=True)
class Form:
    """The form of the values that will be calibrated.

    Attributes:
        kind: logits or probabilities.
        one_column: whether, of two classes, only class 1 is given.
        dtype: their dtype.
    """

    kind: Literal["logits", "probs"]
    one_column: bool = False
    dtype: DTypeLike = np.float64

    @property
    def exact(self) -> bool:
        """Whether scores are the saved values themselves, to the bit."""
        return self.kind == "probs" and np.dtype(self.dtype).itemsize < 8


def needs_logits(fitted_map: Map) -> bool:
    """Return whether a map cannot be applied to probabilities, which `Affine.look_at` refuses."""
    if isinstance(fitted_map, Shifted | Patched):
        return needs_logits(fitted_map.inner)
    if not isinstance(fitted_map, Affine):
        return False
    return fitted_map.look == "logits" and fitted_map.weight.ndim > 0


Numbers: TypeAlias = dict[str, Array]


def upper_edges(edges: Array, form: Form) -> Array:
    """Return edges moved up: those that belong to the side below them. 1 stays above all below 1.

    >>> upper_edges(np.array([0.1, 1 - 2**-53]), Form("probs", dtype=np.float32)).tolist()
    [0.10000000149011612, 1.0]
    >>> moved = upper_edges(np.array([0.5, 1 - 2**-53]), Form("logits"))
    >>> (moved > [0.5, 0]).tolist(), (moved < [0.5 + 1e-14, 1]).tolist()
    ([True, True], [True, True])
    """
    if form.exact:
        return edges.astype(form.dtype).astype(np.float64)
    inside = np.where(edges < 1, np.nextafter(1, 0), np.inf)
    return np.asarray(np.minimum(edges * (1 + SLACK), inside))


def lower_edges(edges: Array, form: Form) -> Array:
    """Return edges moved down: those that belong to the side above them."""
    if form.exact:
        return edges.astype(form.dtype).astype(np.float64)
    return np.asarray(edges * (1 - SLACK))


def _sigmoid(curve: Sigmoid, form: Form) -> list[Numbers]:
    return [{name: np.array(getattr(curve, name)) for name in "abc"}]


def _parabola(curve: Parabola, form: Form) -> list[Numbers]:
    return [{name: np.array(getattr(curve, name)) for name in ("a", "b", "c", "low", "high")}]


def _steps(curve: Steps, form: Form) -> list[Numbers]:
    return [{"edges": upper_edges(curve.edges, form), "values": curve.values}]


def _line(curve: Line, form: Form) -> list[Numbers]:
    return [{"x": curve.x, "y": curve.y}]


def bend(curve: Bend) -> Numbers:
    """Return the heights and slopes at the knots, and the second derivative beyond each."""
    return {
        "knots": curve.knots,
        "heights": curve.heights(),
        "slopes": curve.slopes,
        "bends": curve.bends(),
    }


def _pair(curve: Pair, form: Form) -> list[Numbers]:
    below, above = lower_edges(curve.below, form), upper_edges(curve.above, form)
    return [{"below": below, "p0": curve.p0, "above": above, "p1": curve.p1}]


def _crossed(curve: Crossed, form: Form) -> list[Numbers]:
    return [numbers for pair in curve.pairs for numbers in _pair(pair, form)]


# curve class -> the numbers it computes with: one set, or one per fold
NUMBERS: dict[type[Any], Callable[[Any, Form], list[Numbers]]] = {
    Sigmoid: _sigmoid,
    Parabola: _parabola,
    Steps: _steps,
    Line: _line,
    Bend: lambda curve, form: [bend(curve)],
    Pair: _pair,
    Crossed: _crossed,
}


def numbers_of(curves: tuple[Curve, ...], form: Form) -> list[list[Numbers]]:
    """Return the numbers of each curve: one set, or one per fold.

    Raises UsageError if the curves have different numbers of sets, which only a file can have.
    """
    sets_of_curves = [NUMBERS[type(curve)](curve, form) for curve in curves]
    first = sets_of_curves[0]
    if {len(sets) for sets in sets_of_curves} != {len(first)} or not first:
        raise UsageError("the curves of this calibrator have different numbers of folds")
    return sets_of_curves
