"""The layout of a summary: what it has to hold for some metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import BinnedError, CellMetric, CountMetric, Score
from calibtool.metrics.proper import KL
from calibtool.metrics.registry import METRICS, ORDINAL, score_of
from calibtool.metrics.resolve import in_view
from calibtool.metrics.spec import Spec, parse
from calibtool.streaming.grid import NAMED, named
from calibtool.streaming.summary import DataShape, Layout, in_bins

# Up to this many classes, `cells` holds the class view and counts per class. In the 30 bins of
# 10, 15 and 20 equal widths, five sums of 1,024 classes are 2.5 MB in memory. ImageNet's 1,000
# classes are held, the vocabularies of language models are not.
MOST_CLASSES = 1024
# Scores that `cells` holds only for metrics that name them: those of levels, and the NLL less the
# entropy of soft labels. Cells of earlier versions, which have none of them, can then be added.
ON_REQUEST = frozenset(metric.name for metric in (*ORDINAL, KL))


def streams(specs: Iterable[Spec]) -> bool:
    """Return whether every metric can be computed from a summary."""
    return all(
        isinstance(spec.metric, BinnedError | CellMetric | CountMetric)
        or (isinstance(spec.metric, Score) and "refined" not in spec.metric.needs)
        for spec in specs
    )


def layout_for(specs: Sequence[Spec], shape: DataShape) -> Layout:
    """Return what a summary has to hold for these metrics, whose views are resolved."""
    views, edges, class_edges, scores, counts = set(), set(), set(), [], False
    for spec in specs:
        metric = spec.metric
        if isinstance(metric, Score):
            scores.append(spec.name)
        elif isinstance(metric, CountMetric):
            counts = True
            scores += [name for name in (score_of(metric),) if name]
        elif isinstance(metric, BinnedError | CellMetric):
            # bins of many classes only serve metrics whose edges are known before the data are
            needs_grid = isinstance(metric, CellMetric) or not spec.one_edge_for_all
            views.add(
                "class-grid"
                if spec.view == "class" and needs_grid and in_bins(shape)
                else spec.view
            )
            inner = _edges(spec)
            edges.update(inner)
            if spec.view == "class" and not needs_grid:
                class_edges.update(inner)
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


def always_kept(shape: DataShape) -> tuple[str, ...]:
    """Return the views that every file of cells holds."""
    return ("top", "positive") if shape.classes == 2 else ("top",)


def full_layout(shape: DataShape, specs: Sequence[Spec] = ()) -> Layout:
    """Return the default layout: every view that is cheap to hold, and whatever `specs` need."""
    needed = layout_for(specs, shape)
    few = shape.classes is not None and shape.classes <= MOST_CLASSES
    views = {*always_kept(shape), *needed.views}
    views |= {"class"} if few else set()
    scores = {
        name: metric
        for name, metric in METRICS.items()
        if isinstance(metric, Score) and "refined" not in metric.needs and name not in ON_REQUEST
    }
    if shape.classes is None:
        of_view = [in_view(parse(name), "top").name for name, m in scores.items() if m.of_view]
        kept = ["accuracy", "mean-confidence", *of_view]
    else:
        kept = list(scores)
    return Layout(
        tuple(sorted(views)),
        tuple(sorted({*named(*NAMED), *needed.edges})),
        tuple(sorted({*named(10, 15, 20), *needed.class_edges})) if few else (),
        tuple(dict.fromkeys([*kept, *needed.scores])),
        few,
    )


def _edges(spec: Spec) -> list[float]:
    """Return the inner edges that the bins of a metric have whatever the data."""
    if isinstance(spec.metric, BinnedError):
        return spec.edges(Cells.empty())[:-1].tolist() if spec.one_edge_for_all else []
    assert isinstance(spec.metric, CellMetric)
    bins = spec.options.get("bins")
    equal = [k / bins for k in range(1, bins)] if isinstance(bins, int) else []
    return [x for x in (*spec.cuts, *equal) if 0 < x < 1]
