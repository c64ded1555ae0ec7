"""What every target asks: the form of the input, and the numbers of a curve, edge by edge.

A score that is computed anew may differ from ours in its last digits, and the edges of a curve are
scores of the fit data. So edges are moved out by as much, and rows of the fit data stay on their
side. Where scores are saved float32 or float16 probabilities, they are what they are, and edges are
rounded to their precision instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from calibtool.calibrators.curves import Bend, Crossed, Curve, Line, Pair, Sigmoid, Steps
from calibtool.calibrators.maps import Affine, Map
from calibtool.calibrators.nested_maps import Shifted
from calibtool.errors import UsageError
from calibtool.types import Array

SLACK = 2.0**-49  # how far a softmax may be off, as a share of it


@dataclass(frozen=True)
class Form:
    """What will be calibrated.

    Attributes:
        kind: logits or probabilities.
        one_column: whether, of two classes, only class 1 is given.
        dtype: the type it comes in.
    """

    kind: Literal["logits", "probs"]
    one_column: bool = False
    dtype: DTypeLike = np.float64

    @property
    def exact(self) -> bool:
        """Whether scores will be the ones that were saved, to the bit."""
        return self.kind == "probs" and np.dtype(self.dtype).itemsize < 8


def needs_logits(one: Map) -> bool:
    """Whether a map cannot do with probabilities: `Affine.look_at` refuses them too."""
    if isinstance(one, Shifted):
        return needs_logits(one.inner)
    return isinstance(one, Affine) and one.look == "logits" and one.weight.ndim > 0


Numbers: TypeAlias = dict[str, Array]


def upper_edges(edges: Array, form: Form) -> Array:
    """Edges that belong to the side below them.

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
    """Edges that belong to the side above them."""
    if form.exact:
        return edges.astype(form.dtype).astype(np.float64)
    return np.asarray(edges * (1 - SLACK))


def _sigmoid(curve: Sigmoid, form: Form) -> list[Numbers]:
    return [{name: np.array(getattr(curve, name)) for name in "abc"}]


def _steps(curve: Steps, form: Form) -> list[Numbers]:
    return [{"edges": upper_edges(curve.edges, form), "values": curve.values}]


def _line(curve: Line, form: Form) -> list[Numbers]:
    return [{"x": curve.x, "y": curve.y}]


def bend(curve: Bend) -> Numbers:
    """Heights at the knots, slopes there, and how the slope changes beyond each."""
    gaps = np.diff(curve.knots)
    rises = gaps * (curve.slopes[1:] + curve.slopes[:-1]) / 2
    return {
        "knots": curve.knots,
        "heights": curve.start + np.concatenate([[0.0], np.cumsum(rises)]),
        "slopes": curve.slopes,
        "bends": np.append(np.diff(curve.slopes) / gaps, 0.0),
    }


def _pair(curve: Pair, form: Form) -> list[Numbers]:
    below, above = lower_edges(curve.below, form), upper_edges(curve.above, form)
    return [{"below": below, "p0": curve.p0, "above": above, "p1": curve.p1}]


def _crossed(curve: Crossed, form: Form) -> list[Numbers]:
    return [numbers for pair in curve.pairs for numbers in _pair(pair, form)]


# what a curve computes with: a set of numbers, or one a fold
NUMBERS: dict[type[Any], Callable[[Any, Form], list[Numbers]]] = {
    Sigmoid: _sigmoid,
    Steps: _steps,
    Line: _line,
    Bend: lambda curve, form: [bend(curve)],
    Pair: _pair,
    Crossed: _crossed,
}


def numbers_of(curves: tuple[Curve, ...], form: Form) -> list[list[Numbers]]:
    """The numbers of each curve; all curves have as many sets, which is 1 but for folds."""
    found = [NUMBERS[type(curve)](curve, form) for curve in curves]
    if {len(sets) for sets in found} != {len(found[0])} or not found[0]:
        raise UsageError("the curves of this calibrator were merged of different numbers of folds")
    return found
