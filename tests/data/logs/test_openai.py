"""Logs of chat and completion responses: the samples with known answers, and made-up records."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from calibtool.data.files.roles import Choice
from calibtool.data.logs import openai
from calibtool.data.logs.log import LogFile
from calibtool.errors import InputError, UsageError

LETTERS = ("A", "B", "C", "D")
AB = ("A", "B")


def log_file(path: Path) -> LogFile:
    return LogFile(path.name, str(path), path.suffix.lower(), lambda: path.open("rb"))


def read(path: Path, options=LETTERS, **how):
    assert openai.recognise(log_file(path))
    return openai.read([log_file(path)], Choice(options=options, **how))


def ece15(confidence, correct):
    inner = np.array([k / 15 for k in range(1, 15)])
    bins = np.searchsorted(inner, confidence, side="left")
    return np.abs(np.bincount(bins, correct - confidence, 15)).sum() / len(confidence)


def measured(confidence, correct):
    confidence, correct = np.array(confidence, float), np.array(correct, float)
    return {
        "rows": len(confidence),
        "accuracy": correct.mean(),
        "confidence": confidence.mean(),
        "ece15": ece15(confidence, correct),
        "nll": -np.log(np.where(correct == 1, confidence, 1 - confidence)).mean(),
        "brier": ((confidence - correct) ** 2).mean(),
    }


def agrees(found, truth):
    for name, value in found.items():
        assert value == pytest.approx(truth[name], abs=1e-9), name


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("chat_letters.jsonl", {openai.NO_LOGPROBS: 1, openai.REFUSALS: 1}),
        ("completions_letters.jsonl", {}),
        ("batch_output.jsonl", {openai.ERRORS: 3}),
    ],
)
def test_letters(published, name, left_out):
    folder = published / "logs" / "openai"
    truth = json.loads((published / "logs" / "TRUTH.json").read_text())[f"openai/{name}"]
    log = read(folder / name)
    assert log.left_out == left_out
    columns = dict(log.columns)
    if name == "batch_output.jsonl":
        assert columns["labels"] == [None] * truth["rows"]
        rows = csv.DictReader((folder / "batch_labels.csv").read_text().splitlines())
        known = {row["custom_id"]: LETTERS.index(row["answer"]) for row in rows}
        columns["labels"] = [known[key] for key in columns["custom_id"]]
        told = zip(columns["emitted.token"], columns["labels"], strict=True)
        columns["emitted.correct"] = [token == LETTERS[label] for token, label in told]
    probs, labels = columns["probs"], np.array(columns["labels"])
    of_label = probs[np.arange(len(probs)), labels]
    squares = ((probs - np.eye(4)[labels]) ** 2).sum(1)
    top = measured(probs.max(1), probs.argmax(1) == labels)
    agrees(top | {"nll": -np.log(of_label).mean(), "brier": squares.mean()}, truth)
    mass = columns["option_mass"]
    agrees({"option_mass_mean": np.mean(mass), "option_mass_min": min(mass)}, truth)
    assert f"(mean {np.mean(mass):.3f}, least {min(mass):.3f})" in log.notes[0]
    emitted = measured(columns["emitted.probability"], columns["emitted.correct"])
    agrees(emitted, truth["views"]["emitted_token"])


def chat(*positions, emitted=None, **more):
    """Return a response whose tokens could have been those of {token: probability}."""
    content = []
    for top in positions:
        listed = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in top.items()]
        first = emitted or next(iter(top))
        content.append({"token": first, "logprob": math.log(top[first]), "top_logprobs": listed})
    first = {"logprobs": {"content": content, "refusal": None}, "message": {"refusal": None}}
    return {"id": "r", "model": "m", "choices": [first | more], "usage": {"total_tokens": 1}}


def response(*positions, **more):
    """Return the same answer in the form of the Responses API, after an item of reasoning."""
    (choice,) = chat(*positions)["choices"]
    text = {"type": "output_text", "text": "B", "annotations": []}
    message = {"type": "message", "role": "assistant", "status": "completed"}
    said = {**text, "logprobs": choice["logprobs"]["content"]}
    output = [{"type": "reasoning", "summary": []}, {**message, "content": [said]}]
    return {"id": "r", "object": "response", "model": "m", "error": None, "output": output, **more}


def completion(top, emitted):
    logprobs = {
        "tokens": [emitted],
        "token_logprobs": [math.log(top[emitted])],
        "top_logprobs": [{t: math.log(p) for t, p in top.items()}],
        "text_offset": [0],
    }
    return {"object": "text_completion", "choices": [{"text": emitted, "logprobs": logprobs}]}


def write(folder: Path, *records, name="log.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


ONE = chat({"A": 0.3, " A": 0.2, "The": 0.3, "\u2581B": 0.1, "\u0120B": 0.05, "AB": 0.05})


@pytest.mark.parametrize(
    "record",
    [
        {**ONE, "label": "B"},
        {"label": "B", "response": ONE},
        {"label": " B", "response": {"status_code": 200, "body": ONE}, "error": None},
        {"label": ["B"], "recordId": "1", "modelInput": {"messages": []}, "modelOutput": ONE},
        {"target": "B", "anything": {"body": ONE}},
    ],
)
def test_where_responses_stand_and_variants_of_tokens(tmp_path, record):
    log = read(write(tmp_path, record), AB)
    assert log.columns["probs"][0] == pytest.approx([0.5 / 0.65, 0.15 / 0.65])
    assert log.columns["labels"] == [1]
    assert log.columns["option_mass"] == pytest.approx([0.65])
    assert log.columns["model"] == ["m"]
    assert log.classes == AB


RESPONSE = response({"A": 0.3, " A": 0.2, "The": 0.3, "\u2581B": 0.1, "\u0120B": 0.05, "AB": 0.05})


@pytest.mark.parametrize(
    "record",
    [
        {**RESPONSE, "label": "B"},
        {"label": "B", "response": RESPONSE},
        {"label": "B", "response": {"status_code": 200, "body": RESPONSE}, "error": None},
    ],
)
def test_responses_say_what_completions_say(tmp_path, record):
    log = read(write(tmp_path, record), AB)
    assert log.columns["probs"][0] == pytest.approx([0.5 / 0.65, 0.15 / 0.65])
    assert log.columns["labels"] == [1]
    assert log.columns["model"] == ["m"]


def test_responses_without_an_answer_are_counted(tmp_path):
    refused = [{"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}]
    silent = [{"type": "message", "content": [{"type": "output_text", "text": "A"}]}]
    log = read(
        write(
            tmp_path,
            {**RESPONSE, "label": "A"},
            {"response": response({"A": 1.0}, output=refused), "label": "A"},
            {"response": response({"A": 1.0}, output=silent), "label": "A"},
            {"response": response({"A": 1.0}, output=[{"type": "reasoning"}]), "label": "A"},
            {
                "response": {"object": "response", "output": [], "error": {"code": "x"}},
                "label": "A",
            },
        ),
        AB,
    )
    assert log.left_out == {
        openai.REFUSALS: 1,
        openai.NO_LOGPROBS: 1,
        openai.NO_ANSWER: 1,
        openai.ERRORS: 1,
    }


@pytest.mark.parametrize(
    ("positions", "options", "wrong"),
    [
        (({"definitely": 0.6, "yes": 0.4}, {" not": 1.0}), ("yes", "definitely not"), True),
        (({"no": 0.6, "yes": 0.4}, {" way": 1.0}), ("yes", "no way"), True),
        (({"1": 0.6, "2": 0.4}, {"0": 1.0}), ("1", "2", "10"), True),
        (({"no": 0.6, "yes": 0.4}, {"body": 1.0}), ("yes", "no"), False),
        (({"1": 0.6, "2": 0.4}, {".": 1.0}), ("1", "2", "10"), False),
        (({"nope": 0.6, "no": 0.3, "yes": 0.1},), ("yes", "no"), False),
    ],
)
@pytest.mark.parametrize("kind", [chat, response])
def test_an_option_of_several_tokens_is_named(tmp_path, positions, options, wrong, kind):
    file = write(tmp_path, {"label": options[0], "response": kind(*positions)})
    if not wrong:
        assert len(read(file, options).columns["probs"]) == 1
        return
    with pytest.raises(InputError, match=f"line 1: the option '{options[-1]}' is an answer of"):
        read(file, options)


def test_completions_and_lists_of_records(tmp_path):
    record = {"label": "yes", "response": completion({" yes": 0.6, "no": 0.2, "a": 0.1}, " yes")}
    for name, text in (("a.ndjson", json.dumps(record)), ("a.json", json.dumps([record]))):
        (tmp_path / name).write_text(text)
        log = read(tmp_path / name, ("no", "yes"))
        assert log.columns["probs"][0] == pytest.approx([0.25, 0.75])
        assert log.columns["labels"] == [1]


def test_other_fields_are_columns_that_have_no_role(tmp_path):
    beside = {"question_id": "q", "label": "A", "score": 3, "info": {"topic": "x"}, "tags": ["t"]}
    columns = read(write(tmp_path, {**beside, "response": ONE}), AB).columns
    assert columns["question_id"] == ["q"]
    assert columns["info.topic"] == ["x"]
    assert columns["record.score"] == [3]
    assert not {"score", "label", "tags", "error"} & set(columns)


def test_the_emitted_token_counts_where_it_is_not_listed(tmp_path):
    record = chat({"A": 0.5, "B": 0.3, "C": 0.1})
    token = record["choices"][0]["logprobs"]["content"][0]
    token |= {"token": " B", "logprob": math.log(0.05)}
    log = read(write(tmp_path, {"label": "A", "response": record}), AB)
    assert log.columns["probs"][0] == pytest.approx([0.5 / 0.85, 0.35 / 0.85])
    assert log.columns["emitted.token"] == ["B"]
    assert log.columns["emitted.share"] == pytest.approx([0.35 / 0.85])
    assert log.columns["emitted.correct"] == [False]


@pytest.mark.parametrize(
    ("positions", "expected", "later"),
    [
        ([{"A": 0.6, "B": 0.2}, {".": 1}, {" B": 0.9, "A": 0.1}], 0.75, False),
        ([{"The": 0.6, "B": 0.2}, {" B": 0.9, "A": 0.1}], 0.1, True),
        ([{"The": 0.6, "B": 0.3, "A": 0.1}, {"x": 1}], 0.25, False),
    ],
)
def test_the_token_that_is_read(tmp_path, positions, expected, later):
    log = read(write(tmp_path, {"label": "A", "response": chat(*positions)}), AB)
    assert log.columns["probs"][0][0] == pytest.approx(expected)
    assert any("is not the first token" in note for note in log.notes) == later


def test_what_is_no_answer_is_left_out_and_counted(tmp_path):
    refusal = {"message": {"refusal": "no"}, "logprobs": {"content": None, "refusal": []}}
    no_top = chat({"A": 0.9})
    no_top["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = []
    responses = [
        ONE,
        None,
        {"status_code": 500, "body": {"error": {}}},
        {"body": {"error": {"a": 1}}},
    ]
    responses += [{"choices": [refusal]}, {"choices": []}, no_top, chat({"x": 0.9}), ONE]
    responses += [{"choices": [{"logprobs": None}]}, {"choices": [{"logprobs": {"content": []}}]}]
    records = [{"label": "A", "response": response} for response in responses]
    records[8]["label"] = None
    records += [{"recordId": "x", "modelInput": {}, "error": {"errorCode": 400}}]
    log = read(write(tmp_path, *records), AB)
    assert log.left_out == {
        openai.ERRORS: 4,
        openai.REFUSALS: 1,
        openai.NO_ANSWER: 1,
        openai.NO_TOP: 1,
        openai.NO_OPTION: 1,
        openai.NO_LOGPROBS: 2,
        openai.UNLABELLED: 1,
    }
    assert len(log.columns["probs"]) == len(log.columns["labels"]) == len(log.columns["model"]) == 1


def test_a_right_answer_that_is_not_listed_is_told(tmp_path):
    records = [{"label": label, "response": ONE} for label in ("A", "C")]
    log = read(write(tmp_path, *records), ("A", "B", "C"))
    assert log.columns["probs"][1][2] == 0
    assert any(note.startswith("1 row: the right answer is not among") for note in log.notes)


def test_labels_by_path_or_in_another_file(tmp_path):
    path = write(tmp_path, {"gold": {"x": "B"}, "label": "A", "response": ONE})
    assert read(path, AB, labels="gold.x").columns["labels"] == [1]
    assert read(path, AB, labels="answer", labels_file="truth.csv").columns["labels"] == [None]
    with pytest.raises(InputError, match=r"no record has a value at 'nowhere' \(--labels\)"):
        read(path, AB, labels="nowhere")


def test_options_have_to_be_given(tmp_path):
    record = {"label": "B", "response": ONE}
    path = write(tmp_path, record, record | {"label": "A"})
    with pytest.raises(UsageError, match=r"log\.jsonl: .* pass --options A,B \(.* tokens A\)"):
        read(path, ())
    with pytest.raises(UsageError, match="--options: expected two different answers"):
        read(path, ("A", " A"))


def test_fields_that_the_user_named_need_no_options(tmp_path):
    records = [{"said": {"c": c}, "ok": 1, "response": ONE} for c in (0.5, "80%", None)]
    log = read(write(tmp_path, *records), (), confidence="said.c", correct="ok")
    assert log.columns["said.c"] == [0.5, "80%"]
    assert log.columns["ok"] == [1, 1]
    assert log.left_out == {"rows without said.c": 1}
    with pytest.raises(InputError, match=r"'x' \(--confidence\)"):
        read(write(tmp_path, *records), (), confidence="x", correct="ok")


def changed(**entry):
    record = chat({"A": 0.5, "B": 0.5})
    record["choices"][0]["logprobs"]["content"][0] |= entry
    return {"label": "A", "response": record}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (changed(logprob=0.5), "0.5 is no logprob"),
        (changed(logprob=None), "None is no logprob"),
        (changed(logprob=-(10**400)), "is no logprob"),
        (changed(logprob=float("nan")), "nan is no logprob"),
        (changed(token=None), "has no token"),
        (changed(top_logprobs=[1]), "has no token"),
        (changed(top_logprobs=3), "top_logprobs is no list"),
        (changed() | {"label": "E"}, "the label 'E' is none of the options A, B"),
        (changed() | {"label": {"a": 1}}, "is none of the options"),
        ({"label": "A"}, "holds no response with choices"),
        ([1], "expected an object"),
        (3, "expected an object"),
    ],
)
def test_damaged_records_are_named(tmp_path, record, words):
    path = write(tmp_path, changed(), record)
    with pytest.raises(InputError, match=f"log.jsonl: line 2: .*{words}"):
        read(path, AB)


def test_a_log_without_any_answer(tmp_path):
    record = changed(top_logprobs=None)
    with pytest.raises(InputError, match=r"no answer can be read \(1 answers without top_log"):
        read(write(tmp_path, record), AB)


@pytest.mark.parametrize(
    ("records", "name", "known"),
    [
        ([{"id": 1, "response": None, "error": {"code": 1}}, {"response": ONE}], "a.jsonl", True),
        ([{"prompt": "x" * 70_000, "response": ONE}], "a.jsonl", False),
        ([{"response": ONE, "prompt": "x" * 70_000}], "a.jsonl", True),
        ([{"response": ONE}], "a.csv", False),
        ([{"response": RESPONSE, "prompt": "x" * 70_000}], "a.jsonl", True),
        ([{"response": response({"A": 1.0}, output=[]), "confidence": 1}], "a.jsonl", False),
        ([{"choices": ["a", "b"], "logprobs": [1, 2], "confidence": 1}], "a.jsonl", False),
        ([{"id": 1, "confidence": 0.5, "correct": 1}], "a.jsonl", False),
        ([{"eval": {}, "samples": [{"output": ONE}]}], "a.json", False),
        ([], "a.jsonl", False),
    ],
)
def test_what_is_recognised(tmp_path, records, name, known):
    assert openai.recognise(log_file(write(tmp_path, *records, name=name))) == known
