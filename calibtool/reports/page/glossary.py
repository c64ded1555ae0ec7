"""Glossary: the words of a page, each explained where the page uses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import unescape
from typing import TypeAlias

from calibtool.formatting import percent
from calibtool.reports.page.markup import Markup, element

Naming: TypeAlias = Callable[[str], str]


@dataclass(frozen=True)
class Term:
    """A word.

    Attributes:
        word: as the page writes it.
        meaning: in a line; {level} is that of the intervals.
        known_by: a pattern of the texts that use it; by default the word itself, "" for every page.
    """

    word: str
    meaning: str
    known_by: str | None = None

    def is_in(self, text: str) -> bool:
        """Return whether a text uses the word."""
        pattern = rf"\b{re.escape(self.word)}" if self.known_by is None else self.known_by
        return bool(re.search(pattern, text, re.IGNORECASE))


POSITIVE = Term("P(class 1)", "the probability that the model gives to class 1")
TERMS = (
    Term("accuracy", "share of rows whose predicted class is their label"),
    Term(
        "beyond chance",
        "the part of a gap outside its interval, which chance alone does not explain",
    ),
    Term("bin", "a range of scores; the rows in it are averaged", r"\bbins?\b"),
    Term(
        "brier",
        "Brier score: mean squared distance between probabilities and labels; a proper score, "
        "lower is better",
    ),
    Term("calibrated", "of the rows that get a probability of 80 %, 80 % come true, and so on", ""),
    Term(
        "calibrator",
        "a function, fitted to labelled rows, that corrects probabilities",
        r"\bcalibrator|\bscaling\b",
    ),
    Term("confidence", "probability of the predicted class"),
    Term(
        "corrected",
        "without what chance adds: noise in the bins makes a calibration error too high on average",
    ),
    Term("coverage", "share of rows that are kept when the least confident are left out"),
    Term(
        "cross-fitted",
        "each row is calibrated by a fit to other rows, so that the result is not optimistic",
    ),
    Term(
        "ece",
        "expected calibration error: mean distance between score and outcome over the bins, each "
        "counted by its rows",
    ),
    Term("flips", "share of rows whose predicted class the calibrator changes"),
    Term("gap", "mean score minus mean outcome: above 0, the scores are too high"),
    Term("interval", "{level} of all intervals computed like this one hold the true value"),
    Term(
        "net benefit",
        "true positives per row, minus false positives at the price that the threshold implies",
        r"\bnet.benefit\b",
    ),
    Term(
        "nll",
        "negative log-likelihood: mean of -log of the label's probability; a proper score, lower "
        "is better",
    ),
    Term("outcome", "1 where a prediction comes true, else 0; its mean is a share"),
    Term(
        "overconfident",
        "the scores say more than comes true; underconfident is the opposite",
        r"\bover-?confident|\bunderconfident|\b(?:over|under)-predicted",
    ),
    Term(
        "p-value",
        "probability of an error at least this large if the scores were calibrated; a small one "
        "speaks against chance",
        r"\bp\s[=<]\s[01]|\bp-value",
    ),
    POSITIVE,
    Term("PHI", "score of doing nothing minus that of the calibrator: what it is worth"),
    Term(
        "proper score",
        "an error that is lowest, on average, for the true probabilities",
        r"\bproper score|\bnll\b|\bbrier\b",
    ),
    Term("recall", "share of a class's own rows that are predicted as this class"),
    Term(
        "score",
        "the probability that is measured: the confidence, or that of the positive class",
        r"\bscores?\b",
    ),
    Term("slice", "the rows that share a value of a column"),
    Term(
        "top, positive, class",
        "what is measured: the confidence, the positive class, or each class against all others",
        r"\b(?:top|positive|view=\w+|-ece class)\b",
    ),
)


def section(page: Markup, level: float | None, namings: Iterable[Naming]) -> Markup:
    """Return the section that explains the words of a page.

    Args:
        page: its text.
        level: of its intervals.
        namings: how each of its files calls its classes.
    """
    probability = {
        said(POSITIVE.word): Term(said(POSITIVE.word), said(POSITIVE.meaning)) for said in namings
    }
    at = TERMS.index(POSITIVE)
    terms = [*TERMS[:at], *probability.values(), *TERMS[at + 1 :]]
    text = unescape(re.sub(r"<[^>]*>", " ", page))
    sure = percent(level or 0.95)
    entries = []
    for term in terms:
        if term.is_in(text):
            said = term.meaning.replace("{level}", sure)  # no `format`: names may hold braces
            entries.append(element("div", element("dt", term.word), element("dd", said)))
    return element(
        "section",
        element("h2", "Glossary"),
        element("dl", *entries, class_="glossary"),
        id="glossary",
    )
