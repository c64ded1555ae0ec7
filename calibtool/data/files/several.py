"""Whether a row of a table holds several predictions, told by its columns and their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibtool.data import written
from calibtool.data.files.reader import Column, Reader, side_by_side
from calibtool.data.files.roles import Choice, named, per_class, single, values_of
from calibtool.data.files.several_table import SeveralTable
from calibtool.data.files.soft_labels import SoftLabelTable
from calibtool.data.files.unfolding import LABELS, Unfolding, dense
from calibtool.errors import InputError, UsageError
from calibtool.types import Array

# one column of targets per label: label_spam, y_true.3
_TARGETS = re.compile(r"(?:labels?|targets?|y_true|y|truth)[_.](.+)", re.IGNORECASE | re.DOTALL)
# Rows that are looked at to tell targets of several labels from one-hot rows of one class: in real
# data with several labels, some of a thousand rows have none or two.
SAMPLE = 1000
NEAR = 0.02  # how far rows of probabilities of half precision, rounded to two digits, sum from 1


def unfolded(table: Reader, choice: Choice) -> tuple[Reader, Choice]:
    """Return a table of one prediction per row, and the options that name its columns; both as they
    are where a row holds one prediction.

    Raises UsageError where the options ask for what the columns are not.
    """
    if choice.soft_labels is not None:
        soft = SoftLabelTable(table, choice)
        return soft, soft.renamed(choice)
    how = _unfolding(table, choice)
    if how is None:
        asked = ("multilabel", choice.multilabel), ("layout", choice.layout is not None)
        option = next((name for name, typed in asked if typed), "")
        if option:
            raise UsageError(f"--{option}: {table.source}: {_WANTED[option]}")
        return table, choice
    if choice.labels_file:
        raise UsageError(
            f"{table.source}: a row holds {how.unit.text}; --labels-file gives one label per row: "
            "put scores and labels into one file"
        )
    one = replace(choice, logits=None, probs=None, score=None)
    one = replace(one, **{how.role: how.role})  # type: ignore[arg-type]
    one = replace(one, labels=LABELS if how.labels else None, multilabel=False, layout=None)
    if how.names:  # of the labels; what each is told of has two classes, without names
        one = replace(one, classes=())
    return SeveralTable(table, how), replace(one, ignore=())


_WANTED = {
    "multilabel": "expected scores and targets, 0 or 1, of the same shape: two list columns, or "
    "pairs of columns such as prob_spam and label_spam",
    "layout": "is for scores of more than two dimensions, N x K x ... or N x ... x K",
}


def _unfolding(table: Reader, choice: Choice) -> Unfolding | None:
    """Return how the rows of a table are unfolded; None where they hold one prediction."""
    try:
        kind, names, suffixes = values_of(table.source, table.columns, choice)
        labels = _labels(table, choice, names, suffixes)
    except InputError:  # is raised again, and completed, where the roles are resolved
        return None
    if kind == "confidence":
        return None
    first = table.columns[names[0]]
    if len(names) == 1 and len(first.shape) > 2:
        target = table.columns[labels[0]] if len(labels) == 1 else None
        return _dense(table.source, choice, kind, first, target)
    if not labels or not _alike(table.columns, names, labels):
        return None
    strict = table.optional
    table.optional = strict | set(labels)  # a null among the targets of a row is none
    block = next(table.blocks([*names, *labels], SAMPLE), None)
    table.optional = strict
    if block is None:
        return None
    values, targets = side_by_side(block, names), side_by_side(block, labels)
    if values.shape != targets.shape or values.ndim != 2 or values.shape[1] < 2:
        return None
    if not choice.multilabel and not _several_each(targets, paired=len(labels) > 1, values=values):
        return None
    parts = choice.classes or suffixes or (labels if len(labels) > 1 else ())
    parts = parts or tuple(map(str, range(values.shape[1])))
    if len(parts) != values.shape[1]:
        raise UsageError(
            f"{table.source}: {len(parts)} names (--classes) for {values.shape[1]} labels"
        )
    return Unfolding(kind, names, labels, (values.shape[1],), names=tuple(parts))


def of_arrays(role: str, values: Array, labels: Array, choice: Choice) -> Unfolding | None:
    """Return how arrays are unfolded whose rows hold several predictions; None for others.

    The columns are called by `role` and LABELS. Raises UsageError for shapes that do not fit.
    """
    if values.ndim > 2:
        both = {role: values, LABELS: labels}
        scores, target = (
            Column(name, str(array.dtype), 1, len(array), shape=array.shape)
            for name, array in both.items()
        )
        return _dense("arrays", choice, role, scores, target)
    alike = values.ndim == 2 and values.shape == labels.shape and values.shape[1] > 1
    if not alike or not (choice.multilabel or _several_each(labels, paired=False, values=values)):
        return None
    names = choice.classes or tuple(map(str, range(values.shape[1])))
    return Unfolding(role, (role,), (LABELS,), values.shape[1:], names=names)


def _dense(
    source: str, choice: Choice, role: str, values: Column, target: Column | None
) -> Unfolding:
    if 0 in values.shape[1:]:
        size = " x ".join(map(str, values.shape))
        raise InputError(f"{source}: {values.name}: a row of {size} holds no predictions")
    if target is not None and target.shape == values.shape:  # one score for each position
        return Unfolding(
            role, (values.name,), (target.name,), values.shape[1:], ignore=choice.ignore
        )
    return dense(
        role,
        (values.name, values.shape),
        None if target is None else (target.name, target.shape),
        source=source,
        layout=choice.layout,
        ignore=choice.ignore,
    )


def _labels(
    table: Reader, choice: Choice, names: Sequence[str], suffixes: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Return the columns of the labels: one, or one for each column of scores; () for none."""
    columns, key = table.columns, choice.labels
    if choice.labels_file and key is None:
        return ()
    if key is not None and key not in columns:
        several = tuple(name.strip() for name in key.split(","))
        if len(several) > 1 and all(name in columns for name in several):
            return several
        pattern = re.compile(re.escape(key) + r"[_.]?(.+)", re.DOTALL)
    else:
        single = named(table.source, columns, "labels", key)
        if single is not None:
            return (single,)
        pattern = _TARGETS
    found = per_class(table.source, columns, pattern)
    if found is None or len(found[0]) != len(names):
        return ()
    ordered, ends = found
    if ends is None or suffixes is None:
        return ordered if ends is suffixes else ()
    place = dict(zip(ends, ordered, strict=True))
    return tuple(place[end] for end in suffixes) if set(place) == set(suffixes) else ()


def _alike(columns: Mapping[str, Column], names: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether scores and labels may be of one shape, as far as headers tell."""
    if not all(len(each) == 1 or single(columns, each) for each in (names, labels)):
        return False
    if len(labels) > 1:
        return len(labels) == len(names)
    label = columns[labels[0]]
    if not label.nested or label.width == 1:
        return False
    width = len(names) if len(names) > 1 else columns[names[0]].width
    return None in (width, label.width) or width == label.width


def _several_each(targets: Array, *, paired: bool, values: Array) -> bool:
    """Return whether targets are those of several labels: 0 and 1, and not one 1 in each row, as
    one-hot rows of classes have.

    Columns of their own (`paired`) are targets of labels even so, unless the scores are those of
    classes, which sum to 1.
    """
    flat = targets.ravel()
    absent = written.missing(flat)
    there: Array | None = flat[~absent]
    if there is not None and there.dtype.kind == "U":
        there = written.outcomes(there)
    if there is None or there.dtype.kind not in "fiub" or not np.isin(there, (0, 1)).all():
        return False
    marks = np.zeros(len(flat), dtype=np.int64)
    marks[~absent] = there
    one_hot = not absent.any() and bool((marks.reshape(targets.shape).sum(axis=1) == 1).all())
    if not one_hot:
        return True
    with np.errstate(over="ignore", invalid="ignore"):  # what is no probability is told later
        sums = values.sum(axis=1) if values.dtype.kind == "f" else np.ones(len(values))
    return paired and not bool((np.abs(sums - 1) < NEAR).all())
