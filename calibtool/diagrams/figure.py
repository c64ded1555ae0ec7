"""Ink for the data of diagrams. matplotlib is imported when something is drawn, and not before.

A kind is a module with two functions: `draw` lays ink on a matplotlib Axes, `height` says how high
the picture should be for its width.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibtool.data.files.write import whole_file
from calibtool.diagrams.style import STYLES, Style, inches, style_of
from calibtool.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")


def svg(drawn: Figure) -> str:
    """A figure as an SVG with real text; the same figure gives the same string."""
    return picture(drawn, "svg").decode("utf-8")


METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "calibtool"},
    "pdf": {"CreationDate": None, "Creator": "calibtool", "Producer": None},
}
DPI = 200
PAD = 0.03  # inches around a picture


def module_of(kind: str) -> Any:
    """The module of a kind's ink."""
    return import_module(f"calibtool.diagrams.{kind.replace('-', '_')}")


def figure(
    kind: str,
    diagram: Any,
    *,
    width: str | float | None = None,
    style: str = "paper",
    title: str | None = None,
) -> Figure:
    """A diagram as a matplotlib Figure.

    Args:
        kind: a name of `diagrams.KINDS`.
        diagram: its data.
        width: such as "3.25in", "82mm" or inches; by default that of the style.
        style: "paper", "talk" or "dark".
        title: None for that of the style: none on paper, the name of the file otherwise.
    """
    look, ink = style_of(style), module_of(kind)
    wide = inches(width) or look.width
    text = title if title is not None else _title(diagram) if look.titled else ""
    with _matplotlib(look):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(wide, ink.height(diagram, wide, look)), layout="constrained")
        FigureCanvasAgg(drawn)
        engine: Any = drawn.get_layout_engine()
        engine.set(w_pad=PAD, h_pad=PAD, hspace=0, wspace=0)
        if text:
            drawn.suptitle(text, x=0.01, ha="left", fontsize=look.text * 1.15)
        ink.draw(diagram, drawn.subplots(), look)
        with _boxes_for_letters():
            _fit(drawn)
        return drawn


def _fit(drawn: Figure) -> None:
    """As high as what is on it, where that is known from the width: panels of a fixed shape."""
    fixed = [axes for axes in drawn.axes if axes.get_box_aspect() is not None]
    if not fixed:
        return
    rows: dict[int, list[Axes]] = {}
    for axes in fixed:
        spec = axes.get_subplotspec()
        rows.setdefault(spec.rowspan.start if spec else 0, []).append(axes)
    drawn.set_figheight((1.7 * drawn.get_figwidth() + 2) * len(rows))  # more than enough
    for _ in range(2):
        drawn.canvas.draw()
        panels = sum(max(_height(axes) for axes in row) + 2 * PAD for row in rows.values())
        around = [part for one in (drawn, *drawn.subfigs) for part in (*one.texts, *one.legends)]
        drawn.set_figheight(panels + sum(_height(part) + 2 * PAD for part in around))


def _height(artist: Any) -> float:
    """In inches."""
    figure = artist.figure.get_figure(root=True)
    return float(artist.get_tightbbox(figure.canvas.get_renderer()).height / figure.dpi)


def draw(kind: str, diagram: Any, axes: Axes, *, style: str = "paper") -> None:
    """Lay a diagram on your own Axes; its text is as large as your rcParams say."""
    from dataclasses import replace

    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties

    size = FontProperties(size=mpl.rcParams["font.size"]).get_size_in_points()
    look = style_of(style)
    look = replace(look, text=size, line=look.line * size / look.text)
    with mpl.rc_context(_rc(look)):
        module_of(kind).draw(diagram, axes, look)


def save(
    kind: str,
    diagram: Any,
    path: str | Path,
    *,
    width: str | float | None = None,
    style: str = "paper",
    title: str | None = None,
) -> None:
    """Draw and write a picture, whole or not at all; the same data give the same bytes."""
    write_figure(lambda: figure(kind, diagram, width=width, style=style, title=title), path)


def write_figure(make: Callable[[], Figure], path: str | Path) -> None:
    """Draw and write any picture, whole or not at all."""
    require_suffix(path)
    content = picture(make(), Path(path).suffix.lower().removeprefix("."))
    with whole_file(path) as file:
        file.write(content)


def require_suffix(path: str | Path) -> None:
    """Whether the format of a picture is one that we write."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: cannot draw {Path(path).suffix or 'without a suffix'}; "
            f"there are {', '.join(SUFFIXES)}"
        )


def picture(drawn: Figure, kind: str) -> bytes:
    """Return a figure as the bytes of a png, svg or pdf file."""
    out = BytesIO()
    with _matplotlib(STYLES["paper"]), _boxes_for_letters():
        colour = drawn.get_facecolor()
        drawn.savefig(out, format=kind, dpi=DPI, metadata=METADATA[kind], facecolor=colour)
    return out.getvalue()


@contextmanager
def _boxes_for_letters() -> Iterator[None]:
    """Letters that the font lacks become boxes, in silence."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def _rc(look: Style) -> Any:
    return look.rc()


@contextmanager
def _matplotlib(look: Style) -> Iterator[None]:
    """Settings of matplotlib's own and of the style: a matplotlibrc changes no picture."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_rc(look))
        yield


def _title(diagram: Any) -> str:
    """The names of what was read."""
    names = list(dict.fromkeys(Path(one.source).name for one in getattr(diagram, "data", ())))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
