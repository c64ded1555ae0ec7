"""Plain JSON documents: every shape of one table, and what is wrong with others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from logged import file_of, numbers, right_numbers

from calibtool.data.files.roles import Choice
from calibtool.data.logs.json_document import FORMAT
from calibtool.data.logs.log import Log
from calibtool.errors import UnreadableError

ROWS = [{"p": 0.5, "y": 1}, {"p": 0.25, "y": None}]


def read(tmp_path, value, **options):
    path = tmp_path / "a.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    assert FORMAT.recognise(file_of(path))
    return FORMAT.read([file_of(path)], Choice(**options))


def test_a_table_of_wandb_has_its_right_numbers(published):
    path, truth = right_numbers(published, "others/predictions.table.json")
    assert FORMAT.recognise(file_of(path))
    columns = FORMAT.read([file_of(path)], Choice()).columns
    names = [name.removeprefix("score_") for name in columns if name.startswith("score_")]
    assert names == truth["classes"]
    logits = np.log(np.array([columns[f"score_{name}"] for name in names]).T)
    labels = [names.index(name) for name in columns["truth"]]
    measured = numbers(Log({"logits": logits, "labels": labels}))
    assert measured == pytest.approx({key: truth[key] for key in measured}, abs=1e-9)


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        json.dumps(ROWS, indent=2),
        "\ufeff" + json.dumps(ROWS),
        {"columns": ["p", "y"], "data": [[0.5, 1], [0.25, None]]},
        {"columns": ["p", "y"], "index": [3, 4], "data": [[0.5, 1], [0.25, None]]},
        {"p": [0.5, 0.25], "y": [1, None]},
        {"p": {"0": 0.5, "1": 0.25}, "y": {"0": 1, "1": None}},
        {"rows": ROWS},
    ],
)
def test_every_shape_is_the_same_table(tmp_path, value):
    log = read(tmp_path, value)
    assert log.columns == {"p": [0.5, 0.25], "y": [1, None]}
    assert log.notes == ()


def test_records_by_id(tmp_path):
    log = read(tmp_path, {"007": {"p": 0.5, "more": {"x": [1, 2]}}, "é": {"q": True}})
    assert log.columns == {
        "id": ["007", "é"],
        "p": [0.5, None],
        "more.x": [[1, 2], None],
        "q": [None, True],
    }
    assert read(tmp_path, {"a": {"id": 3}}).columns == {"key": ["a"], "id": [3]}
    by_class = read(tmp_path, {"a": {"0": 0.5, "1": 0.5}, "b": {"0": 0.1, "1": 0.9}})
    assert by_class.columns["id"] == ["a", "b"]


def test_paths_are_columns_as_typed(tmp_path):
    rows = [{"a": {"b": [5, 6]}, "x.y": 1}, {"a": {"b": [7]}, "x.y": 2}]
    log = read(tmp_path, rows, confidence="a.b.1", correct="x.y")
    assert log.columns["a.b.1"] == [6, None]
    assert log.columns["x.y"] == [1, 2]


def test_records_in_an_object_and_names_of_classes(tmp_path):
    log = read(tmp_path, {"model": "m", "predictions": ROWS})
    assert log.columns["p"] == [0.5, 0.25]
    assert log.notes[0].endswith("read the records of 'predictions', not 'model'")
    value = {"probs": [[0.5, 0.25, 0.25]], "labels": [1], "classes": ["a", "b", "c"], "n": 1}
    log = read(tmp_path, value)
    assert log.columns == {"probs": [[0.5, 0.25, 0.25]], "labels": [1]}
    assert log.classes == ("a", "b", "c")
    assert log.notes[0].endswith("read the columns 'probs', 'labels', not 'n'")


def test_one_record(tmp_path):
    assert read(tmp_path, {"confidence": 0.5, "correct": True}).columns == {
        "confidence": [0.5],
        "correct": [True],
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "holds no records"),
        ({}, "an object of no keys"),
        ({"columns": [], "data": []}, "holds no records"),
        ([{"p": 1}, 3], "record 2: expected an object, found a number"),
        ([[1, 2]], "record 1: expected an object, found a list"),
        ([None], "record 1: expected an object, found null"),
        ({"columns": ["p", "y"], "data": [[1, 2], [1]]}, "row 2: expected 2 cells, found 1 cells"),
        ({"columns": ["p", "y"], "data": [3]}, "row 1: expected 2 cells, found a number"),
        ({"columns": ["p", "p"], "data": [[1, 2]]}, "the column 'p' occurs twice"),
        ({"p": [1, 2], "y": [1]}, "different numbers of rows: 'p' 2, 'y' 1"),
        ({"a": 1, "b": "text"}, "an object of 'a', 'b'; expected a list of records"),
        ({"a": [{}], "b": [{}], "c": 1}, "an object of 'a', 'b', 'c'"),
        ({"p": [1], "y": [1], "classes": [1]}, "classes: expected a list of texts"),
        ('[{"p": 1},', "not valid JSON: line 1, column 11"),
        ('{"p": 0.5', "is the file whole?"),
    ],
)
def test_other_documents_are_refused(tmp_path, value, message):
    with pytest.raises(UnreadableError, match=message):
        read(tmp_path, value)


@pytest.mark.parametrize(
    "text", ["", "7", "id,p\n1,2\n", '{"p": 1}\n{"p": 2}\n', '\n{"p": 1}\r\n\n{"p": 2}', "[1]\n[2]"]
)
def test_lines_are_no_document(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert not FORMAT.recognise(file_of(path))


def test_values_that_are_no_object_are_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("3")
    with pytest.raises(UnreadableError, match="holds one JSON value"):
        FORMAT.read([file_of(path)], Choice())
