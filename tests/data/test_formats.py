"""The same rows in every format that is written here, read back to the same numbers; compression,
values as people write them, joins, and what is left out."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import calibtool as ct
from calibtool.data.files.write import WRITERS, write_predictions
from calibtool.errors import InputError, UsageError

PACKED = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(seed, n, classes):
    rng = np.random.Generator(np.random.PCG64(seed))
    logits = rng.normal(size=(n, classes)) * 2
    return ct.Predictions.from_logits(logits, rng.integers(0, classes, n))


def lines(**columns):
    return "".join(
        json.dumps(dict(zip(columns, r, strict=True))) + "\n"
        for r in zip(*columns.values(), strict=True)
    )


def as_lines(p, path):
    text = lines(logits=p.values.tolist(), labels=p.labels.tolist())
    Path(path).write_text(text)


@settings(max_examples=8)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 5))
def test_predictions_read_back_from_every_format_are_the_same(seed, n, classes):
    p = rows(seed, n, classes)
    for suffix in WRITERS:
        write_predictions(p, f"x{suffix}")
        back = ct.load(f"x{suffix}")
        assert np.array_equal(back.values, p.values), suffix
        assert np.array_equal(back.labels, p.labels), suffix
    as_lines(p, "x.jsonl")
    back = ct.load("x.jsonl")
    assert np.array_equal(back.values, p.values)
    assert np.array_equal(back.labels, p.labels)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv"])
def test_compressed_text_is_read(suffix, packed):
    table = {"score": [0.25, 0.5, 0.75], "label": [0, 1, 1], "place": ["a", "b", "a"]}
    if suffix == ".jsonl":
        text = lines(**table)
    else:
        between = "," if suffix == ".csv" else "\t"
        every = [list(table), *zip(*table.values(), strict=True)]
        text = "".join(between.join(map(str, row)) + "\n" for row in every)
    half = len(text) // 2  # several members or frames are one text
    pack = PACKED[packed]
    Path(f"x{suffix}{packed}").write_bytes(pack(text[:half].encode()) + pack(text[half:].encode()))
    p = ct.load(f"x{suffix}{packed}", extra=["place"])
    assert p.values.ravel().tolist() == table["score"]
    assert p.extra["place"].tolist() == table["place"]
    Path(f"y{suffix}{packed}").write_bytes(pack(text.encode())[:-9])
    with pytest.raises(InputError, match=r"damaged or cut short|cannot be read"):
        ct.load(f"y{suffix}{packed}")


JSON = '{"score": 0.5, "label": 1}\n'


DEEP = "[" * 300 + "]" * 300  # no parser minds, but functions that follow a record down


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (JSON + '{"score": 0.5, "la\n', "line 2: not valid JSON"),
        (JSON + "\n\n[1]\n", "line 4: expected an object"),
        ("null\n" + JSON, "line 1: expected an object"),
        (JSON + "null\n", "line 2: expected an object"),
        (JSON[:-1] + " null " + JSON, "line 1: not valid JSON"),
        (JSON + '{"score": "x", "label": 0}\n', "score"),
        (JSON * 9 + '{"score": NaN, "label": 0}\n', "line 10"),
        (JSON + '{"score": 1.5, "label": 0}\n', "line 2"),
        (JSON + '{"label": 0}\n', "line 2 is null"),
        (JSON + '{"a":' * 5000 + "1" + "}" * 5000, "line 2: lists and objects .* 200 deep"),
        (
            JSON + f'{{"a": {DEEP}, "b": [{"[]," * 1000}[]]}}',
            "line 2: lists and objects .* 200 deep",
        ),
        ("\xff" + JSON, "line 1"),
    ],
)
def test_a_bad_line_is_named(text, says):
    Path("x.jsonl").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=says):
        ct.load("x.jsonl")


def test_bad_lines_are_left_out_where_that_is_asked_for():
    Path("x.jsonl").write_text(JSON + '{"score": 0.5, "la\n' + JSON + "7\n")
    p = ct.load("x.jsonl", skip_bad_rows=True)
    assert p.rows == 2
    assert any("2 lines" in note for note in p.notes)


def test_numbers_that_become_fractions_and_keys_with_dots():
    Path("x.jsonl").write_text(
        '{"a.b": 0, "c": {"p": [1, 0]}, "y": true}\n{"a.b": 0.25, "c": {"p": [0.5]}, "y": false}\n'
    )
    assert ct.load("x.jsonl", score="a.b", labels="y").values.ravel().tolist() == [0, 0.25]
    assert ct.load("x.jsonl", score="c.p.0", labels="y").values.ravel().tolist() == [1, 0.5]


def test_percentages_words_and_missing_values():
    Path("x.csv").write_text("confidence,correct\n85%,Yes\n 20.5 % ,NO\n,yes\n50%,\n")
    with pytest.raises(InputError, match="drop-missing"):
        ct.load("x.csv")
    p = ct.load("x.csv", drop_missing=True)
    assert p.values.tolist() == [0.85, 0.205]
    assert p.correct.tolist() == [True, False]
    assert any("1 row without a confidence, 1 row without an outcome" in n for n in p.notes)
    Path("y.csv").write_text("confidence,correct\n85%,1\n0.2,0\n")
    with pytest.raises(InputError, match="has no %"):
        ct.load("y.csv")


@pytest.mark.parametrize("header", ["confidence,correct", "score,label"])
def test_a_scale_is_hinted_at_and_used(header):
    Path("x.csv").write_text(f"{header}\n1,1\n100,0\n")
    with pytest.raises(InputError, match="--scale 100"):
        ct.load("x.csv")
    assert ct.load("x.csv", scale=100).values.ravel().tolist() == [0.01, 1.0]
    Path("x.csv").write_text("score,label\n-1,1\n100,0\n")
    with pytest.raises(InputError, match=r"\(if these are logits, use --logits KEY\)"):
        ct.load("x.csv")


def test_labels_are_joined_by_id():
    Path("p.csv").write_text("id,cat,dog\n007,0.25,0.75\n8,0.5,0.5\n")
    Path("y.csv").write_text("id,label\n8,dog\n007,cat\n")
    join = {"labels_file": "y.csv", "id": "id", "probs": "cat,dog"}
    assert ct.load("p.csv", **join).labels.tolist() == [0, 1]
    Path("y.csv").write_text("id,label\n9,dog\n007,cat\n")
    with pytest.raises(InputError, match=r"1 rows have no label.*1 labels .* belong to no row"):
        ct.load("p.csv", **join)
    p = ct.load("p.csv", **join, join="inner")
    assert p.labels.tolist() == [0]
    assert any("left out: 1 row without a label" in note for note in p.notes)
    Path("y.csv").write_text("id,label\n8,dog\n8,cat\n")
    with pytest.raises(InputError, match="occurs twice"):
        ct.load("p.csv", **join)
    with pytest.raises(UsageError, match="--labels-file"):
        ct.load("p.csv", id="id")


def test_a_reader_that_is_named():
    Path("x.txt").write_text(JSON * 3)
    with pytest.raises(InputError, match="--reader"):
        ct.load("x.txt")
    assert ct.load("x.txt", reader="json-lines").rows == 3
    with pytest.raises(UsageError, match="did you mean json-lines"):
        ct.load("x.txt", reader="json-line")


# ------------------------------------------------------------------ data in Python


class Stream:
    """A data frame of any package: it exports a stream of Arrow."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


TABLE = {"p": [0.9, 0.2, 0.6, 0.7], "clicked": [1, 0, 1, 0]}


@pytest.mark.parametrize(
    "data",
    [TABLE, pa.table(TABLE), Stream(pa.table(TABLE)), {k: np.array(v) for k, v in TABLE.items()}],
    ids=["dict", "pyarrow", "stream", "arrays"],
)
def test_columns_of_any_kind_are_read(data):
    report = ct.evaluate(data, ["brier"], ci="none", score="p", labels="clicked")
    assert report["brier"].value == pytest.approx((0.01 + 0.04 + 0.16 + 0.49) / 4)


def test_pairs_of_arrays_and_tensors():
    logits = [[2.0, 0.0], [0.0, 1.0]]
    assert ct.read((logits, [0, 1])).kind == "logits"
    assert ct.read((np.array([[0.5, 0.5], [1, 0]]), [0, 1])).kind == "probs"
    assert ct.read(([0.2, 0.8], [0, 1]), kind="logits").kind == "logits"
    torch = pytest.importorskip("torch")
    p = ct.read(
        (torch.tensor(logits, dtype=torch.bfloat16, requires_grad=True), torch.tensor([0, 1]))
    )
    assert p.values.tolist() == logits


@pytest.mark.parametrize("data", [7, None, object(), "none.csv", ([1, 2],), ({"a": 1}, [1])])
def test_what_is_none_of_these_is_one_error(data):
    with pytest.raises((InputError, UsageError)):
        ct.read(data)


def test_what_takes_predictions_takes_a_path():
    p = rows(1, 60, 3)
    write_predictions(p, "a.npz")
    as_lines(p, "b.jsonl")
    value = ct.evaluate("a.npz", ["nll"], ci="none")["nll"].value
    assert ct.evaluate("b.jsonl", ["nll"], ci="none")["nll"].value == value
    assert ct.check("b.jsonl", ["nll <= 99"], resamples=20).decision == "pass"
    assert ct.compare(["a.npz", "b.jsonl"], ["nll"], resamples=20).lines
    found = ct.fit("temperature", "b.jsonl").map.temperature
    assert found == pytest.approx(ct.fit("temperature", p).map.temperature)


def test_apply_keeps_columns_their_names_and_their_order():
    from calibtool.cli.main import main

    rng = np.random.Generator(np.random.PCG64(3))
    risk = rng.random(200).round(3)
    died = np.where(rng.random(200) < risk, "yes", "no")
    place = np.array(["a", "b"] * 100)
    text = "place,risk,died_30d,confidence\n" + "".join(
        f"{c},{r},{d},{r}\n" for c, r, d in zip(place, risk, died, strict=True)
    )
    Path("r.csv").write_text(text)
    flags = ("--score", "risk", "--labels", "died_30d")
    assert main(["fit-platt", "r.csv", *flags, "-o", "c.json", "--ci", "none"]) == 0
    assert main(["apply", "c.json", "r.csv", *flags, "-o", "after.csv"]) == 0
    head, first, *_ = Path("after.csv").read_text().replace('"', "").splitlines()
    assert head == "place,risk,died_30d,confidence"
    assert first.split(",")[2:] == [died[0], str(risk[0])]
    assert main(["evaluate", "after.csv", *flags, "--ci", "none"]) == 0
    p = ct.load("after.csv", score="risk", labels="died_30d")
    assert np.array_equal(p.labels, died == "yes")
    assert not np.array_equal(p.values.ravel(), risk)


def test_the_suffixes_of_logs_are_those_of_their_table():
    from calibtool.data.files import find
    from calibtool.data.logs import table

    assert {s for format_ in table.FORMATS for s in format_.suffixes} == set(find.LOGS)
