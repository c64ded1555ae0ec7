"""Pictures of every kind, and what can be read in them."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from simulated import simulate

import calibtool as ct
from calibtool.diagrams import figure
from calibtool.diagrams.registry import module_of

FEW = {"resamples": 60}
ROWS = 600
NAMES = ("a $5 class", "<b>", "c_d^e", "a class with a long name indeed")
OTHER = replace(simulate(ROWS, 4, seed=4), class_names=NAMES)  # the rows that set a threshold
RULES = [
    *(ct.fit_sets(OTHER, coverage, "aps") for coverage in (0.8, 0.9, 0.95)),
    *(ct.fit_sets(OTHER, coverage, "lac") for coverage in (0.8, 0.95)),
]
LONG = "resnet50_fine_tuned_on_two_hospitals_epoch_090_temperature_scaled"
# kind -> options of the data; by what to call a variant
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "reliability": ("reliability", {}),
    "reliability bootstrap": ("reliability", {"intervals": "bootstrap"}),
    "reliability smooth": ("reliability", {"form": "smooth"}),
    "reliability corp": ("reliability", {"form": "corp"}),
    "reliability logit": ("reliability", {"logit": True}),
    "reliability smooth logit": ("reliability", {"form": "smooth", "logit": True}),
    "reliability overlaid": ("reliability", {}),
    "reliability of long names overlaid": ("reliability", {"logit": True}),
    "reliability by": ("reliability", {"by": "group"}),
    "reliability by, after a calibrator": (
        "reliability",
        {"by": "group", "calibrators": [ct.fit("temperature", OTHER)]},
    ),
    "reliability loess": ("reliability", {"form": "loess"}),
    "decision-curve": ("decision-curve", {}),
    "decision-curve overlaid": ("decision-curve", {"standardised": True}),
    "outcomes": ("outcomes", {}),
    "classwise": ("classwise", {"top": 3}),
    "confusion-calibration": ("confusion-calibration", {}),
    "confidence": ("confidence", {}),
    "bins": ("bins", {}),
    "temperature": ("temperature", {}),
    "risk-coverage": ("risk-coverage", {}),
    "risk-coverage overlaid": ("risk-coverage", {}),
    "threshold": ("threshold", {"target": "risk <= 25 %"}),
    "threshold logit": ("threshold", {"target": "accuracy >= 0.7", "logit": True}),
    "sets": ("sets", {"sets": RULES[:1]}),
    "sets by size": ("sets", {"sets": RULES[1], "by": "size"}),
    "sets beside one another": ("sets", {"sets": RULES}),
    "shift": ("shift", {"over": "age"}),
    "shift in time": ("shift", {"over": "day"}),
    "gain": ("gain", {"methods": ["temperature", "isotonic", "vector"]}),
    "belt": ("belt", {}),
    "compare": ("compare", {}),
}
# pictures of results, which have no `compute`
RESULTS = ("skill", "monitor")
# kinds of diagrams of two classes
TWO_CLASSES = ("decision-curve", "outcomes")


def predictions() -> ct.Predictions:
    """Predictions of four classes whose names are awkward, with further columns."""
    made = simulate(ROWS, 4, seed=3)
    rng = np.random.Generator(np.random.PCG64(1))
    days = np.datetime64("2026-01-01") + rng.integers(0, 90, ROWS).astype("timedelta64[D]")
    extra = {
        "group": np.array(["north", "south"])[rng.integers(0, 2, ROWS)],
        "age": rng.integers(18, 90, ROWS),
        "day": days.astype(str),
    }
    return replace(made, extra=extra, class_names=NAMES, source="folder/test set.npz")


def of_two(made: ct.Predictions) -> ct.Predictions:
    """The same rows, of the third class against all others."""
    probs = np.exp(made.values - made.values.max(axis=1, keepdims=True))
    score = probs[:, 2] / probs.sum(axis=1)
    return replace(
        ct.Predictions.from_probs(score, (made.labels == 2).astype(int)), source=made.source
    )


def kind_of(variant: str) -> str:
    """The kind of diagram that a variant is of."""
    return variant if variant in RESULTS else VARIANTS[variant][0]


@cache
def data_of(variant: str) -> Any:
    """The data of a variant, computed when first asked for."""
    if variant == "skill":
        return ct.select(predictions(), ["temperature", "isotonic", "vector"], **FEW)
    if variant == "monitor":
        days = {f"2026-01-0{k}": simulate(300, 2, seed=k) for k in range(1, 7)}
        return ct.monitor(days, **FEW)
    kind, options = VARIANTS[variant]
    own = predictions()
    own = of_two(own) if kind in TWO_CLASSES else own
    shown: Any = own
    if "overlaid" in variant or kind == "compare":
        shown = {"as given": own, "cooled": ct.fit("temperature", own)(own)}
    if "long names" in variant:
        shown = {f"{LONG}, {name}": one for name, one in shown.items()}
    return module_of(kind).compute(shown, **FEW, **options)


TITLE = "<T> & $x_1$"


@cache
def files_of(variant: str) -> tuple[Any, dict[str, bytes]]:
    """The figure of a variant on paper, and what its files hold, by suffix: one PDF per kind, since
    fonts make them slow to write. Made when first asked for, since drawing takes long."""
    drawn = figure.figure(kind_of(variant), data_of(variant), title=TITLE)
    suffixes = ("svg", "pdf") if variant == kind_of(variant) else ("svg",)
    return drawn, {suffix: figure.picture(drawn, suffix) for suffix in suffixes}


def picture_of(variant: str) -> Any:
    """The figure of a variant on paper; tests only look at it."""
    return files_of(variant)[0]


# ------------------------------------------------------------------ what can be read


def labels_of_ticks(picture):
    """All of them, and those that are drawn: the others lie beyond the ends of their axis."""
    every, shown = set(), set()
    for axes in picture.findobj(lambda one: hasattr(one, "xaxis")):
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            every |= {label for tick in ticks for label in (tick.label1, tick.label2)}
            drawn_ = axis._update_ticks() if axis.get_visible() and axes.axison else []
            shown |= {label for tick in drawn_ for label in (tick.label1, tick.label2)}
    return every, shown


def texts(picture):
    """Every visible piece of text, at the resolution of files."""
    from matplotlib.text import Text

    picture.set_dpi(figure.DPI)
    picture.draw_without_rendering()
    every, shown = labels_of_ticks(picture)
    return [
        text
        for text in picture.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in every - shown
    ]


def words(picture):
    """Every visible piece of text with its place, in inches."""
    return [(text.get_text(), corners(text)) for text in texts(picture)]


def corners(text):
    """The corners of the box that the letters of a text fill, in inches, (4, 2)."""
    from matplotlib.text import Text

    degrees, renderer = text.get_rotation(), text.figure.canvas.get_renderer()
    if degrees % 90 == 0:
        x0, y0, x1, y1 = Text.get_window_extent(text, renderer).extents
    else:  # as if it were level, and then turned about its anchor
        text.set_rotation(0)
        x0, y0, x1, y1 = Text.get_window_extent(text, renderer).extents
        text.set_rotation(degrees)
    box = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if degrees % 90:
        turn = np.deg2rad(degrees)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        turned = (box - box.mean(axis=0)) @ matrix
        place = Text.get_window_extent(text, renderer)
        box = turned + (np.array([place.x0, place.y0]) - turned.min(axis=0))
    return box / text.figure.get_figure(root=True).dpi


def overlap(a, b):
    """How deep two rectangles reach into one another, in inches; 0 or less if they do not."""
    depth = np.inf
    for box in (a, b):
        for edge in (box[1] - box[0], box[3] - box[0]):
            if not edge.any():
                return 0.0
            axis = edge / np.hypot(*edge)
            first, second = a @ axis, b @ axis
            depth = min(depth, min(first.max(), second.max()) - max(first.min(), second.min()))
    return depth


def unreadable(picture, slack: float = 0.01):
    """What is wrong with the words of a picture: cut off, or on one another; in inches."""
    wide, high = picture.get_size_inches()
    found = words(picture)
    assert found
    wrong = []
    for text, box in found:
        low, most = box.min(axis=0), box.max(axis=0)
        if min(*low, wide - most[0], high - most[1]) < -slack:
            wrong.append(("cut off", text))
    for k, (text, a) in enumerate(found):
        for other, b in found[k + 1 :]:
            # the boxes of letters hold the gaps between lines: two may touch
            if overlap(a, b) > 2 * slack:
                wrong.append((text, "covers", other))
    return wrong


def words_of(svg: str | Path) -> str:
    """Return the text of an SVG, wherever its lines break."""
    lines = re.findall(r"<text[^>]*>([^<]*)</text>", Path(svg).read_text())
    return " ".join(" ".join(lines).split())
