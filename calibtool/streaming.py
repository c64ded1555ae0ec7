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
from calibtool.engines import Work, added, batches
from calibtool.engines.passes import run
from calibtool.errors import InputError, UsageError
from calibtool.estimates import KEPT, Measures
from calibtool.files import Source
from calibtool.measure import Progress, Settings
from calibtool.measure.of_state import StatePanels, measure_states, resolution
from calibtool.metrics import METRICS, CalibrationError, OfCells, OfCounts, Score, score_of
from calibtool.predictions import Predictions
from calibtool.report import Data
from calibtool.spec import Spec
from calibtool.state import Keep, Shape, State, in_bins
from calibtool.state.exact import MOST_ROWS, Exact
from calibtool.state.grid import NAMED, named
from calibtool.state.reduce import Reducer, block_rows, shape_of
from calibtool.statistic import Cells
from calibtool.threads import cores, ordered

STREAMED_ROWS = 1 << 17  # of more rows, cells are kept in place of rows
MOST_CLASSES = 1024  # classes that `cells` keeps a view of
LAST_DIGIT = 5e-5  # of what tables show


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
            scores += [name for name in (score_of(metric),) if name]
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
    known = (n for n, m in METRICS.items() if isinstance(m, Score) and "refined" not in m.needs)
    scores = known if shape.classes is not None else ("accuracy", "mean-confidence")
    return Keep(
        tuple(sorted(views)),
        tuple(sorted({*named(*NAMED), *own.edges})),
        tuple(sorted({*named(10, 15, 20), *own.class_edges})) if few else (),
        tuple(dict.fromkeys([*scores, *own.scores])),
        few,
    )


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
    if states[0].rows < FEW_ROWS:  # fewer than the files' own records let expect
        settings = replace(settings, draws=None)
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
        pieces = (piece for block in blocks for piece in block.blocks(MOST_ROWS))
        for piece in pieces:
            made = [system(piece) for system in self.systems]
            if not reducers:
                reducers = [Reducer(shape_of(one), self.keep) for one in made]
            values = [reducer.add(one) for reducer, one in zip(reducers, made, strict=True)]
            if len(values) > 1:
                _pair(pairs, values[0], values[1], piece.weights)
        states = [reducer.result() for reducer in reducers]
        if pairs:
            states[1] = replace(states[1], sums=states[1].sums | pairs)
        return states


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
    task: Work,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """What a task makes of every part, added up."""
    tick, threads = progress or silent, threads or cores()
    if isinstance(readable, Source):
        whole = run(readable, task, threads, tick).sums
    else:
        whole, done = [], 0
        blocks = batches(readable.blocks(block_rows(readable.classes)))
        for sums in ordered(task.of, blocks, threads):
            whole, done = added(whole, sums), done + sums[0].rows
            tick("reading", min(done / max(readable.rows, 1), 1.0))
    if not whole:
        raise InputError(f"{readable.source}: there are no rows; nothing can be measured")
    return whole


def at_most(readable: Readable) -> int:
    """The number of rows, before any filter: what can be known without reading them."""
    return readable.rows_at_most if isinstance(readable, Source) else readable.rows


def many(readable: Readable, rows: int = STREAMED_ROWS) -> bool:
    """Whether rows are streamed: there are more than so many, or an engine reads them."""
    if ran(readable) or at_most(readable) <= rows:
        return ran(readable)
    filtered = isinstance(readable, Source) and readable.choice.filter
    return not filtered or readable.rows > rows


def ran(readable: Readable) -> bool:
    """Whether an engine of the user's reads the rows, or the pass is to be kept."""
    return isinstance(readable, Source) and readable.run is not None


def require_streamed(
    readable: Readable, specs: Sequence[Spec], *, cluster: Any = None, ood: Any = None
) -> None:
    """Whether what was asked for can be had from states, where an engine reads the rows.

    Raises UsageError.
    """
    whole = [spec.name for spec in specs if not streams([spec])]
    whole += ["--cluster"] if cluster is not None else []
    whole += ["--ood"] if ood is not None else []
    if whole:
        raise UsageError(
            f"{readable.source}: {', '.join(whole)} needs whole rows in one place, and goes "
            "without a cluster and without --state"
        )


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
