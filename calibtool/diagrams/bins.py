"""How much of an ECE is its bins: the same rows under many numbers of bins and conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from calibtool import conventions
from calibtool.asked import System
from calibtool.diagrams.named import How, Named, only, whole
from calibtool.diagrams.record import Parts, data_columns, stacked
from calibtool.evaluation import examine
from calibtool.report import Data, Estimate

RULES = {"equal width": "ece", "equal mass": "ada-ece"}
NUMBERS = (5, 10, 15, 20, 30, 50, 100)
LIBRARY_ROWS = 200_000  # rows on which other libraries' rules are tried


@dataclass(frozen=True, eq=False)
class BinsDiagram:
    """ECE against the number of bins.

    Attributes:
        numbers: of bins.
        estimates: by rule, one for each number.
        libraries: each library's ECE at each number; None where it gives none.
        binless: smooth ECE, which has no bins.
        data: what was read.
        level: of the intervals.
    """

    numbers: tuple[int, ...]
    estimates: dict[str, tuple[Estimate, ...]]
    libraries: dict[str, tuple[float | None, ...]]
    binless: Estimate
    data: tuple[Data, ...]
    level: float
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> Parts:
        """Everything that is drawn, as tables."""
        names = ("name", "value", "low", "high", "unbiased", "signature")
        return {
            "data": data_columns(self.data),
            "curve": stacked(
                {
                    "rule": rule,
                    "bins": self.numbers,
                    **{name: [getattr(one, name) for one in own] for name in names},
                }
                for rule, own in self.estimates.items()
            ),
            "smooth": {name: [getattr(self.binless, name)] for name in names},
            "library": stacked(
                {"library": library, "bins": self.numbers, "value": values}
                for library, values in self.libraries.items()
            ),
        }

    @property
    def agreeing(self) -> dict[tuple[str, ...], tuple[float | None, ...]]:
        """Libraries that give the same numbers everywhere, together."""
        together: dict[tuple[float | None, ...], list[str]] = {}
        for library, values in self.libraries.items():
            key = tuple(None if v is None else float(f"{v:.6g}") for v in values)
            together.setdefault(key, []).append(library)
        return {tuple(names): self.libraries[names[0]] for names in together.values()}


def compute(predictions: Named, **how: Unpack[How]) -> BinsDiagram:
    """ECE over 5 to 100 bins of equal width and of equal mass, with intervals; that of every
    library that `evaluate --conventions` knows; and smooth ECE.

    Args:
        predictions: one set.
        how: `resamples`, `level`, `seed` of the intervals, and `progress`.
    """
    rows = whole(only(predictions))
    specs = [f"{name}(bins={number})" for name in RULES.values() for number in NUMBERS]
    found = examine(rows, [*specs, "smece"], [System()], **how)
    own = found.estimates()
    size = len(NUMBERS)
    estimates = {rule: own[k * size : (k + 1) * size] for k, rule in enumerate(RULES)}
    notes = []
    few = rows
    if rows.rows > LIBRARY_ROWS:
        few = rows.take(slice(0, LIBRARY_ROWS))
        notes.append(f"other libraries' rules are tried on the first {LIBRARY_ROWS:,} rows")
    reproduced = conventions.by_bins(few, NUMBERS)
    libraries = {
        name: tuple(values[number].value for number in NUMBERS)
        for name, values in reproduced.items()
        if any(one.value is not None for one in values.values())
    }
    level = found.settings.level
    return BinsDiagram(NUMBERS, estimates, libraries, own[-1], (found.data,), level, tuple(notes))
