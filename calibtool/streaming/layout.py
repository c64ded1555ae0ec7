"""What a summary has to keep for some metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import BinnedError, CellMetric, CountMetric, Score
from calibtool.metrics.registry import METRICS, score_of
from calibtool.metrics.spec import Spec
from calibtool.streaming.grid import NAMED, named
from calibtool.streaming.summary import DataShape, Layout, in_bins

MOST_CLASSES = 1024  # classes that `cells` keeps a view of


def streams(specs: Iterable[Spec]) -> bool:
    """Whether every metric can be had from a state."""
    return all(
        isinstance(spec.metric, BinnedError | CellMetric | CountMetric)
        or (isinstance(spec.metric, Score) and "refined" not in spec.metric.needs)
        for spec in specs
    )


def layout_for(specs: Sequence[Spec], shape: DataShape) -> Layout:
    """What a state has to keep for these metrics, of settled views."""
    views, edges, class_edges, scores, counts = set(), set(), set(), [], False
    for spec in specs:
        metric = spec.metric
        if isinstance(metric, Score):
            scores.append(spec.name)
        elif isinstance(metric, CountMetric):
            counts = True
            scores += [name for name in (score_of(metric),) if name]
        elif isinstance(metric, BinnedError | CellMetric):
            whole = isinstance(metric, CellMetric) or not spec.one_edge_for_all
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
    return Layout(
        tuple(sorted(views)),
        tuple(sorted(edges)),
        tuple(sorted(class_edges)),
        tuple(dict.fromkeys(scores)),
        counts,
    )


def full_layout(shape: DataShape, specs: Sequence[Spec] = ()) -> Layout:
    """What `ct.cells` keeps: all that is not too much, and what some metrics need besides."""
    own = layout_for(specs, shape)
    few = shape.classes is not None and shape.classes <= MOST_CLASSES
    views = {"top", *own.views}
    views |= {"positive"} if shape.classes == 2 else set()
    views |= {"class"} if few else set()
    known = (n for n, m in METRICS.items() if isinstance(m, Score) and "refined" not in m.needs)
    scores = known if shape.classes is not None else ("accuracy", "mean-confidence")
    return Layout(
        tuple(sorted(views)),
        tuple(sorted({*named(*NAMED), *own.edges})),
        tuple(sorted({*named(10, 15, 20), *own.class_edges})) if few else (),
        tuple(dict.fromkeys([*scores, *own.scores])),
        few,
    )


def _edges(spec: Spec) -> list[float]:
    """Inner edges that a metric's bins have whatever the data."""
    if isinstance(spec.metric, BinnedError):
        return spec.edges(Cells.empty())[:-1].tolist() if spec.one_edge_for_all else []
    assert isinstance(spec.metric, CellMetric)
    cuts = [float(x) for x in spec.metric.cuts(**spec.options)] if spec.metric.cuts else []
    bins = spec.options.get("bins")
    own = [k / bins for k in range(1, bins)] if isinstance(bins, int) else []
    return [x for x in (*cuts, *own) if 0 < x < 1]
