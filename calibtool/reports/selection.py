"""The table of a selection, and its cells, which the page shows too."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from calibtool.analysis.candidate import NOTHING, Candidate
from calibtool.analysis.race import ERRORS
from calibtool.analysis.selection import Selection
from calibtool.evaluation.wording import PROPER
from calibtool.formatting import (
    Change,
    changed,
    changes,
    counted,
    joined,
    number,
    percent,
    seconds,
    share,
)
from calibtool.reports import json
from calibtool.reports.table import Note, Table

# Columns of a terminal that shows all columns of a selection, and those without the other scores.
WIDE, MIDDLE = 136, 98


def table(selection: Selection, width: int | None) -> Table:
    """Return a row per candidate that could be fitted, the best first, and the choice."""
    titles, cells = selection_cells(selection, width)
    return Table(
        kind="calibtool-selection",
        head=selection.data.describe() + ("" if width is None else f", {selection.how}"),
        titles=titles,
        cells=cells,
        records=_records(selection),
        key="",
        notes=[*_not_fitted(selection), *remarks(selection), Note(f"Chosen: {selection.why}")],
        body=_body(selection),
        tones={(k, None): "best" for k, row in enumerate(cells) if row[0] == selection.chosen},
        columns=("chosen", *_fields(selection)),
        left=(),
        wraps=(),
    )


def _not_fitted(selection: Selection) -> list[Note]:
    return [
        Note(f"Not fitted: {candidate.method}: {candidate.failed}", "warning")
        for candidate in selection.candidates
        if candidate.failed
    ]


def remarks(selection: Selection) -> list[Note]:
    """Return which candidates left a race early, and which make a proper score worse."""
    return [*_left(selection), *_harms(selection)]


def _left(selection: Selection) -> list[Note]:
    counts = sorted({one.folds for one in selection.candidates if one.folds is not None})
    return [
        Note(
            f"Measured on {counted(count, 'fold')} only, and there more than {ERRORS:g} standard "
            "errors behind: "
            f"{joined([one.method for one in selection.candidates if one.folds == count])}.",
            "quiet",
        )
        for count in counts
    ]


def _harms(selection: Selection) -> list[Note]:
    """Return which candidates make a proper score worse; a warning if the chosen one does."""
    before, chosen = selection[NOTHING], selection[selection.chosen]
    notes = []
    if chosen.worse:
        scores = " and ".join(
            f"{title} worse: {number(getattr(before, name))} to {number(getattr(chosen, name))}"
            for name, title in PROPER.items()
            if name in chosen.worse.split(", ")
        )
        notes.append(Note(f"Warning: {chosen.method} makes {scores}, beyond chance.", "warning"))
    others = [
        f"{candidate.method} ({candidate.worse})"
        for candidate in selection.candidates
        if candidate.worse and candidate is not chosen
    ]
    if others:
        notes.append(Note(f"Worse than nothing beyond chance: {joined(others)}.", "quiet"))
    return notes


def _fields(selection: Selection) -> list[str]:
    """Return the names of what is told of a candidate: `folds` only where some left a race."""
    names = [field.name for field in fields(Candidate)]
    raced = any(candidate.folds is not None for candidate in selection.candidates)
    return names if raced else [name for name in names if name != "folds"]


def _records(selection: Selection) -> list[dict[str, Any]]:
    names = _fields(selection)
    return [
        {"chosen": one.method == selection.chosen, **{name: getattr(one, name) for name in names}}
        for one in selection.candidates
    ]


def _body(selection: Selection) -> dict[str, Any]:
    names = _fields(selection)
    of_each = [
        {name: json.finite(getattr(one, name)) for name in names}
        | {"skill": json.finite(selection.skill(one))}
        for one in selection.candidates
    ]
    return {
        "data": asdict(selection.data),
        "how": selection.how,
        "rank_by": selection.rank_by,
        "level": selection.level,
        "prior": selection.prior,
        "candidates": of_each,
        "best": selection.best,
        "chosen": selection.chosen,
        "why": selection.why,
    }


def selection_cells(selection: Selection, width: int | None) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows of the candidates that could be fitted, as many columns as `width`
    has room for; None for all."""
    titles = ["method", "numbers", selection.rank_by, "PHI", "behind"]
    titles.append(f"{percent(selection.level)} interval")
    other = "brier" if selection.rank_by == "nll" else "nll"
    if width is None or width >= MIDDLE:
        titles += ["ece", "flips"]
    if width is None or width >= WIDE:
        titles += [other, "classwise-ece", "accuracy", "ties", "fit", "apply"]
    candidates = [candidate for candidate in selection.candidates if not candidate.failed]
    best = selection[selection.best].score
    texts = changes(best, [(c.score, c.low, c.high) for c in candidates])
    before = selection[NOTHING].score
    rows = [
        _cells(
            candidate,
            text,
            phi=changed(candidate.score, before, digits=text.digits).change.lstrip("+"),
            best=candidate.method == selection.best,
            other=other,
        )
        for candidate, text in zip(candidates, texts, strict=True)
    ]
    return titles, [row[: len(titles)] for row in rows]


def _cells(candidate: Candidate, text: Change, *, phi: str, best: bool, other: str) -> list[str]:
    """Return the cells of all columns; `other` is the score that does not rank."""
    behind = ["best", ""] if best else [text.change.lstrip("+"), text.interval.replace("+", "")]
    return [
        candidate.method,
        f"{candidate.numbers:,}",
        text.after,
        phi,
        *behind,
        number(candidate.ece),
        share(candidate.flips),
        number(candidate.brier if other == "brier" else candidate.nll),
        number(candidate.classwise_ece),
        number(candidate.accuracy),
        share(candidate.ties),
        seconds(candidate.fit_seconds),
        seconds(candidate.apply_seconds),
    ]
