"""What is carried from a file to one with other values: every column, under the name it had."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from calibtool.data.files.arrow import ArrowTable
from calibtool.data.files.cut_points import CutPointTable
from calibtool.data.files.reader import NULLS, RECORDS
from calibtool.data.files.roles import has_role
from calibtool.data.files.several_table import SeveralTable
from calibtool.data.files.soft_labels import SoftLabelTable
from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.errors import InputError, UsageError
from calibtool.types import Array


def every(source: Source) -> Source:
    """Return a source of all predictions of its rows: those without a label too, where a row holds
    several, so that they can be put into rows again."""
    if isinstance(source.table, CutPointTable):
        raise UsageError(f"{source.source}: --cut-points is for measuring; apply writes levels")
    if isinstance(source.table, SoftLabelTable):
        raise UsageError(f"{source.source}: apply needs no labels; leave out --soft-labels")
    if source.unit is None:
        return source
    return replace(source, roles=replace(source.roles, labels=None))


def carried(source: Source) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the columns besides the values that are copied, and those that are not, with the
    reason."""
    kept, left = [], []
    if isinstance(source.table, SeveralTable):  # carried by `_folded`
        return [], []
    for column in source.table.columns.values():
        if column.name in source.roles.values or column.rows != source.rows_at_most:
            continue
        if reason := _reason(source, column.name):
            left.append((column.name, reason))
        else:
            kept.append(column.name)
    return kept, left


def _reason(source: Source, name: str) -> str:
    """Return why a column cannot be copied, or ""."""
    column = source.table.columns[name]
    if RECORDS in column.family:
        return f"{column.type} values are not copied"
    if column.nested and column.width is None:
        try:  # only reading tells whether all rows hold as many values
            for _ in source.table.blocks([name], max(column.rows, 1)):
                pass
        except InputError:
            return "its rows hold different numbers of values"
    return ""


def carrying(source: Source, extra: Collection[str], used: Collection[str]) -> Source:
    """Return the source with further columns carried along and, where a format knows missing
    values, where each of them has none.

    Columns that are `used`, and those of roles, have NaN or "" there, as everywhere.
    """
    source.table.optional |= frozenset(extra)
    carried_along = source.also(extra)
    if not isinstance(source.table, ArrowTable):
        return carried_along
    source.table.gaps = frozenset(extra) - {*source.roles.columns(), *used}
    gaps = tuple(NULLS + name for name in extra)
    return replace(carried_along, extra=(*carried_along.extra, *gaps))


def hidden(source: Source, after: Predictions) -> list[str]:
    """Return the columns that are left out because they would be read in the place of values of
    another kind."""
    if after.kind == source.kind or source.unit is not None:
        return []
    used = source.roles.columns()
    return [name for name in after.extra if has_role(name) and name not in used]


def named(source: Source, after: Predictions) -> tuple[dict[str, Array], str]:
    """Return the columns of predictions made from those of a source, by the names they had there,
    and the name of that of class ids which are to be written as names, or "".

    Values of another kind, probabilities in the place of logits, are called by their kind, and
    columns that would be taken for them are left out.
    """
    if isinstance(source.table, SeveralTable):
        return _folded(source.table, after), ""
    roles, columns, label = source.roles, dict(after.extra), ""
    if after.labels is not None and not roles.labels:
        columns["labels"], label = after.labels, "labels"  # from a file of their own
    elif roles.labels and after.class_names:
        assert after.labels is not None
        columns[roles.labels], label = after.labels, roles.labels
    if after.correct is not None and not roles.correct and not roles.labels:
        columns["correct"] = after.correct  # by the labels of another file
    values = after.values[:, 0] if after.one_column else after.values
    if after.kind != roles.kind:
        for name in hidden(source, after):
            del columns[name]
        return columns | {after.kind: values}, label
    if len(roles.values) == 1:
        columns[roles.values[0]] = values
    else:
        columns |= {name: after.values[:, k] for k, name in enumerate(roles.values)}
    order = {name: at for at, name in enumerate(source.table.columns)}
    return dict(sorted(columns.items(), key=lambda item: order.get(item[0], len(order)))), label


def _folded(table: SeveralTable, after: Predictions) -> dict[str, Array]:
    """Return the columns of the table that was unfolded, with other scores.

    Raises UsageError if there is not a score for each of its predictions.
    """
    unfolding, inner = table.unfolding, table.table
    beside = [
        name
        for name, column in inner.columns.items()
        if name not in unfolding.values and column.rows == inner.rows
    ]
    whole = next(inner.blocks([*beside, unfolding.values[0]], max(inner.rows, 1)))
    rows = len(whole[unfolding.values[0]])
    if after.rows != rows * unfolding.per:
        raise UsageError(
            f"{table.source}: {after.rows:,} of {rows * unfolding.per:,} predictions are left; "
            "apply writes whole rows: leave --drop-missing out"
        )
    scores = unfolding.folded(after.values[:, 0] if after.one_column else after.values)
    same = after.kind == unfolding.role
    if len(unfolding.values) == 1:
        named = {unfolding.values[0] if same else after.kind: scores}
    else:
        stem = after.kind.removesuffix("s")
        names = unfolding.values if same else [f"{stem}_{name}" for name in unfolding.names]
        named = {name: scores[:, k] for k, name in enumerate(names)}
    columns = {name: whole[name] for name in beside}
    order = {name: at for at, name in enumerate(inner.columns)}
    return dict(sorted((columns | named).items(), key=lambda item: order.get(item[0], len(order))))
