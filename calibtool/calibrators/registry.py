"""The tables of calibrators. They import none of them, since `calibtool --help` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from calibtool.errors import UsageError, near

# Classes up to which a pass over a file sums a matrix of second derivatives: (2 K)**2 numbers in
# float64, 32 MB at 1,024, of which each worker holds two.
MATRIX = 1024


@dataclass(frozen=True)
class Method:
    """The entry of a calibrator; its module has the same name, with _ for -.

    Attributes:
        title: the name in prose.
        summary: one line, for the list of commands.
        when: two sentences, for --help: when to use it.
        source: author and year.
        numbers: how many parameters the fitted calibrator keeps, for K classes and N rows.
        enough: rows per class from which on it is at its best, as a rule of thumb.
        binary: whether it fits curves of one score, which are put together for K classes.
        keeps_order: whether a row's classes keep their order, and so the predicted class.
        any_form: whether logits and their probabilities lead to the same fit.
        by_passes: the number of classes up to which it is fitted to a file pass by pass, without
            holding it; 0 for never.
        to_confidences: whether it maps one score, so that it can be fitted to confidences and hits
            where the rows of classes are not known.
        to_cells: whether it can be fitted to the cells of a summary.
        zeros: whether its definition gives probabilities of exactly 0 and 1, for which the NLL of
            new rows can be infinite; its option `smoothing` avoids them.
        raced: whether `select` tries it by default. Not so those that scored below doing nothing on
            most public sets, and one too slow to be tried there (CalArena 2026, arXiv 2605.30188).
        cost: microseconds that fitting and applying it take per row and class, and per row and
            pair of classes: measured on 1,000 to 100,000 rows of 2 to 100 classes, on one core.
            Only the shares that progress tells depend on it.
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
    to_confidences: bool = False
    to_cells: bool = False
    zeros: bool = False
    raced: bool = True
    cost: tuple[float, float] = (1.0, 0.0)

    def seconds(self, rows: int, classes: int | None) -> float:
        """Return about how long fitting and applying it take."""
        each, pair = self.cost
        k = classes or 1
        return 1e-6 * rows * k * (each + pair * k)


METHODS: dict[str, Method] = {
    "temperature": Method(
        "temperature scaling",
        "Temperature scaling: one number; predicted classes stay.",
        "Use it first: it needs few rows, cannot overfit, and repairs a network that is over- or "
        "underconfident throughout. It cannot repair classes that are off in different directions.",
        "Guo et al. 2017",
        "1",
        10,
        keeps_order=True,
        by_passes=1 << 30,
        to_confidences=True,
        cost=(0.1, 0.0),
    ),
    "ensemble-temperature": Method(
        "ensemble temperature scaling",
        "Mix temperature scaling with the plain and the uniform probabilities.",
        "Use it if some rows are far off, for example because labels are wrong at random: the "
        "uniform part accounts for them. It keeps the predicted class and has three parameters.",
        "Zhang et al. 2020",
        "3",
        30,
        keeps_order=True,
        cost=(0.15, 0.0),
    ),
    "bias-corrected": Method(
        "bias-corrected temperature scaling",
        "Temperature scaling with one bias per class.",
        "Use it if, besides overconfidence, some classes are predicted too often and others too "
        "rarely. It needs tens of rows per class.",
        "Alexandari et al. 2020",
        "K + 1",
        30,
        by_passes=MATRIX,
        cost=(0.1, 0.0),
    ),
    "order-preserving": Method(
        "order-preserving scaling",
        "One rising curve of log-probabilities for all classes.",
        "Use it if one temperature is not flexible enough but the predicted class must not change. "
        "It needs about a thousand rows, however many classes there are.",
        "Rahimi et al. 2020",
        "8",
        100,
        keeps_order=True,
        cost=(0.7, 0.0),
    ),
    "structured-vector": Method(
        "structured vector scaling",
        "Vector scaling with a penalty that shrinks as the number of rows grows.",
        "Use it if vector scaling would overfit: it starts at temperature scaling and moves as "
        "far as the rows justify. It is a good second choice after temperature.",
        "Berta et al. 2025",
        "2 K",
        10,
        cost=(0.35, 0.0),
    ),
    "structured-matrix": Method(
        "structured matrix scaling",
        "Matrix scaling with penalties that shrink as the number of rows grows.",
        "Use it if classes are mistaken for one another in a pattern: it starts at temperature "
        "scaling and moves as far as the rows justify. Expect gains from hundreds of rows per "
        "class.",
        "Berta et al. 2025",
        "K (K + 1)",
        30,
        cost=(0.6, 0.014),
    ),
    "vector": Method(
        "vector scaling",
        "One slope and one bias per class.",
        "Use it if each class has hundreds of rows and is off in its own direction. With fewer, "
        "structured-vector is safer.",
        "Guo et al. 2017",
        "2 K",
        100,
        any_form=False,
        by_passes=MATRIX,
        cost=(0.1, 0.0),
    ),
    "matrix": Method(
        "matrix scaling",
        "A matrix and one bias per class, on logits, with the ODIR penalty.",
        "Use it with few classes and thousands of rows, to compare with papers that use it. "
        "structured-matrix chooses its penalty by itself.",
        "Guo et al. 2017, Kull et al. 2019",
        "K (K + 1)",
        100,
        any_form=False,
        cost=(0.35, 0.02),
    ),
    "dirichlet": Method(
        "Dirichlet calibration",
        "A matrix and one bias per class, on log-probabilities, with the ODIR penalty.",
        "Use it with few classes and thousands of rows if only probabilities are known, or to "
        "compare with papers that use it. structured-matrix chooses its penalty by itself.",
        "Kull et al. 2019",
        "K (K + 1)",
        100,
        cost=(0.5, 0.018),
    ),
    "platt": Method(
        "Platt scaling",
        "A sigmoid of the log-odds: two parameters per class.",
        "Use it for two classes with few rows: a slope corrects overconfidence, a shift corrects "
        "the base rate. With very few rows, or classes that are separated perfectly, add "
        "--smoothing.",
        "Platt 1999",
        "2/class",
        30,
        binary=True,
        to_confidences=True,
        to_cells=True,
        cost=(0.45, 0.0),
    ),
    "beta": Method(
        "beta calibration",
        "A curve with one slope near 0 and another near 1: three parameters per class.",
        "Use it for two classes if Platt's sigmoid is too symmetric: it can also leave scores "
        "unchanged. It needs about a hundred rows.",
        "Kull et al. 2017",
        "3/class",
        50,
        binary=True,
        to_confidences=True,
        to_cells=True,
        cost=(0.6, 0.0),
    ),
    "quadratic": Method(
        "quadratic scaling",
        "A sigmoid of a parabola of the log-odds: three parameters per class.",
        "Use it for two classes if high and low scores are off by different slopes: with beta it "
        "is the first choice on tables. It needs about a hundred rows, and a parabola can turn: "
        "where it does, scores change places.",
        "Berta et al. 2025",
        "3/class",
        50,
        binary=True,
        to_confidences=True,
        to_cells=True,
        cost=(0.55, 0.0),
    ),
    "spline": Method(
        "monotone spline",
        "A smooth rising curve of the log-odds.",
        "Use it for two classes with a thousand rows or more, if a sigmoid is not flexible enough "
        "and isotonic regression too jagged. It keeps ranks wherever its slope is above 0.",
        "Ramsay 1988",
        "7/class",
        200,
        binary=True,
        to_confidences=True,
        cost=(0.55, 0.0),
    ),
    "isotonic": Method(
        "isotonic regression",
        "The best rising curve, in flat pieces.",
        "Use it for two classes with thousands of rows: it fits any rising shape. It makes ties, "
        "which --centred avoids, and probabilities of 0 and 1, which --smoothing avoids.",
        "Zadrozny & Elkan 2002",
        "tens/class",
        500,
        binary=True,
        to_confidences=True,
        to_cells=True,
        zeros=True,
        cost=(0.15, 0.0),
    ),
    "venn-abers": Method(
        "Venn-Abers",
        "Two isotonic regressions that bracket the probability.",
        "Use it to know how certain the calibrator itself is: it gives an interval, one end of "
        "which is calibrated on any data. Its probabilities are never 0 or 1.",
        "Vovk et al. 2015",
        "up to 4 N/class",
        100,
        binary=True,
        to_confidences=True,
        cost=(1.1, 0.0),
    ),
    "histogram": Method(
        "histogram binning",
        "The share of positives in each bin.",
        "Use it if calibration must be provable: the error of a bin is that of a proportion. It "
        "discards the order inside bins. Probabilities of 0 and 1 are avoided with --smoothing.",
        "Zadrozny & Elkan 2001",
        "15/class",
        300,
        binary=True,
        to_confidences=True,
        to_cells=True,
        zeros=True,
        raced=False,
        cost=(0.1, 0.0),
    ),
    "scaling-binning": Method(
        "scaling-binning",
        "Platt's sigmoid, averaged in bins.",
        "Use it if calibration must be measurable with fewer rows than histogram binning needs. "
        "Its outputs take few values.",
        "Kumar et al. 2019",
        "10 in all",
        50,
        binary=True,
        to_confidences=True,
        raced=False,
        cost=(0.15, 0.0),
    ),
    "bbq": Method(
        "BBQ",
        "Bayesian binning into quantiles: many binnings, averaged.",
        "Use it for histogram binning without a choice of bins. It is smoother, and can be fitted "
        "even if a class has no rows.",
        "Naeini et al. 2015",
        "up to N/class",
        300,
        binary=True,
        to_confidences=True,
        to_cells=True,
        raced=False,
        cost=(0.6, 0.0),
    ),
    "enir": Method(
        "ENIR",
        "Near-isotonic regressions, averaged: the curve may fall a little.",
        "Use it if scores are not quite in the right order, with thousands of rows. Like isotonic "
        "regression it fits any shape, and averages over how strictly the curve must rise.",
        "Naeini & Cooper 2016",
        "tens/class",
        500,
        binary=True,
        to_confidences=True,
        raced=False,
        cost=(3.0, 0.0),
    ),
}

# Fitted to scores and columns: `by` names the columns of one calibrator, and without it there is no
# fit. So they are apart from METHODS, each of which can be fitted to the scores of any file, as
# `select` and diagrams of all calibrators do.
WITH_COLUMNS: dict[str, Method] = {
    "multicalibration": Method(
        "multicalibration",
        "Patch the slices that are off: values of the columns of --by, and their pairs.",
        "Use it if `calibtool slices` finds slices that are off. It needs thousands of rows, "
        "changes nothing unless a slice is off beyond chance on held-out rows, and can only be "
        "applied to files that have the columns.",
        "Hebert-Johnson et al. 2018",
        "5/patch",
        500,
        to_confidences=True,
        raced=False,
    ),
}
# all of them, of either table
EVERY: dict[str, Method] = METHODS | WITH_COLUMNS


def finite_options(method: str) -> dict[str, Any]:
    """Return the options with which a calibrator gives no probability of 0 or 1.

    >>> finite_options("isotonic"), finite_options("platt")
    ({'smoothing': True}, {})
    """
    return {"smoothing": True} if METHODS[method].zeros else {}


def module_of(method: str) -> Any:
    """Return the module of a calibrator; raise UsageError for a name not in the table."""
    if method not in EVERY:
        raise UsageError(f"there is no calibrator {method!r}{near(method, EVERY)}")
    return import_module(f"calibtool.calibrators.{method.replace('-', '_')}")


def require_scored(method: str) -> None:
    """Check that a calibrator can be fitted to the scores of any file, for those who try several.

    Raises UsageError for a name that is not in the table, and for one that needs columns.
    """
    module_of(method)
    if method in WITH_COLUMNS:
        raise UsageError(
            f"{method} needs columns, and calibrators of scores alone are compared here; fit it "
            f"with calibtool fit-{method} FILE --by COLUMN,..."
        )
