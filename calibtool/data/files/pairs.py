"""Pairs: scores and labels that stand together in a file of many arrays.

HDF5 files and dicts of tensors call arrays by paths: "cifar/vit/logits_test", "test.logits". The
last part of a path tells the role, a suffix such as _test the split, and the rest the group. Labels
belong to the scores of the same group and split, or to all groups below theirs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from calibtool.data.files.array_table import ArrayTable
from calibtool.data.files.reader import Reader
from calibtool.data.files.roles import ALIASES, SCORES, Choice
from calibtool.errors import InputError, UsageError

_PARTNERS = ("labels", "correct", "predictions", "weights")
_SPLIT = re.compile(
    r"(.+)_(train|cal|calib|calibration|val|valid|validation|dev|test|eval|holdout)", re.IGNORECASE
)
NAMED = 6  # pairs that a message lists; more would hide what it says


@dataclass(frozen=True)
class Place:
    """Where an array stands.

    Attributes:
        group: the parts of its path before the last one.
        split: the suffix of its name, such as "test"; "" for none.
    """

    group: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Pair:
    """Scores, and what stands beside them.

    Attributes:
        role: what the scores are.
        values: their path.
        place: where they are.
        partners: role -> path, of labels and the like.
    """

    role: str
    values: str
    place: Place
    partners: Mapping[str, str]

    @property
    def flags(self) -> str:
        """The options that name it."""
        named = {self.role: self.values, **self.partners}
        return " ".join(f"--{role} {path}" for role, path in named.items())


def completed(table: Reader, choice: Choice) -> Choice:
    """Return the options with the arrays of a pair, where the table's arrays have paths and the
    user, or the arrays' own names, leave it open which are read.

    Raises InputError if several pairs could be meant, UsageError for a split that no pair is of.
    """
    if not isinstance(table, ArrayTable):
        return choice
    roles = dict(_roles(table.columns))
    named = [(role, str(getattr(choice, role))) for role in SCORES if getattr(choice, role)]
    if not named and choice.split is None and _have_names(table.columns):
        return choice
    if named:
        role, path = named[0]
        if path not in roles and path in table.columns:
            roles[path] = (role, _place(path)[0])
        pairs = [_pair(role, path, roles)] if path in roles else []
    else:
        pairs = _candidates(roles)
    if choice.split is not None:
        pairs = _of_split(pairs, choice.split, table.source)
    if len(pairs) > 1:
        listed = "; ".join(pair.flags for pair in pairs[:NAMED])
        more = f"; and {len(pairs) - NAMED:,} more" if len(pairs) > NAMED else ""
        raise InputError(
            f"{table.source}: {len(pairs)} pairs of scores and labels; name one of them: "
            f"{listed}{more}"
        )
    return _with(choice, pairs[0]) if pairs else choice


def _with(choice: Choice, pair: Pair) -> Choice:
    """Return the options with a pair; what the user named stays."""
    paths: dict[str, str] = {pair.role: pair.values, **pair.partners}
    if choice.labels_file:
        paths.pop("labels", None)
    free = {role: path for role, path in paths.items() if getattr(choice, role) is None}
    return replace(choice, **free)  # type: ignore[arg-type]


def _have_names(columns: Collection[str]) -> bool:
    """Return whether scores are called by a role alone, without a path."""
    names = {name.lower() for name in columns}
    return any(alias in names for role in SCORES for alias in ALIASES[role])


def _place(path: str) -> tuple[Place, str]:
    """Return where an array is, and its name without group and split."""
    *group, last = re.split(r"[/.]", path)
    match = _SPLIT.fullmatch(last)
    name, split = (match[1], match[2].lower()) if match else (last, "")
    return Place(tuple(group), split), name


def _roles(columns: Collection[str]) -> Iterator[tuple[str, tuple[str, Place]]]:
    """Yield the arrays whose names tell a role, with role and place."""
    for path in columns:
        place, name = _place(path)
        role = next((role for role in (*SCORES, *_PARTNERS) if name.lower() in ALIASES[role]), None)
        if role is not None:
            yield path, (role, place)


def _candidates(roles: Mapping[str, tuple[str, Place]]) -> list[Pair]:
    """Return the pairs that could be meant; scores without labels only if there are no others.

    Where logits or probabilities have a place, other scores in it are not meant.
    """
    pairs = [_pair(role, path, roles) for path, (role, _) in roles.items() if role in SCORES]
    rows = {pair.place for pair in pairs if pair.role in ("logits", "probs")}
    pairs = [pair for pair in pairs if pair.role in ("logits", "probs") or pair.place not in rows]
    return [pair for pair in pairs if pair.partners.keys() - {"weights"}] or pairs


def _pair(role: str, path: str, roles: Mapping[str, tuple[str, Place]]) -> Pair:
    place = roles[path][1]
    wanted = _PARTNERS if role == "confidence" else ("labels", "weights")
    partners: dict[str, tuple[int, int, str]] = {}
    for other, (kind, where) in roles.items():
        depth = len(where.group)
        if kind in wanted and where == Place(place.group[:depth], place.split):
            # of several, the nearest; of these, the first among the names of its role
            nearest = (-depth, ALIASES[kind].index(_place(other)[1].lower()), other)
            partners[kind] = min(nearest, partners.get(kind, nearest))
    return Pair(
        role, path, place, {kind: partners[kind][-1] for kind in wanted if kind in partners}
    )


def _of_split(pairs: list[Pair], split: str, source: str) -> list[Pair]:
    """Return the pairs of a split: their names end with it, or a group is called so."""
    left = [pair for pair in pairs if split in (pair.place.split, *pair.place.group)]
    if not left:
        known = ", ".join(dict.fromkeys(pair.place.split for pair in pairs if pair.place.split))
        raise UsageError(f"--split {split}: {source} has {known or 'no splits'}")
    return left
