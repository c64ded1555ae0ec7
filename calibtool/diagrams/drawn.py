"""Diagrams that show themselves in a notebook."""

from __future__ import annotations


class Drawn:
    """A diagram's record that a notebook draws, at the default size and style.

    A record stands in the module of its kind, by which the kind is known.
    """

    __slots__ = ()

    def _repr_png_(self) -> bytes:
        return self._picture("png")

    def _repr_svg_(self) -> str:
        return self._picture("svg").decode("utf-8")

    def _picture(self, format_: str) -> bytes:
        from calibtool.diagrams.figure import figure, picture  # which loads matplotlib

        kind = type(self).__module__.rpartition(".")[2].replace("_", "-")
        return picture(figure(kind, self), format_)
