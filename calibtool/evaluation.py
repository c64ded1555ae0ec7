"""Evaluate: read the predictions once, collect what the metrics need, compute, put intervals on
the numbers, report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from calibtool import intervals
from calibtool.calibrators import fit
from calibtool.checks import Array
from calibtool.clusters import clusters
from calibtool.collect import Apply, Collected, Wanted, collect, unchanged, unit
from calibtool.crossfit import cross_fit
from calibtool.draws import Draws
from calibtool.errors import CalibtoolError, InputError, UsageError
from calibtool.measure import Measured, Progress, Settings, measure
from calibtool.metrics import OfCounts, OfMatrix, OfOther, Score
from calibtool.predictions import Kind, Predictions
from calibtool.reading import read
from calibtool.report import Data, Estimate, Report
from calibtool.scores import Scores
from calibtool.spec import Spec, parse_list
from calibtool.statistic import Cells
from calibtool.threads import cores
from calibtool.version import __version__
from calibtool.views import Rows, reduce_rows

MAX_DRAWS = 1 << 30  # bytes of replicates that a metric may take
OF_OTHER = "ood-auroc,ood-auroc(by=entropy),ood-fpr95"  # what a second file is measured by
KEPT = 15  # bins of the scores that a report keeps
FEW_ROWS = 10  # below, no interval is given
FEW_DRAWS = 20  # replicates on which a metric is defined; below, no interval is given


class Calibrator(Protocol):
    """What `evaluate` needs of a calibrator."""

    def __call__(self, predictions: Predictions) -> Predictions: ...

    def describe(self) -> str: ...


class Readable(Protocol):
    """Predictions in memory, or a source that reads them in blocks."""

    @property
    def source(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def rows(self) -> int: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def one_column(self) -> bool: ...
    def blocks(self, rows: int) -> Iterator[Predictions]: ...


def evaluate(
    predictions: Readable,
    metrics: str | Iterable[str | Spec] = "default",
    *,
    calibrator: Calibrator | None = None,
    ood: Readable | None = None,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure predictions.

    Args:
        predictions: `Predictions`, or a `Source` to be read in blocks.
        metrics: spec strings such as ["ece", "classwise-ece(bins=10)"] or "ece,nll".
        calibrator: also measure what it makes of the predictions, and the paired difference.
        ood: predictions of rows from elsewhere, whose labels do not matter: how well confidence
            tells them from these is then measured too.
        cluster: a column of which rows with equal values hang together; they are drawn together.
        ci: "inverted" (covers), "percentile", "basic", "bca" or "none". Under "inverted", what
            is no calibration error gets a BCa bootstrap, or a closed form where it has one.
        resamples: bootstrap replicates.
        level: of the intervals, in (0, 1).
        seed: of the replicates; the digits depend on nothing else.
        threads: None for as many as there are cores. It changes no digit.
        progress: called now and then with what is being done and the share that is done.

    Raises InputError, UsageError.

    >>> p = Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]], [0, 1])
    >>> round(evaluate(p, ["ece"], ci="none")["ece"].value, 6)
    0.3
    """
    systems = [System()] if calibrator is None else [System(), System.of(calibrator)]
    found = examine(
        predictions,
        metrics,
        systems,
        ood=ood,
        cluster=cluster,
        ci=ci,
        resamples=resamples,
        level=level,
        seed=seed,
        threads=threads,
        progress=progress,
    )
    return report_of(found)


@dataclass(frozen=True, eq=False)
class System:
    """What is made of every block of predictions before it is measured, and what to call it."""

    apply: Apply = unchanged
    title: str = ""

    @staticmethod
    def of(calibrator: Calibrator) -> System:
        """What a calibrator makes of them."""
        return System(calibrator, calibrator.describe())


@dataclass(frozen=True, eq=False)
class Examined:
    """Several systems on the same rows, by the same draws: any two are paired.

    Attributes:
        systems: what was measured, by its number.
        collected: what the pass left of each system.
        measured: [system][spec], the numbers with their replicates.
        bias: mean score minus mean outcome of the first system, in `view`.
    """

    specs: tuple[Spec, ...]
    systems: tuple[System, ...]
    collected: tuple[Collected, ...]
    measured: tuple[tuple[Measured, ...], ...]
    settings: Settings
    data: Data
    view: str
    bias: Measured

    @property
    def level(self) -> float | None:
        """Of the intervals; None where there are none."""
        return None if self.settings.draws is None else self.settings.level

    def estimates(self, system: int = 0) -> tuple[Estimate, ...]:
        """Every metric of a system, with its interval."""
        pairs = zip(self.specs, self.measured[system], strict=True)
        title = self.systems[system].title
        return tuple(_estimate(s, one, self.settings, self.data, title) for s, one in pairs)

    def change(self, system: int = 1, since: int = 0) -> tuple[Estimate, ...]:
        """A system's metrics minus those of another, paired; `p_value` is that of no difference."""
        pairs = zip(
            self.estimates(since),
            self.estimates(system),
            self.measured[since],
            self.measured[system],
            strict=True,
        )
        return tuple(_change(a, b, x, y, self.settings) for a, b, x, y in pairs)

    def means(self, system: int = 0) -> tuple[float, float]:
        """Mean score and mean outcome of a system."""
        return _means(self.collected[system].rows, self.view)


def examine(
    predictions: Readable,
    metrics: str | Iterable[str | Spec],
    systems: Sequence[System] = (System(),),
    *,
    ood: Readable | None = None,
    want: Collection[str] = (),
    bias: bool = True,
    cluster: str | None = None,
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Examined:
    """Measure several systems on the same rows, and keep what the pass left of them.

    Args:
        want: columns of `Rows` that are wanted besides those that the metrics need.
        bias: whether mean score minus mean outcome is wanted, with its interval.

    The other arguments are those of `evaluate`, which is this with one system or two.
    """
    together = None if cluster is None or ci == "none" else clusters(predictions, cluster)
    drawing = Draws(resamples, seed, predictions.rows, together)
    settings = _settings(ci, drawing, level, threads or cores(), progress or _silent)
    settings = replace(settings, paired=len(systems) > 1)
    asked = parse_list(metrics)
    if ood is not None and not any(isinstance(spec.metric, OfOther) for spec in asked):
        asked += parse_list(OF_OTHER)
    specs = [_settle(spec, predictions) for spec in asked]
    wanted = _wanted(specs, predictions)
    if predictions.classes is not None:
        wanted = replace(wanted, columns=wanted.columns | set(want))
    draws = settings.draws if wanted.lowest is not None else None
    if settings.draws is not None:
        _require_memory(specs, predictions, settings.draws)
    applied = [system.apply for system in systems]
    blocks = _watched(predictions, unit(predictions.classes), settings.progress)
    collected = collect(blocks, applied, wanted=wanted, draws=draws, threads=settings.threads)
    if any(isinstance(s.metric, Score) and "refined" in s.metric.needs for s in specs):
        collected = _refined(predictions, applied, collected)
    others = _others(ood, predictions, applied, specs)
    rows = collected[0].rows
    if rows.weights is not None and not rows.weights.any():
        raise InputError(f"{predictions.source}: all weights are zero; nothing can be measured")
    view = _main_view(specs, predictions)
    measured, mean = measure(specs, collected, settings, view if bias else None, others)
    data = Data(
        predictions.source,
        len(rows.confidence),
        predictions.classes,
        predictions.kind,
        rows.weights is not None,
    )
    return Examined(
        tuple(specs),
        tuple(systems),
        tuple(collected),
        tuple(tuple(row) for row in measured),
        settings,
        data,
        view,
        mean,
    )


def _settings(ci: str, draws: Draws, level: float, threads: int, progress: Progress) -> Settings:
    """How intervals are made, if they can be."""
    if ci not in intervals.METHODS:
        raise UsageError(f"--ci {ci!r}: there are {', '.join(intervals.METHODS)}")
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level:g}")
    if ci != "none" and draws.replicates < 20:
        raise UsageError(
            f"--resamples must be at least 20, not {draws.replicates}; --ci none for none"
        )
    if draws.seed < 0:
        raise UsageError(f"--seed must not be negative, not {draws.seed}")
    none = ci == "none" or draws.rows < FEW_ROWS
    return Settings(ci, None if none else draws, level, threads, progress)


def _silent(stage: str, share: float) -> None:
    pass


def _settle(spec: Spec, predictions: Readable) -> Spec:
    """The spec with its automatic view decided by the shape of the data, never by their values."""
    if spec.view == "positive" and predictions.classes not in (2, None):
        raise UsageError(
            f"{predictions.source}: {spec.name}: the positive view needs two classes, there are "
            f"{predictions.classes}"
        )
    if spec.view == "ranks":
        return replace(spec, view="positive" if predictions.classes in (2, None) else "class")
    if spec.view != "auto":
        return spec
    return replace(spec, view="positive" if predictions.one_column else "top")


def _wanted(specs: Sequence[Spec], predictions: Readable) -> Wanted:
    """What the pass has to leave for these metrics."""
    if predictions.classes is None:
        return Wanted()
    columns: set[str] = set()
    probs = False
    lowest = []
    for spec in specs:
        metric = spec.metric
        if isinstance(metric, Score):
            columns |= set(metric.needs)
        elif isinstance(metric, OfOther):
            columns |= {"entropy"} if spec.options["by"] == "entropy" else set()
        elif isinstance(metric, OfCounts) or spec.view == "label":
            columns |= {"labels", "predicted"}
        elif isinstance(metric, OfMatrix):
            columns, probs = columns | {"labels"}, True
        elif spec.view == "class" and spec.one_edge_for_all:
            lowest.append(float(spec.edges(Cells.empty())[0]))
        elif spec.view == "class":
            columns, probs = columns | {"labels"}, True
    return Wanted(min(lowest, default=None), frozenset(columns), probs)


def _refined(
    predictions: Readable, systems: Sequence[Apply], collected: Sequence[Collected]
) -> list[Collected]:
    """With each row's log-probability after temperature scaling fitted on the other folds; as it
    was where that cannot be fitted."""
    if predictions.kind == "confidence":
        return list(collected)
    (whole,) = predictions.blocks(max(predictions.rows, 1))
    found = []
    for system, own in zip(systems, collected, strict=True):
        try:
            numbered, refit = cross_fit(partial(fit, "temperature"), system(whole), "temperature")
            refined = reduce_rows(refit(numbered)).log_prob
        except CalibtoolError:
            refined = None
        found.append(replace(own, rows=replace(own.rows, refined=refined)))
    return found


def _others(
    ood: Readable | None,
    predictions: Readable,
    systems: Sequence[Apply],
    specs: Sequence[Spec],
) -> list[Rows | None]:
    """Each system's rows of the second file."""
    if ood is None:
        return [None for _ in systems]
    if ood.classes != predictions.classes:
        raise InputError(
            f"{ood.source} has {ood.classes or 'no'} classes, {predictions.source} has "
            f"{predictions.classes or 'no'}; --ood needs rows of the same model"
        )
    want = _wanted(specs, predictions).columns & {"entropy"}
    parts: list[list[Rows]] = [[] for _ in systems]
    for block in ood.blocks(unit(ood.classes)):
        known = block
        if block.kind != "confidence" and block.labels is None:
            known = replace(block, labels=np.zeros(block.rows, np.int64))
        for part, system in zip(parts, systems, strict=True):
            part.append(reduce_rows(system(known), want=want))
    return [Rows.concatenate(part) for part in parts]


def _require_memory(specs: Sequence[Spec], predictions: Readable, draws: Draws) -> None:
    for spec in specs:
        many = spec.view in ("class", "label")
        classes = (predictions.classes or 0) if many else 1
        cells = spec.options.get("bins", 1) * classes
        if cells * draws.replicates * 8 > MAX_DRAWS:
            fits = MAX_DRAWS // (cells * 8)
            raise UsageError(
                f"{spec.name}: {draws.replicates:,} resamples of {cells:,} bins do not fit in "
                f"memory; ask for --resamples {fits:,} or fewer, or for fewer bins"
            )


def _main_view(specs: Sequence[Spec], predictions: Readable) -> str:
    """The view that the reading speaks of: that of the first calibration error with scores."""
    own = "positive" if predictions.one_column else "top"
    if predictions.classes is None:
        return own
    return next((spec.view for spec in specs if spec.view in ("top", "positive")), own)


def _watched(predictions: Readable, size: int, progress: Progress) -> Iterator[Predictions]:
    done = 0
    for block in predictions.blocks(size):
        if block.kind != "confidence" and block.labels is None:
            raise InputError(f"{predictions.source}: there are no labels to measure against")
        yield block
        done += block.rows
        progress("reading", done / max(predictions.rows, 1))


# ------------------------------------------------------------------ the report


def report_of(found: Examined) -> Report:
    """The record of one system, or of two, before and after."""
    said, was = found.means()
    report = Report(
        found.data,
        found.estimates(),
        level=found.level,
        bias=_bias(found.bias, found.view, found.settings),
        said=said,
        was=was,
        warnings=(*_warnings(found.collected, found.settings), *_without_interval(found)),
        cells=_cells(found.collected[-1].rows, found.view),
        view=found.view,
    )
    if len(found.systems) > 1:
        label = found.systems[1].title
        report = replace(report, after=found.estimates(1), change=found.change(), calibrator=label)
    return replace(report, reading=read(report))


def _means(rows: Rows, view: str) -> tuple[float, float]:
    """Mean score and mean outcome."""
    score, outcome = rows.view(view)
    wide = score.astype(np.float64)
    return (
        Scores.from_rows(wide, rows.weights).mean,
        Scores.from_rows(outcome, rows.weights).mean,
    )


def _cells(rows: Rows, view: str) -> Cells:
    """What a saved report keeps of the scores, of the last system."""
    score, outcome = rows.view(view)
    return Cells.binned(score, outcome, np.arange(1, KEPT + 1) / KEPT, rows.weights)


def _bias(measured: Measured, view: str, settings: Settings) -> Estimate:
    estimate = Estimate("bias", measured.value, view=view, better="")
    if measured.value is None or measured.replicates is None:
        return estimate
    low, high = intervals.plain("percentile", measured.value, measured.replicates, settings.level)
    return replace(estimate, low=low, high=high)


def _estimate(
    spec: Spec, measured: Measured, settings: Settings, data: Data, calibrator: str = ""
) -> Estimate:
    method = measured.method or (settings.ci if spec.is_error else settings.plain)
    estimate = Estimate(
        spec.name,
        measured.value,
        view=spec.view,
        better=spec.metric.better,
        missing=measured.missing,
        signature=_signature(spec, method, settings, data, calibrator),
    )
    if measured.value is None:
        return estimate
    estimate = replace(estimate, error=_spread(measured.replicates))
    if measured.interval is not None:
        return replace(estimate, low=measured.interval[0], high=measured.interval[1])
    if measured.inverse is not None:
        found = measured.inverse
        return replace(
            estimate,
            low=found.low,
            high=found.high,
            unbiased=found.unbiased,
            p_value=found.p_value,
        )
    drawn = measured.replicates
    if drawn is None or np.isfinite(drawn).sum() < FEW_DRAWS:
        return estimate
    low, high = intervals.plain(
        method, measured.value, drawn, settings.level, measured.acceleration
    )
    return replace(estimate, low=low, high=high)


def _spread(drawn: Array | None) -> float | None:
    """The standard error: the standard deviation of the replicates."""
    if drawn is None:
        return None
    known = drawn[np.isfinite(drawn)]
    return float(known.std()) if len(known) >= FEW_DRAWS else None


def _change(
    before: Estimate, after: Estimate, a: Measured, b: Measured, settings: Settings
) -> Estimate:
    """After minus before; its interval is of the same draws, so the noise they share cancels."""
    estimate = Estimate(
        before.name,
        None,
        view=before.view,
        better=before.better,
        signature=f"{after.signature}|minus:before",
    )
    if before.value is None or after.value is None:
        return replace(estimate, missing=before.missing or after.missing)
    value = after.value - before.value
    estimate = replace(estimate, value=value)
    if a.replicates is None or b.replicates is None:
        return estimate
    estimate = replace(estimate, error=_spread(b.replicates - a.replicates))
    if a.inverse is None or b.inverse is None:
        drawn = b.replicates - a.replicates
        low, high = intervals.plain("percentile", value, drawn, settings.level)
        p = intervals.p_of_replicates(drawn, settings.level)
        return replace(estimate, low=low, high=high, p_value=p)
    if np.array_equal(a.replicates, b.replicates):  # the same in every replicate
        return replace(estimate, unbiased=0.0, low=0.0, high=0.0, p_value=1.0)
    pair = (a.inverse, b.inverse, _correlation(a, b), settings.level)
    low, high = intervals.difference(*pair)
    p_value = intervals.p_of_difference(*pair)
    centre = b.inverse.unbiased - a.inverse.unbiased
    return replace(estimate, unbiased=centre, low=low, high=high, p_value=p_value)


def _correlation(a: Measured, b: Measured) -> float:
    """Of two metrics' replicates; 0 where one of them never varies."""
    assert a.replicates is not None
    assert b.replicates is not None
    if not (np.ptp(a.replicates) and np.ptp(b.replicates)):
        return 0.0
    return min(float(np.corrcoef(a.replicates, b.replicates)[0, 1]), 1.0)


def _signature(spec: Spec, method: str, settings: Settings, data: Data, calibrator: str) -> str:
    parts = [spec.signature()]
    if settings.draws is not None:
        drawn = "units" if settings.draws.grouped else "rows"
        if settings.draws.cluster is not None:
            drawn = f"{int(settings.draws.cluster.max()) + 1} clusters"
        parts += [
            f"ci:{method}-{settings.level * 100:g}",
            f"R:{settings.draws.replicates}",
            f"seed:{settings.draws.seed}",
            f"draws:{drawn}",
        ]
    parts.append(f"n:{data.rows}")
    if calibrator:
        parts.append(f"after:{calibrator}")
    return "|".join([*parts, f"calibtool:{__version__}"])


def _without_interval(found: Examined) -> Iterator[str]:
    """Metrics of which no interval is known to cover where rows hang together."""
    if found.settings.draws is None or found.settings.draws.cluster is None:
        return
    known = zip(found.specs, found.estimates(), strict=True)
    names = [spec.name for spec, e in known if e.value is not None and e.low is None]
    if names:
        yield f"no interval of {', '.join(names)} covers where rows hang together; none is given"


def _warnings(collected: Sequence[Collected], settings: Settings) -> Iterator[str]:
    rows = len(collected[0].rows.confidence)
    if rows < FEW_ROWS and settings.ci != "none":
        yield f"{rows} rows are too few for intervals; {FEW_ROWS} are the least"
    for found, which in zip(collected, ("", " after the calibrator"), strict=False):
        log_prob = found.rows.log_prob
        if log_prob is not None and np.isneginf(log_prob).any():
            zero = np.flatnonzero(np.isneginf(log_prob))
            yield (
                f"{len(zero):,} rows give their label a probability of 0{which} (the first is row "
                f"{zero[0]}, counting from 0): their NLL is infinite, and so is the mean"
            )
