"""Temperatures of groups that are kept near that of all rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from simulated import simulate

import calibtool as ct
from calibtool.calibrators.pooled_temperatures import SPREADS
from calibtool.errors import UsageError

SIZES = (3, 10, 30, 100, 300, 1000)


def expit(x):
    return 1 / (1 + np.exp(-x))


def groups(*, spread, seed=0, sizes=SIZES):
    """Confidences of groups, each with a temperature of its own around 2."""
    rng = np.random.Generator(np.random.PCG64(seed))
    truth = np.random.Generator(np.random.PCG64(99))
    t = 2 * np.exp(spread * truth.normal(size=len(sizes)))
    code = np.repeat(np.arange(len(sizes)), sizes)
    z = rng.normal(1, 1.2, len(code))
    p = ct.Predictions.from_confidence(expit(t[code] * z), rng.random(len(code)) < expit(z))
    names = np.char.add("g", code.astype(str))
    return replace(p, extra={"type": names, "options": np.array(["2", "4"])[code % 2]})


def temperatures(fitted):
    return {name: inner.temperature for name, inner in fitted.map.maps.items()}


def nll(fitted, p):
    return ct.evaluate(fitted(p), "nll(view=top)", ci="none")["nll(view=top)"].value


def test_each_temperature_minimises_its_nll_and_the_ridge():
    p = groups(spread=0.8)
    fitted = ct.fit("temperature", p, by="type", pooled=True)
    spread = next(s for s in SPREADS if s and f"of ln T of {s:g}," in fitted.fitted.notes[0])
    pooled = ct.fit("temperature", p).map.temperature
    for name, found in temperatures(fitted).items():
        at = p.extra["type"] == name
        z = np.log(p.values[at]) - np.log1p(-p.values[at])
        m = np.where(p.correct[at], z, -z)

        def objective(d, m=m):
            loss = np.logaddexp(0, -m / (pooled * np.exp(d))).sum()
            return loss + d * d / (2 * spread**2)

        best = minimize_scalar(objective, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9})
        assert np.log(found / pooled) == pytest.approx(best.x, abs=1e-6)


def test_groups_of_few_rows_stay_near_the_temperature_of_all():
    p = groups(spread=0.8)
    pooled = ct.fit("temperature", p).map.temperature
    some = temperatures(ct.fit("temperature", p, by="type", pooled=True))
    away = [abs(np.log(some[f"g{k}"] / pooled)) for k in range(len(SIZES))]
    at = p.extra["type"] == f"g{len(SIZES) - 1}"
    alone = ct.fit("temperature", p.take(np.flatnonzero(at))).map.temperature
    assert some[f"g{len(SIZES) - 1}"] == pytest.approx(alone, rel=0.03)
    assert away[0] < 0.5


def test_on_new_rows_it_is_as_good_as_the_better_of_one_and_each():
    sizes = (40,) * 30
    for spread, gains in ((0.0, 0.0), (0.8, 0.005)):
        p = groups(spread=spread, sizes=sizes)
        new = groups(spread=spread, sizes=(400,) * 30, seed=1)
        pooled = nll(ct.fit("temperature", p, by="type", pooled=True), new)
        assert pooled <= nll(ct.fit("temperature", p), new) - gains + 0.001


def test_groups_that_do_not_differ_have_one_temperature():
    fitted = ct.fit("temperature", groups(spread=0.0), by="type", pooled=True)
    found = np.array(list(temperatures(fitted).values()))
    assert np.ptp(np.log(found)) < 0.2


def test_two_columns_logits_and_files(tmp_path):
    p = groups(spread=0.5)
    fitted = ct.fit("temperature", p, by="type,options", pooled=True)
    fitted.save(tmp_path / "cal.json")
    loaded = ct.load_calibrator(tmp_path / "cal.json")
    assert loaded.columns == ("type", "options")
    assert loaded.fitted.options == {"objective": "nll", "pooled": True, "by": "type,options"}
    np.testing.assert_array_equal(loaded(p).values, fitted(p).values)
    unseen = replace(p, extra={**p.extra, "options": np.where(p.values > 0.9, "7", "2")})
    pooled = ct.fit("temperature", p)(p).values
    at = np.flatnonzero((p.values > 0.9) | ~np.isin(p.extra["type"], ["g0", "g2", "g4"]))
    assert loaded.of_other_groups(unseen) == len(at)
    np.testing.assert_allclose(loaded(unseen).values[at], pooled[at], atol=1e-12)
    # every group has one number of options
    one = ct.fit("temperature", p, by="type", pooled=True)
    np.testing.assert_allclose(fitted(p).values, one(p).values, atol=1e-12)
    rows = simulate(400, 3)
    rows = replace(rows, extra={"type": np.array(["a", "b"])[np.arange(400) % 2]})
    after = ct.fit("temperature", rows, by="type", pooled=True)
    assert (after(rows).kind, after.classes) == ("logits", 3)
    assert after.fitted.nll_after <= after.fitted.nll_before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pooled": True}, "--pooled needs groups"),
        ({"pooled": True, "by": "type", "objective": "ece"}, "cannot be combined with --objective"),
    ],
)
def test_what_cannot_be_pooled_is_said(options, says):
    with pytest.raises(UsageError, match=says):
        ct.fit("temperature", simulate_with_groups(), **options)


def simulate_with_groups():
    return replace(simulate(60, 3), extra={"type": np.array(["a", "b"])[np.arange(60) % 2]})


def test_a_group_whose_rows_are_all_right_has_a_temperature():
    p = groups(spread=0.5)
    more = ct.Predictions.from_confidence([0.9, 0.8, 0.95], [True] * 3)
    joined = ct.Predictions.from_confidence(
        np.append(p.values, more.values), np.append(p.correct, more.correct)
    )
    joined = replace(joined, extra={"type": np.append(p.extra["type"], ["new"] * 3)})
    assert "new" in temperatures(ct.fit("temperature", joined, by="type", pooled=True))
