"""Wording: a report's numbers in plain words, which claim no more than the intervals show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from calibtool.data.predictions import in_names
from calibtool.evaluation.report import Report
from calibtool.formatting import Lines, capitalized, changed, interval, joined, number, percent
from calibtool.intervals.direction import direction, is_worse
from calibtool.intervals.estimate import Estimate
from calibtool.metrics.kinds import Score
from calibtool.metrics.spec import parse

# the proper scores that a calibrator must not make worse, as they are called in a sentence
PROPER = {"nll": "NLL", "brier": "the Brier score"}
NAMED = 3  # measures that a sentence lists: with more it cannot be read
# (scores of class 1 rather than confidences, mean score above the mean outcome) -> in words
_SIDE = {
    (False, True): "Overconfident",
    (False, False): "Underconfident",
    (True, True): "Class 1 is over-predicted",
    (True, False): "Class 1 is under-predicted",
}


def read(report: Report) -> str:
    """Return a sentence or two about calibration and, on a separate line, the next step."""
    lead = leading(report.estimates)
    sentence = _state(report, lead, report.bias)
    if report.calibrator:
        return f"{_effect(report, lead)} Before: {sentence}"
    seen = lead is not None and is_tested(lead) and is_visible(lead)
    if not seen and not missed(report.estimates):
        return sentence
    return Lines.of([sentence, _next(report)])


def state(report: Report) -> str:
    """Return a sentence about the predictions as given."""
    return _state(report, leading(report.estimates), report.bias)


def effect(report: Report) -> str:
    """Return a sentence about what the calibrator does to the first calibration error; "" without a
    calibrator."""
    return _effect(report, leading(report.estimates)) if report.calibrator else ""


def leading(estimates: tuple[Estimate, ...]) -> Estimate | None:
    """Return the calibration error that the sentences are about: the first in the table."""
    return next((e for e in estimates if e.value is not None and of_calibration(e)), None)


def of_calibration(estimate: Estimate) -> bool:
    """Return whether an estimate is about the scores of a view, and no proper score of them."""
    return bool(estimate.view) and not isinstance(parse(estimate.name).metric, Score)


def is_visible(error: Estimate) -> bool:
    """Return whether the interval of a calibration error excludes 0."""
    return error.low is not None and error.low > 0


def is_tested(estimate: Estimate) -> bool:
    """Return whether a p-value and an interval are of a calibration error, and not of a statistic
    that grows with the rows."""
    return parse(estimate.name).is_error


def is_borderline(error: Estimate, report: Report) -> bool:
    """Return whether the one-sided p-value rejects perfect calibration, and the interval does
    not."""
    rejected = error.p_value is not None and error.p_value < 1 - (report.level or 0.95)
    return rejected and not is_visible(error)


def missed(estimates: Iterable[Estimate]) -> list[Estimate]:
    """Return the measures whose interval excludes the value that a calibrated model has: 0 for
    calibration in the large and the intercept, 1 for O:E and the slope."""
    return [e for e in estimates if e.better == "nearer" and _excludes_ideal(e)]


def other_errors(estimates: Iterable[Estimate]) -> list[Estimate]:
    """Return the calibration errors but the first whose interval excludes 0.

    Of several errors one excludes 0 by chance more often than one alone: of 150 calibrated models,
    800 rows each, the first of the default table did in 3, some of the others in 14. They make a
    verdict borderline, no more.
    """
    listed = tuple(estimates)
    lead = leading(listed)
    return [e for e in listed if e is not lead and _excludes_ideal(e) and is_tested(e)]


def _excludes_ideal(estimate: Estimate) -> bool:
    ends = (estimate.low, estimate.ideal, estimate.high)
    low, ideal, high = (0.0 if end is None else end for end in ends)
    return None not in ends and not low <= ideal <= high


def misses(estimates: Sequence[Estimate]) -> str:
    """Return what the intervals of measures exclude, in words.

    >>> off = [Estimate("citl", 0.3, low=0.2, high=0.4, ideal=0),
    ...     Estimate("oe-ratio", 1.2, low=1.1, high=1.3, ideal=1)]
    >>> misses(off)
    'citl 0.3000 [0.2000, 0.4000] excludes 0 and oe-ratio 1.2000 [1.1000, 1.3000] excludes 1'
    """
    shown = [
        f"{e.name} {number(e.best)} {interval(e.low, e.high)} excludes {e.ideal:g}"
        for e in estimates[:NAMED]
    ]
    return _listed(shown, len(estimates), " exclude theirs")


def misses_shortly(estimates: Sequence[Estimate]) -> str:
    """Return which measures have an interval without their ideal, beside a table of the intervals.

    >>> off = [Estimate("citl", 0.3, low=0.2, high=0.4, ideal=0),
    ...     Estimate("oe-ratio", 1.2, low=1.1, high=1.3, ideal=1)]
    >>> misses_shortly(off[:1])
    'the interval of citl excludes 0'
    >>> misses_shortly(off)
    'the intervals of citl and oe-ratio exclude their ideals'
    """
    names = _listed([e.name for e in estimates[:NAMED]], len(estimates))
    ideals = {f"{e.ideal:g}" for e in estimates}
    ideal = ideals.pop() if len(ideals) == 1 else "their ideals"
    if len(estimates) == 1:
        return f"the interval of {names} excludes {ideal}"
    return f"the intervals of {names} exclude {ideal}"


def _listed(shown: Sequence[str], count: int, does: str = "") -> str:
    """Return what is shown of `count`, and the number of the others with what they do."""
    more = count - len(shown)
    return joined([*shown, f"{more} more{does}"] if more > 0 else shown)


def _state(report: Report, lead: Estimate | None, bias: Estimate | None) -> str:
    means = _means(report, bias)
    off = missed(report.estimates)
    if off and not (lead is not None and is_tested(lead) and is_visible(lead)):
        though = ""
        if lead is not None and lead.name not in [e.name for e in off] and lead.p_value is not None:
            though = f", though not by {lead.name} ({p_text(lead.p_value)})"
        said = f"Miscalibrated at n = {report.data.rows:,}{though}: {misses_shortly(off)}."
        return f"{said} {capitalized(means)}." if means else said
    if lead is None or not is_tested(lead) or lead.p_value is None or lead.high is None:
        return f"{capitalized(means)}." if means else ""
    others = other_errors(report.estimates)
    if is_borderline(lead, report) or (others and not is_visible(lead)):
        but = f"; but {misses_shortly(others)}" if others else ""
        return (
            f"Borderline at n = {report.data.rows:,} ({p_text(lead.p_value)}): "
            f"{_title(lead)} of 0 is not excluded, nor is one of {lead.high:.2g}{but}."
        )
    if not is_visible(lead):
        unseen = f"{_title(lead)} of up to {lead.high:.2g} would go unseen"
        return (
            f"No miscalibration visible at n = {report.data.rows:,} (p = {lead.p_value:.2f})"
            f"{f'; {unseen}' if lead.high > 0 else ''}."
        )
    p = p_text(lead.p_value)
    if bias is None or bias.low is None or bias.high is None or bias.low <= 0 <= bias.high:
        return (
            f"Miscalibrated ({p}): the true {lead.name} lies between {lead.low:.3g} and "
            f"{lead.high:.3g}, too high in some bins, too low in others."
        )
    side = _named(report, _SIDE[lead.view == "positive", bias.low > 0])
    return f"{side}: {means} ({p})."


def _means(report: Report, bias: Estimate | None) -> str:
    """Return the mean score and the mean outcome in words; "" if they were not measured."""
    if bias is None or report.said is None or report.was is None:
        return ""
    if bias.view == "positive":
        said, was = percent(report.said, 1), percent(report.was, 1)
        text = f"P(class 1) is {said} on average, {was} of the rows are class 1"
        return _named(report, text)
    return f"says {percent(report.said, 1)}, is right {percent(report.was, 1)} of the time"


def _named(report: Report, text: str) -> str:
    return in_names(text, report.class_names, report.data.unit)


def _effect(report: Report, lead: Estimate | None) -> str:
    after = leading(report.after)
    change = next((c for c in report.change if lead and c.name == lead.name), None)
    if lead is None or after is None or change is None or lead.value is None:
        return f"{report.calibrator}."
    worse = "".join(f" makes {harm}," for harm in harms(report))
    start = f"{report.calibrator}{worse[:-1]}; " if worse else f"{report.calibrator}: "
    shown = changed(lead.best, after.best, change.low, change.high)
    text = f"{start}{lead.name} {shown.before} to {shown.after}"
    if change.low is None or change.high is None:
        return f"{text}."
    verdict = direction(lead, after, change) or "no visible change"
    if after.p_value is None or not is_tested(after):
        return f"{text}, {verdict}."
    if (off := missed(report.after)) and not is_visible(after):
        still = f"miscalibration is still visible: {misses_shortly(off)}"
    elif is_borderline(after, report):
        still = f"what is left is borderline ({p_text(after.p_value)})"
    elif is_visible(after):
        still = f"miscalibration is still visible ({p_text(after.p_value)})"
    elif others := other_errors(report.after):
        still = f"what is left is borderline: {misses_shortly(others)}"
    else:
        still = f"no remaining miscalibration was detected (p = {after.p_value:.2f})"
    return f"{text}, {verdict}; {still}."


def harms(report: Report) -> list[str]:
    """Return the proper scores that the calibrator makes worse beyond chance: "NLL worse: 0.4100 to
    0.4500".

    They come before everything else that it does: a calibration error can be lowered by predicting
    the same for every row, a proper score cannot.
    """
    changes = zip(report.estimates, report.after, report.change, strict=True)
    return [
        f"{_score_title(before.name)} worse: {number(before.value)} to {number(after.value)}"
        for before, after, change in changes
        if before.name.partition("(")[0] in PROPER and is_worse(before, after, change)
    ]


def _score_title(name: str) -> str:
    base, options, rest = name.partition("(")
    return f"{PROPER[base]} ({rest}" if options else PROPER[base]


def _next(report: Report) -> str:
    if report.data.kind == "confidence":
        return f"Next: calibtool plot reliability {report.data.source} -o reliability.png"
    return "Next: calibtool select VALIDATION_FILE -o best.json"


def _title(estimate: Estimate) -> str:
    article = "an" if estimate.name[0] in "aeio" else "a"
    return f"{article} {estimate.name}"


def p_text(p: float) -> str:
    """Return a p-value as it is printed."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.0995 else f"p = {p:.2f}"
