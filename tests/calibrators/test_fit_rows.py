"""Fits that go over a file pass by pass: the same optimum as in memory, whatever the file."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators import fit_rows
from calibtool.calibrators.maps import Affine
from calibtool.calibrators.registry import METHODS
from calibtool.data.rows import to_probs
from calibtool.errors import FitError, InputError, NotAvailableError, UsageError
from calibtool.intervals.draws import EXACT_ROWS

BY_PASSES = [name for name, line in METHODS.items() if line.by_passes]
ROWS = 6000


@pytest.fixture(autouse=True)
def _little_at_a_time(monkeypatch):
    """Samples and blocks so small that a fit of some thousand rows takes its passes."""
    monkeypatch.setattr(fit_rows, "SAMPLE_ROWS", 400)
    monkeypatch.setattr(fit_rows, "BLOCK", 1 << 11)


def column(values):
    if values.shape[1] == 1:
        return pa.array(values[:, 0])
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def write(folder, p, files=10):
    """Predictions as parquet files, and what `scan` is told of them."""
    folder.mkdir(exist_ok=True)
    name = "score" if p.one_column and p.kind == "probs" else p.kind
    for k, at in enumerate(np.array_split(np.arange(p.rows), files)):
        part = p.take(at)
        columns = {name: column(part.values), "labels": part.labels}
        if part.weights is not None:
            columns["weights"] = part.weights
        pq.write_table(pa.table(columns), folder / f"{k:02}.parquet")
    return folder


def logits(values, p, **more):
    return ct.Predictions.from_logits(values, p.labels, **more)


def weights_some_zero(rows):
    rng = np.random.Generator(np.random.PCG64(7))
    return np.where(rng.random(rows) < 0.2, 0, 3e5 * rng.random(rows))


def with_zeros():
    """Probabilities of which some are 0, the lowest positive one at the end of the file."""
    p = to_probs(simulate(ROWS, 4))
    probs = p.values.copy()
    rows = np.arange(0, ROWS, 9)
    k = (p.labels[rows] + 1) % 4
    probs[rows, p.labels[rows]] += probs[rows, k]
    probs[rows, k] = 0
    rest = (p.labels[-1] + 1) % 4
    probs[-1] = 1e-9
    probs[-1, rest] = 1 - 3e-9
    return ct.Predictions.from_probs(probs, p.labels)


FIVE, TWO = simulate(ROWS, 5), simulate(ROWS, 2)
CASES = {
    "float64": lambda: FIVE,
    "float32": lambda: logits(FIVE.values.astype(np.float32), FIVE),
    "float16": lambda: logits(FIVE.values.astype(np.float16), FIVE),
    "weights": lambda: logits(FIVE.values, FIVE, weights=weights_some_zero(ROWS)),
    "probabilities": lambda: to_probs(FIVE),
    "probabilities of zero": with_zeros,
    "two columns": lambda: TWO,
    "one column": lambda: logits(TWO.values[:, 1] - TWO.values[:, 0], TWO),
    "one column of probabilities": lambda: ct.Predictions.from_probs(
        to_probs(TWO).values[:, 1].astype(np.float32), TWO.labels
    ),
    "seventy classes": lambda: simulate(ROWS, 70),
    "sorted by label": lambda: FIVE.take(np.argsort(FIVE.labels, kind="stable")),
}


def parameters(calibrator):
    own = calibrator.map
    if isinstance(own, Affine):
        return np.append(own.weight.ravel(), own.bias)
    return np.array([own.temperature])


@pytest.mark.parametrize(
    ("case", "files"), [*((case, 10) for case in CASES), ("float32", 1), ("sorted by label", 1)]
)
@pytest.mark.parametrize("method", BY_PASSES)
def test_the_optimum_is_that_of_the_fit_in_memory(method, case, files, tmp_path):
    p = CASES[case]()
    source = ct.scan(write(tmp_path / "f", p, files))
    held, read = ct.fit(method, source.load()), ct.fit(method, source)
    np.testing.assert_allclose(parameters(read), parameters(held), rtol=0, atol=1e-8)
    one, other = held.fitted, read.fitted
    assert (other.rows, other.fingerprint, other.kind) == (one.rows, one.fingerprint, one.kind)
    assert other.nll_before == pytest.approx(one.nll_before, abs=1e-12)
    assert other.nll_after == pytest.approx(one.nll_after, abs=1e-12)
    assert other.prior == pytest.approx(one.prior, abs=1e-14)
    if isinstance(held.map, Affine):
        assert read.map.floor == held.map.floor
    taken = int(re.search(r"fitted in (\d+) passes", " ".join(other.notes))[1])
    assert 1 <= taken <= 9


@pytest.mark.parametrize("name", ["cifar10_resnet20", "cifar100_resnet20", "sst2_gpt2"])
def test_the_optimum_is_that_in_memory_on_published_logits(name, published, tmp_path):
    data = np.load(published / f"{name}.npz")
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(data["labels"]))
    p = ct.Predictions.from_logits(data["logits"][order], data["labels"][order])
    source = ct.scan(write(tmp_path / "f", p))
    for method in BY_PASSES:
        held, read = parameters(ct.fit(method, p)), parameters(ct.fit(method, source))
        np.testing.assert_allclose(read, held, rtol=0, atol=1e-8)


def newton(z, labels, weights, v):
    """Vector scaling by the plain formulas: Newton's steps to the end."""
    rows, classes = z.shape
    weights = weights / weights.sum()
    for _ in range(30):
        s = v[:, 0] * z + v[:, 1]
        p = np.exp(s - s.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        g = (p - np.eye(classes)[labels]) * weights[:, None]
        slope = np.stack([(g * z).sum(axis=0), g.sum(axis=0)], axis=1).ravel()
        u = np.stack([p * z, p], axis=2).reshape(rows, -1)
        curve = -(u * weights[:, None]).T @ u
        for a, x in enumerate((z, np.ones_like(z))):
            for b, y in enumerate((z, np.ones_like(z))):
                k = 2 * np.arange(classes)
                curve[k + a, k + b] += (weights[:, None] * p * x * y).sum(axis=0)
        step = np.linalg.pinv(curve, rcond=1e-12, hermitian=True) @ slope
        v = v - step.reshape(classes, 2)
        v[:, 1] -= v[:, 1].mean()
        if np.abs(step).max() < 1e-13:
            break
    return v


@pytest.mark.parametrize("classes", [5, 40])
def test_vector_scaling_is_exact(classes, tmp_path):
    p = simulate(ROWS, classes)
    weights = 0.5 + np.arange(ROWS) % 3
    p = logits(p.values, p, weights=weights)
    source = ct.scan(write(tmp_path / "f", p))
    start = np.tile([1.0, 0.0], (classes, 1))
    v = newton(p.values, p.labels, weights, start)
    for fitted in (ct.fit("vector", source), ct.fit("vector", p)):
        np.testing.assert_allclose(fitted.map.weight, v[:, 0], rtol=0, atol=1e-8)
        np.testing.assert_allclose(fitted.map.bias, v[:, 1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", BY_PASSES)
def test_threads_change_no_digit(method, tmp_path, monkeypatch):
    source = ct.scan(write(tmp_path / "f", CASES["float32"]()))
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(fit_rows, "cores", lambda threads=threads: threads)
        found.append(parameters(ct.fit(method, source)).tolist())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("method", BY_PASSES)
def test_progress_counts_the_passes(method, tmp_path):
    source = ct.scan(write(tmp_path / "f", FIVE))
    told = []
    fitted = ct.fit(method, source, progress=lambda *one: told.append(one))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages[0].startswith("fitting, pass 1 of about ")
    assert fitted.fitted.notes == (
        f"fitted in {len(stages)} passes over the file, which was not held in memory",
    )
    for stage in stages:
        shares = [share for own, share in told if own == stage]
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_other_fits_load_the_source(tmp_path):
    p = simulate(300, 3)
    source = ct.scan(write(tmp_path / "f", p))
    for method, options in (("platt", {}), ("temperature", {"objective": "ece"})):
        held, read = ct.fit(method, p, **options), ct.fit(method, source, **options)
        assert read.parameters() == held.parameters()
    with pytest.raises(UsageError, match="fit vector: "):
        ct.fit("vector", source, colour="red")


def test_what_cannot_be_fitted_is_said(tmp_path):
    two = logits(FIVE.values, FIVE)
    two = ct.Predictions.from_logits(two.values, FIVE.labels % 2)
    with pytest.raises(FitError, match="class 2 has no rows to fit on"):
        ct.fit("vector", ct.scan(write(tmp_path / "a", two)))
    apart = ct.Predictions.from_logits(5 * np.eye(3)[np.arange(90) % 3], np.arange(90) % 3)
    for method in BY_PASSES:
        with pytest.raises(FitError, match="every row is right"):
            ct.fit(method, ct.scan(write(tmp_path / "b", apart)))
    nothing = logits(FIVE.values, FIVE, weights=np.arange(ROWS) == ROWS - 1)
    folder = write(tmp_path / "c", nothing)
    pq.write_table(pq.read_table(folder / "09.parquet").slice(0, 500), folder / "09.parquet")
    with pytest.raises(FitError, match="all have a weight of 0"):
        ct.fit("temperature", ct.scan(folder))
    pq.write_table(pa.table({"confidence": [0.5] * 9, "correct": [1] * 9}), tmp_path / "d.parquet")
    with pytest.raises(NotAvailableError, match="only confidences are known"):
        ct.fit("vector", ct.scan(tmp_path / "d.parquet"))
    folder = write(tmp_path / "e", FIVE)
    bad = FIVE.values[:600].copy()
    bad[300, 2] = np.nan
    table = pa.table({"logits": column(bad), "labels": FIVE.labels[:600]})
    pq.write_table(table, folder / "07.parquet")
    with pytest.raises(InputError, match=r"07\.parquet.*row 300"):
        ct.fit("vector", ct.scan(folder))


@pytest.mark.parametrize("method", ["vector", "platt"])
def test_a_damaged_file_is_left_out_where_that_is_asked_for(method, tmp_path):
    folder = write(tmp_path / "f", FIVE)
    sound = ct.fit(method, FIVE.take(slice(0, 4800)))
    for name in ("08", "09"):
        path = folder / f"{name}.parquet"
        path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match=r"0[89]\.parquet"):
        ct.fit(method, ct.scan(folder))
    fitted = ct.fit(method, ct.scan(folder, skip_bad_files=True))
    assert fitted.fitted.rows == 4800
    assert fitted.fitted.fingerprint == sound.fitted.fingerprint
    told = [note for note in fitted.fitted.notes if note.startswith("left out, since it cannot")]
    assert ["08.parquet" in told[0], "09.parquet" in told[1], len(told)] == [True, True, 2]


@pytest.mark.parametrize("method", BY_PASSES)
def test_a_filter_is_heeded(method, tmp_path):
    source = ct.scan(write(tmp_path / "f", FIVE), filter="labels != 4")
    with pytest.raises(FitError, match="class 4 has no rows"):
        ct.fit("vector", source)
    source = ct.scan(tmp_path / "f", filter="labels < 5 and labels >= 0")
    held, read = ct.fit(method, FIVE), ct.fit(method, source)
    np.testing.assert_allclose(parameters(read), parameters(held), rtol=0, atol=1e-8)
    assert read.fitted.rows == ROWS


def test_scan_takes_what_load_takes(tmp_path):
    write(tmp_path / "f", FIVE)
    source = ct.scan(tmp_path / "f", logits="logits", extra=["labels"])
    assert source.rows == ROWS
    assert list(source.load().extra) == ["labels"]
    with pytest.raises(UsageError, match="scan: "):
        ct.scan(tmp_path / "f", colour="red")


def test_files_are_long_where_evaluate_streams_them():
    from calibtool.cli import fit

    assert fit.MAX_ROWS == EXACT_ROWS
