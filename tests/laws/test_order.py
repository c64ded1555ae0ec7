"""Laws of errors of the same bins: which is never below which, and which add up."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.metrics.spec import parse

VIEWS = ("top", "class", "label")
PROFILES = ("equal_width", "equal_mass", "equal_rows", "sweep_mass")


def weighted():
    p = simulate(400, 3, scale=1.4)
    weights = np.random.Generator(np.random.PCG64(3)).lognormal(size=p.rows)
    return ct.Predictions.from_logits(p.values, p.labels, weights=weights)


def verbalised():
    """Confidences of few values, all a tenth too high."""
    rng = np.random.Generator(np.random.PCG64(4))
    said = rng.choice([0.6, 0.8, 0.9, 1.0], 300)
    top, hit = rng.integers(0, 3, 300), rng.random(300) < said - 0.1
    probs = np.repeat((1 - said[:, None]) / 2, 3, axis=1)
    probs[np.arange(300), top] = said
    return ct.Predictions.from_probs(probs, np.where(hit, top, (top + 1) % 3))


def rare():
    """Two classes, one of which is hardly ever seen."""
    rng = np.random.Generator(np.random.PCG64(5))
    score = rng.beta(0.3, 30, 500)
    return ct.Predictions.from_probs(np.stack([1 - score, score], 1), rng.random(500) < score)


MADE = {
    "overconfident": lambda: simulate(300, 4),
    "calibrated": lambda: simulate(1000, 3, scale=1.0, seed=2),
    "weighted": weighted,
    "verbalised": verbalised,
    "rare": rare,
}
NAMES = ("ece", "rmsce", "mce", "average-ce", "overconfidence-error", "underconfidence-error")
ERRORS = [
    f"{name}(view={view},profile={profile})"
    for name in (
        "ece",
        "rmsce",
        "mce",
        "average-ce",
        "overconfidence-error",
        "underconfidence-error",
    )
    for view in VIEWS
    for profile in PROFILES
]


@cache
def report(data, specs):
    return ct.evaluate(MADE[data](), specs, resamples=400)


def named(data, name, view, profile):
    return report(data, tuple(ERRORS))[spec_of(name, view, profile)]


def spec_of(name, view, profile):
    return parse(f"{name}(view={view},profile={profile})").name


def assert_in_order(*smallest_first):
    for part in ("value", "low", "corrected", "high"):
        ends = [getattr(estimate, part) for estimate in smallest_first]
        assert all(a <= b + 1e-12 for a, b in pairwise(ends)), (part, ends)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("data", MADE)
def test_ece_is_at_most_rmsce_and_that_at_most_mce(data, view, profile):
    assert_in_order(*(named(data, name, view, profile) for name in ("ece", "rmsce", "mce")))
    assert_in_order(*(named(data, name, view, profile) for name in ("average-ce", "mce")))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("data", MADE)
def test_the_two_sided_parts_add_up_to_the_ece(data, view, profile):
    whole, over, under = (
        named(data, name, view, profile)
        for name in ("ece", "overconfidence-error", "underconfidence-error")
    )
    assert over.value + under.value == pytest.approx(whole.value, abs=1e-12)
    assert over.corrected + under.corrected == pytest.approx(whole.corrected, abs=1e-12)
    for part in (over, under):
        assert part.low <= part.corrected <= part.high
        assert part.low <= whole.low
        assert part.high <= max(whole.high, part.corrected)


@pytest.mark.parametrize("options", ["", "bins=10", "bins=10,view=class", "profile=sweep_mass"])
def test_norms_by_option_are_in_order_too(options):
    specs = [f"ece({options},norm={norm})".replace("(,", "(") for norm in ("l1", "l2", "worst")]
    estimates = ct.evaluate(MADE["overconfident"](), specs, resamples=100).estimates
    assert_in_order(*estimates)


@pytest.mark.parametrize("names", [("ece", "rmsce", "mce"), ("classwise-ece", "mce(view=class)")])
@pytest.mark.parametrize("classes", [3, 200])
def test_errors_from_cells_are_in_order(names, classes):
    summary = ct.cells(simulate(2000, classes), metrics=list(names))
    assert_in_order(*ct.evaluate(summary, names, resamples=100).estimates)


def test_clustered_errors_are_in_order(tmp_path):
    p = simulate(600, 3)
    file = tmp_path / "clustered.npz"
    user = np.arange(p.rows) // 6
    np.savez(file, logits=p.values, labels=p.labels, user=user)
    names = ["ece", "rmsce", "mce", "classwise-ece", "tace"]
    found = ct.evaluate(ct.scan(file), names, cluster="user", resamples=100)
    assert_in_order(*found.estimates[:3])
    assert found["tace"].low is not None


@pytest.mark.parametrize("data", MADE)
def test_an_error_is_the_same_whatever_else_is_measured(data):
    """Order must not depend on which metrics stand in the table."""
    names = [*ERRORS, "tace", "mcb", "dsc", "resolution", "debiased-ece", "tace(denominator=all)"]
    together = ct.evaluate(MADE[data](), names, resamples=60)
    for name in names[:: 1 if data == "overconfident" else 5]:
        alone = ct.evaluate(MADE[data](), [name], resamples=60).estimates[0]
        assert alone == together[alone.name]


PARTS = [
    tuple(f"{name}{options}" for name in parts)
    for parts in (("mcb", "dsc", "unc"), ("reliability", "resolution", "uncertainty"))
    for options in ("", "(view=class)", "(view=label)")
]
PARTS += [("mcb(score=log)", "dsc(score=log)", "unc(score=log)")]
PARTS += [("reliability(bins=5)", "resolution(bins=5)", "uncertainty")]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: parts[0])
@pytest.mark.parametrize("data", ["overconfident", "calibrated", "weighted"])
def test_corrected_parts_of_a_score_add_up_as_the_values_do(data, parts):
    error, gain, spread = (report(data, parts)[name] for name in parts)
    of_values = error.value - gain.value + spread.value
    of_corrected = error.corrected - gain.corrected + spread.corrected
    assert of_corrected == pytest.approx(of_values, abs=1e-12)
    for estimate in (error, gain):
        assert estimate.low <= estimate.corrected <= estimate.high
        assert estimate.corrected >= 0


def test_the_parts_of_corp_add_up_to_the_brier_score_of_the_view():
    p = MADE["overconfident"]()
    found = ct.evaluate(p, ["mcb", "dsc", "unc"], resamples=60)
    rows = ct.Predictions.from_logits(p.values, p.labels)
    probs = np.exp(rows.values) / np.exp(rows.values).sum(axis=1, keepdims=True)
    brier = np.mean((probs.max(axis=1) - (probs.argmax(axis=1) == rows.labels)) ** 2)
    for part in ("value", "corrected"):
        mcb, dsc, unc = (getattr(found[name], part) for name in ("mcb", "dsc", "unc"))
        assert mcb - dsc + unc == pytest.approx(brier, abs=1e-12)
