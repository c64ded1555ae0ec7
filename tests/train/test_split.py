"""Splits: by seed, stratified, and no row in two parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibtool.errors import InputError
from calibtool.train.data.dataset import Arrays, Data, Rows
from calibtool.train.data.split import FEW, deal, deal_groups, split

shares = st.floats(0.05, 0.4)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300), shares, shares, st.integers(0, 99))
def test_each_class_has_its_shares_to_within_a_row(labels, val, test, seed):
    labels = np.array(labels)
    part, few = deal(labels, val, test, seed)
    small = 0
    for k, n in zip(*np.unique(labels, return_counts=True), strict=True):
        parts = part[labels == k]
        if n < FEW:
            small += 1
            assert (parts == 0).all()
            continue
        # a part is what lies between two cuts, each of which is off by less than a row
        assert abs((parts == 2).sum() - test * n) < 1
        assert abs((parts == 1).sum() - val * n) < 2
    assert few == small


@given(st.integers(0, 5))
def test_the_seed_decides(seed):
    labels = np.arange(200) % 4
    a, b = deal(labels, 0.2, 0.2, seed)[0], deal(labels, 0.2, 0.2, seed)[0]
    np.testing.assert_array_equal(a, b)
    assert (deal(labels, 0.2, 0.2, seed + 1)[0] != a).any()


def rows(labels, first=0):
    labels = np.asarray(labels)
    ids = first + np.arange(len(labels))
    return Rows(Arrays(ids[:, None].astype(np.float32)), labels, ids)


def data(**parts):
    return Data("here", parts, 3, (1,))


def test_parts_are_disjoint_whole_and_aligned():
    labels = np.random.default_rng(0).integers(0, 3, 500)
    splits = split(data(train=rows(labels)), val_share=0.1, test_share=0.3, seed=1)
    every = np.concatenate([splits.train.ids, splits.val.ids, splits.test.ids])
    assert sorted(every.tolist()) == list(range(500))
    for part in (splits.train, splits.val, splits.test):
        np.testing.assert_array_equal(labels[part.ids], part.labels)
        x = part.inputs.take(np.arange(len(part)))
        np.testing.assert_array_equal(x[:, 0], part.ids)


def test_what_is_given_is_taken_as_it_is_and_the_rest_cut_from_the_training_rows():
    train, test = rows(np.arange(300) % 3), rows(np.arange(60) % 3, first=1000)
    splits = split(data(train=train, test=test), val_share=0.2, test_share=0.3, seed=0)
    assert splits.test is test
    assert len(splits.train) + len(splits.val) == 300
    assert len(splits.val) == pytest.approx(60, abs=3)
    whole = split(
        data(train=train, test=test, val=rows(np.arange(30) % 3, first=2000)),
        val_share=0.2,
        test_share=0.2,
        seed=0,
    )
    assert len(whole.train) == 300


def test_classes_too_small_to_split_are_trained_on_and_said():
    labels = np.r_[np.arange(100) % 2, [2, 2]]
    splits = split(data(train=rows(labels)), val_share=0.2, test_share=0.2, seed=0)
    assert {100, 101} <= set(splits.train.ids.tolist())
    assert "1 class has fewer than 3 rows" in splits.notes[0]


@given(st.lists(st.integers(0, 30), min_size=60, max_size=300), shares, shares, st.integers(0, 9))
def test_groups_stay_whole_and_parts_have_about_their_shares(groups, val, test, seed):
    groups = np.array(groups)
    labels = np.arange(len(groups)) % 3
    part = deal_groups(labels, groups, val, test, seed)
    assert all(len(np.unique(part[groups == group])) == 1 for group in np.unique(groups))
    largest = np.bincount(groups).max()
    for k, share in enumerate((1 - val - test, val, test)):
        assert abs((part == k).sum() - share * len(groups)) <= 2 * largest
    np.testing.assert_array_equal(part, deal_groups(labels, groups, val, test, seed))


def test_a_part_that_is_given_gets_no_groups():
    labels, groups = np.arange(90) % 3, np.arange(90) // 9
    assert set(deal_groups(labels, groups, 0.2, 0.0, seed=0)) == {0, 1}


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match="rows for"):
        split(data(train=rows([0, 1, 0, 1])), val_share=0.2, test_share=0.2, seed=0)
