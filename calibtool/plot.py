"""Diagrams on your own matplotlib Axes: `ct.plot.reliability(p, ax=ax)`.

Every function computes a diagram's data, draws it and answers with the data, which say in numbers
what is drawn. Without `ax` it draws on `matplotlib.pyplot`'s current Axes. Diagrams of several
panels take the place of the Axes in its grid of subplots. `figure`, `save` and `svg` make whole
pictures of the data. The options are those of `compute` in `calibtool.diagrams`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibtool.data.readable import Readable
from calibtool.diagrams.figure import draw, figure, save, svg
from calibtool.diagrams.inputs import Named
from calibtool.diagrams.registry import module_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from calibtool.diagrams.belt import BeltDiagram
    from calibtool.diagrams.bins import BinsDiagram
    from calibtool.diagrams.classwise import Classwise
    from calibtool.diagrams.compare import Compare
    from calibtool.diagrams.confidence import Confidence
    from calibtool.diagrams.confusion_calibration import ConfusionCalibration
    from calibtool.diagrams.gain import GainDiagram
    from calibtool.diagrams.reliability import Reliability
    from calibtool.diagrams.risk_coverage import RiskCoverage
    from calibtool.diagrams.shift import Shift
    from calibtool.diagrams.temperature import Temperature

__all__ = [
    "belt",
    "bins",
    "classwise",
    "compare",
    "confidence",
    "confusion_calibration",
    "figure",
    "gain",
    "reliability",
    "risk_coverage",
    "save",
    "shift",
    "svg",
    "temperature",
]


def reliability(
    predictions: Named, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> Reliability:
    """Accuracy against confidence: binned, or `form="smooth"` or "corp"; `logit=True`, `by=`,
    `calibrators=`. `predictions` are one set, or several by what to call them."""
    return _drawn("reliability", predictions, ax, style, options)


def classwise(
    predictions: Readable, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> Classwise:
    """One-vs-rest diagrams of the `top` worst classes, and a strip of all."""
    return _drawn("classwise", predictions, ax, style, options)


def confusion_calibration(
    predictions: Readable, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> ConfusionCalibration:
    """Confidence and accuracy by predicted class."""
    return _drawn("confusion-calibration", predictions, ax, style, options)


def confidence(
    predictions: Readable, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> Confidence:
    """Histograms of confidence, of right answers and of wrong ones."""
    return _drawn("confidence", predictions, ax, style, options)


def bins(
    predictions: Readable, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> BinsDiagram:
    """ECE against the number of bins, by every convention."""
    return _drawn("bins", predictions, ax, style, options)


def temperature(
    predictions: Readable, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> Temperature:
    """NLL and ECE against the temperature."""
    return _drawn("temperature", predictions, ax, style, options)


def risk_coverage(
    predictions: Named, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> RiskCoverage:
    """Error rate of the most confident rows, against their share."""
    return _drawn("risk-coverage", predictions, ax, style, options)


def shift(
    predictions: Readable,
    over: str,
    *,
    ax: Axes | None = None,
    style: str = "paper",
    **options: Any,
) -> Shift:
    """Calibration over a column of numbers or times that the predictions carry."""
    return _drawn("shift", predictions, ax, style, {"over": over, **options})


def gain(
    predictions: Readable, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> GainDiagram:
    """NLL and ECE before and after every calibrator."""
    return _drawn("gain", predictions, ax, style, options)


def belt(
    predictions: Readable, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> BeltDiagram:
    """The calibration belt, with its test."""
    return _drawn("belt", predictions, ax, style, options)


def compare(
    predictions: Named, *, ax: Axes | None = None, style: str = "paper", **options: Any
) -> Compare:
    """Two models on the same rows, by what to call them: their gaps, and the difference."""
    return _drawn("compare", predictions, ax, style, options)


def _drawn(
    kind: str, predictions: Any, ax: Axes | None, style: str, options: dict[str, Any]
) -> Any:
    """Compute and draw."""
    data = module_of(kind).compute(predictions, **options)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    draw(kind, data, ax, style=style)
    return data
