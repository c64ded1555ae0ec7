"""The table of estimated class shares."""

from __future__ import annotations

from dataclasses import asdict

from calibtool.analysis.label_shift import Prior
from calibtool.formatting import interval, joined, number, percent
from calibtool.reports.table import Note, Table


def table(prior: Prior, width: int | None) -> Table:
    """Return a row per class."""
    notes = [
        Note(
            "Assumed: the scores of the rows of a class are distributed as before, and classes "
            "occur in other shares."
        )
    ]
    if prior.differ:
        notes.append(
            Note(
                f"EM and BBSE differ beyond chance ({joined(prior.differ)}): more has changed than "
                "class shares. Label some rows to be sure.",
                "warning",
            )
        )
    return Table(
        kind="calibtool-prior",
        head=f"{prior.data.describe()}; labelled: {prior.labelled.source}, {prior.labelled.rows:,} "
        "rows",
        titles=("class", "labelled", "EM", f"{percent(prior.level)} interval", "BBSE"),
        cells=[
            [
                one.name,
                number(one.before),
                number(one.share),
                interval(one.low, one.high),
                number(one.bbse),
            ]
            for one in prior.classes
        ],
        records=[asdict(one) for one in prior.classes],
        key="classes",
        notes=notes,
        body={
            "data": asdict(prior.data),
            "labelled": asdict(prior.labelled),
            "level": prior.level,
            "replicates": prior.replicates,
            "differ": list(prior.differ),
        },
    )
