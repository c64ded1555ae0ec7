"""Figures: the data of a diagram as a matplotlib Figure, on Axes, or as a file.

matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.data.files.write import whole_file
from calibtool.diagrams.registry import module_of
from calibtool.diagrams.style import STYLES, Style, inches, style_of
from calibtool.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
# no dates and versions: the same data give the same bytes
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "calibtool"},
    "pdf": {"CreationDate": None, "Creator": "calibtool", "Producer": None},
}
DPI = 200  # of png: 650 pixels for a column of 3.25 inches
PAD = 0.03  # inches around a picture
PASSES = 6  # most layouts until the height of a picture stands; three do


def svg(drawn: Figure) -> str:
    """Return a figure as an SVG with real text; figures of the same data give the same string."""
    return picture(drawn, "svg").decode("utf-8")


def figure(
    kind: str,
    diagram: Any,
    *,
    width: str | float | None = None,
    style: str = "paper",
    title: str | None = None,
) -> Figure:
    """Return a diagram as a matplotlib Figure.

    Args:
        kind: a name in `registry.KINDS`, or "monitor" or "skill".
        diagram: its data, as returned by `compute`.
        width: such as "3.25in", "82mm" or a number of inches; by default that of the style.
        style: "paper", "talk" or "dark".
        title: by default none on paper, and the names of the files in the other styles.
    """
    look, module = style_of(style), module_of(kind)
    wide = inches(width) or look.width
    text = title if title is not None else _title(diagram) if look.titled else ""
    with _matplotlib(look):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        from calibtool.diagrams import room

        drawn = Figure(figsize=(wide, wide), layout="constrained")
        FigureCanvasAgg(drawn)
        engine: Any = drawn.get_layout_engine()
        engine.set(w_pad=PAD, h_pad=PAD, hspace=0, wspace=0)
        if text:
            words = drawn.suptitle(text, x=0.01, ha="left", fontsize=look.text * 1.15)
            room.wrap(words, room.Room(drawn))
        module.draw(diagram, drawn.subplots(), look)
        for axes in drawn.axes:
            room.wrap_names(axes)
        with _boxes_for_missing_letters():
            _fit(drawn, module.height(diagram, wide, look))
        return drawn


def _fit(drawn: Figure, panels: float) -> None:
    """Make the figure as high as its content: `panels`, and what stands around them.

    Panels of a fixed shape are as high as their width makes them. The heights of titles, labels and
    keys are known only after a layout, and may change with it: a layout corrects the one before.
    """
    fixed = any(axes.get_box_aspect() is not None for axes in drawn.axes)
    rows: dict[int, list[Axes]] = {}
    for axes in drawn.axes:
        spec = axes.get_subplotspec()
        rows.setdefault(spec.rowspan.start if spec else 0, []).append(axes)
    engine: Any = drawn.get_layout_engine()
    drawn.set_figheight((1.7 * drawn.get_figwidth() + 2) * len(rows) if fixed else 2 * panels + 1)
    before: list[Any] = []
    for _ in range(PASSES):
        engine.execute(drawn)
        total = 0.0 if fixed else panels
        for row in rows.values():
            boxes = [(axes.get_tightbbox(), axes.get_window_extent()) for axes in row]
            above = max(outer.y1 - inner.y1 for outer, inner in boxes if outer)
            below = max(inner.y0 - outer.y0 for outer, inner in boxes if outer)
            own = max(inner.height for _, inner in boxes) if fixed else 0.0
            total += (above + own + below) / drawn.dpi + 2 * PAD
        for place in (drawn, *drawn.subfigs):
            for part in (*place.texts, *place.legends):
                box = part.get_tightbbox()
                total += box.height / drawn.dpi + 2 * PAD if box else 0.0
        places = [total * DPI, *(DPI * axes.get_position().width for axes in drawn.axes)]
        drawn.set_figheight(total)
        if before and np.allclose(places, before, rtol=0, atol=0.5):
            return
        before = places


def draw(kind: str, diagram: Any, axes: Axes, *, style: str = "paper") -> None:
    """Draw a diagram on your own Axes, with text in the size of your rcParams."""
    from dataclasses import replace

    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties

    size = FontProperties(size=mpl.rcParams["font.size"]).get_size_in_points()
    look = style_of(style)
    look = replace(look, text=size, line=look.line * size / look.text)
    with mpl.rc_context(look.rc()):
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
    """Draw a diagram and write it to a file, atomically; the same data give the same bytes."""
    write_figure(lambda: figure(kind, diagram, width=width, style=style, title=title), path)


def write_figure(make: Callable[[], Figure], path: str | Path) -> None:
    """Write the figure that `make` returns to a file, atomically."""
    require_suffix(path)
    content = picture(make(), Path(path).suffix.lower().removeprefix("."))
    with whole_file(path) as file:
        file.write(content)


def require_suffix(path: str | Path) -> None:
    """Check that the suffix is that of a format for pictures; raise UsageError otherwise."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: cannot draw {Path(path).suffix or 'without a suffix'}; "
            f"use {', '.join(SUFFIXES)}"
        )


def picture(drawn: Figure, kind: str) -> bytes:
    """Return a figure as the bytes of a png, svg or pdf file."""
    out = BytesIO()
    with _matplotlib(STYLES["paper"]), _boxes_for_missing_letters():
        drawn.draw_without_rendering()
        engine: Any = drawn.get_layout_engine()
        drawn.set_layout_engine("none")  # at the resolution of the file, lines could break anew
        colour = drawn.get_facecolor()
        drawn.savefig(out, format=kind, dpi=DPI, metadata=METADATA[kind], facecolor=colour)
        drawn.set_layout_engine(engine)
    return out.getvalue()


@contextmanager
def _boxes_for_missing_letters() -> Iterator[None]:
    """Draw letters that the font lacks as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


@contextmanager
def _matplotlib(look: Style) -> Iterator[None]:
    """Use matplotlib's defaults and the settings of the style, whatever a matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(look.rc())
        yield


def _title(diagram: Any) -> str:
    """Return the names of the files that were read."""
    names = list(dict.fromkeys(Path(info.source).name for info in getattr(diagram, "data", ())))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
