"""Diagrams that show themselves in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibtool.data.predictions import DataInfo, in_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Drawn:
    """A diagram's record that a notebook draws, at the default size and style.

    A record stands in the module of its kind, by which the kind is known.
    """

    __slots__ = ()

    @property
    def axes(self) -> tuple[Axes, ...]:
        """The Axes on which a function of `calibtool.plot` drew it last; there may be none."""
        return getattr(self, "_axes", ())

    def named(self, text: str) -> str:
        """Return a text about class 1 and class 0 with the names of the classes, if they have
        names."""
        units = {info.unit for info in getattr(self, "data", ()) if isinstance(info, DataInfo)}
        unit = units.pop() if len(units) == 1 else ""
        return in_names(text, getattr(self, "class_names", None), unit)

    def drawn_on(self, axes: tuple[Axes, ...]) -> None:
        """Remember the Axes, which are no part of the data."""
        object.__setattr__(self, "_axes", axes)

    def __getstate__(self) -> dict[str, Any]:
        """Return the data alone, for pickles and copies."""
        return {name: value for name, value in vars(self).items() if name != "_axes"}

    def _repr_png_(self) -> bytes:
        return self._picture("png")

    def _repr_svg_(self) -> str:
        return self._picture("svg").decode("utf-8")

    def _picture(self, format_: str) -> bytes:
        from calibtool.diagrams.figure import figure, picture  # which loads matplotlib

        kind = type(self).__module__.rpartition(".")[2].replace("_", "-")
        return picture(figure(kind, self), format_)
