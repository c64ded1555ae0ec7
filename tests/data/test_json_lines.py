"""Blocks of JSON lines: where they are cut, what is said of them, and which line is named."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

import calibtool as ct
from calibtool.data.files import json_lines
from calibtool.data.files.line_blocks import OPENED, Lines, blocks
from calibtool.errors import InputError

BOM = b"\xef\xbb\xbf"
GOOD = '{"score": 0.5, "label": 1}'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=[16, 100, json_lines.BLOCK])
def block(request, monkeypatch):
    """Read blocks of this many bytes: records are cut anywhere, or all are in one."""
    monkeypatch.setattr(json_lines, "BLOCK", request.param)
    return request.param


def lines_of(data):
    return Lines.of(np.frombuffer(data, dtype=np.uint8))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"a",
        b"a\n",
        b"a\r\nbb\r\n",
        b"a\n\n\nbb",
        b"a\n" + b"b" * 50 + b"\nc\n",
        "é\n\u2028x\n\N{GRINNING FACE}".encode(),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("mark", [b"", BOM])
def test_blocks_are_whole_lines_whatever_their_size(data, size, mark):
    found = [block.tobytes() for block in blocks(io.BytesIO(mark + data), size)]
    assert all(block.endswith(b"\n") for block in found)
    missing = b"" if data.endswith(b"\n") or not data else b"\n"
    assert b"".join(found) == data + missing
    longest = max(map(len, data.splitlines()), default=0) + 2
    assert all(len(block) <= max(size, 2 * longest) for block in found)


@pytest.mark.parametrize(
    ("text", "records", "plain"),
    [
        (b"{}\n{}\n", 2, True),
        (b"{}\r\n{} \r\n", 2, True),  # of Windows
        (b"{}\n\n \t\r\n{}\n", 2, False),
        (b"\n", 0, False),
        (b"\r\n", 0, False),
        (b"null\n{}\n", 2, False),
        (b"{}\nnull\n", 2, False),
        (b"[]\n", 1, False),
        (b'{"a":\n{"b": 1}}\n{}{}\n', 3, False),  # as many objects as lines
        (b'{"a": [\n{"b": 1}]}\n', 2, False),
        (b"{" + b" " * OPENED + b"}\n", 1, True),
        (b'{"a":' + b"[" * OPENED + b"]" * OPENED + b"}\n", 1, False),
        (b'{"a": [{}]}\n' * OPENED, OPENED, True),
        (b'{"a": [' + b"{}," * OPENED + b"{}]}\n", 1, False),  # not deep, but it might be
    ],
)
def test_lines_that_pyarrow_parses(text, records, plain):
    lines = lines_of(text)
    assert (lines.count, lines.records, lines.plain) == (text.count(b"\n"), records, plain)
    assert [*lines.texts(), b""] == text.split(b"\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "end"])
def test_rows_are_the_same_however_they_are_cut(block, end, mark, last):
    scores = np.arange(40) / 64
    texts = [f"é\u2028 {{{k}}}\n" for k in range(40)]
    records = [
        json.dumps({"score": s, "label": k % 2, "text": t}, ensure_ascii=k % 3 == 0)
        for k, (s, t) in enumerate(zip(scores, texts, strict=True))
    ]
    records.insert(7, "")
    text = mark + end.join(records) + (end if last else "")
    Path("x.jsonl").write_bytes(text.encode())
    p = ct.load("x.jsonl", score="score", labels="label", extra=["text"])
    assert p.values.ravel().tolist() == scores.tolist()
    assert p.labels.tolist() == [k % 2 for k in range(40)]
    assert p.extra["text"].tolist() == texts
    assert ct.scan("x.jsonl", score="score", labels="label").rows == 40


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ('{"score": 0.5, "la', "line 23: not valid JSON"),
        ('{"score": 0.5}', "label: line 23 is null"),
        ('{"score": 7, "label": 1}', "line 23"),
        ('{"score": 0.5, "label": 1,\r "score": 2}', "line 23"),  # "\r" is a blank to JSON
        ('{"score": 0.5, "label": 1, "x":\n{}}\n' + GOOD * 2, "line 23: not valid JSON"),
        (GOOD * 2, "line 23: not valid JSON"),
        ('{"score": 0.5, "label": 1, "x": "}\n{"}\n' + GOOD * 2, "line 23: not valid JSON"),
        ("null", "line 23: expected an object"),
        ('{"score": 0.5, "label": 1, "x": ' + "[" * 5000 + "]" * 5000 + "}", "line 23"),
    ],
)
def test_the_line_is_named_however_lines_are_cut(block, bad, says, end):
    records = [GOOD] * 40
    records[3] = ""
    records[9] = "\f"  # blank to Python
    records[22] = bad
    Path("x.jsonl").write_bytes(("\ufeff" + end.join(records)).encode())
    with pytest.raises(InputError, match=says):
        ct.load("x.jsonl", score="score", labels="label")


def test_bad_lines_are_counted_however_lines_are_cut(block):
    records = [GOOD] * 40
    for at in (0, 11, 22):
        records[at] = '{"score": '
    Path("x.jsonl").write_text("\n".join(records))
    p = ct.load("x.jsonl", skip_bad_rows=True)
    assert p.rows == 37
    (note,) = [note for note in p.notes if "left out" in note]
    assert "3 lines that are no JSON object; the first: line 1:" in note


def test_rows_of_columns_that_are_in_the_path_alone(block):
    for name, count in (("a", 30), ("b", 12)):
        Path(f"site={name}").mkdir()
        Path(f"site={name}/x.jsonl").write_text(f"{GOOD}\n" * count)
    assert ct.scan("site=*/*.jsonl", filter="site = 'a'").rows == 30


def test_fields_of_which_each_line_has_its_own(monkeypatch):
    """pyarrow would give each of n fields room in each of n rows."""
    monkeypatch.setattr(json_lines, "FIRST", 2000)
    given = []
    parsed = json_lines._parsed
    monkeypatch.setattr(
        json_lines,
        "_parsed",
        lambda lines, schema: given.append(lines.count) or parsed(lines, schema),
    )
    records = [{"score": k / 1024, "label": k % 2, "by": {f"user {k}": 1}} for k in range(1000)]
    Path("x.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    source = ct.scan("x.jsonl", score="score", labels="label")
    assert {f"by.user {k}" for k in range(1000)} <= set(source.table.columns)
    assert max(given) < 200
    assert source.load().values.ravel().tolist() == [k / 1024 for k in range(1000)]
