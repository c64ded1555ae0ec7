"""Labels from another file, tied to the rows by an id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibtool.data.files.reader import Reader
from calibtool.data.files.roles import ALIASES, Choice
from calibtool.errors import InputError, UsageError, brief
from calibtool.types import Array

INNER = "inner"
BLOCK = 1 << 18  # ids that are looked up together: some megabytes


@dataclass(frozen=True, eq=False)
class Joined:
    """The labels of a file by id.

    Attributes:
        file: the file of the labels.
        id: the column of the ids, in both files.
        position: the row of each id among the labels.
        labels: one each.
        inner: whether rows without a partner are left out, instead of refused.
    """

    file: str
    id: str
    position: dict[str, int]
    labels: Array
    inner: bool

    def find(self, ids: Array) -> Array:
        """Return the position of the label of each row, -1 for none, (n,) int64."""
        known = self.position
        return np.fromiter((known.get(key, -1) for key in keys(ids)), np.int64, len(ids))


def keys(ids: Array) -> list[str]:
    """Return ids as texts: 7, "7" and 7.0 are one, "007" is another."""
    if ids.dtype.kind == "f" and np.isfinite(ids).all() and (ids == np.floor(ids)).all():
        ids = ids.astype(np.int64)
    return [str(value).strip() for value in ids.tolist()]


def joined(choice: Choice, table: Reader, open_table: Callable[..., Reader]) -> Joined:
    """Read the labels of `choice.labels_file` by id.

    Raises InputError for ids that occur twice or columns that are not there.
    """
    file, key = str(choice.labels_file), str(choice.id)
    if key not in table.columns:
        raise InputError(f"{table.source}: there is no column {key!r} (--id)")
    side = open_table(file, Choice(id=key, max_unpacked=choice.max_unpacked))
    if key not in side.columns:
        raise InputError(f"{file}: there is no column {key!r} (--id), by which to join")
    label = _label(side, choice, key)
    blocks = list(side.blocks([key, label], max(side.rows, 1)))
    if not blocks:
        raise InputError(f"{file}: there are no rows")
    texts = keys(blocks[0][key])
    position = {text: at for at, text in enumerate(texts)}
    if len(position) < len(texts):
        at, twice = next((n, t) for n, t in enumerate(texts) if position[t] != n)
        raise InputError(
            f"{file}: the id {brief(twice)!r} occurs twice, in rows {at} and {position[twice]} "
            "(counting from 0); remove one of them"
        )
    return Joined(file, key, position, blocks[0][label], choice.join == INNER)


def _label(side: Reader, choice: Choice, key: str) -> str:
    """Return the column of the labels: the one named, one with the name of labels, or the only
    one."""
    names = [name for name in side.columns if name != key]
    if choice.labels is not None:
        if choice.labels not in side.columns:
            raise InputError(f"{side.source}: there is no column {choice.labels!r} (--labels)")
        return choice.labels
    lower = {name.lower(): name for name in names}
    for alias in ALIASES["labels"]:
        if alias in lower:
            return lower[alias]
    if len(names) == 1:
        return names[0]
    raise UsageError(
        f"{side.source}: found no labels by name; say which with --labels COLUMN: "
        f"{', '.join(names[:12])}"
    )


def stray(joined: Joined, table: Reader) -> tuple[str, ...]:
    """Return a sentence on labels that belong to no row; nothing if there are none.

    Raises InputError for them, and for rows without a label, unless both are to be left out.
    """
    used = np.zeros(len(joined.labels), dtype=bool)
    alone, first = 0, ""
    for block in table.blocks([joined.id], BLOCK):
        at = joined.find(block[joined.id])
        used[at[at >= 0]] = True
        if not alone and (at < 0).any():
            first = str(block[joined.id][int(np.argmin(at))])
        alone += int((at < 0).sum())
    spare = [text for text, at in joined.position.items() if not used[at]]
    said = [
        f"{count:,} {what} (the first: {brief(which)!r})"
        for count, what, which in (
            (alone, f"rows have no label in {joined.file}", first),
            (len(spare), f"labels of {joined.file} belong to no row", spare[0] if spare else ""),
        )
        if count
    ]
    if said and not joined.inner:
        raise InputError(
            f"{table.source}: joined by {joined.id}, {' and '.join(said)}; leave them out with "
            "--join inner"
        )
    return (f"{len(spare):,} labels of {joined.file} belong to no row",) if spare else ()
