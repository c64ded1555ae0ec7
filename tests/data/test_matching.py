"""Files on the same rows are matched, and anything else is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.data.files.open import open_source
from calibtool.data.matching import match
from calibtool.data.readable import Variant
from calibtool.errors import InputError
from calibtool.evaluation.evaluate import evaluate_rows
from calibtool.evaluation.request import Request

P = simulate(3000, 3)
COOLER = ct.fit("temperature", P)
Q = COOLER(P)


def change(matched):
    results = evaluate_rows(Request.of(matched.first, ["ece", "nll"], matched.systems))
    return [(e.value, e.low, e.high) for e in results.change()]


def test_a_second_file_is_paired_like_a_calibrator():
    whole = evaluate_rows(Request.of(P, ["ece", "nll"], [Variant(), Variant.of(COOLER)]))
    expected = [(e.value, e.low, e.high) for e in whole.change()]
    np.testing.assert_allclose(change(match([P, Q])), expected, rtol=1e-6, atol=1e-9)


def test_rows_are_matched_by_id_whatever_their_order(tmp_path):
    order = np.random.default_rng(0).permutation(P.rows)
    ids = np.array([f"r{i}" for i in range(P.rows)])
    np.savez(tmp_path / "a.npz", logits=P.values, labels=P.labels, id=ids)
    shuffled = Q.take(order)
    np.savez(tmp_path / "b.npz", probs=shuffled.values, labels=shuffled.labels, id=ids[order])
    if Q.kind == "logits":
        np.savez(tmp_path / "b.npz", logits=shuffled.values, labels=shuffled.labels, id=ids[order])
    matched = match([open_source(tmp_path / name) for name in ("a.npz", "b.npz")])
    assert matched.by == "id 'id'"
    np.testing.assert_allclose(change(matched), change(match([P, Q])), rtol=1e-6, atol=1e-9)


def test_numbers_and_texts_as_ids_are_the_same():
    a = replace(P.take(slice(0, 3)), extra={"id": np.array([3, 1, 2])})
    b = replace(
        P.take(slice(0, 3)).take(np.array([1, 2, 0])), extra={"id": np.array(["1", "2", "3"])}
    )
    matched = match([a, b])
    assert np.array_equal(matched.files[1].values, a.values)


def with_ids(p, ids):
    return replace(p, extra={"id": np.asarray(ids)})


SMALL = P.take(slice(0, 4))
WRONG = [
    (SMALL, P.take(slice(0, 5)), "5 and 4 rows"),
    (SMALL, replace(SMALL, labels=(SMALL.labels + 1) % 3), "labels differ in 4 of 4 rows"),
    (SMALL, simulate(4, 5), "5 and 3 classes"),
    (with_ids(SMALL, [1, 2, 3, 4]), with_ids(SMALL, [1, 2, 3, 5]), "lacks 1 of the 4 rows"),
    (with_ids(SMALL, [1, 2, 3, 3]), with_ids(SMALL, [1, 2, 3, 4]), "1 ids occur in several rows"),
    (with_ids(SMALL, [1, 2, 3, 4]), with_ids(P.take(slice(0, 5)), range(1, 6)), "lacks 1 of the 5"),
    (
        replace(SMALL, class_names=("a", "b", "c")),
        replace(SMALL, class_names=("a", "c", "b")),
        "the same classes in the same order",
    ),
    (
        replace(SMALL, weights=np.ones(4)),
        replace(SMALL, weights=np.array([1.0, 1, 2, 1])),
        "the first in row 2",
    ),
    (
        replace(SMALL, source="a.npz"),
        replace(SMALL, source="b.npz", weights=np.full(4, 2.0)),
        "b.npz has weights, a.npz has none; .* drop them from b.npz",
    ),
    (
        ct.Predictions.from_confidence([0.5], [1]),
        ct.Predictions.from_confidence([0.6], [1]),
        "no labels to tell",
    ),
]


def test_a_file_without_weights_takes_those_of_the_first():
    weights = np.array([1.0, 2, 3, 4])
    matched = match([replace(SMALL, weights=weights), SMALL])
    assert [file.weights.tolist() for file in matched.files] == [weights.tolist()] * 2


@pytest.mark.parametrize(("a", "b", "says"), WRONG)
def test_what_is_not_on_the_same_rows_is_refused(a, b, says):
    with pytest.raises(InputError, match=says):
        match([a, b])
