"""Figures: the data of a diagram as a matplotlib Figure, on Axes, or as a file.

matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        kind: a name in `registry.KINDS`, or "monitor", "monitor_slices" or "skill".
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

        drawn = Figure(figsize=(wide, module.height(diagram, wide, look)), layout="constrained")
        FigureCanvasAgg(drawn)
        engine: Any = drawn.get_layout_engine()
        engine.set(w_pad=PAD, h_pad=PAD, hspace=0, wspace=0)
        if text:
            drawn.suptitle(text, x=0.01, ha="left", fontsize=look.text * 1.15)
        module.draw(diagram, drawn.subplots(), look)
        with _boxes_for_missing_letters():
            _fit(drawn)
        return drawn


def _fit(drawn: Figure) -> None:
    """Make the figure as high as its content, if its panels have a fixed shape.

    The heights of titles, labels and keys are known only after a layout. The first pass lays them
    out in more room than they need; the second one corrects for what changed with the height.
    """
    fixed = [axes for axes in drawn.axes if axes.get_box_aspect() is not None]
    if not fixed:
        return
    rows: dict[int, list[Axes]] = {}
    for axes in fixed:
        spec = axes.get_subplotspec()
        rows.setdefault(spec.rowspan.start if spec else 0, []).append(axes)
    drawn.set_figheight((1.7 * drawn.get_figwidth() + 2) * len(rows))
    for _ in range(2):
        drawn.canvas.draw()
        panels = sum(max(_height(axes) for axes in row) + 2 * PAD for row in rows.values())
        around = [
            part for place in (drawn, *drawn.subfigs) for part in (*place.texts, *place.legends)
        ]
        drawn.set_figheight(panels + sum(_height(part) + 2 * PAD for part in around))


def _height(artist: Any) -> float:
    """Return the height of an artist in inches."""
    figure = artist.figure.get_figure(root=True)
    return float(artist.get_tightbbox(figure.canvas.get_renderer()).height / figure.dpi)


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
) -> list[Path]:
    """Draw a diagram and write it to a file, atomically; the same data give the same bytes.

    A diagram of more small panels than a page holds is written to several files: name.png,
    name-2.png and so on. Returns their paths.
    """
    pages = pages_of(kind, diagram, width=width, style=style)
    first = Path(path)
    paths = [first, *(first.with_stem(f"{first.stem}-{k}") for k in range(2, len(pages) + 1))]
    for page, each in zip(pages, paths, strict=True):
        write_figure(partial(figure, kind, page, width=width, style=style, title=title), each)
    return paths


def pages_of(
    kind: str, diagram: Any, *, width: str | float | None = None, style: str = "paper"
) -> list[Any]:
    """Return a diagram page by page: itself, unless it has more panels than a page holds."""
    look, module = style_of(style), module_of(kind)
    if not hasattr(module, "pages"):
        return [diagram]
    pages: list[Any] = module.pages(diagram, inches(width) or look.width, look)
    return pages


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
        colour = drawn.get_facecolor()
        drawn.savefig(out, format=kind, dpi=DPI, metadata=METADATA[kind], facecolor=colour)
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
