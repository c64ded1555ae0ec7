"""Correlated rows are resampled together; intervals are as wide as the clusters make them."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.data.slicing import with_extra
from calibtool.errors import InputError
from calibtool.intervals.draws import Draws

METRICS = ["accuracy", "nll", "ece", "classwise-ece", "ada-ece", "macro-f1", "auroc-correct"]


def copies(times: int) -> ct.Predictions:
    """Rows that occur several times in a file, and the row that each is a copy of."""
    p = simulate(600, 4)
    at = np.tile(np.arange(600), times)
    return with_extra(p.take(at), {"copy_of": at})


def test_rows_that_are_copies_say_no_more_than_one():
    single, copied = copies(1), copies(4)
    options = {"resamples": 600}
    alone = ct.evaluate(single, METRICS, **options)
    together = ct.evaluate(copied, METRICS, cluster="copy_of", **options)
    apart = ct.evaluate(copied, METRICS, **options)
    for name in METRICS:
        width = {
            key: found[name].high - found[name].low
            for key, found in (("1", alone), ("4", together), ("rows", apart))
        }
        assert width["4"] == pytest.approx(width["1"], rel=0.25), name
        assert width["rows"] < 0.75 * width["1"], name


def test_a_cluster_a_row_is_no_cluster():
    p = copies(1)
    reports = [ct.evaluate(p, METRICS, cluster=c, resamples=600) for c in (None, "copy_of")]
    for a, b in zip(*reports, strict=True):
        assert (b.high - b.low) == pytest.approx(a.high - a.low, rel=0.15), a.name
        assert a.value == b.value


def test_rows_of_a_cluster_share_their_draw():
    cluster = np.array([0, 1, 0, 2, 1])
    draws = Draws(50, 3, 5, cluster)
    assert draws.grouped
    assert draws.count == 3
    assert draws.units(0, 5).tolist() == cluster.tolist()
    many = Draws(50, 3, 9000, np.arange(9000) // 3)
    units = many.units(0, 9000)
    assert many.count == 1024
    assert (units.reshape(-1, 3) == units[::3, None]).all()
    assert (many.units(1024, 2048) == units[1024:2048]).all()


def test_a_change_is_paired_within_clusters():
    p = copies(4)
    cooler = ct.fit("temperature", p)
    alone = ct.evaluate(copies(1), ["nll"], calibrator=cooler, resamples=600).change[0]
    change = ct.evaluate(p, ["nll"], calibrator=cooler, cluster="copy_of", resamples=600).change[0]
    assert change.high - change.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_what_no_interval_covers_has_none_and_says_so():
    report = ct.evaluate(copies(2), ["mcb", "ks", "ece"], cluster="copy_of", resamples=100)
    assert report["mcb"].value is not None
    assert report["mcb"].low is None
    assert report["ks"].low is not None
    assert any("mcb" in warning for warning in report.warnings)
    assert "600 clusters" in report["ece"].signature


def test_the_command_takes_clusters_and_refuses_too_few(tmp_path, monkeypatch, capsys):
    from calibtool.cli.main import main

    monkeypatch.chdir(tmp_path)
    p = copies(2)
    few = np.arange(1200) % 7
    np.savez("c.npz", logits=p.values, labels=p.labels, user=p.extra["copy_of"], few=few)
    fast = ["--metrics", "nll", "--resamples", "50"]
    assert main(["evaluate", "c.npz", "--cluster", "user", *fast]) == 0
    assert main(["evaluate", "c.npz", "--cluster", "user", "--by", "predicted", *fast]) == 0
    assert main(["compare", "c.npz", "c.npz", "--cluster", "user", *fast]) == 0
    capsys.readouterr()
    assert main(["evaluate", "c.npz", "--cluster", "few", *fast]) == 2
    assert "few: 7 clusters are too few" in capsys.readouterr().err
    assert main(["evaluate", "c.npz", "--cluster", "nowhere", *fast]) == 2
    assert "there is no column 'nowhere'" in capsys.readouterr().err
    with pytest.raises(InputError, match="no further column 'who'"):
        ct.evaluate(p, ["nll"], cluster="who")
