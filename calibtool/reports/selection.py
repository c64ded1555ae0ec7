"""The cells of a selection's table."""

from __future__ import annotations

from calibtool.analysis.selection import Selection
from calibtool.formatting import interval, number, percent, seconds, share


def selection_cells(found: Selection, *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of the table of candidates that could be fitted; `wide` for all columns."""
    titles = ["method", "numbers", found.rank_by, f"behind, {percent(found.level)}", "ece", "flips"]
    more = [
        "behind",
        "brier" if found.rank_by == "nll" else "nll",
        "classwise-ece",
        "accuracy",
        "ties",
    ]
    rows = []
    for one in found.candidates:
        if one.failed:
            continue
        cells = [
            *(one.method, f"{one.numbers:,}", number(one.score)),
            interval(one.low, one.high) if one.method != found.best else "best",
            number(one.ece),
            share(one.flips),
        ]
        other = one.brier if found.rank_by == "nll" else one.nll
        extra = [
            number(one.behind),
            number(other),
            number(one.classwise_ece),
            number(one.accuracy),
            share(one.ties),
        ]
        times = [seconds(one.fit_seconds), seconds(one.apply_seconds)]
        rows.append([*cells, *extra, *times] if wide else cells)
    return ([*titles, *more, "fit", "apply"] if wide else titles), rows
