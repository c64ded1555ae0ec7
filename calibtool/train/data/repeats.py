"""Rows on both sides of a split that have the same inputs; torch-free."""

from __future__ import annotations

from collections.abc import Mapping

from calibtool.train.data.dataset import Rows

NAMES = {"val": "validation", "test": "test"}


def repeated(parts: Mapping[str, Rows]) -> tuple[str, ...]:
    """Return a note if validation or test rows have exactly the inputs of a training row.

    Inputs of datasets of the user are not compared, since each would have to be read.
    """
    keys = {name: rows.keys() for name, rows in parts.items()}
    trained: dict[object, int] = {key: row for row, key in enumerate(keys["train"] or ())}
    counts, first = [], ""
    for part, what in NAMES.items():
        found = [row for row, key in enumerate(keys[part] or ()) if key in trained]
        if not found:
            continue
        counts.append(f"{len(found):,} of {len(parts[part]):,} {what} rows")
        if not first:
            known = trained[(keys[part] or [])[found[0]]]
            ids = parts[part].ids[found[0]], parts["train"].ids[known]
            first = f"{what} row {ids[0]} is training row {ids[1]}"
    if not counts:
        return ()
    advice = "results look too good; drop copies, or keep them on one side with --group"
    those = f"{' and '.join(counts)} have exactly the inputs of a training row"
    return (f"{those} (the first: {first}): {advice}",)
