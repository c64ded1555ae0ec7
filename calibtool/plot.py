"""Diagrams on your own matplotlib Axes: `ct.plot.reliability(p, ax=ax)`.

There is one function per kind of diagram. It takes what `ct.read` takes, or several such by name
({name: data}), with the keys of `ct.read`. It computes the data of the diagram, draws them and
returns them: numbers for everything that is drawn, and `axes`, the Axes that hold it. Without `ax`
it draws on `matplotlib.pyplot`'s current Axes. Diagrams of several panels take the place of the
Axes in its grid of subplots. What your rcParams set otherwise than matplotlib does, is kept.
`figure`, `save` and `svg` make whole pictures of the data; `draw` draws them on Axes. The functions
are made from the table of kinds; their options are those of `compute` in `calibtool.diagrams`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_type_hints

from calibtool.data.predictions import Predictions
from calibtool.diagrams.drawn import Drawn
from calibtool.diagrams.figure import draw, figure, save, svg
from calibtool.diagrams.look import Words
from calibtool.diagrams.registry import KINDS, module_of
from calibtool.streaming.read import are_named, keys_in, read_named
from calibtool.streaming.read import read as read_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from calibtool.diagrams.belt import BeltDiagram
    from calibtool.diagrams.bins import BinsDiagram
    from calibtool.diagrams.classwise import Classwise
    from calibtool.diagrams.compare import Compare
    from calibtool.diagrams.confidence import Confidence
    from calibtool.diagrams.confusion_calibration import ConfusionCalibration
    from calibtool.diagrams.decision_curve import DecisionCurve
    from calibtool.diagrams.gain import GainDiagram
    from calibtool.diagrams.outcomes import Outcomes
    from calibtool.diagrams.reliability import Reliability
    from calibtool.diagrams.risk_coverage import RiskCoverage
    from calibtool.diagrams.sets import Sets
    from calibtool.diagrams.shift import Shift
    from calibtool.diagrams.temperature import Temperature
    from calibtool.diagrams.threshold import ThresholdDiagram

D_co = TypeVar("D_co", covariant=True)


class Plot(Protocol[D_co]):
    """A function that draws one kind of diagram and returns its data."""

    def __call__(
        self,
        predictions: Any,
        *required: Any,
        ax: Axes | None = None,
        style: str = "paper",
        caption: str | None = None,
        stats: str = "all",
        names: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
        **options: Any,
    ) -> D_co:
        """Draw on `ax` in a `style`: "paper", "talk", "poster" or "dark"."""
        ...


if TYPE_CHECKING:
    # For type checkers only: which record each function returns. A kind that is not listed here
    # has its function all the same, and returns Any.
    belt: Plot[BeltDiagram]
    bins: Plot[BinsDiagram]
    classwise: Plot[Classwise]
    compare: Plot[Compare]
    confidence: Plot[Confidence]
    confusion_calibration: Plot[ConfusionCalibration]
    decision_curve: Plot[DecisionCurve]
    gain: Plot[GainDiagram]
    outcomes: Plot[Outcomes]
    reliability: Plot[Reliability]
    risk_coverage: Plot[RiskCoverage]
    sets: Plot[Sets]
    shift: Plot[Shift]
    temperature: Plot[Temperature]
    threshold: Plot[ThresholdDiagram]

FUNCTIONS = [kind.replace("-", "_") for kind in KINDS]
__all__ = ["draw", "figure", "save", "svg", *FUNCTIONS]  # noqa: PLE0604 - all are strings


def __getattr__(name: str) -> Plot[Any]:
    kind = name.replace("_", "-")
    if kind not in KINDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _function(name, kind)


def __dir__() -> list[str]:
    return sorted(__all__)


@cache
def _function(name: str, kind: str) -> Plot[Any]:
    """Return the function of a kind, with the signature of its `compute`, `ax` and `style`."""
    module = module_of(kind)
    hints = get_type_hints(module.compute)
    others = {option for option, hint in hints.items() if hint == Predictions | None}

    def function(
        predictions: Any,
        *required: Any,
        ax: Axes | None = None,
        style: str = "paper",
        caption: str | None = None,
        stats: str = "all",
        names: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Any:
        keys = keys_in(options)
        for other in others:
            if options.get(other) is not None:
                options[other] = read_data(options[other], **keys).load()
        several = are_named(predictions)
        opened = (read_named if several else read_data)(predictions, **keys)
        data = module.compute(opened, *required, **options)
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.gca()
        words = Words(style=style, caption=caption, stats=stats, names=names, rename=rename or {})
        drawn = draw(kind, data, ax, **words)
        if isinstance(data, Drawn):
            data.drawn_on(drawn)
        return data

    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    function.__doc__ = (
        f"{KINDS[kind].summary}\n\n{inspect.getdoc(module.compute)}\n\n"
        "It is drawn on the Axes `ax`, by default those of `matplotlib.pyplot`, in a `style`:\n"
        '"paper", "talk", "poster" or "dark". `caption` is other small print, "none" for none;\n'
        '`stats` is "none" for no numbers; `names` are those of the key, in its order; `rename`\n'
        "has new names of axes, panels and series by the old ones. `axes` of what is returned are\n"
        "the Axes that hold it."
    )
    function.__signature__ = _signature(module.compute, function)  # type: ignore[attr-defined]
    return function


def _signature(compute: Callable[..., Any], function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of `compute`, without the options of its types, with `ax` and words."""
    signature, hints = inspect.signature(compute), get_type_hints(compute)
    parameters = [p.replace(annotation=hints[p.name]) for p in signature.parameters.values()]
    own = inspect.signature(function).parameters
    added = [own[name] for name in ("ax", *Words.__annotations__)]
    by_position = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    by_name = parameters[len(by_position) :]
    return inspect.Signature([*by_position, *added, *by_name], return_annotation=hints["return"])
