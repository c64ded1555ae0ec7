"""The table of calibrators. A calibrator is a module and a line here: `calibtool fit-NAME` and
`ct.fit("NAME", ...)` pick it up.

A calibrator's module has `fit(predictions, *, options) -> Calibrator`, whose map is one of
`calibtool.calibrators.maps`. This table imports none of them: `calibtool --help` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibtool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibtool.calibrators.calibrator import Calibrator
    from calibtool.calibrators.kept import Kept
    from calibtool.calibrators.passes import Progress, Read
    from calibtool.files.source import Source
    from calibtool.predictions import Predictions


MATRIX = 1024  # classes up to which a pass over a file sums a matrix of second derivatives


@dataclass(frozen=True)
class Method:
    """A line of the table; its module is named like it, with _ for -.

    Attributes:
        title: what it is called in prose.
        summary: one line, for the list of commands.
        when: two sentences, for --help: when to use it.
        source: author and year.
        numbers: how many the fitted calibrator keeps, for K classes and N rows.
        enough: rows a class from which on it is at its best, as a rule of thumb.
        binary: whether it fits curves of one score, which wrappers put together for K classes.
        keeps_order: whether a row's classes keep their order, and so the predicted class.
        any_form: whether logits and their probabilities lead to the same fit.
        by_passes: up to how many classes it is fitted to a file pass by pass, without holding it;
            0 for never.
        to_cells: whether it can be fitted to the cells of a state.
    """

    title: str
    summary: str
    when: str
    source: str
    numbers: str
    enough: int
    binary: bool = False
    keeps_order: bool = False
    any_form: bool = True
    by_passes: int = 0
    to_cells: bool = False


METHODS: dict[str, Method] = {
    "temperature": Method(
        "temperature scaling",
        "Temperature scaling: one parameter, the predicted class never changes.",
        "Use it first: it needs few rows, cannot overfit, and repairs a network that is over- or "
        "underconfident throughout. It cannot repair classes that are off in different directions.",
        "Guo et al. 2017",
        "1",
        10,
        keeps_order=True,
        by_passes=1 << 30,
    ),
    "ensemble-temperature": Method(
        "ensemble temperature scaling",
        "Mix temperature scaling with the plain and the uniform probabilities.",
        "Use it where some rows are off by far, such as labels that are wrong at random: the "
        "uniform part takes them. It keeps the predicted class and has three parameters.",
        "Zhang et al. 2020",
        "3",
        30,
        keeps_order=True,
    ),
    "bias-corrected": Method(
        "bias-corrected temperature scaling",
        "Temperature scaling with a bias a class.",
        "Use it where, besides overconfidence, some classes are predicted too often and others too "
        "seldom. It needs tens of rows a class.",
        "Alexandari et al. 2020",
        "K + 1",
        30,
        by_passes=MATRIX,
    ),
    "order-preserving": Method(
        "order-preserving scaling",
        "One rising curve of log-probabilities for all classes.",
        "Use it where a temperature is too stiff but the predicted class must stay. It needs a "
        "thousand rows or so, however many classes there are.",
        "Rahimi et al. 2020",
        "8",
        100,
        keeps_order=True,
    ),
    "structured-vector": Method(
        "structured vector scaling",
        "Vector scaling whose penalty shrinks as rows come in.",
        "Use it where vector scaling would overfit: it starts at temperature scaling and moves as "
        "far as the rows justify. It is a good second after temperature.",
        "Berta et al. 2025",
        "2 K",
        10,
    ),
    "structured-matrix": Method(
        "structured matrix scaling",
        "Matrix scaling whose penalties shrink as rows come in.",
        "Use it where classes are mistaken for one another in a pattern: it starts at temperature "
        "scaling and moves as far as the rows justify. Expect gains from hundreds of rows a class.",
        "Berta et al. 2025",
        "K (K + 1)",
        30,
    ),
    "vector": Method(
        "vector scaling",
        "A slope and a bias a class.",
        "Use it where each class has hundreds of rows and is off in its own direction. With fewer, "
        "structured-vector is safer.",
        "Guo et al. 2017",
        "2 K",
        100,
        any_form=False,
        by_passes=MATRIX,
    ),
    "matrix": Method(
        "matrix scaling",
        "A matrix and a bias a class, on logits, with the ODIR penalty.",
        "Use it with few classes and thousands of rows, to compare with papers that use it. "
        "structured-matrix chooses its penalty by itself.",
        "Guo et al. 2017, Kull et al. 2019",
        "K (K + 1)",
        100,
        any_form=False,
    ),
    "dirichlet": Method(
        "Dirichlet calibration",
        "A matrix and a bias a class, on log-probabilities, with the ODIR penalty.",
        "Use it with few classes and thousands of rows where only probabilities are known, or to "
        "compare with papers that use it. structured-matrix chooses its penalty by itself.",
        "Kull et al. 2019",
        "K (K + 1)",
        100,
    ),
    "platt": Method(
        "Platt scaling",
        "A sigmoid of the log-odds: two parameters a class.",
        "Use it for two classes with few rows: a slope for overconfidence and a shift for a base "
        "rate that is off. For few rows, or classes told apart perfectly, add --smoothing.",
        "Platt 1999",
        "2/class",
        30,
        binary=True,
        to_cells=True,
    ),
    "beta": Method(
        "beta calibration",
        "A curve with one slope near 0 and another near 1: three parameters a class.",
        "Use it for two classes where Platt's sigmoid is too symmetric: it can also leave scores "
        "as they are. It needs a hundred rows or so.",
        "Kull et al. 2017",
        "3/class",
        50,
        binary=True,
        to_cells=True,
    ),
    "spline": Method(
        "monotone spline",
        "A smooth rising curve of the log-odds.",
        "Use it for two classes with a thousand rows or more, where a sigmoid is too stiff and "
        "isotonic regression too jagged. It keeps ranks wherever its slope is above 0.",
        "Ramsay 1988",
        "7/class",
        200,
        binary=True,
    ),
    "isotonic": Method(
        "isotonic regression",
        "The best rising curve, in flat pieces.",
        "Use it for two classes with thousands of rows: it fits any rising shape. It makes ties, "
        "which --centred avoids, and probabilities of 0 and 1, whose NLL can be infinite.",
        "Zadrozny & Elkan 2002",
        "tens/class",
        500,
        binary=True,
        to_cells=True,
    ),
    "venn-abers": Method(
        "Venn-Abers",
        "Two isotonic regressions that bracket the probability.",
        "Use it where you want to know how sure the calibrator itself is: it gives an interval, "
        "one end of which is calibrated on any data. It is never 0 or 1.",
        "Vovk et al. 2015",
        "up to 4 N/class",
        100,
        binary=True,
    ),
    "histogram": Method(
        "histogram binning",
        "The share of positives in each bin.",
        "Use it where calibration must be provable: a bin's error is that of counting its rows. It "
        "throws away the order inside bins.",
        "Zadrozny & Elkan 2001",
        "15/class",
        300,
        binary=True,
        to_cells=True,
    ),
    "scaling-binning": Method(
        "scaling-binning",
        "Platt's sigmoid, averaged in bins.",
        "Use it where calibration must be measurable with fewer rows than histogram binning needs. "
        "Its outputs take few values.",
        "Kumar et al. 2019",
        "10 in all",
        50,
        binary=True,
    ),
    "bbq": Method(
        "BBQ",
        "Bayesian binning into quantiles: many binnings, averaged.",
        "Use it where histogram binning is wanted without choosing the bins. It is smoother, and "
        "needs no rows of a class.",
        "Naeini et al. 2015",
        "up to N/class",
        300,
        binary=True,
        to_cells=True,
    ),
    "enir": Method(
        "ENIR",
        "Near-isotonic regressions, averaged: the curve may fall a little.",
        "Use it where scores are not quite in the right order, with thousands of rows. Like "
        "isotonic regression it fits any shape, and averages over how strictly it must rise.",
        "Naeini & Cooper 2016",
        "tens/class",
        500,
        binary=True,
    ),
}


def module_of(method: str) -> Any:
    """The module of a calibrator; UsageError for a name that is not in the table."""
    if method not in METHODS:
        import difflib

        close = difflib.get_close_matches(method, METHODS, n=2, cutoff=0.5)
        advice = (
            f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(METHODS)}"
        )
        raise UsageError(f"there is no calibrator {method!r}; {advice}")
    return import_module(f"calibtool.calibrators.{method.replace('-', '_')}")


def fit(
    method: str,
    predictions: Predictions | Source | Kept,
    *,
    by: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Calibrator:
    """Fit a calibrator by name.

    Args:
        method: a key of METHODS, such as "temperature".
        predictions: with labels; in memory, or a `Source` (`ct.scan`). To a source temperature,
            bias-corrected temperature and vector scaling are fitted in a few passes over the file,
            which is never held, to the same optimum; for all other fits it is loaded. Or cells
            (`ct.cells`), for isotonic, histogram, platt, beta and bbq.
        by: a column of `predictions.extra`; each of its values gets a calibrator of its own.
        progress: called now and then with what is being done and the share that is done, where a
            file is gone over.
        options: the method's own, such as objective="ece".

    Returns a calibrator: call it on predictions, save it with `.save(path)`.

    >>> import numpy as np
    >>> from calibtool.predictions import Predictions
    >>> z = np.log([[0.8, 0.2]] * 5)
    >>> cal = fit("temperature", Predictions.from_logits(2 * z, [0, 0, 0, 0, 1]))
    >>> round(cal.map.temperature, 6)
    2.0
    """
    from calibtool.files.source import Source
    from calibtool.predictions import Predictions

    function: Callable[..., Calibrator] = module_of(method).fit
    rows: Predictions | Read | Kept
    if isinstance(predictions, Predictions):
        rows = predictions
    elif not isinstance(predictions, Source):
        rows = _require_to_cells(method, predictions, by)
    elif fits_by_passes(method, predictions.classes, by=by, **options):
        from calibtool.calibrators.passes import Read

        rows = Read(predictions, progress, about=3 if method == "temperature" else 4)
    else:
        from calibtool.calibrators.passes import told_of_skipped

        loaded = predictions.also([by] if by else []).load()
        fitted = fit(method, loaded, by=by, **options)
        return _noted(fitted, told_of_skipped(predictions))
    if isinstance(rows, Predictions):
        if rows.weights is not None and rows.weights.any():
            rows = rows.take(rows.weights > 0)
        if by is not None:
            from calibtool.calibrators.groups import fit_groups

            return fit_groups(method, rows, by, lambda p: fit(method, p, **options))
    try:
        fitted = function(rows, **options)
    except TypeError as error:
        if "keyword argument" in str(error):
            raise UsageError(f"fit {method}: {error}") from error
        raise
    wanted = METHODS[method].enough * fitted.classes
    if fitted.fitted.rows < wanted:
        few = (
            f"{fitted.fitted.rows:,} rows of {fitted.classes} classes are few for {method}: as a "
            f"rule of thumb, it is at its best from {wanted:,} rows on"
        )
        return _noted(fitted, [few])
    return fitted


def _noted(fitted: Calibrator, notes: list[str]) -> Calibrator:
    """The calibrator, with more to tell of its fit."""
    told = (*fitted.fitted.notes, *notes)
    return replace(fitted, fitted=replace(fitted.fitted, notes=told))


def _require_to_cells(method: str, state: Kept, by: str | None) -> Kept:
    """Whether a fit can do with cells."""
    if by is not None:
        raise UsageError(f"{state.source}: holds cells, no rows; --by needs rows")
    if not METHODS[method].to_cells:
        able = ", ".join(name for name, line in METHODS.items() if line.to_cells)
        raise UsageError(
            f"{state.source}: holds cells, no rows, and fit-{method} needs rows; {able} can be "
            "fitted to cells"
        )
    return state


def fits_by_passes(
    method: str, classes: int | None, *, by: str | None = None, **options: Any
) -> bool:
    """Whether a fit goes over a file pass by pass rather than load it."""
    likely = by is None and options.get("objective", "nll") == "nll"
    return likely and (classes or 0) <= METHODS[method].by_passes


def load_calibrator(path: str | Path) -> Calibrator:
    """Read a calibrator file. Loading runs no code of the file.

    Raises InputError for a file that is no calibrator, truncated, or of a newer version.
    """
    from calibtool.calibrators import file
    from calibtool.calibrators.calibrator import Calibrator

    loaded: Calibrator = file.load(path, Calibrator, METHODS)
    return loaded
