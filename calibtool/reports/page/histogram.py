"""The histogram below a reliability diagram, whose scale shows small bins too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibtool.diagrams.histograms import needs_log
from calibtool.reports.page.markup import Markup, element
from calibtool.reports.page.svg import LEFT, across, label, line, visible
from calibtool.types import Array

LEAST = 1e-4  # least start of a log scale: its label, 0.01 %, is as long as there is room for
LETTERS = 15.0  # height of a label, in units of the viewBox


class Bars:
    """Heights of bars, on one scale for diagrams side by side: linear, or a log scale where
    `plot reliability` has one.

    Attributes:
        log: whether the scale is one of logarithms.

    >>> low, high = np.array([0.3, 0.3, 0.4]), np.array([0.01, 0.02, 0.97])
    >>> Bars([low], 50.0).log, Bars([low, high], 50.0).log
    (False, True)
    """

    def __init__(self, masses: Sequence[Array], most: float) -> None:
        """`masses` are shares of the rows of each diagram, and `most` is the height of the tallest
        bar."""
        some = np.concatenate([mass[mass > 0] for mass in masses])
        self._tallest = float(some.max()) if len(some) else 1.0
        self._most = most
        self.log = needs_log(masses)
        power = np.floor(np.log10(float(some.min()))) if len(some) else 0.0
        self._least = max(float(10.0**power), LEAST)

    def height(self, mass: float) -> float:
        """Return the height of a bar; at least one unit if it holds any rows."""
        if not self.log or not mass:
            return visible(self._most * mass / self._tallest, mass)
        part = np.log(max(mass / self._least, 1.0)) / np.log(self._tallest / self._least)
        return visible(self._most * float(part), mass)

    def scale(self, bottom: float) -> list[Markup]:
        """Return the labels of the scale, the share of the tallest bar at its top."""
        top = bottom - self._most + 11
        parts = [_tick(top, f"{100 * self._tallest:.0f} %")]
        free = top + LETTERS  # the baseline of the highest label that has room below
        powers = int(np.log10(self._tallest / self._least) + 1e-9) if self.log else -1
        steps = max(int(np.ceil(LETTERS / (self._most / max(powers, 1)))), 1)
        for k in range(0, powers + 1, steps):
            share = self._least * 10**k
            y = bottom - self.height(share) if k else bottom
            if y + 5 < free:
                continue
            parts.append(_tick(y + 5, f"{100 * share:g} %"))
            parts.append(element("line", class_="grid", **line(across(0), y, across(1), y)))
        return parts


def _tick(y: float, text: str) -> Markup:
    return label(LEFT - 6, y, text, anchor="end", class_="tick")
