"""Which rows, and which files: what is chosen is what numpy chooses, and no more is read."""

from __future__ import annotations

import json
import operator
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

import calibtool as ct
from calibtool.data.files import parquet_file
from calibtool.data.files.filter import parse
from calibtool.data.files.literals import COMPARE
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


WIDE = {
    "whole": pa.array([2**53 + 1, 2**53, -(2**63), 2**63 - 1, None]),
    "tiny": pa.array([-128, 0, 1, 127, None], pa.int8()),
    "huge": pa.array([0, 1, 2**63, 2**64 - 1, None], pa.uint64()),
    "cent": pa.array([Decimal("-9.99"), Decimal("0.00"), Decimal("1.10"), Decimal("9.99"), None]),
    "real": pa.array([-0.0, 0.0, np.nan, np.inf, None]),
    "short": pa.array([0.1, 1e-45, -3e38, np.inf, None], pa.float32()),
}
NUMBERS = ["0", "-0.0", "1", "1.5", "-128.0", "300", "1.10", "1.101", "9.99", "1e30", "1e300"]
NUMBERS += ["9007199254740993", "9223372036854775807", "9223372036854775808", "-1e19"]
NUMBERS += ["18446744073709551615", "1" + "0" * 308, "0.1", "-9.991"]


@pytest.mark.parametrize("column", WIDE)
def test_numbers_of_any_size_compare_exactly(column):
    """No comparison rounds a whole number or a decimal, and a missing value is never kept."""
    data = pa.table({column: WIDE[column]})
    exact = [None if v is None else Fraction(v) if abs(v) < np.inf else v for v in values(column)]
    single = column == "short"
    for text in NUMBERS:
        number = Fraction(text)
        if single and abs(number) < float(np.finfo(np.float32).max):
            number = Fraction(float(np.float32(float(text))))
        elif column in ("real", "short"):
            number = Fraction(float(text))
        for sign in ("=", "!=", "<", "<=", ">", ">="):
            condition = parse(f"{column} {sign} {text}", data.schema)
            same = {"=": operator.eq, "!=": operator.ne}.get(sign) or COMPARE[sign]
            expected = [v is not None and bool(same(v, number)) for v in exact]
            assert kept(data, condition) == expected, condition.text
        for negate in ("", "not "):
            condition = parse(f"{column} {negate}in ({text}, 1e200)", data.schema)
            expected = [v is not None and (v == number) != bool(negate) for v in exact]
            assert kept(data, condition) == expected, condition.text


def values(column):
    return WIDE[column].to_pylist() if column != "real" else [0, 0, np.nan, np.inf, None]


def kept(data, condition):
    numbered = data.append_column("row", pa.array(range(data.num_rows)))
    rows = condition.kept(numbered.combine_chunks().to_batches()[0], "x").column("row").to_pylist()
    return [row in rows for row in range(data.num_rows)]


@pytest.mark.parametrize("negate", ["", "not "])
def test_a_list_of_thousands_is_one_comparison(negate):
    """In memory and streamed alike, as SQL has it: a missing value is neither in nor out of it."""
    ids = np.arange(30_000)
    missing = ids % 7 == 0
    data = {"user": pa.array(ids, mask=missing), "score": ids / 30_000, "label": ids % 2}
    pq.write_table(pa.table(data), "users.parquet", row_group_size=1000)
    listed = ",".join(str(k) for k in range(12_000))
    began = time.process_time()
    source = open_source("users.parquet", Choice(filter=f"user {negate}in ({listed})"))
    expected = (ids >= 12_000 if negate else ids < 12_000) & ~missing
    assert source.rows == expected.sum()
    np.testing.assert_array_equal(source.load().values[:, 0], data["score"][expected])
    streamed = np.concatenate([block.values[:, 0] for block in source.blocks(512)])
    np.testing.assert_array_equal(streamed, data["score"][expected])
    assert len(source.parts()) == 1
    assert time.process_time() - began < 5  # 0.3 s, where one comparison per value took a minute
    either = open_source(
        "users.parquet", Choice(filter=f"not (user {negate}in ({listed}) or score > 2)")
    )
    assert either.rows == (~missing).sum() - expected.sum()


@pytest.mark.parametrize("values", [3, 40])
@pytest.mark.parametrize(
    ("column", "text"),
    [("country", "'{}'"), ("seen", "'2026-11-{:02}'"), ("at", "'2026-11-{:02}'"), ("age", "2{}.0")],
)
def test_a_list_of_any_type(column, text, values):
    listed = [text.format(k % 28 + 1) for k in range(values)] + (
        ["'de'", "'fr'"] if column == "country" else []
    )
    one = open_source("t.parquet", Choice(filter=f"{column} in ({', '.join(listed)})"))
    each = " or ".join(f"{column} = {value}" for value in listed)
    assert one.rows == open_source("t.parquet", Choice(filter=each)).rows
    assert one.rows > 0


def test_statistics_prune_by_a_long_list(monkeypatch):
    monkeypatch.setattr(parquet_file, "PIECE_ROWS", 100)
    listed = ", ".join(str(float(value)) for value in [*SCORE[210:258], *SCORE[950:966]])
    source = open_source("t.parquet", Choice(filter=f"score in ({listed})"))
    read = counting(monkeypatch)
    assert source.load().rows == 64
    assert {group for _, what in read for group in what} <= {2, 9}


@pytest.mark.parametrize("word", ["or", "and"])
def test_long_chains_end_in_rows_or_in_a_message(word):
    chain = f" {word} ".join(["score > 0.2"] * 1000)
    assert open_source("t.parquet", Choice(filter=chain)).rows == KEPT.sum()
    with pytest.raises(UsageError, match=r"more than 1,000 comparisons; write `in \(...\)`"):
        open_source("t.parquet", Choice(filter=f"{chain} {word} old"))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("age > 1e400", "numbers are 0 or between 5e-324 and 1.8e308"),
        ("age > " + "9" * 350, "numbers are 0 or between 5e-324 and 1.8e308"),
        ("age > 1e-400", "numbers are 0 or between 5e-324 and 1.8e308"),
        ("age > " + "9" * 1_000_000, "1,000,006 characters; at most 1,000,000 are read"),
        ("age = '" + "y" * 10_000 + "'", "is int64 and is compared with a number"),
        ("x" * 10_000 + " = 3", "there is no column 'xxx"),
        ("country = '\udcff'", "is not valid UTF-8"),
    ],
)
def test_a_message_names_the_file_and_stays_short(condition, said):
    with pytest.raises(UsageError) as caught:
        ct.load("t.parquet", filter=condition)
    assert str(caught.value).startswith("t.parquet: --filter ")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 800


def test_columns_of_numbers_compare_whatever_their_types():
    data = {
        "u": pa.array([2**64 - 1, 3, 2, None], pa.uint64()),
        "i": [3, 3, 3, 3],
        "big": [2**53 + 1, 1, 1, 1],
        "real": [0.5, 1.0, 2.0, np.inf],
    }
    table = pa.table(data | {"score": [0.5] * 4, "label": [1] * 4})
    pq.write_table(table, "u.parquet")
    for text, rows in {
        "u > i": 1,
        "i >= u": 2,
        "i in (u)": 1,
        "big > real": 1,
        "u in (i, 2)": 2,
    }.items():
        assert open_source("u.parquet", Choice(filter=text)).rows == rows, text


def counting(monkeypatch):
    """Which row groups of which files get read."""
    read = []
    real = parquet_file.ParquetFile.batches

    def batches(self, names, size, what=None, *, threads=False):
        read.append((Path(self.shown).parent.name, what))
        return real(self, names, size, what, threads=threads)

    monkeypatch.setattr(parquet_file.ParquetFile, "batches", batches)
    return read


def test_statistics_of_row_groups_leave_the_rest_unread(monkeypatch):
    monkeypatch.setattr(parquet_file, "PIECE_ROWS", 100)
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
