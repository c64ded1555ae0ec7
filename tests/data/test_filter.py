"""Which rows, and which files: what is chosen is what numpy chooses, and no more is read."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

import calibtool as ct
from calibtool.data.files import arrow_file
from calibtool.data.files.open import open_source
from calibtool.data.files.roles import Choice
from calibtool.errors import InputError, UnreadableError, UsageError

ROWS = 1200
RNG = np.random.default_rng(5)
SCORE = np.sort(RNG.random(ROWS)).astype(np.float32)  # so that row groups differ in range
LABEL = (RNG.random(ROWS) < SCORE).astype(np.int8)
COUNTRY = np.array(["de", "fr", "o'neil"])[RNG.integers(0, 3, ROWS)]
AGE = RNG.integers(18, 90, ROWS)
SEEN = np.datetime64("2026-11-01") + RNG.integers(0, 3, ROWS)
NULLS = RNG.random(ROWS) < 0.2


def table():
    return pa.table(
        {
            "score": SCORE,
            "label": LABEL,
            "country": pa.array(COUNTRY).dictionary_encode(),
            "age": AGE,
            "seen": pa.array(SEEN),
            "at": pa.array(SEEN.astype("M8[us]"), pa.timestamp("us", tz="UTC")),
            "old": AGE > 60,
            "maybe": pa.array(AGE, mask=NULLS),
            "a b": AGE,
        }
    )


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(table(), "t.parquet", row_group_size=100)
    return tmp_path


KEPT = np.float32(0.2) < SCORE
CONDITIONS = {
    "score > 0.2": KEPT,
    "0.2 < score": KEPT,
    "score = 0.2": np.float32(0.2) == SCORE,
    "not score > 0.2": ~KEPT,
    "score>.2 and age<=30 or age >= 80": KEPT & (AGE <= 30) | (AGE >= 80),
    "score > 2e-1 AND (age <= 30 OR age >= 80)": KEPT & ((AGE <= 30) | (AGE >= 80)),
    "country = 'de'": COUNTRY == "de",
    "country <> 'de'": COUNTRY != "de",
    "country = 'o''neil'": COUNTRY == "o'neil",
    "country in ('de', 'fr')": COUNTRY != "o'neil",
    "country not in ('de')": COUNTRY != "de",
    "age in (20, 21, 22.0)": np.isin(AGE, [20, 21, 22]),
    "age == 300 or age > -1": AGE > -1,
    "age >= 20.5": AGE > 20,
    "seen = '2026-11-02'": np.datetime64("2026-11-02") == SEEN,
    "seen >= '2026-11-02' and not old": (np.datetime64("2026-11-02") <= SEEN) & (AGE <= 60),
    "at < '2026-11-02T00:00:00Z'": np.datetime64("2026-11-01") == SEEN,
    "at < '2026-11-02'": np.datetime64("2026-11-01") == SEEN,
    "old = true": AGE > 60,
    "old": AGE > 60,
    "maybe is null": NULLS,
    "maybe is not null": ~NULLS,
    "maybe > 50": (AGE > 50) & ~NULLS,
    "not (maybe > 50)": (AGE <= 50) & ~NULLS,  # of a missing value, neither is true
    "maybe not in (20, 30)": ~np.isin(AGE, [20, 30]) & ~NULLS,
    '"a b" = 40': AGE == 40,
    "age != label": AGE != LABEL,
}


# csv keeps neither the zone of a time nor the width of a float
CSV = [text for text in CONDITIONS if "at <" not in text and "score" not in text]
EACH = [(text, suffix) for text in CONDITIONS for suffix in ("parquet", "arrow")]


@pytest.mark.parametrize(("condition", "suffix"), EACH + [(text, "csv") for text in CSV])
def test_a_condition_keeps_the_rows_that_numpy_keeps(condition, suffix):
    if suffix == "arrow":
        feather.write_feather(table(), "t.arrow", compression="uncompressed")
    if suffix == "csv":
        csv.write_csv(table(), "t.csv")
    expected = CONDITIONS[condition]
    source = open_source(f"t.{suffix}", Choice(filter=condition))
    assert source.rows == expected.sum()
    if expected.any():
        whole = source.load()
        np.testing.assert_array_equal(whole.labels, LABEL[expected])
        parts = [b for part in source.parts() for b in source.part_blocks(part, 64)]
        np.testing.assert_array_equal(np.concatenate([b.labels for b in parts]), LABEL[expected])
        assert [b.rows for b in source.blocks(50)][:-1] == [50] * ((expected.sum() - 1) // 50)
    else:
        with pytest.raises(InputError, match="no rows that the filter keeps"):
            source.load()


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("", "at its end: expected a column"),
        ("score >", "at its end: expected a column or a value"),
        ("score", "expected a comparison"),
        ("score > 0.2 age", "character 13: expected `and`, `or` or the end"),
        (
            "nope = 1",
            "'nope', character 1: there is no column 'nope'; the columns are score",
        ),
        ("score = 'high'", "'score' is float and is compared with a number"),
        ("country = 3", "'country' is string and is compared with text in single quotes"),
        ("country = de", "there is no column 'de'"),
        ("old = 1", "'old' is bool and is compared with true or false"),
        ("seen = '2026-13-01'", "not a date for 'seen', which is date32[day]"),
        ("seen > 3", "a date in single quotes"),
        ("maybe = null", "write `is null`"),
        ("country = 'de", "a quote ' is not closed"),
        ("(score > 0.2", "expected ')'"),
        ("score > 0.2)", "expected `and`, `or` or the end"),
        ("age in ()", "expected a column or a value"),
        ("age in 3", "expected '(' after `in`"),
        ("1 = 1", "one side of a comparison must be a column"),
        ("country > age", "'country' is string, 'age' is int64"),
        ("score & 1", "at '&'"),
        ("(" * 60 + "old" + ")" * 60, "more than 50 nested parentheses"),
        ("; drop table", "at ';', character 1"),
    ],
)
def test_a_mistake_is_named_with_its_place(condition, said):
    with pytest.raises(UsageError) as caught:
        ct.load("t.parquet", filter=condition)
    assert said in str(caught.value)


def counting(monkeypatch):
    """Which row groups of which files get read."""
    read = []
    real = arrow_file.File.batches

    def batches(self, names, size, what=None, *, threads=False):
        read.append((Path(self.shown).parent.name, what))
        return real(self, names, size, what, threads=threads)

    monkeypatch.setattr(arrow_file.File, "batches", batches)
    return read


def test_statistics_of_row_groups_leave_the_rest_unread(monkeypatch):
    monkeypatch.setattr(arrow_file, "PIECE_ROWS", 100)
    source = open_source("t.parquet", Choice(filter=f"score > {SCORE[1050]}"))
    read = counting(monkeypatch)
    assert len(source.parts()) == 2
    assert source.load().rows == 149
    assert {what for _, what in read} == {(10,), (11,)}


def hive():
    for k, day in enumerate(("2026-11-01", "2026-11-02", "2026-11-03")):
        Path(f"days/day={day}/hour={k}").mkdir(parents=True)
        pq.write_table(table()[k * 400 : k * 400 + 400], f"days/day={day}/hour={k}/a.parquet")


@pytest.mark.parametrize("what", ["days", "days/*/*/*.parquet"])
def test_folders_named_for_a_day_are_columns_and_prune(what, monkeypatch):
    hive()
    source = open_source(what, Choice(filter="day = '2026-11-02' and score > 0.2"), extra=["day"])
    read = counting(monkeypatch)
    loaded = source.load()
    assert loaded.rows == KEPT[400:800].sum()
    assert set(loaded.extra["day"]) == {"2026-11-02"}
    assert {name for name, _ in read} == {"hour=1"}
    assert [part.number for part in source.parts()] == [1]
    assert open_source(what, Choice(filter="hour >= 1")).rows == 800
    with pytest.raises(UsageError, match="'hour' is int32"):
        open_source(what, Choice(filter="hour = '1'"))


def test_the_row_in_a_message_is_that_of_the_file_whatever_the_filter_drops():
    hive()
    bad = SCORE[400:800].copy()
    bad[[17, 300]] = np.nan
    data = table()[400:800].set_column(0, "score", pa.array(bad))
    pq.write_table(data, "days/day=2026-11-02/hour=1/a.parquet", row_group_size=150)
    name = "days/day=2026-11-02/hour=1/a.parquet"
    for keys, row in (({}, 17), ({"filter": f"age != {AGE[417]} or day = 'x'"}, 300)):
        source = open_source("days", Choice(**keys))
        with pytest.raises(InputError, match=rf"{name}: score: .* row {row} \(counting"):
            [list(source.part_blocks(part, 64)) for part in source.parts()]
        with pytest.raises(
            InputError, match=rf"days: score: .* row {row} \(counting.*\) of {name}"
        ):
            source.load()


def test_parts_are_read_by_threads_and_by_other_processes():
    hive()
    source = open_source("days")
    again, parts = pickle.loads(pickle.dumps((source, source.parts())))
    with ThreadPoolExecutor(3) as pool:
        read = pool.map(lambda part: list(again.part_blocks(part, 128)), parts)
        blocks = [block for some in read for block in some]
    np.testing.assert_array_equal(np.concatenate([b.labels for b in blocks]), LABEL)
    assert [(p.first_row, p.start) for p in parts] == [(0, 0), (0, 400), (0, 800)]
    np.savez("p.npz", score=SCORE, label=LABEL)
    again, parts = pickle.loads(pickle.dumps(((s := open_source("p.npz")), s.parts())))
    assert isinstance(next(again.part_blocks(parts[0], 99)).values, np.memmap)


# ------------------------------------------------------------------ bad files


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def page(path):
    """Damage in the middle, which no footer tells."""
    data = bytearray(path.read_bytes())
    at = pq.ParquetFile(path).metadata.row_group(0).column(0)
    start = at.dictionary_page_offset or at.data_page_offset
    data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)


DAMAGE = {
    "truncated": truncated,
    "not parquet": lambda path: path.write_bytes(b"hello, world" * 99),
    "empty": lambda path: path.write_bytes(b""),
    "a page": page,
    "no label": lambda path: pq.write_table(pa.table({"score": SCORE}), path),
    "another type": lambda path: pq.write_table(
        pa.table({"score": SCORE.astype(str), "label": LABEL}), path
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("at", [0, 1])
def test_a_bad_file_is_named_or_left_out_whole(damage, at):
    hive()
    path = Path(f"days/day=2026-11-0{at + 1}/hour={at}/a.parquet")
    DAMAGE[damage](path)
    with pytest.raises(InputError, match=str(path)):
        open_source("days").load()
    source = open_source("days", Choice(skip_bad_files=True))
    keep = np.r_[400:1200] if at == 0 else np.r_[0:400, 800:1200]
    assert source.rows == 800
    np.testing.assert_array_equal(source.load().labels, LABEL[keep])
    assert [file for file, _ in source.skipped] == [str(path)]
    report = ct.evaluate(source, "ece", ci="none")
    assert report.data.rows == 800
    assert report.skipped == source.skipped
    assert str(path) in report.warnings[0]


def test_a_part_of_a_bad_file_says_which():
    hive()
    page(Path("days/day=2026-11-02/hour=1/a.parquet"))
    source = open_source("days", Choice(skip_bad_files=True))
    parts = source.parts()
    assert len(parts) == 3
    with pytest.raises(UnreadableError) as caught:
        list(source.part_blocks(parts[1], 100))
    assert caught.value.file == parts[1].file == "days/day=2026-11-02/hour=1/a.parquet"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.file, str(again)) == (caught.value.file, str(caught.value))


def test_a_file_that_vanishes():
    hive()
    for skip in (False, True):
        source = open_source("days", Choice(skip_bad_files=skip))
        Path("days/day=2026-11-03/hour=2/a.parquet").rename("gone")
        if skip:
            assert source.load().rows == 800
        else:
            with pytest.raises(UnreadableError, match=r"2026-11-03/hour=2/a.parquet"):
                source.load()
            Path("gone").rename("days/day=2026-11-03/hour=2/a.parquet")


def test_bad_values_are_no_damage_and_where_all_is_bad_there_is_an_error():
    hive()
    pq.write_table(
        pa.table({"score": [0.5, 1.3], "label": [0, 1]}), "days/day=2026-11-02/b.parquet"
    )
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        ct.load("days", skip_bad_files=True)
    for path in Path("days").rglob("*.parquet"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of the files can be read"):
        ct.load("days", skip_bad_files=True)


def test_files_of_one_sort_in_several_widths_are_one_table():
    hive()
    data = {"score": SCORE[400:800].astype(float), "label": LABEL[400:800].astype(bool)}
    pq.write_table(pa.table(data), "days/day=2026-11-02/hour=1/a.parquet")
    loaded = ct.load("days")
    np.testing.assert_array_equal(loaded.values[:, 0], SCORE)
    np.testing.assert_array_equal(loaded.labels, LABEL)


def test_what_was_left_out_stands_in_the_table_and_in_json(capsys):
    from calibtool.cli.main import main

    hive()
    truncated(Path("days/day=2026-11-02/hour=1/a.parquet"))
    keys = ["evaluate", "days", "--ci", "none", "--metrics", "ece", "--skip-bad-files"]
    assert main(keys) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "1 file could not be read and was left out: days/day=2026-11-02" in text
    assert main([*keys, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["skipped"][0]["file"] == "days/day=2026-11-02/hour=1/a.parquet"
    assert document["data"]["rows"] == 800
    assert main(keys[:-1]) == 2
    assert "days/day=2026-11-02/hour=1/a.parquet" in capsys.readouterr().err
