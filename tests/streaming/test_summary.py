"""States: exact sums on a fixed grid, whatever the order, and what can be known from them."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import simulate

import calibtool as ct
from calibtool.data.rows import reduce_rows
from calibtool.errors import InputError
from calibtool.evaluation import request
from calibtool.evaluation.cell_problems import CellProblems
from calibtool.evaluation.from_cells import resolution
from calibtool.metrics.cells import Cells
from calibtool.metrics.registry import METRICS
from calibtool.metrics.spec import parse
from calibtool.streaming.cells_file import from_bytes, to_bytes, write
from calibtool.streaming.exact import Exact, by_cell, moments
from calibtool.streaming.grid import NAMED, Tally, grid, named
from calibtool.streaming.layout import full_layout, streams
from calibtool.streaming.reduce import Reducer
from calibtool.streaming.summary import DataShape, Layout, Summary, grid_of

STREAMED = [name for name in METRICS if streams([parse(name)])]


def scores(rows: int, kind: type = np.float32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of every size, on edges and at the ends too, and their outcomes."""
    rng = np.random.Generator(np.random.PCG64(seed))
    score = rng.beta(0.3, 3, rows).astype(kind)
    score[: rows // 10] = (rng.integers(0, 31, rows // 10) / 30).astype(kind)
    score[rows // 10 : rows // 5] = (1 - 1e-6 * rng.random(rows // 10)).astype(kind)
    score[:4] = [0, 1, 1e-12, 0.5]
    return score, rng.random(rows) < score


def binary(rows: int, kind: type = np.float32, seed: int = 0) -> ct.Predictions:
    score, outcome = scores(rows, kind, seed)
    return ct.Predictions.from_probs(score, outcome.astype(int))


def same(a: Summary, b: Summary) -> bool:
    """Whether two states are the same to the bit."""
    return a.sums.keys() == b.sums.keys() and all(
        np.array_equal(x.high, b.sums[name].high) and np.array_equal(x.low, b.sums[name].low)
        for name, x in a.sums.items()
    )


# ------------------------------------------------------------------ views of two classes


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("given", ["probs", "logits", "weights"])
def test_the_top_view_folded_from_two_classes_is_the_one_that_is_counted(kind, given, monkeypatch):
    rows = binary(300_000, kind)
    half = np.nextafter(kind(0.5), kind([0, 1]))
    column = rows.values[:, 0].copy()
    column[4:16] = [*half, 0.5, 7 / 15, 8 / 15, 1 / 3] * 2
    labels = rows.labels.copy()
    labels[4:16] = [0] * 6 + [1] * 6
    rows = replace(rows, values=column[:, None], labels=labels)
    if given == "logits":
        rows = ct.Predictions.from_logits(8 * column - 2, labels)
    if given == "weights":
        rows = replace(rows, weights=np.random.default_rng(0).gamma(2, 1, rows.rows))
    layout = full_layout(DataShape(rows.kind, 2, True), [parse("ece(view=top)")])
    folded = []
    of_classes = Reducer._folded
    monkeypatch.setattr(Reducer, "_folded", lambda *a: folded.append(1) or of_classes(*a))

    def top(layout):
        reducer = Reducer(DataShape(rows.kind, 2, True), layout)
        for block in rows.blocks(100_000):
            reducer.add(block)
        return {n: s for n, s in reducer.result().sums.items() if n.startswith("top/")}

    assert {"top", "positive", "class"} <= set(layout.views)
    found, counted = top(layout), top(replace(layout, views=("top",)))
    assert bool(folded) == (given == "probs")
    assert found.keys() == counted.keys()
    for name, sums in counted.items():
        np.testing.assert_array_equal(found[name].high, sums.high)
        np.testing.assert_array_equal(found[name].low, sums.low)


# ------------------------------------------------------------------ exact sums


def test_pairs_hold_what_float64_loses():
    one, tiny = Exact.of(np.array(1.0)), Exact.of(np.array(2.0**-70))
    total = one + tiny
    assert (float(total.high), float(total.low)) == (1.0, 2.0**-70)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.randoms())
def test_sums_do_not_depend_on_the_order(values, random):
    shuffled = values.copy()
    random.shuffle(shuffled)

    def total(items):
        found = Exact.of(np.zeros(1))
        for item in items:
            found += by_cell(np.zeros(1, int), np.array([item]), 1)
        return found

    a, b = total(values), total(shuffled)
    assert (a.high[0], a.low[0]) == (b.high[0], b.low[0])


def test_moments_are_those_of_the_values():
    values = np.array([0.1, 2.5, 40.0, 0.0])  # 40 goes another way than values below 32
    found = moments(values).high
    expected = [4, values.sum(), (values**2).sum(), (values**3).sum(), 4, values.sum()]
    assert found[:6] == pytest.approx(expected, rel=1e-6)
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    weighted = moments(values, weights).high
    assert weighted[1] == pytest.approx(weights @ values)
    assert weighted[6] == pytest.approx(weights**2 @ values**2)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_the_probability_of_the_label_is_rounded_once(kind):
    p = np.append([0, -0.0, 1, 0.5, 6e-8], np.random.default_rng(0).random(2_000)).astype(kind)
    for label in (0, 1):
        rows = ct.Predictions.from_probs(p, np.full(len(p), label))
        found = reduce_rows(rows, want=["prob"], lean=True).prob
        np.testing.assert_array_equal(found, (p if label else 1 - p).astype(np.float64))


# ------------------------------------------------------------------ the grid


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_bins_between_named_edges_are_exact(kind):
    score, outcome = scores(50_000, kind)
    tally = Tally(grid(named(*NAMED)))
    for low in range(0, len(score), 7_000):
        tally.add(score[low : low + 7_000], outcome[low : low + 7_000])
    found = {name: value.high for name, value in tally.result().items()}
    exact = Cells.from_rows(score, outcome)
    for bins in NAMED:
        edges = np.arange(1, bins + 1) / bins
        a = exact.pool(edges)
        b = Cells(tally.grid.at, found["n"], found["p"], found["y"]).pool(edges)
        np.testing.assert_array_equal(a.n, b.n)
        np.testing.assert_array_equal(a.y, b.y)
        np.testing.assert_allclose(a.p, b.p, rtol=1e-14)


def test_cells_are_no_wider_than_promised():
    at = grid(named(*NAMED)).at
    width, low = np.diff(at, prepend=0), np.append(0.0, at[:-1])
    assert width.max() <= 1 / 4096
    end = np.minimum(at, 1 - low)
    assert (width <= np.maximum(end / 64, 2.0**-16) + 1e-15).all()
    assert len(at) < 6_000


def test_scores_of_both_precisions_add_up_in_one_tally():
    (a, ya), (b, yb) = scores(1000, np.float32), scores(1000, np.float64, 1)
    tally = Tally(grid(named(10)))
    tally.add(a, ya)
    tally.add(b, yb)
    tally.add(a, ya)
    found = tally.result()
    assert found["n"].high.sum() == 3000
    edges = np.arange(1, 11) / 10
    bins = Cells(tally.grid.at, found["n"].high, found["p"].high, found["y"].high).pool(edges).n
    one, other = (Cells.binned(s, y, edges).n for s, y in ((a, ya), (b, yb)))
    np.testing.assert_array_equal(bins, 2 * one + other)  # each by the edges of its own precision
    assert found["p"].high.sum() == pytest.approx(2 * a.astype(float).sum() + b.sum())


# ------------------------------------------------------------------ states add up


@given(st.lists(st.integers(0, 3000), max_size=5), st.randoms())
def test_any_parts_in_any_order_add_up_to_the_same_bits(cuts, random):
    whole = binary(3000)
    ends = sorted({0, 3000, *cuts})
    parts = [whole.take(slice(a, b)) for a, b in pairwise(ends)]
    random.shuffle(parts)
    total = ct.cells(parts[0])
    for part in parts[1:]:
        total = total + ct.cells(part)
    assert same(total, ct.cells(whole))


def test_threads_change_no_bit():
    whole = binary(300_000)
    assert same(ct.cells(whole, threads=1), ct.cells(whole, threads=4))


def test_weights_of_one_count_as_none_and_mix_with_none():
    p = binary(2000)
    weighted = ct.Predictions.from_probs(p.values[:, 0], p.labels, weights=np.ones(2000))
    both = ct.cells(p) + ct.cells(weighted)
    assert both.weighted
    twice = ct.cells(p) + ct.cells(p)
    for name in ("positive/n", "positive/p", "top/y"):
        np.testing.assert_allclose(both.sums[name].high, twice.sums[name].high, rtol=1e-12)
    np.testing.assert_allclose(both.squares("top"), twice.squares("top"))


def test_cells_of_different_kinds_do_not_add_up():
    with pytest.raises(InputError, match="cannot be added"):
        ct.cells(binary(100)) + ct.cells(simulate(100, 3))
    with pytest.raises(InputError, match="same --metrics"):
        ct.cells(binary(100)) + ct.cells(binary(100), ["ece(bins=7)"])
    named_ = ct.Predictions.from_probs([0.5], [1], class_names=("a", "b"))
    other = ct.Predictions.from_probs([0.5], [1], class_names=("b", "a"))
    with pytest.raises(InputError, match="name their classes differently"):
        ct.cells(named_) + ct.cells(other)


# ------------------------------------------------------------------ numbers from cells


def smooth(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores without ties, off by a little."""
    rng = np.random.Generator(np.random.PCG64(seed))
    score = rng.beta(0.8, 2, rows)
    return score, (rng.random(rows) < score**1.1).astype(int)


CASES = {
    "binary": lambda: ct.Predictions.from_probs(*smooth(20_000)),
    "few classes": lambda: simulate(4000, 5),
    "many classes": lambda: simulate(3000, 30),
    "confidence": lambda: ct.Predictions.from_confidence(*smooth(5000, 4)),
    "weighted": lambda: ct.Predictions.from_probs(
        *smooth(5000, 5),
        weights=np.random.Generator(np.random.PCG64(0)).random(5000) + 0.1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_metric_from_cells_is_that_of_the_rows(case, monkeypatch):
    p = CASES[case]()
    rows = ct.evaluate(p, STREAMED, ci="none")
    monkeypatch.setattr(request, "STREAMED_ROWS", 10)
    found = ct.evaluate(p, STREAMED, ci="none")
    summary = ct.cells(p, STREAMED)
    for one, other in zip(rows, found, strict=True):
        assert bool(one.missing) == bool(other.missing), (one, other)
        if one.value is None:
            continue
        spec = parse(one.name)
        exact = spec.one_edge_for_all or spec.metric.name in ("nll", "brier", "accuracy")
        # each of some 14 cuts may lie a cell further, and a cell is 1/4,096 wide
        share = 10 if spec.metric.name == "hosmer-lemeshow" else 1  # a sum of squares over n
        slack = 1e-9 if exact else share * 14 / 4096 * max(1.0, abs(one.value))
        assert other.value == pytest.approx(one.value, abs=slack), (one.name, one.value)
    assert isinstance(summary, Summary)


def test_cells_say_how_much_they_leave_open():
    p = binary(20_000, np.float64)
    summary = ct.cells(p)
    for name in ("ada-ece", "ks", "mcb", "smece", "auprc", "hosmer-lemeshow"):
        spec = parse(f"{name}(view=positive)")
        exact = ct.evaluate(p, [spec], ci="none").estimates[0].value
        own = ct.evaluate(summary, [spec], ci="none").estimates[0].value
        within = resolution(spec, summary, own)
        assert abs(own - exact) <= 3 * within + 1e-9, (name, exact, own, within)


def test_intervals_from_cells_are_those_of_rows(monkeypatch):
    p = simulate(20_000, 10, scale=1.3)
    wanted = ["ece", "ada-ece", "mce", "classwise-ece", "nll", "accuracy", "smece", "auroc", "bias"]
    rows = ct.evaluate(p, wanted, resamples=400)
    monkeypatch.setattr(request, "STREAMED_ROWS", 10)
    found = ct.evaluate(p, wanted, resamples=400)
    for one, other in zip(rows, found, strict=True):
        width = one.high - one.low
        assert other.high - other.low == pytest.approx(width, rel=0.35), one.name
        assert other.low == pytest.approx(one.low, abs=0.35 * width), one.name
    assert "draws:cells" in found["ece"].signature


def test_two_classes_are_one_set_of_rows():
    """Class 0 is class 1 seen from the other side: its noise does not average out."""
    p = ct.Predictions.from_probs(*smooth(20_000))
    rows = ct.evaluate(p, ["ece", "classwise-ece"], resamples=300)
    found = ct.evaluate(ct.cells(p), ["ece", "classwise-ece"], resamples=300)
    for report in (rows, found):
        one, both = report["ece"], report["classwise-ece"]
        assert both.high - both.low == pytest.approx(one.high - one.low, rel=0.15)


def test_a_calibrators_gain_in_a_score_is_paired(monkeypatch, tmp_path):
    p = simulate(20_000, 5, scale=1.5)
    np.savez(tmp_path / "p.npz", logits=p.values, labels=p.labels)
    calibrator = ct.fit("temperature", simulate(5000, 5, scale=1.5, seed=1))
    how = {"calibrator": calibrator, "resamples": 300}
    rows = ct.evaluate(ct.scan(tmp_path / "p.npz"), ["nll", "brier"], **how)
    monkeypatch.setattr(request, "EXACT_ROWS", 10)
    found = ct.evaluate(ct.scan(tmp_path / "p.npz"), ["nll", "brier"], **how)
    assert "draws:cells" in found["nll"].signature
    for one, other in zip(rows.change, found.change, strict=True):
        assert other.value == pytest.approx(one.value, abs=1e-9)
        assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.25)


def test_infinite_scores_are_told():
    p = ct.Predictions.from_probs([0.0, 0.5, 1.0] * 10, [1, 0, 1] * 10)
    report = ct.evaluate(ct.cells(p), ["nll", "ece"])
    assert report["nll"].value == np.inf
    assert "10 rows give their label a probability of 0" in report.warnings[0]


def test_what_cells_do_not_hold_is_said():
    summary = ct.cells(binary(500))
    found = ct.evaluate(summary, ["ece(bins=12)", "skce", "top-label-ece", "ece"])
    assert "do not end at the edges of 12 bins" in found["ece(bins=12)"].missing
    assert "needs rows" in found["skce"].missing
    assert "label view" in found["top-label-ece"].missing
    assert found["ece"].value is not None
    exact = ct.evaluate(ct.cells(binary(500), ["ece(bins=12)"]), ["ece(bins=12)"])
    assert exact["ece(bins=12)"].value is not None


# ------------------------------------------------------------------ files


def test_a_file_of_cells_keeps_every_bit(tmp_path):
    for k, case in enumerate(CASES.values()):
        summary = ct.cells(case())
        ct.save_cells(summary, tmp_path / f"{k}.cells")
        again = ct.load_cells(tmp_path / f"{k}.cells")
        assert same(summary, again)
        assert (again.rows, again.shape, again.keep) == (summary.rows, summary.shape, summary.keep)


def test_the_same_rows_make_the_same_bytes(tmp_path):
    p = binary(3000)
    for name, summary in {
        "a.cells": ct.cells(p),
        "b.cells": ct.cells(p.take(slice(0, 1000))) + ct.cells(p.take(slice(1000, 3000))),
    }.items():
        ct.save_cells(summary, tmp_path / name)
    assert (tmp_path / "a.cells").read_bytes() == (tmp_path / "b.cells").read_bytes()
    assert (tmp_path / "a.cells").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda h: {**h, "version": 3}, "reads versions 1 and 2"),
        (lambda h: {**h, "format": "something"}, "format must be one of calibtool cells"),
        (lambda h: {**h, "sums": {**h["sums"], "top/n": [3]}}, "not a whole file"),
        (lambda h: {k: v for k, v in h.items() if k != "keep"}, "not a whole file"),
        (lambda h: {**h, "shape": {**h["shape"], "kind": "magic"}}, "shape.kind must be one of"),
    ],
)
def test_a_spoiled_header_is_refused(tmp_path, spoil, says):
    import json

    held = io.BytesIO()
    write(ct.cells(binary(200)), held)
    path = tmp_path / "x.cells"
    with zipfile.ZipFile(held) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "header.json":
                data = json.dumps(spoil(json.loads(data))).encode()
            new.writestr(name, data)
    with pytest.raises(InputError, match=says):
        ct.load_cells(path)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("score/nll", lambda v: v * 0, "sums['score/nll'] is of no rows"),
        ("score/nll", lambda v: -v, "sums['score/nll'] is negative"),
        ("score/nll", lambda v: v * 3, "is of a weight of 600, and all rows weigh 200"),
        ("score/nll", lambda v: v * [1, 1, 1, 1e60, 1, 1, 1], "larger scores or weights"),
        ("score/nll", lambda v: v * [1, 1, 1, 1, 1e60, 1, 1], "larger scores or weights"),
        ("score/nll", lambda v: v * 1e200, "score/nll holds values that are not finite, or too"),
        ("score/accuracy", lambda v: v * [1, 1e17, 1, 1, 1, 1, 1], "a share of more than all rows"),
        ("count/label", lambda v: v * 0.5, "is of a weight of 100, and all rows weigh 200"),
        ("count/correct", lambda v: v * [1, -1], "sums['count/correct'] is negative"),
        ("top/n", lambda v: v * 2, "rows is 200, and top holds 400"),
        ("top/n", lambda v: v * 0.5, "rows is 200, and top holds 100"),
        ("top/p", lambda v: v * 9, "sums['top/p'] is larger than the weight of its cell"),
    ],
)
def test_sums_that_no_rows_have_are_refused(name, change, says):
    summary = ct.cells(binary(200), ["nll", "macro-f1", "ece"])
    spoiled = Exact.of(change(summary.sums[name].high))
    with pytest.raises(InputError, match=re.escape(says)):
        from_bytes(to_bytes(replace(summary, sums=summary.sums | {name: spoiled})))


def test_a_file_holds_the_views_that_its_numbers_are_of(tmp_path):
    summary = ct.cells(binary(200))
    views = tuple(view for view in summary.keep.views if view != "positive")
    sums = {name: one for name, one in summary.sums.items() if not name.startswith("positive/")}
    spoiled = replace(summary, sums=sums, keep=replace(summary.keep, views=views))
    ct.save_cells(spoiled, tmp_path / "x.cells")
    with pytest.raises(InputError, match="the views lack positive"):
        ct.load_cells(tmp_path / "x.cells")


def test_a_low_half_is_below_the_high_one():
    summary = ct.cells(binary(200))
    high = summary.sums["score/nll"].high
    spoiled = summary.sums | {"score/nll": Exact(high, 2 * high)}
    with pytest.raises(InputError, match="not finite, or too large"):
        from_bytes(to_bytes(replace(summary, sums=spoiled)))


@pytest.mark.parametrize("weights", [None, np.full(50, 1e30), np.full(50, 1e-30), np.zeros(50)])
def test_cells_of_the_largest_logits_and_weights_can_be_read(weights):
    draws = np.random.default_rng(0)
    logits, labels = draws.uniform(-1e38, 1e38, (50, 3)), draws.integers(0, 3, 50)
    block = ct.Predictions.from_logits(logits, labels)
    summary = ct.cells(replace(block, weights=weights))
    assert same(summary, from_bytes(to_bytes(summary)))


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    ct.save_cells(ct.cells(binary(200)), tmp_path / "x.cells")
    data = (tmp_path / "x.cells").read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 5):
        (tmp_path / "x.cells").write_bytes(data[:size])
        with pytest.raises(InputError, match="not a whole file of cells"):
            ct.load_cells(tmp_path / "x.cells")


def test_no_rows_leave_no_panels():
    shape = DataShape("probs", 2, one_column=True)
    summary = Reducer(shape, full_layout(shape)).result()
    assert summary.rows == 0
    assert grid_of("top", summary.keep, shape).size > 4096
    with pytest.raises(ct.CalibtoolError, match="keep no top view"):
        CellProblems(summary, "top")


# ------------------------------------------------------------------ columns of rows


@given(st.integers(0, 2**32))
def test_the_probability_of_the_label_is_that_of_a_choice(seed):
    rng = np.random.default_rng(seed)
    kind = rng.choice([np.float16, np.float32, np.float64])
    p = rng.choice(np.array([0, 1, 0.5, 0.1, 1e-45, 6e-8, 0.9999999], kind), 20)
    y = rng.integers(0, 2, 20)
    rows = reduce_rows(ct.Predictions.from_probs(p, y), want=("prob",), lean=True)
    assert rows.prob.tobytes() == np.where(y == 1, p, 1 - p).astype(np.float64).tobytes()


@pytest.mark.parametrize(("score", "classes", "read"), [
    ("brier", 2, False), ("brier", 3, True), ("spherical", 2, True)
])  # fmt: skip
def test_squares_are_read_where_a_score_needs_them(score, classes, read):
    shape = DataShape("probs", classes, one_column=classes == 2)
    reducer = Reducer(shape, Layout((), (), (), (score,), counts=False))
    assert ("squares" in reducer._wanted.columns) is read
