"""Streaming: rows of any number to a state, in one pass, and a state to numbers.

A worker reads a part and reduces it; states are added in the order of the files. Nothing is held
but states and the blocks under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibtool.asked import FEW_ROWS, Readable, System, main_view, silent
from calibtool.checks import Array
from calibtool.collect import Apply, unchanged
from calibtool.errors import InputError, UnreadableError, UsageError
from calibtool.estimates import KEPT, Measures
from calibtool.files import Source
from calibtool.files.table import Part, Skipped
from calibtool.measure import Progress, Settings
from calibtool.measure.of_state import StatePanels, measure_states, resolution
from calibtool.metrics import METRICS, CalibrationError, OfCells, OfCounts, Score
from calibtool.predictions import Predictions
from calibtool.report import Data
from calibtool.spec import Spec
from calibtool.state import Keep, Shape, State, in_bins
from calibtool.state.exact import Exact
from calibtool.state.grid import NAMED, named
from calibtool.state.reduce import Reducer, block_rows, shape_of
from calibtool.statistic import Cells
from calibtool.threads import cores, ordered

MOST_CLASSES = 1024  # classes that `cells` keeps a view of
LAST_DIGIT = 5e-5  # of what tables show
_BLOCKS = 8  # blocks of predictions in memory that a worker takes at a time


def streams(specs: Iterable[Spec]) -> bool:
    """Whether every metric can be had from a state."""
    return all(
        isinstance(spec.metric, CalibrationError | OfCells | OfCounts)
        or (isinstance(spec.metric, Score) and "refined" not in spec.metric.needs)
        for spec in specs
    )


def keep_for(specs: Sequence[Spec], shape: Shape) -> Keep:
    """What a state has to keep for these metrics, of settled views."""
    views, edges, class_edges, scores, counts = set(), set(), set(), [], False
    for spec in specs:
        metric = spec.metric
        if isinstance(metric, Score):
            scores.append(spec.name)
        elif isinstance(metric, OfCounts):
            counts = True
            scores += [
                n for n, m in METRICS.items() if isinstance(m, Score) and m.rows is metric.rows
            ]
        elif isinstance(metric, CalibrationError | OfCells):
            whole = isinstance(metric, OfCells) or not spec.one_edge_for_all
            views.add(
                "class-grid" if spec.view == "class" and whole and in_bins(shape) else spec.view
            )
            found = _edges(spec)
            edges.update(found)
            if spec.view == "class" and not whole:
                class_edges.update(found)
    if shape.classes is None:
        views &= {"top"}
        counts = False
    return Keep(
        tuple(sorted(views)),
        tuple(sorted(edges)),
        tuple(sorted(class_edges)),
        tuple(dict.fromkeys(scores)),
        counts,
    )


def keep_all(shape: Shape, specs: Sequence[Spec] = ()) -> Keep:
    """What `ct.cells` keeps: all that is not too much, and what some metrics need besides."""
    own = keep_for(specs, shape)
    few = shape.classes is not None and shape.classes <= MOST_CLASSES
    views = {"top", *own.views}
    views |= {"positive"} if shape.classes == 2 else set()
    views |= {"class"} if few else set()
    known = (
        name for name, m in METRICS.items() if isinstance(m, Score) and "refined" not in m.needs
    )
    scores = known if shape.classes is not None else ("accuracy", "mean-confidence")
    return Keep(
        tuple(sorted(views)),
        tuple(sorted({*named(*NAMED), *own.edges})),
        tuple(sorted({*named(10, 15, 20), *own.class_edges})) if few else (),
        tuple(dict.fromkeys([*scores, *own.scores])),
        few,
    )


def _scores() -> dict[str, Score]:
    return {name: m for name, m in METRICS.items() if isinstance(m, Score)}


def _edges(spec: Spec) -> list[float]:
    """Inner edges that a metric's bins have whatever the data."""
    if isinstance(spec.metric, CalibrationError):
        return spec.edges(Cells.empty())[:-1].tolist() if spec.one_edge_for_all else []
    assert isinstance(spec.metric, OfCells)
    cuts = [float(x) for x in spec.metric.cuts(**spec.options)] if spec.metric.cuts else []
    bins = spec.options.get("bins")
    own = [k / bins for k in range(1, bins)] if isinstance(bins, int) else []
    return [x for x in (*cuts, *own) if 0 < x < 1]


# ------------------------------------------------------------------ numbers from states


@dataclass(frozen=True, eq=False)
class Streamed(Measures):
    """What was measured of the states of several systems.

    Attributes:
        states: what was kept of each system.
    """

    states: tuple[State, ...] = ()

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Files that could not be read and were left out, with the reason."""
        return self.states[0].skipped

    def panels(self, system: int = 0, view: str = "") -> StatePanels:
        """The panels of a system's scores, in `view` unless another is named."""
        return StatePanels(self.states[system], view or self.view)

    def binned(self, system: int, edges: Array) -> tuple[Cells, Array]:
        """A system's scores in `view` in bins by upper edges, and the sum of the squared weights
        in each."""
        state = self.states[system]
        squares = state.squares(self.view)
        pooled = Cells(state.ends(self.view), squares, squares, squares).pool(edges)
        return state.cells(self.view).pool(edges), pooled.n

    def means(self, system: int = 0) -> tuple[float, float]:
        """Mean score and mean outcome of a system."""
        cells = self.states[system].cells(self.view)
        return float(cells.p.sum() / cells.total), float(cells.y.sum() / cells.total)

    def warnings(self) -> Iterator[str]:
        """What the reader should know about the data, and how precise cells are."""
        yield from _warnings(self)


def measure(
    predictions: Readable,
    specs: Sequence[Spec],
    systems: Sequence[System],
    settings: Settings,
    *,
    bias: bool = True,
) -> Streamed:
    """Measure systems by their states, from one pass over the rows, or from a state.

    Args:
        predictions: rows, or a `State`, to which no system can be applied any more.
        specs: of settled views.
        systems: what to make of the rows before they are measured.
        settings: how intervals are made.
        bias: whether mean score minus mean outcome is wanted.

    Raises InputError, UsageError.
    """
    settings = replace(settings, of_cells=True)
    view = main_view(specs, predictions)
    if isinstance(predictions, State):
        if len(systems) > 1 or systems[0].title:
            raise UsageError(
                f"{predictions.source}: holds cells, to which no calibrator can be applied any "
                "more; make cells of its output (`calibtool apply`)"
            )
        states = [predictions]
    else:
        keep = keep_for(specs, Shape(predictions.kind, predictions.classes, predictions.one_column))
        keep = replace(keep, views=tuple(sorted({*keep.views, view})))
        states = states_of(
            predictions,
            replace(keep, edges=tuple(sorted({*keep.edges, *named(KEPT)}))),
            [system.apply for system in systems],
            threads=settings.threads,
            progress=settings.progress,
        )
    measured, mean = measure_states(specs, states, settings, view if bias else None)
    first = states[0]
    data = Data(
        first.source,
        first.rows,
        first.classes,
        first.kind,
        first.weighted,
        getattr(predictions, "filter", ""),
    )
    return Streamed(
        tuple(specs),
        tuple(systems),
        tuple(tuple(row) for row in measured),
        settings,
        data,
        view,
        mean,
        tuple(states),
    )


def _warnings(found: Streamed) -> Iterator[str]:
    first = found.states[0]
    if first.rows < FEW_ROWS and found.settings.ci != "none":
        yield f"{first.rows} rows are too few for intervals; {FEW_ROWS} are the least"
    for state, which in zip(found.states, ("", " after the calibrator"), strict=False):
        lost = state.sums.get("infinite/nll")
        if lost is not None and lost.high[0] > 0:
            yield (
                f"{int(lost.high[0]):,} rows give their label a probability of 0{which}: their NLL "
                "is infinite, and so is the mean"
            )
    rough = []
    for spec, measured in zip(found.specs, found.measured[0], strict=True):
        within = 0.0 if measured.value is None else resolution(spec, first, measured.value)
        if within > LAST_DIGIT:
            rough.append(f"{spec.name} (within {within:.1g})")
    if rough:
        yield (
            f"from a grid of cells, which leaves open the last digits of {', '.join(rough)}: that "
            "is how much they move when cells are twice as wide"
        )


# ------------------------------------------------------------------ the pass


@dataclass(frozen=True)
class Task:
    """What a worker makes of some rows: a state for each system."""

    keep: Keep
    systems: tuple[Apply, ...] = (unchanged,)

    def of(self, blocks: Iterable[Predictions]) -> list[State]:
        """The states of blocks, none longer than `block_rows`."""
        reducers: list[Reducer] = []
        pairs: dict[str, Exact] = {}
        for block in blocks:
            made = [system(block) for system in self.systems]
            if not reducers:
                reducers = [Reducer(shape_of(one), self.keep) for one in made]
            values = [reducer.add(one) for reducer, one in zip(reducers, made, strict=True)]
            if len(values) > 1:
                _pair(pairs, values[0], values[1], block.weights)
        states = [reducer.result() for reducer in reducers]
        if pairs:
            states[1] = replace(states[1], sums=states[1].sums | pairs)
        return states

    def of_part(self, source: Source, part: Part) -> list[State]:
        """The states of a part of a file."""
        return self.of(source.part_blocks(part, block_rows(source.classes)))


def states_of(
    readable: Readable,
    keep: Keep,
    systems: Sequence[Apply] = (unchanged,),
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[State]:
    """The state of all rows, for each system.

    Raises InputError for what is wrong with the data.
    """
    whole = folded(readable, Task(keep, tuple(systems)), threads=threads, progress=progress)
    skipped = readable.skipped if isinstance(readable, Source) else ()
    return [replace(state, source=readable.source, skipped=skipped) for state in whole]


def folded(
    readable: Readable,
    task: Task,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """What a task makes of every part, added up."""
    whole: list[Any] = []
    total = max(at_most(readable), 1)
    tick, threads = progress or silent, threads or cores()
    for states, done in _files(readable, task, threads, total, tick):
        whole = _added(whole, states)
        tick("reading", min(done / total, 1.0))
    if not whole:
        raise InputError(f"{readable.source}: there are no rows; nothing can be measured")
    return whole


def at_most(readable: Readable) -> int:
    """The number of rows, before any filter: what can be known without reading them."""
    return readable.rows_at_most if isinstance(readable, Source) else readable.rows


def _files(
    readable: Readable, task: Task, threads: int, total: int, tick: Progress
) -> Iterator[tuple[list[State], int]]:
    """The states of each file, and how many rows have been read; of predictions in memory, those of
    some blocks. A file whose end cannot be read is left out whole."""
    if not isinstance(readable, Source):
        yield from _blocks(readable.blocks(block_rows(readable.classes)), task, threads)
        return
    states: list[State] = []
    number, bad, done = 0, -1, 0
    for part, found in _parts(readable, task, threads):
        if part.number != number:
            yield states, done
            number, states = part.number, []
        done += part.rows
        if isinstance(found, UnreadableError):
            if not readable.choice.skip_bad_files:
                raise found
            if bad != number:
                readable.table.skipped.append(Skipped(found.file, found.reason))
            bad, states = number, []
        elif bad != number:
            states = _added(states, found)
        tick("reading", min(done / total, 1.0))
    yield states, done


def _parts(
    source: Source, task: Task, threads: int
) -> Iterator[tuple[Part, list[State] | UnreadableError]]:
    """Every part with its states, or with the reason why it cannot be read."""
    parts = source.parts()

    def whole(part: Part) -> tuple[Part, list[State] | UnreadableError]:
        try:
            return part, task.of_part(source, part)
        except UnreadableError as error:
            return part, error

    if len(parts) >= threads:
        yield from ordered(whole, parts, threads)
        return
    for part in parts:  # fewer than threads: those share each
        states: list[State] = []
        try:
            blocks = source.part_blocks(part, block_rows(source.classes))
            for found, _ in _blocks(blocks, task, threads):
                states = _added(states, found)
            yield part, states
        except UnreadableError as error:
            yield part, error


def _blocks(
    blocks: Iterable[Predictions], task: Task, threads: int
) -> Iterator[tuple[list[State], int]]:
    done = 0
    for states in ordered(task.of, _batches(blocks), threads):
        done += states[0].rows
        yield states, done


def _batches(blocks: Iterable[Predictions]) -> Iterator[list[Predictions]]:
    held: list[Predictions] = []
    for block in blocks:
        held.append(block)
        if len(held) == _BLOCKS:
            yield held
            held = []
    if held:
        yield held


def _added(whole: list[Any], states: list[Any]) -> list[Any]:
    if not whole or not states:
        return whole or states
    return [a + b for a, b in zip(whole, states, strict=True)]


def _pair(
    pairs: dict[str, Exact], a: dict[str, Array], b: dict[str, Array], weights: Array | None
) -> None:
    """Add the weight, and the sums of w d and w**2 d**2 of what a score changes by, d."""
    for name in a.keys() & b.keys():
        difference = b[name].astype(np.float64) - a[name]
        if not np.isfinite(difference).all():
            continue
        w = np.ones(len(difference)) if weights is None else weights
        first, square = w * difference, (w * difference) ** 2
        if weights is None:  # on grids on which the sums are exact
            first, square = (
                np.rint(first * 2.0**30) * 2.0**-30,
                np.rint(square * 2.0**26) * 2.0**-26,
            )
        found = Exact.of(np.array([w.sum(), first.sum(), square.sum()]))
        key = f"pair/{name}"
        pairs[key] = pairs[key] + found if key in pairs else found
