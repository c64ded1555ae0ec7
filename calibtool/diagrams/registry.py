"""The kinds of diagrams: one file and one line of `KINDS` per kind.

The file is the module of the same name, with three functions. `compute` returns a frozen record,
whose `parts` are everything that is drawn, as tables: what `--data` writes. `height` returns the
height of its panels for the width of the picture, and `draw` draws the record on matplotlib's Axes.
The options of `calibtool plot KIND` and of `ct.plot.KIND` are the parameters of `compute`. This
table loads none of the modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of diagram.

    Attributes:
        summary: one line on what it shows.
        text: how to read it, for the help page.
        files: smallest and largest number of files in one diagram; None for any number.
        source: the papers that it comes from, or the command that it resembles.
    """

    summary: str
    text: str
    files: tuple[int, int | None]
    source: str


ONE = (1, 1)
KINDS: dict[str, Kind] = {
    "reliability": Kind(
        "Accuracy against confidence, with intervals and a histogram.",
        "Points below the diagonal are overconfident. Several files, or one file before and after "
        "calibrators, are overlaid.",
        (1, None),
        "Murphy & Winkler 1977; Blasiok & Nakkiran 2024; Dimitriadis et al. 2021",
    ),
    "classwise": Kind(
        "One-vs-rest diagrams of the worst classes, and a strip of all.",
        "Each class against all others. In the strip, columns are classes and rows are bins; "
        "coloured gaps are wider than those of 95 % of perfect models, deeper ones have smaller "
        "p-values, and hatched ones are scores that are too low.",
        ONE,
        "Kull et al. 2019; Nixon et al. 2019",
    ),
    "confusion-calibration": Kind(
        "Confidence and accuracy by predicted class.",
        "How sure the model is where it predicts a class, how often it is right, and which label "
        "is most frequent where it is wrong.",
        ONE,
        "Gupta & Ramdas 2022",
    ),
    "confidence": Kind(
        "Histograms of confidence, of right answers and of wrong ones.",
        "A model that knows what it does not know is less confident where it is wrong.",
        ONE,
        "Hendrycks & Gimpel 2017",
    ),
    "bins": Kind(
        "ECE against the number of bins, by every convention.",
        "How much an ECE depends on its bins: equal width, equal mass, none; and what other "
        "libraries compute for the same rows.",
        ONE,
        "Nixon et al. 2019; Roelofs et al. 2022",
    ),
    "temperature": Kind(
        "NLL and ECE against the temperature.",
        "Logits divided by T: temperature scaling finds the T with the lowest NLL.",
        ONE,
        "Guo et al. 2017",
    ),
    "risk-coverage": Kind(
        "Error rate of the most confident rows, against their share.",
        "What abstaining buys: keep the most confident rows and see how often they are wrong.",
        (1, None),
        "El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017",
    ),
    "decision-curve": Kind(
        "Net benefit of acting on the scores, against the threshold.",
        "Above both grey lines, acting by the scores is better than on everybody and on nobody. "
        "Several files, or one file before and after calibrators, are overlaid. Two classes.",
        (1, None),
        "Vickers & Elkin 2006; Van Calster et al. 2025",
    ),
    "outcomes": Kind(
        "Histograms of P(class 1), of rows with the outcome and without.",
        "How far the probabilities of both separate, and where they are. Two classes.",
        ONE,
        "Van Calster et al. 2025",
    ),
    "threshold": Kind(
        "Accuracy, risk or precision, and coverage, against the threshold.",
        "What each threshold accepts, what it proves, and the one that keeps the promise of "
        "`calibtool threshold`.",
        ONE,
        "Geifman & El-Yaniv 2017; Angelopoulos et al. 2021",
    ),
    "sets": Kind(
        "Sizes of prediction sets, and their coverage by class or size.",
        "Where sets cover fewer labels than they promise, and what coverage costs in size. Several "
        "files of sets draw coverage and mean size against the promise.",
        ONE,
        "Angelopoulos et al. 2021; as `calibtool evaluate --sets`",
    ),
    "shift": Kind(
        "Calibration over a column of numbers or times.",
        "Mean confidence, accuracy and ECE of stretches of about as many rows each.",
        ONE,
        "Ovadia et al. 2019",
    ),
    "gain": Kind(
        "NLL and ECE before and after every calibrator.",
        "Each is fitted on four fifths of the rows and measured on the last, five times.",
        ONE,
        "as `calibtool select`",
    ),
    "belt": Kind(
        "The calibration belt, with its test.",
        "A polynomial of the logit, with the band of all curves that its test does not reject.",
        ONE,
        "Nattino, Finazzi & Bertolini 2014",
    ),
    "compare": Kind(
        "Two models on the same rows: their gaps, and the difference.",
        "Both smoothed by one kernel; the band of the difference is paired.",
        (2, 2),
        "Blasiok & Nakkiran 2024",
    ),
}


def module_of(kind: str) -> Any:
    """Return the module of a kind, imported only now."""
    return import_module(f"calibtool.diagrams.{kind.replace('-', '_')}")
