"""The strip of classes: every class as a column of the bins of its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibtool.diagrams import marks
from calibtool.diagrams.reliability_curves import binomial_range
from calibtool.diagrams.style import Style
from calibtool.evaluation.measurement import effective_rows
from calibtool.metrics.cells import Cells
from calibtool.types import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

RATIO = 0.17  # height of the strip, as a share of its width
COLUMNS = 200  # most columns of the strip; more would be narrower than a pixel or two
# p-values below which a bin has a deeper colour than that of the level. Of 100 classes with 15
# bins each, chance colours 75 bins at 0.05, one or two at 0.001 and none at a millionth.
DEEPER = (1e-3, 1e-6)
PALE = 0.3  # of the palest colour, the share that is not paper
HATCH = 4.0  # points from line to line in a hatched bin
# Width of the key, as a share of that of the strip, and at least in sizes of text: two words.
KEY, LEAST_KEY = 0.38, 9.0
LINE = 1.2  # distance of names that stand upright, in their size


@dataclass(frozen=True, eq=False)
class Strip:
    """Every class, or every few, as one of G columns of M bins.

    Attributes:
        groups: the classes of each column, as ranks in `Classwise.order`.
        n: (G, M) weight.
        gap: (G, M) mean outcome minus mean score; NaN where there are no rows.
        outside: (G, M) whether the outcome is outside the range of perfect models.
        p: (G, M) p-value of the gap, exact and two-sided; NaN where there are no rows.
    """

    groups: tuple[Array, ...]
    n: Array
    gap: Array
    outside: Array
    p: Array

    @property
    def shades(self) -> Array:
        """How deep the colour of each bin is, (G, M): 0 within noise, up to 3; negative where the
        score is too high, NaN where there are no rows."""
        depth = self.outside * (1 + sum(self.p < limit for limit in DEEPER))
        return np.where(self.n > 0, np.sign(self.gap) * depth, np.nan)


def strip_of(cells: Cells, order: Array, weights: Array | None, level: float) -> Strip:
    """Return the strip: sums of neighbours in the order, and which gaps exceed chance."""
    groups = np.array_split(np.arange(len(order)), min(len(order), COLUMNS))
    starts = [group[0] for group in groups]
    n, p, y = (np.add.reduceat(x[order], starts, axis=0) for x in (cells.n, cells.p, cells.y))
    total, some = float(cells.total[0]), n > 0
    score, rate = p[some] / n[some], y[some] / n[some]
    rows = n[some] * effective_rows(total, weights) / total
    least, most = binomial_range(score, rows, level)
    outside, gap, chance = np.zeros(n.shape, bool), np.full(n.shape, np.nan), np.full(n.shape, 1.0)
    outside[some], gap[some] = (rate < least) | (rate > most), rate - score
    chance[some] = p_values(rate, score, rows)
    return Strip(tuple(groups), n, gap, outside, np.where(some, chance, np.nan))


def p_values(rate: Array, score: Array, rows: Array) -> Array:
    """Return the two-sided p-value of each mean outcome of `rows` rows whose expectation is
    `score`: twice the smaller tail of the binomial distribution, at most 1.

    >>> p_values(np.array([0.5, 1.0]), np.array([0.5, 0.5]), np.array([10.0, 10.0])).tolist()
    [1.0, 0.001953125]
    """
    from calibtool.intervals.special import bdtr, bdtrc

    n = np.maximum(np.rint(rows), 1).astype(np.int64)
    k, p = np.rint(rate * n), np.clip(score, 0, 1)
    upper = np.where(k > 0, bdtrc(np.maximum(k - 1, 0), n, p), 1.0)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(bdtr(k, n, p), upper)))


def caption(level: float) -> str:
    """Return what the colours of the strip mean."""
    limits = [f"{limit:g}".replace("e-0", "e-") for limit in (round(1 - level, 12), *DEEPER)]
    return (
        f"Strip: shades for p < {', '.join(limits)}, hatched where the score is too low, a line "
        "where there are no rows"
    )


def draw(axes: Axes, data: Strip, names: Sequence[str], style: Style) -> None:
    """Draw a column per class, the worst to the left, and a row per bin.

    Args:
        axes: of the strip.
        data: the strip.
        names: of the classes, in its order.
        style: gives colours and sizes.
    """
    wide = 72 * marks.inner_width(axes)
    _cells(axes, data.shades.T, (0, len(data.groups)), style, wide=wide)
    axes.set_box_aspect(RATIO)
    axes.set_anchor("N")
    axes.set_yticks([0, 1], ["0", "1"])
    axes.set_ylabel("P(class)")
    _key(axes, style, wide)
    title = "Scores beyond noise, by class; the highest ECE first"
    marks.header(axes, style, [], name=title, small=True, share=1 - KEY)  # the key takes the rest
    _name_columns(axes, data, names, style, wide / len(data.groups))


def _cells(
    axes: Axes, shades: Array, ends: tuple[float, float], style: Style, *, wide: float
) -> None:
    """Draw shades as colours, from 0 to 1; those above 0 are hatched, so that signs differ in grey,
    and those that are unknown are a line.

    Args:
        axes: of the shades.
        shades: (rows, columns).
        ends: of the x axis.
        style: gives the colours.
        wide: width of the axes in points.
    """
    from matplotlib.collections import LineCollection

    deepest = 1 + len(DEEPER)
    axes.imshow(
        shades,
        cmap=_colours(style),
        vmin=-deepest - 0.5,
        vmax=deepest + 0.5,
        aspect="auto",
        origin="lower",
        extent=(*ends, 0, 1),
        interpolation="nearest",
        gid="strip",
    )
    height, width = shades.shape
    x, y = np.linspace(*ends, width + 1), np.linspace(0, 1, height + 1)
    rows, columns = np.nonzero(np.isnan(shades))
    look: dict[str, Any] = {"colors": style.muted, "lw": 0.3 * style.line, "gid": "empty"}
    axes.hlines((y[rows] + y[rows + 1]) / 2, x[columns], x[columns + 1], **look)
    many = max(1, round(wide / width / HATCH))  # lines in a bin
    for shade in range(1, deepest + 1):
        rows, columns = np.nonzero(shades == shade)
        lines = []
        for r, c in zip(rows, columns, strict=True):
            across = np.linspace(x[c], x[c + 1], many + 1)
            lines += [[(across[k], y[r]), (across[k + 1], y[r + 1])] for k in range(many)]
        # on pale colours lines of the full one, on the full one lines of paper
        colour = style.paper if shade == deepest else style.colour(0)
        thin: dict[str, Any] = {"linewidths": 0.4 * style.line, "gid": f"hatch-{shade}"}
        axes.add_collection(LineCollection(lines, colors=colour, **thin), autolim=False)


def _colours(style: Style) -> Any:
    """Return the colours from too high to too low scores."""
    from matplotlib.colors import ListedColormap, to_rgb

    paper = np.array(to_rgb(style.paper))
    depths = np.linspace(PALE, 1, 1 + len(DEEPER))
    high, low = (
        [paper + depth * (np.array(to_rgb(style.colour(k))) - paper) for depth in depths]
        for k in (1, 0)
    )
    return ListedColormap([*high[::-1], paper, *low]).with_extremes(bad=style.paper)


def _key(axes: Axes, style: Style, wide: float) -> None:
    """Draw what the colours mean above the right end of the strip, which is `wide` points wide."""
    deepest = 1 + len(DEEPER)
    share = min(max(KEY, LEAST_KEY * style.small / wide), 1.0)
    key = axes.inset_axes((1 - share, 1.12, share, 0.14))
    shades = np.arange(-deepest, deepest + 1.0)[None]
    _cells(key, shades, (-deepest - 0.5, deepest + 0.5), style, wide=share * wide)
    key.set_yticks([])
    key.set_xticks([-(deepest + 1) / 2, (deepest + 1) / 2], ["too high", "too low"])
    key.tick_params(labelsize=style.small * 0.9, length=0, pad=1, top=True, labeltop=True)
    key.tick_params(bottom=False, labelbottom=False)
    for spine in key.spines.values():
        spine.set_visible(False)


def _name_columns(axes: Axes, data: Strip, names: Sequence[str], style: Style, wide: float) -> None:
    """Name the columns, `wide` points each; of many, as many as there is room for."""
    columns = len(data.groups)
    step = max(1, int(np.ceil(LINE * style.small / wide)))
    shown = range(0, columns, step)
    texts = [_name(data.groups[k], names) for k in shown]
    upright = wide * step < 2 * LINE * style.small
    turned: dict[str, Any] = {"rotation": 90} if upright else {"rotation": 60, "ha": "right"}
    flat = max(map(len, texts)) <= 3 and not upright
    axes.set_xticks([k + 0.5 for k in shown], texts, **({} if flat else turned))
    axes.tick_params(axis="x", length=0, labelsize=style.small * 0.93)
    if step > 1:
        axes.set_xlabel(f"One in {step} classes is named")


def _name(group: Array, names: Sequence[str]) -> str:
    """Return the name of a column: that of its first class, and how many there are besides."""
    first = marks.long_name(names[group[0]], 14)
    return first if len(group) == 1 else f"{first} +{len(group) - 1}"
