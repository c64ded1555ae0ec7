"""Maps that hold other maps: one per group of rows, one with patches of slices, and one for other
class shares.

The table of all maps is here too, since these read their inner maps by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from calibtool.calibrators import inputs
from calibtool.calibrators.conditions import Condition
from calibtool.calibrators.curves import floor_from
from calibtool.calibrators.maps import (
    Affine,
    Map,
    Mixture,
    Monotone,
    Power,
    shares_from,
    softmax_like,
)
from calibtool.calibrators.multiclass_curves import Curves, top_scores, with_top
from calibtool.data.files.document import Entry
from calibtool.data.predictions import Predictions
from calibtool.data.rows import to_probs
from calibtool.data.validation import texts
from calibtool.errors import InputError, row_name
from calibtool.types import Array

# How str() shows the values that stand for "missing" in columns of objects: None, float and NumPy
# NaN, NumPy's NaT, pandas' NA. Texts that read the same are groups like any other.
MISSING = ("None", "nan", "NaT", "<NA>")
# The smallest share of a class that another can be divided by: 1 / 1e-300 is finite. Shares of rows
# are at least 1 / rows.
_LEAST_SHARE = 1e-300
# Limits of a file's patches, so that their sums and slopes are finite: shifts and knots are
# log-odds, and those of float64 end at 745; a fit makes a few hundred patches at most.
_FARTHEST_LOG_ODDS = 1e3
_CLOSEST_KNOTS = 1e-9
_MOST_PATCHES = 10_000
_MOST_CONDITIONS = 64


@dataclass(frozen=True, eq=False)
class ByGroup:
    """One map per value of a column.

    Attributes:
        column: its name.
        maps: from each value, as text, to its map.
        other: the map of all other values; None if they are an error.
    """

    name: ClassVar[str] = "by-group"
    column: str
    maps: dict[str, Map]
    other: Map | None = None

    def __call__(self, block: Predictions) -> Predictions:
        out: Array | None = None
        kind = block.kind
        for inner, rows in self.parts(block):
            after = inner(block.take(rows))
            if out is None:
                out, kind = np.empty((block.rows, after.values.shape[1])), after.kind
            out[rows] = after.values
        assert out is not None
        return replace(block, kind=kind, values=out)

    def parts(self, block: Predictions) -> Iterator[tuple[Map, Array]]:
        """Yield each map that has rows in a block, and the indices of these.

        Raises InputError for a value without a map, unless there is one for all others.
        """
        groups = group_names(block, self.column)
        for name, inner in self.maps.items():
            rows = np.flatnonzero(groups == name)
            if len(rows):
                yield inner, rows
        unknown = np.flatnonzero(~np.isin(groups, list(self.maps)))
        if not len(unknown):
            return
        if self.other is None:
            raise InputError(
                f"{block.source}: {self.column}: no calibrator was fitted for "
                f"{min(groups[unknown].tolist())!r}; "
                f"calibrators were fitted for {', '.join(list(self.maps)[:10])}"
            )
        yield self.other, unknown

    def describe(self) -> str:
        return f"by {self.column}, {len(self.maps)} groups"

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return sum(inner.count() for inner in self.maps.values())

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        groups = {name: to_document(inner) for name, inner in self.maps.items()}
        other = {} if self.other is None else {"other": to_document(self.other)}
        return {"column": self.column, "groups": groups, **other}

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        groups = parameters["groups"].entries()
        if not groups:
            parameters["groups"].fail("an object of at least one group")
        maps = {name: from_document(inner, classes) for name, inner in groups.items()}
        entry = parameters.get("other")
        other = None if entry is None else from_document(entry, classes)
        return cls(parameters["column"].text(), maps, other)


@dataclass(frozen=True, eq=False)
class Patch:
    """A shift of the log-odds of the rows of a slice, which depends on these log-odds.

    Attributes:
        where: the conditions that all hold in the slice; () for all rows.
        shifts: (M,) the shift at each knot, linear between knots and constant beyond them.
    """

    where: tuple[Condition, ...]
    shifts: Array

    def holds(self, block: Predictions) -> Array:
        """Return whether each row is in the slice, (N,)."""
        inside = np.ones(block.rows, bool)
        for condition in self.where:
            inside &= condition.holds(block)
        return inside

    def parameters(self) -> dict[str, Any]:
        """Return the patch as the calibrator file keeps it."""
        where = [condition.parameters() for condition in self.where]
        return {"where": where, "shifts": self.shifts.tolist()}


@dataclass(frozen=True, eq=False)
class Patched:
    """Another map, then patches of slices, one after the other.

    Of two classes, a patch shifts the log-odds of class 1; of more, those of the top class, and the
    other classes share the rest in proportion to what they had.

    Attributes:
        inner: the map.
        knots: (M,) increasing log-odds, the same for all patches.
        patches: in the order in which they are applied.
        floor: what a probability of 0 counts as.
    """

    name: ClassVar[str] = "patched"
    inner: Map
    knots: Array
    patches: tuple[Patch, ...]
    floor: float

    def __call__(self, block: Predictions) -> Predictions:
        before = self.inner(block)
        if not self.patches:
            return before
        top, score = score_of(before, self.floor)
        new = self.patched(score, block)
        out = to_probs(before).matrix().astype(np.float64)
        moved = np.flatnonzero(new != score)  # the others keep every bit
        if len(moved):
            out[moved] = with_score(before.take(moved), top[moved], new[moved])
        return inputs.same_form(before, out)

    def patched(self, score: Array, block: Predictions) -> Array:
        """Return log-odds (n,) of the rows of a block with all patches applied."""
        score, inside = score.copy(), {}
        for patch in self.patches:
            if patch.where not in inside:
                inside[patch.where] = np.flatnonzero(patch.holds(block))
            rows = inside[patch.where]
            score[rows] += np.interp(score[rows], self.knots, patch.shifts)
        return score

    @property
    def columns(self) -> list[str]:
        """The columns of the patches' conditions."""
        return sorted({condition.column for patch in self.patches for condition in patch.where})

    def describe(self) -> str:
        slices = len({patch.where for patch in self.patches})
        return f"{self.inner.describe()}, {len(self.patches)} patches of {slices} slices"

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return self.inner.count() + sum(len(patch.shifts) for patch in self.patches)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {
            "inner": to_document(self.inner),
            "knots": self.knots.tolist(),
            "patches": [patch.parameters() for patch in self.patches],
            "floor": self.floor,
        }

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        far = _FARTHEST_LOG_ODDS
        knots = parameters["knots"].numbers(least=-far, most=far)
        if not len(knots) or (np.diff(knots) < _CLOSEST_KNOTS).any():
            parameters["knots"].refuse(f"must be numbers that increase by {_CLOSEST_KNOTS:g}")
        entries = parameters["patches"].items()
        if len(entries) > _MOST_PATCHES:
            parameters["patches"].fail(f"a list of at most {_MOST_PATCHES:,}")
        patches = []
        for entry in entries:
            where = entry["where"].items()
            if len(where) > _MOST_CONDITIONS:
                entry["where"].fail(f"a list of at most {_MOST_CONDITIONS}")
            shifts = entry["shifts"].numbers(len(knots), least=-far, most=far)
            patches.append(Patch(tuple(map(Condition.from_parameters, where)), shifts))
        inner = from_document(parameters["inner"], classes)
        return cls(inner, knots, tuple(patches), floor_from(parameters))


def score_of(block: Predictions, floor: float) -> tuple[Array, Array]:
    """Return the class that patches look at, and its log-odds, (n,) each: class 1 of two classes,
    the top class of more."""
    if block.classes != 2:
        return top_scores(block, "log-odds", floor)
    score = [inputs.log_odds(piece, floor)[:, 1] for piece in inputs.pieces(block)]
    return np.ones(block.rows, np.int64), np.concatenate(score)


def with_score(block: Predictions, top: Array, score: Array) -> Array:
    """Return (n, K) probabilities in which the log-odds of each row's `top` are `score`."""
    from calibtool.intervals.special import expit

    if block.classes == 2:
        return np.stack([expit(-score), expit(score)], axis=1)
    return with_top(block, top, expit(score))


@dataclass(frozen=True, eq=False)
class Shifted:
    """Another map, then a change of class shares: p_k times target_k / prior_k, renormalised
    (Saerens et al. 2002, eq. 2.4)."""

    name: ClassVar[str] = "shifted"
    inner: Map
    prior: Array
    target: Array

    def __call__(self, block: Predictions) -> Predictions:
        after = self.inner(block)
        log_ratio = np.log(self.target / self.prior)
        if after.kind == "logits":
            return softmax_like(block, after.matrix().astype(np.float64) + log_ratio)
        moved = after.matrix().astype(np.float64) * np.exp(log_ratio)
        return inputs.same_form(block, moved / moved.sum(axis=1, keepdims=True))

    def describe(self) -> str:
        return f"{self.inner.describe()}, for other class shares"

    def count(self) -> int:
        """Return the number of fitted parameters."""
        return self.inner.count()

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as the calibrator file keeps them."""
        return {
            "inner": to_document(self.inner),
            "prior": self.prior.tolist(),
            "target": self.target.tolist(),
        }

    @classmethod
    def from_parameters(cls, parameters: Entry, classes: int) -> Self:
        """Return the map with these parameters; raise InputError if they define none."""
        prior, target = (shares_from(parameters[key], classes) for key in ("prior", "target"))
        for key, shares in (("prior", prior), ("target", target)):
            if shares.min() < _LEAST_SHARE:
                parameters[key].refuse("must be positive")
        return cls(from_document(parameters["inner"], classes), prior, target)


MAPS: dict[str, type[Map]] = {
    kind.name: kind
    for kind in (Power, Affine, Mixture, Monotone, Curves, ByGroup, Patched, Shifted)
}


def to_document(fitted_map: Map) -> dict[str, Any]:
    """Return a map as it is written into a calibrator file."""
    return {"map": fitted_map.name, "parameters": fitted_map.parameters()}


def from_document(document: Entry, classes: int) -> Map:
    """Return the map that `to_document` wrote; raise InputError if the document holds none.

    The first calibrator files name no map: they hold temperatures.
    """
    named = document.get("map")
    name = "temperature" if named is None else named.text(MAPS)
    return MAPS[name].from_parameters(document["parameters"], classes)


def since(fitted_map: Map) -> int:
    """Return the version of calibrator files that can first say this map."""
    if isinstance(fitted_map, ByGroup):
        others = [] if fitted_map.other is None else [fitted_map.other]
        return max(since(inner) for inner in (*fitted_map.maps.values(), *others))
    if isinstance(fitted_map, Shifted):
        return since(fitted_map.inner)
    return 3 if isinstance(fitted_map, Affine) and fitted_map.uniform else 1


def require_uniform(document: Entry) -> None:
    """Check that the affine maps of a document have their share of the uniform distribution, which
    earlier ones have not. Raises InputError."""
    name, parameters = document["map"].text(MAPS), document["parameters"]
    if name == Affine.name:
        parameters["uniform"].number(0, 1)
    if name == Shifted.name:
        require_uniform(parameters["inner"])
    if name == ByGroup.name:
        for inner in parameters["groups"].entries().values():
            require_uniform(inner)


def columns_of(fitted_map: Map) -> tuple[str, ...]:
    """Return the columns of `extra` that a map needs."""
    if isinstance(fitted_map, ByGroup):
        inner = {name for group in fitted_map.maps.values() for name in columns_of(group)}
        return (fitted_map.column, *sorted(inner))
    if isinstance(fitted_map, Patched):
        return tuple(dict.fromkeys([*columns_of(fitted_map.inner), *fitted_map.columns]))
    return columns_of(fitted_map.inner) if isinstance(fitted_map, Shifted) else ()


def patched_in(fitted_map: Map) -> Patched | None:
    """Return the map with patches, also where it is shifted for other class shares; None for maps
    without patches."""
    inner = fitted_map.inner if isinstance(fitted_map, Shifted) else fitted_map
    return inner if isinstance(inner, Patched) and inner.patches else None


def placed_at_prior(fitted_map: Map, predictions: Predictions) -> int:
    """Return the number of rows to whose classes every curve gives 0; they get the class shares of
    the fit data."""
    if isinstance(fitted_map, ByGroup):
        parts = fitted_map.parts(predictions)
        return sum(placed_at_prior(inner, predictions.take(rows)) for inner, rows in parts)
    if isinstance(fitted_map, Shifted | Patched):
        return placed_at_prior(fitted_map.inner, predictions)
    return fitted_map.placed_at_prior(predictions) if isinstance(fitted_map, Curves) else 0


def of_other_groups(fitted_map: Map, predictions: Predictions) -> int:
    """Return the number of rows of groups that the fit has not seen."""
    if isinstance(fitted_map, Shifted | Patched):
        return of_other_groups(fitted_map.inner, predictions)
    if not isinstance(fitted_map, ByGroup):
        return 0
    return sum(
        len(rows) if inner is fitted_map.other else of_other_groups(inner, predictions.take(rows))
        for inner, rows in fitted_map.parts(predictions)
    )


def group_names(predictions: Predictions, column: str) -> Array:
    """Return the group of each row, (N,) texts.

    Raises InputError for a column that is not there, is not one value per row, or has rows without
    a value.
    """
    if column not in predictions.extra:
        raise InputError(f"{predictions.source}: there is no column {column!r} to group by")
    values = np.asarray(predictions.extra[column])
    where = f"{predictions.source}: {column}"
    if values.ndim != 1:
        raise InputError(
            f"{where}: has shape {values.shape}; a column to group by must have one value per row"
        )
    missing = np.array([not isinstance(v, str) and str(v) in MISSING for v in values.tolist()])
    if missing.any():
        raise InputError(
            f"{where}: {int(missing.sum()):,} rows have no value to group by, the first is "
            f"{row_name(np.argmax(missing))}; fill them in, or drop them"
        )
    return texts(values, where)
