"""Resolve specs: replace what depends on the shape of the data, views and scales, by what it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from calibtool.data.readable import Readable
from calibtool.errors import UsageError
from calibtool.metrics.kinds import BinnedError, Score
from calibtool.metrics.spec import ONE_SCORE, Spec, parse, split_options

ONE_SCORE_VIEWS = ("auto", "top", "positive")


def defaults(names: Iterable[str]) -> list[Spec]:
    """Return metrics that are measured where none was asked for: `resolve` names their views."""
    return [replace(parse(name), by_default=True) for name in names]


def resolve(specs: Iterable[Spec], predictions: Readable) -> list[Spec]:
    """Return the specs with everything that the shape of the data decides: views, and the scale of
    a Brier score.

    Two classes are one problem, however they are given: of metrics that nobody asked for, their
    views are written out, and ECE has both. Of confidences alone, the scores of whole rows become
    those of the confidence.

    Raises UsageError where the positive view is wanted of more than two classes.
    """
    resolved: dict[str, Spec] = {}
    for spec in specs:
        for one in _views_by_default(spec, predictions) if spec.by_default else [spec]:
            resolved.setdefault(one.name, resolve_view(one, predictions))
    return list(resolved.values())


def _views_by_default(spec: Spec, predictions: Readable) -> list[Spec]:
    """Return a metric that nobody asked for, in the views that it has by default."""
    if predictions.classes is None and isinstance(spec.metric, Score) and spec.metric.of_view:
        return [in_view(spec, "top")]
    if predictions.classes != 2 or spec.view != "auto":
        return [spec]
    views = ("positive", "top") if spec.metric.name == "ece" else ("positive",)
    return [in_view(spec, view) for view in views]


def in_view(spec: Spec, view: str) -> Spec:
    """Return the metric in a view, which its name says.

    >>> in_view(parse("ece(bins=20)"), "top").name
    'ece(view=top,bins=20)'
    """
    inside = spec.name.removeprefix(spec.metric.name).strip("()")
    options = [item for item in split_options(inside) if not item.startswith("view=")]
    return parse(f"{spec.metric.name}({','.join([f'view={view}', *options])})")


def beside_background(specs: Iterable[Spec], predictions: Readable, background: str) -> list[Spec]:
    """Return the specs with each mean over classes followed by the one without the background.

    Args:
        specs: metrics; class-wise ECE is added where none of them is a binned mean over classes.
        predictions: whose classes they are.
        background: the number of a class, or its name.

    Raises UsageError for a class that there is not.
    """
    names = getattr(predictions, "class_names", None) or ()
    number = names.index(background) if background in names else None
    if number is None and background.isdecimal():
        number = int(background)
    if number is None or number >= (predictions.classes or 0):
        known = f"0 to {predictions.classes - 1}" if predictions.classes else "none"
        known = ", ".join(names[:20]) if names else known
        raise UsageError(
            f"{predictions.source}: --background {background!r}: there is no such class; the "
            f"classes are {known}"
        )
    every = list(specs)
    if not any(_leaves_out(spec) for spec in every):
        every.append(parse("classwise-ece"))
    found = []
    for spec in every:
        found.append(spec)
        if _leaves_out(spec) and spec.without is None:
            found.append(_with_option(spec, f"without={number}"))
    return found


def _leaves_out(spec: Spec) -> bool:
    """Return whether a metric is a mean over classes that may leave one out."""
    return isinstance(spec.metric, BinnedError) and spec.view == "class"


def _with_option(spec: Spec, option: str) -> Spec:
    inside = spec.name.removeprefix(spec.metric.name).strip("()")
    return parse(f"{spec.metric.name}({','.join([*split_options(inside), option])})")


def written_out(spec: Spec) -> Spec:
    """Return a resolved spec whose name does not leave the view to the shape of the data."""
    left_open = getattr(spec.metric, "view", "") == "auto" and "view=" not in spec.name
    return in_view(spec, spec.view) if left_open else spec


def resolve_view(spec: Spec, predictions: Readable) -> Spec:
    """Return the spec with a view and a scale that depend on the data replaced by theirs.

    The shape of the data decides, never their values: the view must not change from one file to the
    next. Raises UsageError where the positive view is wanted of more than two classes, and for a
    class to be left out that there is not.
    """
    two = predictions.classes == 2
    if spec.without is not None and not spec.without < (predictions.classes or 0):
        raise UsageError(
            f"{predictions.source}: {spec.name}: there is no class {spec.without} "
            f"(got {predictions.classes or 'no'} classes, numbered from 0)"
        )
    if spec.view == "positive" and predictions.classes not in (2, None):
        raise UsageError(
            f"{predictions.source}: {spec.name}: the positive view needs two classes "
            f"(got {predictions.classes})"
        )
    if spec.options.get("scale") == "auto":
        scale = "half" if spec.view or two else "sum"
        return replace(spec, options={**spec.options, "scale": scale})
    if spec.view == "ranks":
        return replace(spec, view="positive" if predictions.classes in (2, None) else "class")
    if spec.view == "clinical":
        return replace(spec, view="positive" if two else "top")
    if spec.view != "auto":
        return spec
    return replace(spec, view="positive" if predictions.one_column else "top")


def main_view(specs: Sequence[Spec], predictions: Readable) -> str:
    """Return the view that the summary in words is about: the first top or positive one.

    Where no spec has one, and for confidences alone, it is the default view of the data. Proper
    scores do not count: they are about more than calibration.
    """
    default = "positive" if predictions.one_column else "top"
    if predictions.classes is None:
        return default
    views = (spec.view for spec in specs if not isinstance(spec.metric, Score))
    return next((view for view in views if view in ONE_SCORE), default)


def one_score_view(view: str, predictions: Readable) -> str:
    """Return the view of an analysis of one score per row: "top" or "positive".

    Args:
        view: "top", "positive", or "auto": positive for one column, top otherwise.
        predictions: decide by their shape, never by their values.

    Raises UsageError for another name, and for the positive view of other than two classes.
    """
    if view not in ONE_SCORE_VIEWS:
        raise UsageError(f"--view must be one of {', '.join(ONE_SCORE_VIEWS)} (got {view!r})")
    if view == "auto":
        return "positive" if predictions.one_column else "top"
    if view == "positive" and predictions.classes != 2:
        shape = f"{predictions.classes} classes" if predictions.classes else "confidences alone"
        raise UsageError(f"{predictions.source}: --view positive needs two classes (got {shape})")
    return view
