"""Diagrams on your own matplotlib Axes: `ct.plot.reliability(p, ax=ax)`.

Every function computes a diagram's data, draws it and answers with the data, which say in numbers
what is drawn. Without `ax` it draws on `matplotlib.pyplot`'s current Axes. `figure` and `save` make
whole pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calibtool.diagrams import module_of
from calibtool.diagrams.named import Named
from calibtool.evaluation import Calibrator
from calibtool.ink import draw, figure, save, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from calibtool.diagrams.reliability import Reliability

__all__ = ["figure", "reliability", "save", "svg"]


def reliability(
    predictions: Named,
    *,
    ax: Axes | None = None,
    style: str = "paper",
    calibrators: Sequence[Calibrator] = (),
    **options: Any,
) -> Reliability:
    """Reliability diagram; see `calibtool.diagrams.reliability.compute` for the options."""
    return _drawn("reliability", predictions, ax, style, calibrators=calibrators, **options)


def _drawn(kind: str, predictions: Any, ax: Axes | None, style: str, **options: Any) -> Any:
    """Compute and draw."""
    data = module_of(kind).compute(predictions, **options)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    draw(kind, data, ax, style=style)
    return data
