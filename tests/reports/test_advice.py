"""A verdict and its advice contradict none of the numbers beside them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from calibtool.data.predictions import DataInfo
from calibtool.evaluation.report import Report
from calibtool.evaluation.wording import read
from calibtool.intervals.estimate import Estimate
from calibtool.reports.page.advice import about_file

DATA = DataInfo("file.csv", 800, 2, "probs")
UNSEEN = {"value": 0.02, "low": 0.0, "high": 0.03, "p_value": 0.2}
SEEN = {"value": 0.05, "low": 0.02, "high": 0.08, "p_value": 0.001}
BORDER = {"value": 0.03, "low": 0.0, "high": 0.05, "p_value": 0.03}
KEEP = "Use the probabilities as they are"
MORE = "Measure on more rows"


def error(name="ece", **numbers):
    return Estimate(name, **numbers, view="positive", ideal=0)


def near(name, low, high, ideal):
    towards = {"view": "positive", "better": "nearer", "ideal": ideal}
    return Estimate(name, (low + high) / 2, low=low, high=high, **towards)


def report(*estimates, **more):
    bias = near("bias", -0.03, 0.01, 0)
    return Report(DATA, estimates, bias=bias, said=0.3, was=0.31, view="positive", **more)


def advice(found, **more):
    subject = SimpleNamespace(
        **{"report": found, "fix": None, "no_fix": "None was tried.", "selection": None} | more
    )
    return about_file(SimpleNamespace(flags="", level=0.95), subject)


CITL, RATIO = near("citl", 0.2, 0.4, 0), near("oe-ratio", 1.1, 1.3, 1)
SLOPE, INTERCEPT = near("cox-slope", 0.6, 0.9, 1), near("cox-intercept", -0.5, -0.2, 0)
GOOD = (near("citl", -0.1, 0.2, 0), near("oe-ratio", 0.9, 1.1, 1), near("cox-slope", 0.8, 1.2, 1))
CASES = {
    # estimates: how the sentence begins, what else it says, how the advice begins
    "nothing is off": ((error(**UNSEEN), *GOOD), "No miscalibration visible", "", KEEP),
    "the error": ((error(**SEEN), *GOOD), "Miscalibrated (p = 0.001)", "", "Do not use"),
    "citl": (
        (error(**UNSEEN), CITL),
        "Miscalibrated at n = 800",
        "of citl excludes 0",
        "Recalibrate: the interval of citl",
    ),
    "O:E": (
        (error(**UNSEEN), RATIO),
        "Miscalibrated at",
        "excludes 1",
        "Recalibrate: the interval of oe-ratio",
    ),
    "slope": (
        (error(**UNSEEN), SLOPE),
        "Miscalibrated at",
        "excludes 1",
        "Recalibrate: the interval of cox-slope",
    ),
    "intercept": (
        (error(**UNSEEN), INTERCEPT),
        "Miscalibrated at",
        "the interval of cox-intercept excludes 0",
        "Recalibrate: the interval of cox-intercept",
    ),
    "alone": (
        (INTERCEPT,),
        "Miscalibrated at n = 800: the interval of cox",
        "31.0 %",
        "Recalibrate",
    ),
    "beside a borderline error": (
        (error(**BORDER), CITL),
        "Miscalibrated at",
        "though not by ece (p = 0.030)",
        "Recalibrate",
    ),
    "many": (
        (error(**UNSEEN), CITL, RATIO, SLOPE, INTERCEPT),
        "Miscalibrated at",
        "the intervals of citl, oe-ratio, cox-slope and 1 more exclude their ideals",
        "Recalibrate",
    ),
    "another error": (
        (error(**UNSEEN), error("mce", **SEEN)),
        "Borderline at n = 800 (p = 0.20)",
        "but the interval of mce excludes 0",
        MORE,
    ),
    "no intervals": (
        (error(value=0.02), Estimate("citl", 0.3, better="nearer", ideal=0)),
        "P(class 1) is 30.0 %",
        "",
        "Measure with intervals",
    ),
}


@pytest.mark.parametrize(("estimates", "start", "says", "action"), CASES.values(), ids=CASES)
def test_sentence_and_advice_agree_with_every_interval(estimates, start, says, action):
    found = report(*estimates)
    sentence, given = read(found), advice(found)
    assert sentence.startswith(start)
    assert says in sentence.replace("\n", " ")
    assert given.action.startswith(action)
    off = action not in (KEEP, MORE) and "intervals" not in action
    assert ("calibtool select" in sentence) == bool(given.command) == off


def test_how_sure_names_the_measures_and_chance():
    found = report(error(**UNSEEN), CITL, *GOOD[1:])
    assert advice(found).certainty.startswith(
        "By their intervals, citl 0.3000 [0.2000, 0.4000] excludes 0. Each of 3 such intervals "
        "excludes the ideal of 5 % of calibrated models by chance. By ece alone, sure only up to a "
        "size: "
    )


FIX = SimpleNamespace(title="Platt scaling (a = 1)", method="platt")


@pytest.mark.parametrize(
    ("after", "change", "says"),
    [
        (near("citl", -0.1, 0.1, 0), (-0.4, -0.2), "Apply Platt scaling; fit it on"),
        (near("citl", 0.1, 0.2, 0), (-0.2, -0.1), "Some miscalibration is left"),
        (near("citl", 0.2, 0.4, 0), (-0.1, 0.1), "does not visibly correct citl. Look for"),
        (near("citl", -0.25, 0.05, 0), (-0.5, -0.4), "Apply Platt scaling; fit it on"),
        (near("citl", -0.4, -0.2, 0), (-0.7, -0.5), "does not visibly correct citl. Look for"),
    ],
    ids=["corrected", "partly", "not", "too uncertain to call it nearer", "past the ideal"],
)
def test_a_calibrator_is_judged_by_what_was_off(after, change, says):
    same = error(value=0.0, low=-0.01, high=0.01)
    moved = Estimate("citl", sum(change) / 2, low=change[0], high=change[1])
    found = report(
        *(error(**UNSEEN), CITL),
        after=(error(**UNSEEN), after),
        change=(same, moved),
        calibrator="Platt scaling",
    )
    given = advice(found, fix=FIX)
    assert given.action.startswith("Recalibrate: the interval of citl excludes 0. ")
    assert says in given.action
    left = after.low > 0 or after.high < 0
    assert ("miscalibration is still visible: the interval of citl" in read(found)) == left
