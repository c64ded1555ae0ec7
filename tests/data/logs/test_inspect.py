"""Logs of Inspect: the samples with known answers, and made-up ones with every oddity."""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from calibtool.data.files.roles import Choice
from calibtool.data.logs import inspect
from calibtool.data.logs.log import LogFile
from calibtool.errors import InputError, UsageError

LETTERS = ("A", "B", "C", "D")
FILES = [
    "mc.json",
    "mc_2epochs.eval",
    "old_version.eval",
    "unfinished.eval",
    "errors.eval",
    "errors.json",
]


def log_file(path: Path) -> LogFile:
    return LogFile(path.name, str(path), path.suffix.lower(), lambda: path.open("rb"))


def read(path: Path, **how):
    assert inspect.recognise(log_file(path))
    return inspect.read([log_file(path)], Choice(**how))


def ece15(confidence, correct):
    inner = np.array([k / 15 for k in range(1, 15)])
    bins = np.searchsorted(inner, confidence, side="left")
    gaps = np.bincount(bins, correct - confidence, 15)
    return np.abs(gaps).sum() / len(confidence)


def measured(confidence, correct):
    confidence, correct = np.array(confidence, float), np.array(correct, float)
    p = np.where(correct == 1, confidence, 1 - confidence)
    with np.errstate(divide="ignore"):
        return {
            "rows": len(p),
            "accuracy": correct.mean(),
            "confidence": confidence.mean(),
            "ece15": ece15(confidence, correct),
            "nll": -np.log(p).mean(),
            "brier": ((confidence - correct) ** 2).mean(),
        }


def measured_classes(probs, labels):
    labels = np.array(labels)
    one_hot = np.eye(probs.shape[1])[labels]
    right = probs.argmax(1) == labels
    return measured(probs.max(1), right) | {
        "nll": -np.log(probs[np.arange(len(labels)), labels]).mean(),
        "brier": ((probs - one_hot) ** 2).sum(1).mean(),
    }


def agrees(found, truth):
    for name, value in found.items():
        assert value == pytest.approx(truth[name], abs=1e-9), name


@pytest.fixture
def truth(published):
    return json.loads((published / "logs" / "TRUTH.json").read_text())


@pytest.mark.parametrize("name", FILES)
def test_confidences_are_found_by_name_and_by_path(published, truth, name):
    known = truth[f"inspect/{name}"]
    path = published / "logs" / "inspect" / name
    log = read(path)
    agrees(measured(log.columns["confidence"], log.columns["correct"]), known)
    where = "scores.stated.metadata.confidence"
    named = read(path, confidence=where, scorer="stated")
    assert named.columns[where] == log.columns["confidence"]
    assert f"the confidence is {where}" in log.notes
    left_out = dict(zip(("errored", "unscored", "partial", "noanswer"), (4, 3, 1, 2), strict=True))
    assert sum(log.left_out.values()) == (sum(left_out.values()) if "skipped" in known else 0)


@pytest.mark.parametrize("name", FILES[:4])
def test_letters_are_read_from_logprobs(published, truth, name):
    views = truth[f"inspect/{name}"]["views"]
    log = read(published / "logs" / "inspect" / name, options=LETTERS)
    assert log.classes == LETTERS
    agrees(measured_classes(log.columns["probs"], log.columns["labels"]), views["letters"])
    sampled = measured(log.columns["emitted.share"], log.columns["emitted.correct"])
    agrees(sampled, views["sampled_letter"])
    assert "the option mass (mean 0.970, least 0.970)" in log.notes[0]


def test_epochs_and_unfinished_runs_are_told(published):
    folder = published / "logs" / "inspect"
    assert any("pass --cluster id" in note for note in read(folder / "mc_2epochs.eval").notes)
    unfinished = "the run was not finished: 20 of 40 samples are in the file"
    assert unfinished in read(folder / "unfinished.eval").notes


HEADER = {
    "version": 2,
    "status": "success",
    "eval": {"task": "t", "model": "m", "dataset": {"samples": 12}, "config": {"epochs": 1}},
}


def score(value, **metadata):
    return {"s": {"value": value, "metadata": metadata}}


def sample(number, scores, target="A", **more):
    return {"id": number, "epoch": 1, "target": target, "scores": scores, **more}


def said(*pairs):
    """Return the output of a model by (token, {token: probability})."""
    content = [
        {
            "token": token,
            "logprob": -0.1,
            "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in top.items()],
        }
        for token, top in pairs
    ]
    return {"choices": [{"logprobs": {"content": content}}]}


def write_json(folder: Path, samples, **header) -> Path:
    path = folder / "log.json"
    path.write_text(json.dumps(HEADER | header | {"samples": samples}))
    return path


def write_zip(path: Path, members: dict[str, bytes], method: int = 93) -> Path:
    """Write a zip of members by method 93, which `zipfile` does not write."""
    body, central = b"", b""
    for name, data in members.items():
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        packed = sink.getvalue().to_pybytes()
        meta = (20, 0, method, 0, 0, zlib.crc32(data), len(packed), len(data), len(name), 0)
        entry = struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 20, *meta[:5], *meta[5:], 0, 0, 0, 0, len(body)
        )
        central += entry + name.encode()
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", *meta) + name.encode() + packed
    count = len(members)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(central), len(body), 0)
    path.write_bytes(body + central + end)
    return path


def packed(samples, **members) -> dict[str, bytes]:
    whole = {f"samples/{s['id']}_epoch_1.json": s for s in samples}
    parts = {"_journal/start.json": HEADER, **whole, "summaries.json": samples}
    return {
        k: json.dumps(v).encode() for k, v in {**parts, "header.json": HEADER, **members}.items()
    }


@pytest.mark.parametrize(
    ("value", "correct"),
    [("C", 1), ("I", 0), (1, 1), (0.0, 0), (True, 1), ("yes", 1), ("0.0", 0), ({"correct": 1}, 1)],
)
def test_values_of_scores(tmp_path, value, correct):
    log = read(write_json(tmp_path, [sample(1, score(value, confidence=0.5))]))
    assert log.columns["correct"] == [correct]
    assert log.columns["confidence"] == [0.5]


@pytest.mark.parametrize("value", [0.5, "maybe", {"a": 1}, [1], 2])
def test_values_that_are_neither_right_nor_wrong(tmp_path, value):
    path = write_json(tmp_path, [sample("x", score(value, confidence=0.5))])
    with pytest.raises(
        InputError, match=r"log\.json: sample 'x', epoch 1.*neither right nor wrong"
    ):
        read(path)


def test_samples_that_are_no_rows_are_counted(tmp_path):
    samples = [
        sample(1, score("C", confidence=0.9)),
        sample(2, {}, error={"message": "x"}),
        sample(3, None, error="x"),
        sample(4, score(float("nan"), confidence=0.9)),
        sample(5, {}),
        sample(6, score("P", confidence=0.9)),
        sample(7, score("N", confidence=0.9)),
        sample(8, score("I", confidence=None)),
        sample(9, score("I", confidence=float("nan"))),
    ]
    log = read(write_json(tmp_path, samples))
    assert log.columns["id"] == [1]
    assert log.left_out == {
        inspect.ERRORED: 2,
        inspect.UNSCORED: 2,
        inspect.PARTIAL: 1,
        inspect.NO_ANSWER: 1,
        "rows without scores.s.metadata.confidence": 2,
    }


def test_scorers_have_to_be_chosen(tmp_path):
    both = {
        **score("C", confidence=0.7),
        "other.one": {"value": 0, "metadata": {"confidence": 0.2}},
    }
    path = write_json(tmp_path, [sample(1, both)])
    with pytest.raises(UsageError, match=r"scorers s, other\.one; choose one with --scorer"):
        read(path)
    with pytest.raises(UsageError, match=r"no scorer 'z'.*s, other\.one"):
        read(path, scorer="z")
    assert read(path, scorer="s").columns["confidence"] == [0.7]
    log = read(path, scorer="other.one")
    assert (log.columns["confidence"], log.columns["correct"]) == ([0.2], [0])
    named = {"confidence": "scores.other.one.metadata.confidence", "correct": "scores.s.value"}
    log = read(path, **named)
    assert [log.columns[name] for name in named.values()] == [[0.2], [1]]


@pytest.mark.parametrize(
    ("scores", "more", "words"),
    [
        (
            score({"correct": 1, "p": 0.4}),
            {},
            r"--confidence with one of scores\.s\.value\.correct",
        ),
        (score("C"), {"metadata": {"sure": 3}}, r"--confidence with one of metadata\.sure$"),
        (
            score({"correct": 1, "confidence": 0.4}, confidence=0.3),
            {},
            r"one of scores\.s\.value\.confidence, scores\.s\.metadata\.confidence$",
        ),
        (score("C"), {"output": said((" A", {" A": 0.5}))}, "pass --options A,B,C,D"),
    ],
)
def test_confidences_have_to_be_chosen(tmp_path, scores, more, words):
    path = write_json(tmp_path, [sample(1, scores, **more)])
    with pytest.raises(UsageError, match=words):
        read(path)


def test_accuracy_alone_is_said(tmp_path):
    log = read(write_json(tmp_path, [sample(1, score("C")), sample(2, score("I"))]))
    assert log.columns["correct"] == [1, 0]
    assert "confidence" not in log.columns
    assert "only accuracy can be told" in log.notes[0]


def test_named_paths_are_columns_of_this_name(tmp_path):
    samples = [sample(k, score("C"), metadata={"p": {"x.y": [0.1, k / 10]}}) for k in (1, 2)]
    log = read(write_json(tmp_path, samples), confidence="metadata.p.x.y.1")
    assert log.columns["metadata.p.x.y.1"] == [0.1, 0.2]
    with pytest.raises(
        InputError, match=r"no record has a value at 'metadata\.q' \(--confidence\)"
    ):
        read(write_json(tmp_path, samples), confidence="metadata.q")


def test_a_confidence_that_summaries_lack_is_read_from_samples(tmp_path):
    whole = [sample(k, score("C", judge={"confidence": k / 10, "text": "x"})) for k in (1, 2)]
    short = [{**s, "scores": score("C", judge="Key removed from summary (> 1k)")} for s in whole]
    path = write_zip(tmp_path / "a.eval", packed(whole, **{"summaries.json": short}))
    assert read(path).columns["confidence"] == [0.1, 0.2]
    where = "scores.s.metadata.judge.confidence"
    assert read(path, confidence=where).columns[where] == [0.1, 0.2]


def test_options(tmp_path):
    samples = [
        sample(
            1, score("C"), output=said(("A", {"A": 0.9}), (" B", {" B": 0.4, "B": 0.1, "A": 0.25}))
        ),
        sample(2, {}, error="x", output={"choices": []}),
        sample(3, score("I"), output=said(("Well", {"A": 0.9}))),
        sample(4, score("I"), output={"choices": [{"logprobs": None}]}),
        sample(5, score("I"), ["A", "B"], output=said(("A", {"A": 0.9}))),
        sample(6, score(float("nan")), ["B"], output=said(("\u2581A", {"\u2581A": 0.5, "B": 0.5}))),
        sample(7, score("I"), "", output=said(("A", {"A": 0.9}))),
        sample(8, score("I"), "B", output=said(("A", {"A": 0.5}), ("!", {"A": 1}))),
    ]
    log = read(write_json(tmp_path, samples), options=("A", "B"))
    assert log.columns["id"] == [1, 6, 8]
    assert log.columns["labels"] == [0, 1, 1]
    # the emitted token counts too: exp(-0.1) unless a larger one is listed
    top = math.exp(-0.1)
    assert log.columns["probs"][0] == pytest.approx([0.25, 0.1 + top] / np.array(0.35 + top))
    assert log.columns["probs"][1] == pytest.approx([top, 0.5] / np.array(top + 0.5))
    assert log.columns["probs"][2] == pytest.approx([1, 0])
    assert log.left_out == {
        inspect.ERRORED: 1,
        inspect.NO_OPTION: 1,
        inspect.NO_LOGPROBS: 1,
        inspect.SEVERAL_TARGETS: 1,
        inspect.NO_TARGET: 1,
    }
    assert any(note.startswith("1 row: the right answer is not among") for note in log.notes)


def test_runs_without_a_header_are_read_from_the_journal(tmp_path):
    samples = [sample(k, score("C", confidence=k / 20)) for k in range(1, 12)]
    members = packed(samples)
    del members["header.json"], members["summaries.json"]
    for k in range(1, 12):  # 10 after 9
        members[f"_journal/summaries/{k}.json"] = json.dumps([samples[k - 1]]).encode()
    log = read(write_zip(tmp_path / "a.eval", members))
    assert log.columns["id"] == list(range(1, 12))
    assert log.notes[-1] == "the run was not finished: 11 of 12 samples are in the file"
    del members["_journal/summaries/11.json"]  # killed between a sample and its summary
    assert read(write_zip(tmp_path / "a.eval", members)).columns["id"] == list(range(1, 12))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_other_methods_of_compression(tmp_path, method):
    path = tmp_path / "a.eval"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in packed([sample(1, score("C", confidence=0.5))]).items():
            archive.writestr(name, data)
    assert read(path).columns["confidence"] == [0.5]


def test_several_logs_are_pooled(tmp_path):
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        header = {"eval": {"task": name, "model": "m"}, "status": "cancelled"}
        paths.append(write_json(tmp_path / name, [sample(1, score("C", confidence=0.5))], **header))
    log = inspect.read([log_file(path) for path in paths], Choice())
    assert log.columns["task"] == ["a", "b"]
    assert "log.json: the run ended with status 'cancelled': the file holds 1 sample" in log.notes


DAMAGE = {
    "empty": (lambda data: b"", "not a whole zip archive, which Inspect logs are"),
    "cut": (lambda data: data[:-30], "not a whole zip archive"),
    "another byte": (
        lambda data: data[:80] + b"\xff\xff" + data[82:],
        "not a whole|header",
    ),
    "no zip": (lambda data: b"hello", "not a whole zip archive"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_zips(tmp_path, damage):
    change, words = DAMAGE[damage]
    members = packed([sample(1, score("C", confidence=0.5))])
    members = {"header.json": members.pop("header.json"), **members}
    path = write_zip(tmp_path / "a.eval", members)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=words):
        read(path)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "neither header.json nor"),
        ({"header.json": b"{}"}, "holds no samples"),
        ({"header.json": b"[]"}, r"header\.json: expected an object"),
        ({"header.json": b"{}", "summaries.json": b"{}"}, "expected a list of samples"),
        ({"header.json": b"{}", "summaries.json": b"[1]"}, "sample 1: expected an object"),
        ({"header.json": b"{}", "summaries.json": b'[{"id": 1, "scores": 3}]'}, "object of scores"),
        ({"header.json": b"{}", "summaries.json": b"[{"}, r"a\.eval: summaries\.json: not valid"),
    ],
)
def test_zips_without_what_a_log_has(tmp_path, members, words):
    with pytest.raises(InputError, match=words):
        read(write_zip(tmp_path / "a.eval", members))


def test_what_members_unpack_to_is_limited(tmp_path):
    members = packed([sample(1, score("C", confidence=0.5))])
    members["summaries.json"] += b" " * (1 << 28)
    path = write_zip(tmp_path / "a.eval", members)
    with pytest.raises(InputError, match=r"a\.eval: declares 268,.*pass --max-unpacked 1"):
        read(path)
    with pytest.raises(InputError, match=r"limit of 0\.1 GB"):
        read(path, max_unpacked=0.1)


def test_samples_without_scores(tmp_path):
    with pytest.raises(InputError, match="no sample has a score"):
        read(write_json(tmp_path, [sample(1, {}, error="x")]))
    with pytest.raises(InputError, match=r"no sample can be read \(1 unscored"):
        read(write_json(tmp_path, [sample(1, score(None, confidence=0.4))]))
    with pytest.raises(InputError, match="holds no samples"):
        read(write_json(tmp_path, None))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "[]"),
        ("a.json", '{"eval": 1}'),
        ("a.json", '{"columns": ["eval"], "data": []}'),
        ("a.jsonl", json.dumps(HEADER)),
        ("a.npz", "PK\x03\x04"),
    ],
)
def test_other_files_are_not_recognised(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert not inspect.recognise(log_file(tmp_path / name))


def test_samples_as_old_and_odd_versions_have_them(tmp_path):
    old = {
        "id": 1,
        "epoch": 1,
        "target": "A",
        "score": {"value": "C", "metadata": {"confidence": 1}},
    }
    log = read(write_json(tmp_path, [old]))
    assert (log.columns["confidence"], log.columns["correct"]) == ([1], [1])
    odd = {"scores": {**score("C", confidence=0.5), "t": None}, "id": {"a": 1}, "metadata": 3}
    log = read(write_json(tmp_path, [odd]), scorer="s")
    assert log.columns["confidence"] == [0.5]
    errored = sample(1, score("I", confidence=0.5), error="after it was scored")
    log = read(write_json(tmp_path, [errored]))
    assert log.columns["correct"] == [0]
    assert log.notes[-1].startswith("1 row: the sample ended in an error")
