"""The table of prediction sets: their thresholds, what is promised, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from calibtool.decisions.coverage_promise import LEVEL, NEXT, Promise
from calibtool.decisions.prediction_sets import PredictionSets
from calibtool.decisions.set_scores import RANDOMIZED
from calibtool.formatting import capitalized, counted, number, percent
from calibtool.reports.table import Note, Table

MOST = 20  # classes with a row of their own on a terminal; the other formats have all


def table(sets: PredictionSets, width: int | None) -> Table:
    """Return a row per threshold, and the promise in words; the JSON document is that of the file,
    with the promise beside it."""
    parts = list(zip(_names(sets), sets.quantiles.tolist(), sets.promises, strict=True))
    shown = parts if width is None else parts[:MOST]
    document = sets.document()
    records = [_record(name, threshold, promise) for name, threshold, promise in parts]
    return Table(
        kind=document["format"],
        head=capitalized(sets.describe()),
        titles=(
            *("class" if sets.per_class else "rows of", "rows", "threshold"),
            *(f"own coverage, {percent(LEVEL)}", f"of the next {NEXT:,}, {percent(LEVEL)}"),
        ),
        cells=[
            [
                name,
                f"{promise.rows:,}",
                number(threshold),
                between(*promise.own()),
                between(*promise.observed(NEXT)),
            ]
            for name, threshold, promise in shown
        ],
        records=records,
        key="",
        notes=list(_notes(sets, len(parts) - len(shown))),
        body=document | {"promise": records},
        wraps=("class",),
    )


def between(low: float, high: float) -> str:
    """Return a range of shares."""
    return f"{percent(low, 1)} to {percent(high, 1)}"


def _names(sets: PredictionSets) -> list[str]:
    return [sets.name_of(k) for k in range(sets.classes)] if sets.per_class else ["all classes"]


def _record(name: str, threshold: float, promise: Promise) -> dict[str, Any]:
    own, following = promise.own(), promise.observed(NEXT)
    return {
        "class": name,
        "rows": promise.rows,
        "threshold": threshold,
        "rank": promise.rank,
        "coverage": promise.coverage,
        "level": LEVEL,
        "own_low": own[0],
        "own_high": own[1],
        "next_rows": NEXT,
        "next_low": following[0],
        "next_high": following[1],
    }


def _notes(sets: PredictionSets, more: int) -> Iterator[str | Note]:
    if more:
        yield Note(f"{more:,} more classes: --format json or csv.", "quiet")
    if sets.calibrator is not None:
        yield f"Calibrated first, by {sets.calibrator.describe()}."
    yield from (f"Note: {note}" for note in sets.notes)
    ranks = sets.score.k_reg
    if sets.score.method == "raps" and ranks >= sets.classes:
        yield (
            f"No class has a rank beyond {ranks}, so that RAPS is APS here; --k-reg takes a "
            "smaller one."
        )
    if sets.score.method in RANDOMIZED and not sets.score.randomized:
        yield (
            "Deterministic: the surest rows may get empty sets, and others large ones; lac makes "
            "small sets without random shares."
        )
    share = percent(sets.coverage)
    of, within = ("a new row", "within a class or a group, or for a single row")
    if sets.per_class:
        of, within = ("a new row of a class", "within a group, or for a single row")
    yield (
        f"Promised: the set of {of} holds its label with a probability of at least {share}, if new "
        "rows are drawn as those that set the threshold."
    )
    yield from _spread(sets)
    advice = "" if sets.per_class else "; --per-class promises it for each class"
    yield (
        f"Not promised: {share} {within}{advice}. Nor where new rows are drawn otherwise than "
        "these: calibtool evaluate FILE --sets measures it there."
    )


def _spread(sets: PredictionSets) -> Iterator[str]:
    """Tell how far the coverage of the sets of these rows lies from what is promised of all."""
    if sets.per_class:
        least = min(sets.rows)
        low, _ = Promise(sets.coverage, least).own()
        yield (
            "The promise is an average over rows that could have set the thresholds. With "
            f"{counted(least, 'row')}, the fewest of a class, its own coverage may be as low as "
            f"{percent(low, 1)} (beta distribution, {percent(LEVEL)})."
        )
        return
    (promise,) = sets.promises
    yield (
        "The promise is an average over rows that could have set the threshold. With "
        f"{counted(promise.rows, 'row')}, the coverage of these very sets lies between "
        f"{between(*promise.own()).replace(' to ', ' and ')} for {percent(LEVEL)} of such files, "
        f"and the covered share of the next {NEXT:,} rows between "
        f"{between(*promise.observed(NEXT)).replace(' to ', ' and ')} (beta-binomial)."
    )
