"""Laws over the whole table of metrics: what holds for one, holds for the next that is added."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from simulated import simulate

import calibtool as ct
from calibtool.evaluation import row_pass
from calibtool.metrics.cells import Cells
from calibtool.metrics.kinds import CellMetric
from calibtool.metrics.profiles import equal_mass, equal_width
from calibtool.metrics.registry import METRICS, ORDINAL
from calibtool.metrics.spec import parse

# tell these rows from those of a second file
OTHER = {"ood-auroc", "ood-fpr95"}
NAMES = [name for name in METRICS if name not in OTHER]
# defined by the order of the file (pairs of neighbours), or by folds that it decides
IN_FILE_ORDER = {"skce", "calibration-loss", "refinement-loss", "calibration-lp"}
# defined by the number of rows: noise is taken off, a row is left out, or it is a statistic
OF_N = {"debiased-rmsce", "debiased-ece", "debiased-reliability", "canonical-kde-ece"}
OF_N |= {"spiegelhalter", "hosmer-lemeshow", "kde-ece"}
# defined by the order of the classes
OF_LEVELS = {metric.name for metric in ORDINAL}
WHOLE = [name for name in NAMES if name not in IN_FILE_ORDER]
ERRORS = [name for name in METRICS if parse(name).is_error]


def value(p, name):
    return ct.evaluate(p, [name], ci="none").estimates[0].value


@pytest.mark.parametrize("name", WHOLE)
def test_row_order_does_not_matter(name, overconfident):
    order = np.random.Generator(np.random.PCG64(1)).permutation(overconfident.rows)
    assert value(overconfident.take(order), name) == pytest.approx(
        value(overconfident, name), rel=1e-10
    )


def test_rows_read_in_blocks_give_what_the_whole_gives(overconfident, monkeypatch):
    whole = ct.evaluate(overconfident, NAMES, ci="none")
    monkeypatch.setattr(row_pass, "unit", lambda classes: 97)
    parts = ct.evaluate(overconfident, NAMES, ci="none", threads=2)
    for a, b in zip(whole, parts, strict=True):
        assert b.value == pytest.approx(a.value, rel=1e-12)


@pytest.mark.parametrize("name", WHOLE)
def test_a_weight_of_k_equals_k_copies(name):
    p = simulate(300, 4)
    copies = np.random.Generator(np.random.PCG64(2)).integers(0, 4, p.rows)
    weighted = ct.Predictions.from_logits(p.values, p.labels, weights=copies)
    repeated = p.take(np.repeat(np.arange(p.rows), copies))
    assert value(weighted, name) == pytest.approx(value(repeated, name), rel=1e-9)


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in OF_N])
def test_duplicating_every_row_changes_nothing(name):
    p = simulate(300, 4)
    twice = p.take(np.tile(np.arange(p.rows), 2))
    assert value(twice, name) == pytest.approx(value(p, name), rel=1e-10)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OF_LEVELS])
def test_relabelling_classes_changes_nothing(name, overconfident):
    order = np.array([3, 0, 4, 1, 2])
    labels = np.argsort(order)[overconfident.labels]
    swapped = ct.Predictions.from_logits(overconfident.values[:, order], labels)
    assert value(swapped, name) == pytest.approx(value(overconfident, name), rel=1e-10)


@pytest.mark.parametrize("name", sorted(OF_LEVELS))
def test_levels_counted_from_the_other_end_change_nothing(name, overconfident):
    labels = overconfident.classes - 1 - overconfident.labels
    turned = ct.Predictions.from_logits(overconfident.values[:, ::-1].copy(), labels)
    assert value(turned, name) == pytest.approx(value(overconfident, name), rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_float32_logits_give_the_same_number(name, overconfident):
    single = ct.Predictions.from_logits(
        overconfident.values.astype(np.float32), overconfident.labels
    )
    # the edge of loess's span is a row, and the next one may be it
    near = 1e-4 if name in ("ici", "e50", "e90", "emax") else 1e-5
    assert value(single, name) == pytest.approx(value(overconfident, name), rel=near)


@pytest.mark.parametrize("name", NAMES)
def test_logits_and_their_probabilities_agree(name, overconfident):
    probs = np.exp(overconfident.values)
    probs /= probs.sum(axis=1, keepdims=True)
    same = ct.Predictions.from_probs(probs, overconfident.labels)
    assert value(same, name) == pytest.approx(value(overconfident, name), rel=1e-9)


# an edge of the scores, where few rows are, or the worst bin keep these up
BY_FEW_ROWS = {"mce", "average-ce", "emax"}
# right on average at any n, so that the average is what tends to 0
UNBIASED = {"debiased-rmsce", "debiased-ece", "debiased-reliability"}


@pytest.mark.parametrize("name", [name for name in ERRORS if name not in UNBIASED])
def test_a_calibrated_input_tends_to_zero(name):
    small, large = (
        np.mean([value(simulate(n, 3, scale=1.0, seed=seed), name) for seed in range(4)])
        for n in (2_000, 100_000)
    )
    assert large < 0.5 * small
    if name not in BY_FEW_ROWS:
        assert large < 0.01


@pytest.mark.parametrize("name", ["debiased-reliability", "skce(estimator=unbiased)"])
def test_unbiased_ones_are_zero_on_average_when_calibrated(name):
    """Within three standard errors of 0, while the plain ones are many above."""
    plain = {"debiased-reliability": "reliability"}.get(name, "skce(estimator=biased)")
    found, biased = (
        np.array([value(simulate(400, 3, scale=1.0, seed=seed), x) for seed in range(100)])
        for x in (name, plain)
    )
    assert abs(found.mean()) < 3 * found.std() / 10
    assert biased.mean() > 10 * biased.std() / 10


@pytest.mark.parametrize("name", [name for name in ERRORS if name != "underconfidence-error"])
def test_errors_grow_with_the_miscalibration(name):
    # mce sees the worst bin alone, so it is asked of bins that all hold many rows
    spec = "mce(bins=5)" if name == "mce" else name
    found = [value(simulate(50_000, 3, scale=s, seed=5), spec) for s in (1.0, 1.5, 2.5)]
    assert found[0] < found[1] < found[2]


def test_underconfidence_grows_as_logits_shrink():
    found = [value(simulate(50_000, 3, scale=s), "underconfidence-error") for s in (1, 0.8, 0.5)]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("name", ERRORS)
def test_errors_lie_between_0_and_1(name, overconfident):
    assert 0 <= value(overconfident, name) <= 1


PLAIN = [*(f"{name}(view=class)" for name in ("ks", "smece", "mmce", "mcb", "auroc", "ici"))]
PLAIN += [*(f"{name}(view=label)" for name in ("ks", "smece", "kuiper", "ece", "rmsce", "mce"))]
PLAIN += ["smece(kernel=logit)", "mcb(score=log)", "dsc(score=log)", "kde-ece(order=2)"]
PLAIN += [
    "ece(profile=sweep_width)",
    "ece(profile=equal_rows,rows=20)",
    "prr(rejected=0.5)",
    "ece(norm=debiased_l1,view=class)",
    "tace(denominator=all)",
]


@pytest.mark.parametrize("spec", PLAIN)
def test_options_keep_the_laws(spec):
    """Row order, copies for weights, and the names of classes."""
    p = simulate(300, 4)
    rng = np.random.Generator(np.random.PCG64(3))
    copies, order = rng.integers(0, 4, p.rows), rng.permutation(p.rows)
    weighted = ct.Predictions.from_logits(p.values, p.labels, weights=copies)
    repeated = p.take(np.repeat(np.arange(p.rows), copies))
    assert value(weighted, spec) == pytest.approx(value(repeated, spec), rel=1e-7)
    assert value(p.take(order), spec) == pytest.approx(value(p, spec), rel=1e-9)
    renamed = ct.Predictions.from_logits(
        p.values[:, [3, 0, 2, 1]], np.array([1, 3, 2, 0])[p.labels]
    )
    assert value(renamed, spec) == pytest.approx(value(p, spec), rel=1e-9)


@pytest.mark.parametrize("name", [n for n in ERRORS if isinstance(METRICS[n], CellMetric)])
@pytest.mark.parametrize("view", ["positive", "auto"])
def test_two_classes_as_one_column_or_two_agree_on_the_positive_view(name, view):
    p = simulate(400, 2)
    one = ct.Predictions.from_logits(p.values[:, 1] - p.values[:, 0], p.labels)
    spec = f"{name}(view=positive)"
    own = name if view == "auto" and METRICS[name].view == "auto" else spec
    assert value(one, own) == pytest.approx(value(p, spec), rel=1e-9)


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
