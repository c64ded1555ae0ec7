"""Build a page: measure each file, try calibrators, look at its classes, slices and oddities, and
compare the files. `html` and `markdown` lay it out."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool.data.files.source import Source
from calibtool.data.predictions import Predictions
from calibtool.data.readable import Recalibrator
from calibtool.errors import UsageError
from calibtool.evaluation.resampling import Resampling
from calibtool.formatting import joined, names_of
from calibtool.intervals.draws import kept_by
from calibtool.metrics.spec import Spec
from calibtool.parallel import in_steps
from calibtool.reports.page.collect import Methods, PageOptions, summarize_file
from calibtool.reports.page.comparison import compare
from calibtool.reports.page.groups import MOST_CLASSES
from calibtool.reports.page.model import Comparison, Page
from calibtool.reports.page.panels import THRESHOLD, metrics_with
from calibtool.streaming.summary import Summary
from calibtool.types import Progress, silent


def build_page(
    files: Sequence[Source | Predictions | Summary],
    metrics: str | Sequence[str | Spec] = "default",
    *,
    calibrator: Recalibrator | None = None,
    methods: Methods = "quick",
    by: Sequence[str] = (),
    cluster: str | None = None,
    clinical: bool = False,
    threshold: float = THRESHOLD,
    title: str = "",
    command: str = "",
    flags: str = "",
    calibrator_file: str = "",
    ci: str = "inverted",
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> Page:
    """Return everything that a shareable report shows.

    Args:
        files: one for a report, several for a comparison.
        metrics: as for `evaluate`.
        calibrator: show the effect of this one, instead of trying any.
        methods: which calibrators to try, cross-fitted on the rows of each file: names, "all", an
            empty list for none, or "quick" for temperature scaling, beside Platt scaling where
            two classes are given by one column or only confidences are known.
        by: columns to slice the rows by.
        cluster: a column; rows with equal values (one patient, one user) are resampled together,
            and stay in one fold.
        clinical: show what a report on a clinical prediction model has to show (Van Calster et al.
            2025); two classes only.
        threshold: at which its table gives net benefit.
        title: the heading; by default, "Calibration of" and the names of the files.
        command: the command line that makes the report again, for its foot.
        flags: the options of reading in it, which the commands that the report names repeat.
        calibrator_file: the file of the calibrator, quoted for a shell, for the command that
            applies it.
        ci, resamples, level, seed: of the intervals, as for `evaluate`.
        progress: called with a stage and the share of it that is done.

    Raises InputError, UsageError.
    """
    if not files:
        raise UsageError("no file to report on")
    resampling = Resampling(ci, resamples, level, seed)
    at = threshold if clinical else None
    asked = metrics if at is None else metrics_with(metrics, at)
    names = names_of([file.source for file in files], suffix=True)
    subjects, kept = [], kept_by(seed)
    for name, file in zip(names, files, strict=True):
        options = PageOptions(
            asked,
            calibrator,
            methods,
            tuple(by),
            max_classes=_room(len(files)),
            progress=_staged(progress, name if len(files) > 1 else ""),
            resampling=resampling,
            kept=kept,
            cluster=cluster,
            threshold=at,
        )
        subjects.append(summarize_file(name, file, options))
    comparison = None
    rows = [file for file in files if not isinstance(file, Summary)]
    if len(rows) < len(files) > 1:
        comparison = Comparison((), "Cells hold no rows that could be paired.")
    elif len(files) > 1:
        stage = _staged(progress, "differences")
        comparison = compare(rows, names, asked, resampling, stage, cluster)
    heading = title or f"Calibration of {_heading(names)}"
    shown = tuple(subjects), comparison, subjects[0].report.level
    return Page(heading, *shown, command, flags, calibrator_file)


def _room(files: int) -> int:
    """Return how many classes of each file are listed, so that a page stays below a megabyte.

    >>> _room(1), _room(2), _room(10)
    (1000, 450, 20)
    """
    return max(MOST_CLASSES - 100 * (files - 1), 200) // files


def _heading(names: Sequence[str]) -> str:
    """Return names for the page's heading, which has no room for many.

    >>> _heading(["a", "b", "c"]), _heading(list("abcde"))
    ('a, b and c', 'a, b and 3 more')
    """
    return joined(names if len(names) <= 4 else [*names[:2], f"{len(names) - 2} more"])


def _staged(progress: Progress | None, name: str) -> Progress:
    """Return a progress callback whose stages begin with `name`, if there is one."""
    if progress is None:
        return silent
    tell = in_steps(progress)
    return (lambda stage, share: tell(f"{name}: {stage}", share)) if name else tell
