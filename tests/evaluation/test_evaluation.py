"""Evaluate: same digits everywhere, and intervals that mean what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators.maps import Power
from calibtool.data import blocks
from calibtool.data.files.open import open_source
from calibtool.errors import InputError, UsageError
from calibtool.evaluation import collect
from calibtool.evaluation.wording import read
from calibtool.intervals import draws
from calibtool.intervals.draws import Draws
from calibtool.intervals.inversion import Inversion
from calibtool.metrics.norms import l1
from calibtool.metrics.profiles import Profile


def digits(report):
    return [(e.name, e.value, e.low, e.high, e.corrected, e.p_value) for e in report]


def test_one_thread_or_four_give_the_same_digits(overconfident):
    one = ct.evaluate(overconfident, resamples=150, threads=1)
    four = ct.evaluate(overconfident, resamples=150, threads=4)
    assert digits(one) == digits(four)


def test_the_threads_of_blas_change_no_digit(examples):
    file = str(examples / "fashion_test.npz")
    code = f"from calibtool.cli.main import main; main(['evaluate', {file!r}, '--format', 'json'])"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(found) == 1
    assert b'"ece"' in found.pop()


def test_a_file_read_in_blocks_gives_the_same_digits_as_predictions_in_memory(tmp_path):
    p = simulate(40_000, 3)
    np.savez(tmp_path / "p.npz", logits=p.values, labels=p.labels)
    whole = ct.evaluate(p, resamples=60)
    assert digits(ct.evaluate(open_source(tmp_path / "p.npz"), resamples=60)) == digits(whole)


def test_one_parquet_file_or_forty_give_the_same_digits(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    p = simulate(3000, 3)
    table = pa.table({f"logit_{k}": p.values[:, k] for k in range(3)} | {"label": p.labels})
    pq.write_table(table, tmp_path / "one.parquet")
    (tmp_path / "forty").mkdir()
    for k in range(40):
        pq.write_table(table.slice(k * 75, 75), tmp_path / "forty" / f"{k:02}.parquet")
    one = ct.evaluate(open_source(tmp_path / "one.parquet"), resamples=60)
    forty = ct.evaluate(open_source(tmp_path / "forty"), resamples=60)
    assert digits(one) == digits(forty)


def test_the_first_replicates_do_not_depend_on_how_many_are_drawn():
    few, many = Draws(100, 7, 3000), Draws(1000, 7, 3000)
    a = few.weights(0, 3000, few.groups[0])
    b = many.weights(0, 3000, many.groups[0])
    np.testing.assert_array_equal(a, b[:, :100])
    np.testing.assert_array_equal(many.weights(1024, 2048, many.groups[0]), b[1024:2048])


def test_weights_have_mean_and_variance_one():
    shares = np.array(draws.SHARES) / 256
    values = np.arange(len(shares))
    assert shares.sum() == 1
    assert (shares * values).sum() == 1
    assert (shares * values**2).sum() == 2
    drawn = Draws(128, 0, 50_000).weights(0, 50_000, slice(0, 128))
    np.testing.assert_allclose(
        np.bincount(drawn.astype(int).ravel(), minlength=6) / drawn.size, shares, atol=1e-3
    )


def test_replicates_are_literal_reweightings_of_the_rows():
    """The class view's shortcut against the definition, row by row."""
    p = simulate(2500, 4)
    weight = np.random.Generator(np.random.PCG64(3)).random(p.rows)
    p = ct.Predictions.from_logits(p.values, p.labels, weights=weight)
    draw = Draws(3, 5, p.rows)
    found = collect.collect(
        p.blocks(1024), [lambda block: block], wanted=blocks.Wanted(1 / 15), draws=draw, threads=2
    )[0]
    edges = np.arange(1, 16) / 15
    bins = found.classes.occupied(edges)
    gap, mass = found.classes.replicates(edges, bins, 2, lambda share: None)
    drawn = draw.weights(0, p.rows, slice(0, 3))
    for r in range(3):
        some = ct.Predictions.from_logits(
            p.values, p.labels, weights=weight * drawn[:, r].astype(float)
        )
        own = collect.collect(
            [some], [lambda b: b], wanted=blocks.Wanted(1 / 15), draws=None, threads=1
        )[0]
        cells = own.classes.cells(edges)
        # class sums are rounded to a grid: a ten-thousandth of what a replicate varies by
        np.testing.assert_allclose(gap[r], (cells.y - cells.p) / cells.total[0], atol=2e-6)
        np.testing.assert_allclose(mass[r], cells.n / cells.total[0], atol=3e-7)


def test_many_rows_are_drawn_in_units_and_agree(monkeypatch):
    p = simulate(20_000, 3)
    exact = ct.evaluate(p, resamples=1000)
    monkeypatch.setattr(draws, "EXACT_ROWS", 10_000)
    units = ct.evaluate(p, resamples=1000)
    assert "draws:units" in units["ece"].signature
    for a, b in zip(exact, units, strict=True):
        assert b.value == a.value
        assert b.high - b.low == pytest.approx(a.high - a.low, rel=0.15), a.name


def test_intervals_hold_the_truth_where_percentile_ones_do_not():
    """At perfect calibration the percentile interval of ECE never holds 0."""
    covered = {"inverted": 0, "percentile": 0}
    for seed in range(40):
        p = simulate(800, 4, scale=1.0, seed=seed)
        for ci in covered:
            e = ct.evaluate(p, ["ece"], ci=ci, resamples=300, seed=seed)["ece"]
            covered[ci] += e.low == 0.0
    assert covered["inverted"] >= 36
    assert covered["percentile"] == 0


def test_p_values_are_not_too_small_under_the_null():
    small = [
        ct.evaluate(simulate(800, 4, scale=1.0, seed=s), ["ece"], resamples=200)["ece"].p_value
        for s in range(60)
    ]
    assert np.mean(np.array(small) < 0.05) <= 0.15
    assert 0.25 <= np.median(small) <= 0.75


def test_the_corrected_value_is_nearer_the_truth_than_the_plain_one():
    truth = ct.evaluate(simulate(400_000, 4, scale=1.3), ["ece"], ci="none")["ece"].value
    found = [
        ct.evaluate(simulate(500, 4, scale=1.3, seed=s), ["ece"], resamples=200)["ece"]
        for s in range(30)
    ]
    plain = abs(np.median([e.value for e in found]) - truth)
    assert abs(np.median([e.corrected for e in found]) - truth) < plain


def test_inverting_is_the_same_for_more_threads():
    rng = np.random.Generator(np.random.PCG64(0))
    mass = np.full(15, 1 / 15)
    gap, score = rng.normal(0, 0.003, 15), np.linspace(0.05, 0.95, 15)
    drawn = gap + rng.normal(0, 0.002, (500, 15))
    masses = np.broadcast_to(mass, (500, 15)).copy()

    def go(threads):
        profile = (gap, mass, score, drawn, masses)
        how = {"count": 5000 * mass, "level": 0.95, "seed": 0, "threads": threads}
        return Inversion(*profile, **how).of(lambda g, m: l1(Profile(g, m)))

    assert go(1) == go(3)
    assert go(1).low <= go(1).corrected <= go(1).high


def test_before_and_after_share_their_draws(overconfident):
    """The change of a calibrator that changes nothing is 0, without noise."""
    identity = replace(ct.fit("temperature", overconfident), map=Power(1.0))
    report = ct.evaluate(overconfident, calibrator=identity, resamples=60)
    assert all((c.value, c.low, c.high) == (0, 0, 0) for c in report.change)


def test_a_calibrator_that_helps_is_seen_to_help(overconfident):
    cal = ct.fit("temperature", overconfident)
    report = ct.evaluate(overconfident, ["ece", "nll"], calibrator=cal, resamples=200)
    assert all(c.high < 0 for c in report.change)
    assert "better" in report.reading


def test_a_calibrator_that_harms_a_proper_score_is_called_that_first(overconfident):
    turned = ct.Predictions.from_logits(overconfident.values, (overconfident.labels + 1) % 5)
    report = ct.evaluate(overconfident, "ece,nll,brier", calibrator=ct.fit("vector", turned))
    start = f"{report.calibrator} makes NLL worse: {report['nll'].value:.4f} to "
    assert report.reading.startswith(start)
    assert ", makes the Brier score worse: " in report.reading


def test_a_slope_that_moves_to_one_is_called_better():
    p = simulate(3000, 2, scale=3.0)
    report = ct.evaluate(p, ["cox-slope(view=positive)"], calibrator=ct.fit("temperature", p))
    assert report.estimates[0].value < 0.5
    assert ", better" in report.reading
    assert "worse" not in report.reading


def test_the_reading_claims_no_more_than_the_interval_shows():
    few = ct.evaluate(simulate(60, 3, scale=1.0, seed=3), resamples=200)
    assert few.reading.startswith("No miscalibration visible at n = 60")
    assert f"up to {few['ece'].high:.2g}" in few.reading
    many = ct.evaluate(simulate(5000, 3, scale=2.0), resamples=200)
    assert many.reading.startswith("Overconfident: says ")
    under = ct.evaluate(simulate(5000, 3, scale=0.5), resamples=200)
    assert under.reading.startswith("Underconfident: says ")
    silent = ct.evaluate(simulate(5000, 3, scale=2.0), ci="none")
    assert "verconfident" not in silent.reading


def test_a_p_value_and_an_interval_that_disagree_are_called_borderline(examples):
    report = ct.evaluate(
        ct.load(examples / "fashion_test.npz"),
        ["ece"],
        calibrator=ct.fit("temperature", ct.load(examples / "fashion_val.npz")),
    )
    # resampling decides whether these rows are such a case, so the case is made
    after = replace(report.after[0], low=0.0, p_value=0.03)
    report = replace(report, after=(after,))
    assert "what is left is borderline (p = 0.0" in read(report)
    alone = replace(report, estimates=report.after, after=(), change=(), calibrator="")
    assert read(alone).startswith("Borderline at n = 5,000 (p = 0.0")


def test_a_metric_that_needs_whole_rows_says_so_for_confidences_alone():
    p = ct.Predictions.from_confidence([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 1])
    report = ct.evaluate(p, resamples=30)
    assert report["classwise-ece"].value is None
    assert "whole probability rows" in report["classwise-ece"].missing
    assert report["ece"].value is not None
    asked = ct.evaluate(p, ["nll"], resamples=30)["nll"]
    assert (asked.value, asked.missing) == (None, "needs whole probability rows")


def test_a_missing_key_names_the_near_ones(overconfident):
    with pytest.raises(KeyError, match="no 'ecc' in this report; it has ece"):
        ct.evaluate(overconfident, ["ece"], ci="none")["ecc"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ci": "bayes"}, "must be one of inverted"),
        ({"level": 1.5}, "between 0 and 1"),
        ({"resamples": 3}, "at least 20"),
        ({"seed": -1}, "negative"),
    ],
)
def test_bad_options_are_errors(overconfident, options, message):
    with pytest.raises(UsageError, match=message):
        ct.evaluate(overconfident, ["ece"], **options)


def test_nothing_can_be_measured_without_labels():
    with pytest.raises(InputError, match="no labels"):
        ct.evaluate(ct.Predictions.from_logits([[1.0, 2.0]], None), ["ece"])
