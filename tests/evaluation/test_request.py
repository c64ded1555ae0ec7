"""A request: metrics, views and options, resolved once before any row is read."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.data.readable import Variant
from calibtool.errors import InputError, UsageError
from calibtool.evaluation.request import Request
from calibtool.evaluation.resampling import FEW_ROWS, Resampling


def test_views_are_resolved_by_the_shape_of_the_predictions():
    multiclass = Request.of(simulate(50, 3), "ece,nll")
    assert [spec.view for spec in multiclass.specs if spec.is_error] == ["top"]
    assert multiclass.view == "top"
    one_column = Request.of(ct.Predictions.from_probs([0.9, 0.2], [1, 0]), "ece")
    assert (one_column.specs[0].view, one_column.view) == ("positive", "positive")


def test_a_second_file_adds_its_metrics_unless_they_are_asked_for():
    p = simulate(50, 3)
    assert [spec.name for spec in Request.of(p, "ece").specs] == ["ece"]
    added = [spec.name for spec in Request.of(p, "ece", ood=p).specs]
    assert added == ["ece", "ood-auroc", "ood-auroc(by=entropy)", "ood-fpr95"]
    asked = [spec.name for spec in Request.of(p, "ood-fpr95", ood=p).specs]
    assert asked == ["ood-fpr95"]


def test_a_summary_is_measured_from_cells_and_few_rows_from_rows():
    p = simulate(50, 3)
    assert not Request.of(p, "ece").from_cells
    assert Request.of(ct.cells(p), "ece").from_cells


@pytest.mark.parametrize("option", ["cluster", "ood"])
def test_cells_refuse_what_needs_rows(option):
    p = simulate(50, 3)
    value = "user" if option == "cluster" else p
    request = Request.of(ct.cells(p), "ece", **{option: value})
    with pytest.raises(InputError, match=f"--{option} needs rows"):
        assert request.from_cells


def test_variants_that_are_compared_are_paired():
    p = simulate(50, 3)
    assert not Request.of(p, "ece").paired
    assert Request.of(p, "ece", [Variant(), Variant(title="again")]).paired


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ci": "bayes"}, "--ci must be one of inverted, percentile, basic, bca, none"),
        ({"level": 0.0}, "--level must lie between 0 and 1, not 0"),
        ({"level": 5e-324}, "--level must be at least 1e-06, not 4.94066e-324"),
        ({"level": 1.0}, "--level must lie between 0 and 1, not 1"),
        ({"level": math.nan}, "--level must lie between 0 and 1, not nan"),
        (
            {"level": 0.9999999999999999},
            "--level must be at most 0.999999, not 0.9999999999999999",
        ),
        (
            {"level": 0.9999},
            (
                "--level 0.9999 needs --resamples 9,999 or more: the ends of its interval lie "
                "beyond all 1,000 replicates"
            ),
        ),
        ({"level": 0.9999999, "ci": "none"}, "--level must be at most 0.999999, not 0.9999999"),
        (
            {"resamples": 19},
            "--resamples must be at least 20 (or 0 for no intervals), not 19",
        ),
        (
            {"resamples": 10**12},
            "--resamples must be at most 1,000,000, not 1000000000000",
        ),
        ({"seed": 2**64}, "--seed must be at most 18446744073709551615 (got 18446744073709551616)"),
        ({"seed": 10**4000}, "(got 10000000000000000000000000000...0000000000000000000000000000)"),
        ({"seed": -1}, "--seed must not be negative (got -1)"),
    ],
)
def test_resampling_refuses_values_that_give_no_interval(options, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        Resampling(**options)


def test_resampling_without_intervals_asks_for_no_replicates():
    assert Resampling(ci="none", resamples=0).draws(1000) is None
    assert Resampling(resamples=0).ci == "none"
    assert Resampling(resamples=0).draws(1000) is None


@pytest.mark.parametrize(("level", "resamples"), [(0.95, 20), (0.999, 999), (0.999999, 1_000_000)])
def test_the_highest_level_of_a_number_of_replicates(level, resamples):
    assert Resampling(level=level, resamples=resamples).level == level
    with pytest.raises(UsageError, match=r"needs --resamples|must be at most"):
        Resampling(level=1 - (1 - level) / 1.1, resamples=resamples)


def test_few_rows_have_no_draws():
    assert Resampling().draws(FEW_ROWS - 1) is None
    draws = Resampling(resamples=50, seed=3).draws(FEW_ROWS)
    assert (draws.replicates, draws.seed, draws.rows) == (50, 3, FEW_ROWS)


def test_all_rows_in_memory_are_the_predictions_themselves_and_no_cells():
    p = simulate(50, 3)
    assert p.load() is p
    with pytest.raises(InputError, match="holds cells, no rows"):
        ct.cells(p).load()


def test_a_file_loads_as_it_reads(tmp_path):
    p = simulate(50, 3)
    np.savez(tmp_path / "p.npz", logits=p.values, labels=p.labels)
    source = ct.scan(tmp_path / "p.npz")
    assert np.array_equal(source.load().values, next(source.blocks(50)).values)
