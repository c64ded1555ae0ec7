"""Select: fair comparison, and a choice that says why."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.analysis.candidate import NOTHING, Candidate, choose
from calibtool.calibrators.crossfit import cross_fit
from calibtool.calibrators.registry import METHODS, finite_options
from calibtool.intervals.streams import Stream, generator
from calibtool.reports.render import render

FEW = ["temperature", "vector", "isotonic"]


@pytest.fixture(scope="module")
def found():
    return ct.select(simulate(2000, 3), "all", resamples=100)


def test_the_default_race_leaves_out_what_seldom_wins():
    p = simulate(300, 2)
    found = ct.select(p, resamples=0)
    names = {one.method for one in found.candidates}
    assert names == {NOTHING, *METHODS} - {"histogram", "scaling-binning", "bbq", "enir"}


def test_phi_is_what_a_calibrator_gains_over_nothing(found):
    for one in found.candidates:
        assert one.phi == pytest.approx(found[NOTHING].score - one.score)
    assert found[NOTHING].phi == 0
    assert found[found.best].phi == max(one.phi for one in found.candidates)
    apart = ct.select(simulate(400, 3), ["isotonic"], smoothing=False, resamples=0)
    assert apart["isotonic"].phi is None  # its NLL is infinite


@pytest.mark.parametrize("scan", [False, True])
def test_a_subsample_is_drawn_by_the_seed_and_said(scan, tmp_path):
    p = simulate(3000, 3)
    np.savez(tmp_path / "p.npz", logits=p.values, labels=p.labels)
    rows = ct.scan(tmp_path / "p.npz") if scan else p
    one, same, other = (
        ct.select(rows, ["temperature"], subsample=500, resamples=0, seed=s) for s in (1, 1, 2)
    )
    assert one["temperature"].score == same["temperature"].score
    assert one["temperature"].score != other["temperature"].score
    assert one.data.rows == one.calibrator.fitted.rows == 500
    assert one.how == "cross-fitted in 5 folds of 500 of 3,000 rows, drawn by seed 1"
    drawn = np.sort(generator(Stream.SUBSAMPLE, 1).choice(3000, 500, replace=False))
    assert one.calibrator.map.temperature == ct.fit("temperature", p.take(drawn)).map.temperature
    whole = ct.select(rows, ["temperature"], subsample=3000, resamples=0)
    assert whole.how == "cross-fitted in 5 folds"


def test_a_subsample_of_levels_says_levels(tmp_path):
    p = simulate(300, 3)
    np.savez(tmp_path / "p.npz", logits=p.values, labels=p.labels)
    for read in (ct.load, ct.scan):
        rows = read(tmp_path / "p.npz", ordinal=True)
        found = ct.select(rows, ["temperature"], subsample=200, resamples=0)
        assert found.data.describe().endswith("p.npz: 200 rows, 3 levels, logits")


def test_a_subsample_of_a_file_of_confidences_keeps_their_hits(tmp_path):
    rng = np.random.Generator(np.random.PCG64(0))
    confidence = rng.random(2000)
    correct = rng.random(2000) < confidence**2
    np.savez(tmp_path / "c.npz", confidence=confidence, correct=correct)
    scores = [
        ct.select(rows, ["platt"], subsample=300, resamples=0)["platt"].score
        for rows in (
            ct.scan(tmp_path / "c.npz"),
            ct.Predictions.from_confidence(confidence, correct),
        )
    ]
    assert scores[0] == scores[1]


def test_a_subsample_of_a_file_of_soft_labels_is_measured_as_such(tmp_path):
    votes = np.random.Generator(np.random.PCG64(0)).dirichlet(np.ones(3), 400)
    probs = votes**2 / (votes**2).sum(axis=1, keepdims=True)
    np.savez(tmp_path / "v.npz", probs=probs, votes=votes)
    scores = [
        ct.select(rows, ["temperature"], rank_by="brier", subsample=600, resamples=0)
        for rows in (read(tmp_path / "v.npz", soft_labels="votes") for read in (ct.scan, ct.load))
    ]
    assert scores[0]["temperature"].score == scores[1]["temperature"].score < 0.001
    assert scores[0][NOTHING].score == scores[1][NOTHING].score


def test_progress_is_told_per_method_as_a_share_of_the_whole():
    told = []
    ct.select(simulate(400, 3), FEW, resamples=50, progress=lambda *step: told.append(step))
    stages = [stage for stage, _ in told]
    assert {f"fitting {name}" for name in (NOTHING, *FEW)} < {*stages}
    assert all(stages.count(f"fitting {name}") >= 5 for name in (NOTHING, *FEW))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5 < shares[-1] < 1


def test_methods_are_a_list_or_a_text_of_names():
    rows = simulate(200, 2)
    found = ct.select(rows, "temperature, platt", resamples=0)
    assert sorted(one.method for one in found.candidates) == ["nothing", "platt", "temperature"]


def test_every_calibrator_and_nothing_are_candidates(found):
    assert sorted(one.method for one in found.candidates) == sorted([NOTHING, *METHODS])
    assert all(not one.failed for one in found.candidates)


def test_they_are_ranked_by_the_score(found):
    scores = [one.score for one in found.candidates]
    assert scores == sorted(scores)
    assert found.best == found.candidates[0].method
    assert found.candidates[0].behind == 0


@pytest.mark.parametrize("rank_by", ["nll", "brier"])
def test_the_score_is_that_of_the_cross_fit(rank_by):
    p = simulate(1500, 3)
    found = ct.select(p, FEW, rank_by=rank_by, resamples=50)
    for name in FEW:
        options = finite_options(name)
        numbered, judge = cross_fit(
            lambda rows, name=name, options=options: ct.fit(name, rows, **options), p, name
        )
        report = ct.evaluate(
            numbered,
            ["nll", "brier", "ece", "classwise-ece", "accuracy"],
            calibrator=judge,
            ci="none",
        )
        nll, brier, ece, classwise, accuracy = (one.value for one in report.after)
        one = found[name]
        assert (one.nll, one.brier, one.accuracy) == pytest.approx((nll, brier, accuracy))
        assert (one.ece, one.classwise_ece) == pytest.approx((ece, classwise))
        assert one.score == pytest.approx(nll if rank_by == "nll" else brier)


def test_the_interval_is_that_of_the_paired_difference():
    p = simulate(3000, 3)
    found = ct.select(p, ["temperature", "structured-vector"], resamples=1000)
    behind = next(one for one in found.candidates if one.method == NOTHING)
    loss = {}
    for name in ("temperature", "structured-vector"):
        numbered, judge = cross_fit(lambda rows, name=name: ct.fit(name, rows), p, name)
        z = judge(numbered).values
        z = z - z.max(axis=1, keepdims=True)
        loss[name] = np.log(np.exp(z).sum(axis=1)) - z[np.arange(p.rows), p.labels]
    z = p.values - p.values.max(axis=1, keepdims=True)
    plain = np.log(np.exp(z).sum(axis=1)) - z[np.arange(p.rows), p.labels]
    difference = plain - loss[found.best]
    error = difference.std() / np.sqrt(p.rows)
    assert behind.behind == pytest.approx(difference.mean())
    assert behind.error == pytest.approx(error, rel=0.1)
    assert behind.low == pytest.approx(difference.mean() - 1.96 * error, abs=0.3 * error)
    assert behind.high == pytest.approx(difference.mean() + 1.96 * error, abs=0.3 * error)


def candidate(method, numbers, behind, error):
    return Candidate(method, numbers=numbers, score=1 + behind, behind=behind, error=error)


def test_the_simplest_within_one_standard_error_is_chosen():
    best = candidate("matrix", 110, 0.0, 0.0)
    near = candidate("vector", 20, 0.001, 0.002)
    simple = candidate("temperature", 1, 0.003, 0.004)
    far = candidate(NOTHING, 0, 0.05, 0.01)
    assert choose([best, near, simple, far], "nll")[0] == "temperature"
    assert choose([best, near, far], "nll")[0] == "vector"
    method, why = choose([best, far], "nll")
    assert method == "matrix"
    assert why == "matrix has the best nll, and nothing simpler is within one standard error of it."


def test_a_probability_of_exactly_0_is_no_choice_where_others_are_as_near():
    best = candidate("platt", 2, 0.0, 0.0)
    near = candidate("temperature", 1, 0.001, 0.002)
    method, why = choose([best, near], "nll", {"temperature"})
    assert method == "platt"
    assert why == (
        "platt has the best nll. temperature is simpler and as near, but leaves probabilities of "
        "exactly 0: the first row that proves one wrong has an infinite NLL."
    )
    assert choose([near, best], "nll", {"temperature", "platt"})[0] == "temperature"
    far = candidate("platt", 2, 0.3, 0.002)
    assert choose([near, far], "nll", {"temperature"})[0] == "temperature"


@pytest.mark.parametrize("rank_by", ["nll", "brier"])
def test_a_temperature_that_leaves_certainties_is_not_chosen_by_nll(rank_by):
    """Half of the rows are certain, and right so far; the others are overconfident."""
    rng = np.random.Generator(np.random.PCG64(3))
    x = rng.normal(0, 2, 600)
    labels = (rng.random(600) < 1 / (1 + np.exp(-x / 2))).astype(int)
    p = np.where(np.arange(600) % 2 == 0, labels.astype(float), 1 / (1 + np.exp(-x)))
    found = ct.select(
        ct.Predictions.from_probs(p, labels), ["temperature", "platt"], rank_by=rank_by, resamples=0
    )
    assert found.chosen == ("platt" if rank_by == "nll" else "temperature")
    assert ("exactly 0" in found.why) == (rank_by == "nll")


def test_what_is_chosen_is_fitted_on_everything(found):
    p = simulate(2000, 3)
    again = ct.fit(found.chosen, p, **finite_options(found.chosen))
    assert found.calibrator.parameters() == again.parameters()
    assert found.calibrator.fitted.rows == 2000


def test_nothing_is_chosen_where_nothing_helps():
    p = simulate(4000, 3, scale=1.0)
    found = ct.select(p, ["temperature", "histogram"], resamples=200)
    assert found.chosen == NOTHING
    np.testing.assert_array_equal(found.calibrator(p).values, p.values)
    assert "nothing" in found.calibrator.fitted.notes[0]


def test_a_test_set_is_measured_instead_of_cross_fitting():
    val, test = simulate(2000, 3), simulate(1500, 3, seed=1)
    found = ct.select(val, FEW, test=test, resamples=50)
    assert found.data.rows == 1500
    cal = ct.fit("vector", val)
    report = ct.evaluate(test, ["nll"], calibrator=cal, ci="none")
    assert found["vector"].nll == pytest.approx(report.after[0].value)


def test_one_that_cannot_be_fitted_is_told_with_the_reason():
    p = simulate(300, 3)
    p = replace(p, labels=p.labels % 2)  # class 2 has no rows
    found = ct.select(p, ["temperature", "vector"], resamples=50)
    assert "class 2 has no rows" in found["vector"].failed
    assert found.candidates[-1].method == "vector"
    assert "Not fitted: vector" in render(found, "table", width=80, colour=False)


def test_those_that_give_zeros_are_smoothed_so_that_they_can_be_ranked(found):
    for name in ("isotonic", "histogram"):
        assert np.isfinite(found[name].nll)
        assert found[name].low is not None
    val, test = simulate(2000, 3), simulate(1500, 3, seed=1)
    ranked = ct.select(val, ["isotonic"], test=test, resamples=50)
    smooth = ct.fit("isotonic", val, smoothing=True)
    assert ranked["isotonic"].nll == pytest.approx(
        ct.evaluate(test, ["nll"], calibrator=smooth, ci="none").after[0].value
    )
    # the calibrator that is kept is the one that was measured
    assert ranked.chosen == "isotonic"
    assert ranked.calibrator.parameters() == smooth.parameters()


def test_an_infinite_score_comes_last_and_says_so(found):
    p = simulate(400, 2)
    ranked = ct.select(p, ["isotonic", "temperature"], smoothing=False, resamples=50)
    assert ranked["isotonic"].score == np.inf
    assert ranked.candidates[-1].method == "isotonic"
    assert ranked["isotonic"].low is None


def test_ties_and_flips():
    p = simulate(1500, 2)
    one = ct.Predictions.from_logits(p.values[:, 1] - p.values[:, 0], p.labels)
    found = ct.select(one, ["temperature", "histogram"], resamples=50)
    assert found["temperature"].flips == 0
    assert found["temperature"].ties == 0
    # 15 bins remain of about 300 scores in each fold
    assert found["histogram"].ties == pytest.approx(1 - 15 / 300, abs=0.01)


def test_weights_count_like_copies():
    p = simulate(600, 3)
    copies = np.random.Generator(np.random.PCG64(1)).integers(1, 3, p.rows)
    weighted = replace(p, weights=copies.astype(float))
    found = ct.select(weighted, ["temperature"], resamples=50, test=weighted)
    repeated = p.take(np.repeat(np.arange(p.rows), copies))
    again = ct.select(repeated, ["temperature"], resamples=50, test=repeated)
    assert found["temperature"].nll == pytest.approx(again["temperature"].nll)
    assert found.prior == pytest.approx(again.prior)


def test_the_same_digits_again(found):
    again = ct.select(simulate(2000, 3), "all", resamples=100)
    for a, b in zip(found.candidates, again.candidates, strict=True):
        assert (a.method, a.score, a.behind, a.low, a.high) == (
            b.method,
            b.score,
            b.behind,
            b.low,
            b.high,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank_by": "ece"}, r"--rank-by must be one of nll, brier \(got .ece.\)"),
        ({"methods": ["temprature"]}, "did you mean temperature"),
        ({"resamples": 3}, "at least 20"),
        ({"subsample": 0}, r"--subsample must be at least 1 \(got 0\)"),
        ({"subsample": 9}, "too few to cross-fit"),
        ({"level": 2}, "between 0 and 1"),
    ],
)
def test_bad_use_is_an_error(options, message):
    with pytest.raises(ct.CalibtoolError, match=message):
        ct.select(simulate(100, 3), **options)


def test_too_few_rows_to_cross_fit_are_an_error():
    with pytest.raises(ct.CalibtoolError, match="too few to cross-fit"):
        ct.select(simulate(9, 3))


def test_rows_without_labels_are_not_too_few_to_cross_fit_but_unlabelled():
    p = replace(simulate(100, 3), labels=None)
    with pytest.raises(ct.CalibtoolError, match="has no labels"):
        cross_fit(lambda rows: ct.fit("temperature", rows), p, "temperature")


@pytest.mark.parametrize("format_", ["json", "csv", "markdown", "table"])
def test_every_format_tells_every_candidate(found, format_):
    terminal = {"width": 80, "colour": False} if format_ == "table" else {}
    text = render(found, format_, **terminal)
    for name in (NOTHING, *METHODS):
        assert name in text
    if format_ == "table":
        assert max(map(len, text.splitlines())) <= 80
    if format_ == "json":
        document = json.loads(text)
        assert document["format"] == "calibtool-selection"
        assert document["chosen"] == found.chosen
        assert document["candidates"][0]["skill"] == found.skill(found.candidates[0])


def test_the_figure_is_the_same_bytes_again(found, tmp_path):
    from calibtool.diagrams import figure

    for name in ("a.png", "b.png", "a.svg"):
        figure.save("skill", found, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "structured-vector" in (tmp_path / "a.svg").read_text()


def test_a_candidate_that_makes_a_proper_score_worse_says_so():
    p = simulate(300, 10, scale=1.0)  # calibrated: there is nothing to gain
    found = ct.select(p, ["temperature", "vector", "histogram"], resamples=50)
    assert found["vector"].worse == "nll, brier"
    assert found["histogram"].worse.startswith("nll")
    assert (found["temperature"].worse, found[NOTHING].worse) == ("", "")
    assert "Worse than nothing beyond chance: " in str(found)


def test_a_choice_that_makes_the_other_score_worse_is_warned_of(found):
    harmed = replace(found[found.chosen], worse="brier")
    rest = [one for one in found.candidates if one.method != found.chosen]
    text = str(replace(found, candidates=(harmed, *rest)))
    assert f"Warning: {found.chosen} makes the Brier score worse: " in text
