"""Laws over the whole table of metrics: what holds for one, holds for the next that is added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from simulated import simulate

import calibtool as ct
from calibtool.cells import Cells
from calibtool.metrics import METRICS, CalibrationError
from calibtool.metrics.profiles import equal_mass, equal_width

NAMES = list(METRICS)
ERRORS = [name for name, metric in METRICS.items() if isinstance(metric, CalibrationError)]


def value(p, name):
    return ct.evaluate(p, [name], ci="none").estimates[0].value


@pytest.mark.parametrize("name", NAMES)
def test_row_order_does_not_matter(name, overconfident):
    order = np.random.Generator(np.random.PCG64(1)).permutation(overconfident.rows)
    assert value(overconfident.take(order), name) == pytest.approx(
        value(overconfident, name), rel=1e-10
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_k_equals_k_copies(name):
    p = simulate(300, 4)
    copies = np.random.Generator(np.random.PCG64(2)).integers(0, 4, p.rows)
    weighted = ct.Predictions.from_logits(p.values, p.labels, weights=copies)
    repeated = p.take(np.repeat(np.arange(p.rows), copies))
    assert value(weighted, name) == pytest.approx(value(repeated, name), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_duplicating_every_row_changes_nothing(name):
    p = simulate(300, 4)
    twice = p.take(np.tile(np.arange(p.rows), 2))
    assert value(twice, name) == pytest.approx(value(p, name), rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_relabelling_classes_changes_nothing(name, overconfident):
    order = np.array([3, 0, 4, 1, 2])
    labels = np.argsort(order)[overconfident.labels]
    swapped = ct.Predictions.from_logits(overconfident.values[:, order], labels)
    assert value(swapped, name) == pytest.approx(value(overconfident, name), rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_float32_logits_give_the_same_number(name, overconfident):
    single = ct.Predictions.from_logits(
        overconfident.values.astype(np.float32), overconfident.labels
    )
    assert value(single, name) == pytest.approx(value(overconfident, name), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_logits_and_their_probabilities_agree(name, overconfident):
    probs = np.exp(overconfident.values)
    probs /= probs.sum(axis=1, keepdims=True)
    same = ct.Predictions.from_probs(probs, overconfident.labels)
    assert value(same, name) == pytest.approx(value(overconfident, name), rel=1e-9)


@pytest.mark.parametrize("name", ERRORS)
def test_a_calibrated_input_tends_to_zero(name):
    """MCE aside: its emptiest bin keeps it up."""
    small, large = (value(simulate(n, 3, scale=1.0, seed=4), name) for n in (2_000, 200_000))
    assert large < 0.5 * small
    if name != "mce":
        assert large < 0.01


@pytest.mark.parametrize("name", ERRORS)
def test_errors_grow_with_the_miscalibration(name):
    # mce sees the worst bin alone, so it is asked of bins that all hold many rows
    spec = "mce(bins=5)" if name == "mce" else name
    found = [value(simulate(50_000, 3, scale=s, seed=5), spec) for s in (1.0, 1.5, 2.5)]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_lie_between_0_and_1(name, overconfident):
    assert 0 <= value(overconfident, name) <= 1


scores = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0]) | st.floats(0, 1),
)


@given(scores, st.integers(1, 20), st.randoms(use_true_random=False))
def test_pooled_cells_hold_every_row(score, bins, random):
    outcome = np.array([random.random() < 0.5 for _ in score])
    cells = Cells.from_rows(score, outcome)
    for edges in (equal_width(cells, bins=bins), equal_mass(cells, bins=bins)):
        pooled = cells.pool(edges)
        assert pooled.n.sum() == len(score)
        assert pooled.y.sum() == outcome.sum()
        assert pooled.p.sum() == pytest.approx(score.sum())
        assert edges[-1] == 1


@given(scores, scores, st.integers(1, 20))
def test_cells_of_chunks_add_up_to_cells_of_the_whole(a, b, bins):
    def cells(x):
        return Cells.from_rows(x, x > 0.4)

    edges = equal_width(None, bins=bins)
    whole, parts = cells(np.concatenate([a, b])).pool(edges), (cells(a) + cells(b)).pool(edges)
    np.testing.assert_array_equal(whole.n, parts.n)
    np.testing.assert_array_equal(whole.y, parts.y)
    np.testing.assert_allclose(whole.p, parts.p)


@given(scores, st.integers(1, 20))
def test_equal_mass_cuts_lie_between_distinct_scores(score, bins):
    cells = Cells.from_rows(score, score > 0.5)
    edges = equal_mass(cells, bins=bins)
    assert len(edges) <= min(bins, len(cells.at))
    assert (np.diff(edges) > 0).all()
    assert (cells.pool(edges).n > 0).all()


@given(st.integers(0, 3))
def test_pooling_works_on_leading_axes(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    at = np.sort(rng.random(50))
    n = rng.random((4, 3, 50))
    edges = equal_width(None, bins=7)
    pooled = Cells(at, n, n * at, n / 2).pool(edges)
    one = Cells(at, n[2, 1], n[2, 1] * at, n[2, 1] / 2).pool(edges)
    np.testing.assert_allclose(pooled.n[2, 1], one.n)
    np.testing.assert_allclose(pooled.p[2, 1], one.p)
