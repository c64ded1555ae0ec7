"""Figures: the data of a diagram as a matplotlib Figure, on Axes, or as a file.

matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from calibtool.data.files.write import whole_file
from calibtool.diagrams.look import Look, Words, style_with
from calibtool.diagrams.printed import printed
from calibtool.diagrams.registry import module_of
from calibtool.diagrams.style import STYLES, Style, inches
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


def figure(kind: str, diagram: Any, **look: Unpack[Look]) -> Figure:
    """Return a diagram as a matplotlib Figure.

    Args:
        kind: a name in `registry.KINDS`, or "monitor", "monitor_slices" or "skill".
        diagram: its data, as returned by `compute`.
        look: `width` and `height`, such as "3.25in", "82mm" or a number of inches; by default that
            of the style, and that of what there is. `style`: "paper", "talk", "poster" or "dark".
            `title`: by default none on paper, and the names of the files in the other styles.
            `caption`: small print, "none" for none. `stats`: "all", or "none" for no numbers.
            `names`: of the key, in its order. `rename`: new names of axes, panels and series by
            the old ones. `transparent`: whether there is no background.
    """
    look, diagram = printed(look), printed(diagram)
    style, module = style_with(look), module_of(kind)
    wide = inches(look.get("width")) or style.width
    high = inches(look.get("height"), "--height")
    title = look.get("title")
    text = title if title is not None else _title(diagram) if style.titled else ""
    with _matplotlib(style):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        from calibtool.diagrams import room

        drawn = Figure(figsize=(wide, high or wide), layout="constrained")
        FigureCanvasAgg(drawn)
        on_screen = drawn.dpi
        drawn.set_dpi(DPI)  # the width of text depends on it
        engine: Any = drawn.get_layout_engine()
        engine.set(w_pad=PAD, h_pad=PAD, hspace=0, wspace=0)
        if text.strip():  # nothing but spaces has no height
            words = drawn.suptitle(text, x=0.01, ha="left", fontsize=style.text * 1.15)
            room.wrap(words, room.Room(drawn))
        module.draw(diagram, drawn.subplots(), style)
        _finish(drawn.axes, style, diagram)
        with _laid_out():
            if high is None:
                _fit(drawn, module.height(diagram, wide, style))
        if look.get("transparent"):
            _clear(drawn)
        drawn.set_dpi(on_screen)
        return drawn


def _finish(panels: Sequence[Axes], style: Style, diagram: Any) -> None:
    """Let the names of axes wrap, in the names of the classes and those that the user gives."""
    from calibtool.diagrams import room

    said = getattr(diagram, "named", str)
    for axes in panels:
        for one in (axes, *axes.child_axes):
            for axis in (one.xaxis, one.yaxis):
                name = axis.get_label_text()
                axis.set_label_text(style.named(said(name), plain=name) if name else "")
        room.wrap_names(axes)
    if style.labels is not None:
        style.labels.require_used()


def _clear(drawn: Figure) -> None:
    """Make the backgrounds of a figure transparent."""
    places: list[Any] = [drawn, *drawn.subfigs, *drawn.axes]
    places += [child for axes in drawn.axes for child in axes.child_axes]
    for place in places:
        place.patch.set_alpha(0)


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


def draw(kind: str, diagram: Any, axes: Axes, **words: Unpack[Words]) -> tuple[Axes, ...]:
    """Draw a diagram on your own Axes, and return those that hold it: `axes`, or, of a diagram of
    several panels, those that took its place.

    Text has the size of your rcParams. What they set otherwise than matplotlib does, is kept.
    """
    import matplotlib as mpl

    from calibtool.diagrams.own import changed, own_style

    diagram = printed(diagram)
    style = own_style(style_with(printed(words)), axes)
    place, before = axes.figure, set(axes.figure.axes)
    kept = changed(style.rc())
    with mpl.rc_context({name: x for name, x in style.rc().items() if name not in kept}):
        module_of(kind).draw(diagram, axes, style)
    panels = tuple(one for one in place.axes if one is axes or one not in before)
    _finish(panels, style, diagram)
    return panels


def save(kind: str, diagram: Any, path: str | Path, **look: Unpack[Look]) -> list[Path]:
    """Draw a diagram as `figure` does, and write it to a file, atomically; the same data give the
    same bytes.

    A diagram of more small panels than a page holds is written to several files: name.png,
    name-2.png and so on. Returns their paths.
    """
    pages = pages_of(kind, diagram, **look)
    first = Path(path)
    paths = [first, *(first.with_stem(f"{first.stem}-{k}") for k in range(2, len(pages) + 1))]
    for page, each in zip(pages, paths, strict=True):
        write_figure(partial(figure, kind, page, **look), each)
    return paths


def pages_of(kind: str, diagram: Any, **look: Unpack[Look]) -> list[Any]:
    """Return a diagram page by page: itself, unless it has more panels than a page holds."""
    style, module = style_with(look), module_of(kind)
    if not hasattr(module, "pages"):
        return [diagram]
    pages: list[Any] = module.pages(diagram, inches(look.get("width")) or style.width, style)
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
    with _matplotlib(STYLES["paper"]), _laid_out():
        on_screen = drawn.dpi
        drawn.set_dpi(DPI)
        engine: Any = drawn.get_layout_engine()
        if engine is not None:
            engine.execute(drawn)
        # vector formats have another resolution, for which no layout was made
        drawn.set_layout_engine("none")
        colour = drawn.get_facecolor()
        drawn.savefig(out, format=kind, dpi=DPI, metadata=METADATA[kind], facecolor=colour)
        if engine is not None:
            drawn.set_layout_engine(engine)
        drawn.set_dpi(on_screen)
    return out.getvalue()


@contextmanager
def _laid_out() -> Iterator[None]:
    """Draw letters that the font lacks as boxes, without a warning for each.

    Raises UsageError where text leaves no room for what is drawn.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        warnings.filterwarnings("error", message="constrained_layout not applied")
        try:
            yield
        except UserWarning as error:
            raise UsageError(
                "the text leaves no room for the diagram: give shorter names or titles, or more "
                "--width and --height"
            ) from error


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
    data = getattr(diagram, "data", ())
    listed = data if isinstance(data, tuple) else (data,)
    names = list(dict.fromkeys(Path(info.source).name for info in listed))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
