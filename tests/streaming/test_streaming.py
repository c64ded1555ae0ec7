"""Streaming: files of any number of rows, in parts, through the same numbers as rows in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

import calibtool as ct
from calibtool import metrics
from calibtool.analysis import slice_cuts, slices
from calibtool.data.files.open import open_source
from calibtool.data.files.roles import Choice
from calibtool.errors import InputError
from calibtool.evaluation import request

ROWS = 30_000


def table(seed: int = 0, rows: int = ROWS, *, weights: bool = False) -> pa.Table:
    rng = np.random.Generator(np.random.PCG64(seed))
    score = rng.beta(0.8, 2, rows)
    columns = {
        "p": score.astype(np.float32),
        "y": (rng.random(rows) < score**1.2).astype(np.int8),
        "country": rng.choice(["de", "fr", "it"], rows, p=[0.6, 0.3, 0.1]),
        "device": rng.integers(0, 3, rows),
        "fraction": rng.random(rows),
    }
    if weights:
        columns["weight"] = rng.random(rows) + 0.1
    return pa.table(columns)


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is many rows."""
    monkeypatch.setattr(request, "STREAMED_ROWS", 100)
    monkeypatch.setattr(slices, "EXACT_ROWS", 100)


def write(path: Path, data: pa.Table, group: int = 4000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, path, row_group_size=group)


def source(path: Path | str, **choice):
    return open_source(path, Choice(score="p", labels="y", **choice))


def digits(report):
    return [(e.name, e.value, e.low, e.high, e.corrected, e.p_value) for e in report]


@pytest.mark.usefixtures("streamed")
def test_one_file_or_ten_one_thread_or_four_give_the_same_digits(tmp_path):
    data = table()
    write(tmp_path / "one.parquet", data)
    write(tmp_path / "coarse.parquet", data, group=ROWS)
    for k in range(10):
        write(tmp_path / "ten" / f"{k}.parquet", data.slice(3000 * k, 3000), group=700)
    names = ["ece", "ada-ece", "nll", "accuracy", "classwise-ece", "smece"]
    found = [
        digits(ct.evaluate(source(tmp_path / name), names, threads=threads))
        for name, threads in [
            ("one.parquet", 1),
            ("one.parquet", 4),
            ("coarse.parquet", 4),
            ("ten", 2),
        ]
    ]
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize("suffix", ["npz", "csv", "arrow"])
def test_other_formats_stream_too(tmp_path, monkeypatch, suffix):
    data = table(rows=3000)
    p = ct.Predictions.from_probs(data["p"].to_numpy(), data["y"].to_numpy())
    path = tmp_path / f"x.{suffix}"
    if suffix == "npz":
        np.savez(path, p=p.values[:, 0], y=p.labels)
    elif suffix == "csv":
        csv.write_csv(data, path)
    else:
        feather.write_feather(data, path, compression="uncompressed")
    rows = ct.evaluate(p, ["ece", "brier"], ci="none")
    monkeypatch.setattr(request, "STREAMED_ROWS", 100)
    report = ct.evaluate(source(path), ["ece", "brier"], ci="none")
    slack = 1e-6 if suffix == "csv" else 1e-8  # squares of float32 scores are rounded in memory
    assert [e.value for e in report] == pytest.approx([e.value for e in rows], abs=slack)


@pytest.mark.usefixtures("streamed")
def test_weighted_rows_have_the_same_digits_in_any_number_of_threads(tmp_path):
    write(tmp_path / "x.parquet", table(weights=True), group=1500)
    reports = [ct.evaluate(source(tmp_path / "x.parquet"), threads=t) for t in (1, 3)]
    assert digits(reports[0]) == digits(reports[1])
    assert reports[0].data.weighted


@pytest.mark.usefixtures("streamed")
def test_a_bad_value_is_named_by_file_and_row(tmp_path):
    bad = table(rows=2000)
    score = bad["p"].to_numpy().copy()
    score[1234] = np.nan
    for k in range(3):
        data = bad.set_column(0, "p", pa.array(score)) if k == 1 else table(k, 2000)
        write(tmp_path / "x" / f"{k}.parquet", data, group=500)
    with pytest.raises(InputError, match=r"1\.parquet: p: .*row 1234"):
        ct.evaluate(source(tmp_path / "x"), ["ece"])


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("threads", [1, 4])
def test_a_file_that_is_damaged_inside_is_named_or_skipped_whole(tmp_path, threads):
    for k in range(4):
        write(tmp_path / "x" / f"{k}.parquet", table(k, 4000), group=1000)
    path = tmp_path / "x" / "2.parquet"
    data = bytearray(path.read_bytes())
    where = pq.ParquetFile(path).metadata.row_group(2).column(0)
    start = where.dictionary_page_offset or where.data_page_offset
    data[start : start + where.total_compressed_size] = b"\xff" * where.total_compressed_size
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"2\.parquet"):
        ct.evaluate(source(tmp_path / "x"), ["ece"], threads=threads)
    skipping = source(tmp_path / "x", skip_bad_files=True)
    report = ct.evaluate(skipping, ["ece", "nll"], threads=threads)
    assert [file.endswith("2.parquet") for file, _ in report.skipped] == [True]
    path.unlink()
    assert digits(report) == digits(ct.evaluate(source(tmp_path / "x"), ["ece", "nll"]))
    assert report.data.rows == 12_000


@pytest.mark.usefixtures("streamed")
def test_a_filter_streams_what_it_keeps(tmp_path):
    data = table()
    write(tmp_path / "x.parquet", data)
    report = ct.evaluate(source(tmp_path / "x.parquet", filter="country = 'fr'"), ["ece"])
    filtered = data.filter(pc.equal(data["country"], "fr"))
    write(tmp_path / "kept.parquet", filtered)
    assert digits(report) != digits(ct.evaluate(source(tmp_path / "x.parquet"), ["ece"]))
    assert [e.value for e in report] == [
        e.value for e in ct.evaluate(source(tmp_path / "kept.parquet"), ["ece"])
    ]
    assert report.data.rows == filtered.num_rows


@pytest.mark.parametrize("by", [["country", "device"], ["fraction", "confidence,country"]])
def test_slices_of_many_rows_are_those_of_few(tmp_path, monkeypatch, by):
    write(tmp_path / "x.parquet", table())
    names = ["ece", "nll", "accuracy"]
    rows = ct.evaluate_by(source(tmp_path / "x.parquet"), by, names, ci="none")
    monkeypatch.setattr(slices, "EXACT_ROWS", 100)
    monkeypatch.setattr(request, "STREAMED_ROWS", 100)
    report = ct.evaluate_by(source(tmp_path / "x.parquet"), by, names, ci="none")
    for a, b in zip(rows.parts, report.parts, strict=True):
        assert [(s.name, s.rows) for s in a.slices] == [(s.name, s.rows) for s in b.slices]
        for one, other in zip(a.slices, b.slices, strict=True):
            values = [m.estimate.value for m in one.measures]
            assert [m.estimate.value for m in other.measures] == pytest.approx(values, abs=1e-12)
    assert [e.value for e in report.whole] == pytest.approx(
        [e.value for e in rows.whole], abs=1e-12
    )


@pytest.mark.usefixtures("streamed")
def test_numbers_are_divided_at_the_quantiles_of_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(slice_cuts, "STREAMED_ROWS", 5_000)
    write(tmp_path / "x.parquet", table())
    part = ct.evaluate_by(
        source(tmp_path / "x.parquet"), "fraction", ["accuracy"], ci="none"
    ).parts[0]
    assert len(part.slices) == 8
    assert part.slices[0].name.startswith("up to")
    assert part.slices[-1].name.startswith("above")
    sizes = [one.rows for one in part.slices]
    assert sum(sizes) == table().num_rows
    assert max(sizes) < 1.3 * min(sizes)
    assert "drawn at random" in part.note


@pytest.mark.usefixtures("streamed")
def test_a_slice_has_the_name_of_all_its_values(tmp_path, monkeypatch):
    """A value that the sample lacks is in no group of another value."""
    monkeypatch.setattr(slice_cuts, "STREAMED_ROWS", 50)
    rare = np.where(np.arange(table().num_rows) == 3, 2.5, 1.0)
    write(tmp_path / "x.parquet", table().append_column("rating", pa.array(rare)))
    part = ct.evaluate_by(source(tmp_path / "x.parquet"), "rating", ["accuracy"], ci="none").parts[
        0
    ]
    assert [one.name for one in part.slices] == ["1"]
    assert part.small == (("2.5", 1),)


@pytest.mark.usefixtures("streamed")
def test_slices_need_columns_of_few_values(tmp_path):
    write(tmp_path / "x.parquet", table())
    with pytest.raises(InputError, match="no column 'nothing'"):
        ct.evaluate_by(source(tmp_path / "x.parquet"), "nothing")


@pytest.mark.usefixtures("streamed")
def test_no_rows_after_a_filter_is_an_error(tmp_path):
    write(tmp_path / "x.parquet", table())
    with pytest.raises(InputError, match="no rows"):
        ct.evaluate(source(tmp_path / "x.parquet", filter="p > 2"), ["ece"])


def test_a_glob_of_folders_is_all_that_is_in_them(tmp_path):
    for day in (1, 2, 3):
        write(tmp_path / "scores" / f"day=2026-11-0{day}" / "part.parquet", table(day, 500))
    (tmp_path / "scores" / "day=2026-11-01" / "_SUCCESS").write_text("")
    found = source(f"{tmp_path}/scores/day=2026-11-0[12]")
    assert found.rows == 1000
    parts = ct.evaluate_by(found, "day", ["accuracy"], ci="none").parts[0].slices
    assert sorted((s.name, s.rows) for s in parts) == [("2026-11-01", 500), ("2026-11-02", 500)]


def test_a_file_of_cells_is_read_view_by_view(tmp_path):
    rng = np.random.default_rng(4)
    score = rng.random(500)
    whole = ct.cells((score, (rng.random(500) < score).astype(int)))
    ct.save_cells(whole, tmp_path / "x.cells")
    for views in (("top",), ("positive",), ("top", "positive")):
        part = ct.load_cells(tmp_path / "x.cells", views)
        assert part.rows == whole.rows
        assert {name.split("/")[0] for name in part.sums} == {*views} == {*part.keep.views}
        assert not part.keep.scores
        for name, sums in part.sums.items():
            np.testing.assert_array_equal(sums.high, whole.sums[name].high)
            np.testing.assert_array_equal(sums.low, whole.sums[name].low)


def test_a_function_tells_by_the_header_what_is_read_of_a_file_of_cells(tmp_path):
    whole = ct.cells((np.array([0.2, 0.7]), np.array([0, 1])))
    ct.save_cells(whole, tmp_path / "x.cells")
    seen = []

    def last(header):
        seen.append((header.kind, header.classes, header.rows, dict(header.sums)))
        return header.keep.views[-1:]

    part = ct.load_cells(tmp_path / "x.cells", last)
    assert seen == [("probs", 2, 2, {})]
    assert part.keep.views == whole.keep.views[-1:] == ("top",)
    assert {*part.sums} == {"top/n", "top/p", "top/y"}


def shortfall(rows):
    """A score whose entry does not say that it reads `prob`."""
    return np.maximum(0, 0.5 - rows.prob)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_score_that_does_not_say_what_it_reads_streams_too(tmp_path, monkeypatch, classes):
    toy = metrics.Score("toy-hinge", "Toy hinge", "mean shortfall", "", shortfall)
    monkeypatch.setitem(metrics.METRICS, "toy-hinge", toy)
    rng = np.random.Generator(np.random.PCG64(2))
    probs, labels = rng.dirichlet(np.ones(classes), 600), rng.integers(0, classes, 600)
    np.savez(tmp_path / "x.npz", probs=probs, labels=labels)
    data = ct.scan(str(tmp_path / "x.npz"))
    held = ct.evaluate(data, ["toy-hinge"], resamples=50)["toy-hinge"]
    monkeypatch.setattr(request, "STREAMED_ROWS", 100)
    streamed = ct.evaluate(data, ["toy-hinge"], resamples=50)["toy-hinge"]
    assert streamed.value == pytest.approx(held.value, rel=1e-12)
    assert streamed.low < streamed.value < streamed.high
