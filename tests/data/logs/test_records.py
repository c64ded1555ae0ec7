"""Columns that are gathered record by record, and those that would take the square of a file."""

from __future__ import annotations

import json

import pytest

import calibtool as ct
from calibtool.data.logs import records
from calibtool.data.logs.records import Columns


def columns(rows):
    gathered = Columns()
    for row in rows:
        gathered.add(row)
    return gathered


def test_rows_that_lack_a_column_have_none_there():
    gathered = columns([{"a": 1}, {}, {"b": 2, "a": None}, {"b": 3}])
    assert gathered.result() == {"a": [1, None, None, None], "b": [None, None, 2, 3]}
    assert gathered.notes == ()


def test_rare_columns_are_left_out_where_they_take_the_square_of_the_file(monkeypatch):
    rows = [{"p": k, f"by.{k}": 1, **({"x.all": k} if k % 50 == 0 else {})} for k in range(300)]
    whole = columns(rows).result()
    assert len(whole) == 302
    monkeypatch.setattr(records, "MOST_VALUES", 302 * 300 - 1)
    gathered = columns([*rows, {"rare": 1, "out.probs.low": 0.5}])
    found = gathered.result(["by.7", "out.probs"])
    assert list(found) == ["p", "x.all", "by.7", "rare", "out.probs.low"]
    assert all(len(values) == 301 for values in found.values())
    assert found["by.7"] == [*whole["by.7"], None]
    assert gathered.notes == (
        "not read as columns: 299 fields that fewer than 1 in 100 records have, such as by.0",
    )


@pytest.mark.parametrize("kind", ["lm-eval", "json"])
def test_what_is_left_out_is_said(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(records, "MOST_VALUES", 1000)
    if kind == "json":
        made = [
            {"confidence": k / 256, "correct": k % 2, "words": {f"w{k}": 1}} for k in range(256)
        ]
        path = tmp_path / "a.json"
        path.write_text(json.dumps(made))
    else:
        made = [
            {"doc_id": k, "doc": {"words": {f"w{k}": 1}}, "target": "0", "filter": "none"}
            | {"arguments": {f"gen_args_{j}": {"arg_0": "Q", "arg_1": f" {j}"} for j in (0, 1)}}
            | {"filtered_resps": [["-1.5", "False"], [str(-k), "False"]], "resps": []}
            for k in range(256)
        ]
        path = tmp_path / "samples_words_2026-11-28T18-00-00.0.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in made))
    p = ct.load(path)
    assert p.rows == 256
    (note,) = [note for note in p.notes if "not read as columns" in note]
    assert "256 fields" in note
