"""Logs of decisions: every way in which they are written, and errors that name the line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import PUBLISHED

from calibtool.data.files.roles import Choice
from calibtool.data.logs import decisions
from calibtool.data.logs.log import LogFile
from calibtool.errors import InputError, UnreadableError, UsageError

SAMPLES = PUBLISHED / "logs"
TRUTH = SAMPLES / "TRUTH.json"


def entries():
    """Return every reading of every sample with its right answers."""
    if not TRUTH.is_file():
        return []
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    found = []
    for name, entry in truth.items():
        if name.startswith("decisions/"):
            found.append((name, {}, entry))
            for view, wanted in entry.get("views", {}).items():
                question = view.removeprefix("question:")
                found.append((name, {"question": question}, wanted))
                if own := wanted.get("confidence_field"):
                    found.append((name, {"question": question, "confidence": "confidence"}, own))
    return found


def numbers(log):
    """Return the numbers of a log by the conventions of LAYOUTS.md."""
    columns = log.columns
    if "probs" in columns:
        probs, labels = columns["probs"], np.array(columns["labels"])
        confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
        nll = -np.log(probs[np.arange(len(labels)), labels]).mean()
        brier = ((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1).mean()
    else:
        confidence = np.array(columns["confidence"], dtype=float)
        right = np.array(columns["correct"], dtype=float)
        nll = -np.log(np.where(right, confidence, 1 - confidence)).mean()
        brier = ((confidence - right) ** 2).mean()
    bins = np.maximum(np.searchsorted(np.arange(16) / 15, confidence) - 1, 0)
    gaps = np.bincount(bins, confidence - right, minlength=15)
    return {
        "rows": len(confidence),
        "accuracy": right.mean(),
        "confidence": confidence.mean(),
        "ece15": np.abs(gaps).sum() / len(confidence),
        "nll": nll,
        "brier": brier,
    }


def sample(path):
    return LogFile(str(path), str(path), path.suffix, lambda: path.open("rb"))


def log_file(records, name="log.jsonl"):
    """Return a log of records, or of lines as they are."""
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    data = "".join(f"{line}\n" for line in lines).encode()
    return LogFile(name, name, Path(name).suffix, lambda: io.BytesIO(data))


def read(*records, name="log.jsonl", **options):
    return decisions.read([log_file(records, name)], Choice(**options))


def line(answers, labels=None, **more):
    """Return a line in the shape of System One."""
    return {"response": {"model": "m", "answers": answers}, "labels": labels, **more}


def noul(p, **more):
    return {"type": "noul", "noul": p, **more}


def choice(**probs):
    top = max(probs, key=probs.get)
    return {"type": "choice", "choice": top, "confidence": 0.1, "probabilities": probs}


def score(*probs, **more):
    by_level = {str(level): p for level, p in enumerate(probs)}
    return {"type": "score", "score": 1.0, "probabilities": by_level, **more}


def openai(value_probs, name=None, **more):
    listed = [{"value": value, "probability": p} for value, p in value_probs]
    return {"type": "choice", "name": name, "choice": "?", "probabilities": listed, **more}


@pytest.mark.skipif(not TRUTH.is_file(), reason="needs the samples of shared/data/logs")
@pytest.mark.parametrize(("name", "options", "wanted"), entries())
def test_samples_have_the_right_answers(name, options, wanted):
    log = decisions.read([sample(SAMPLES / name)], Choice(**options))
    found = numbers(log)
    keys = ["rows", "accuracy", "confidence", "ece15", "nll"]
    for key in keys:
        assert found[key] == pytest.approx(wanted[key], abs=1e-9), key
    brier = wanted["brier_sum"] if wanted["kind"] == "binary" else wanted["brier"]
    assert found["brier"] == pytest.approx(brier, abs=1e-9)
    assert log.classes == (tuple(wanted["classes"]) if wanted["classes"] else None)
    if wanted["kind"] == "binary":
        assert log.columns["probs"][:, 1].mean() == pytest.approx(wanted["mean_p"], abs=1e-9)
        assert np.mean(log.columns["labels"]) == pytest.approx(wanted["positive_rate"], abs=1e-9)
    skipped = wanted.get("skipped", {})
    assert sum(skipped.values()) == sum(log.left_out.values()) or "skipped" not in wanted
    assert log.left_out.get("refusals", 0) == wanted.get("refused", skipped.get("refusals", 0)) or (
        "confidence" in options
    )


@pytest.mark.skipif(not TRUTH.is_file(), reason="needs the samples of shared/data/logs")
def test_recognises_its_own_samples_only():
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    found = {path for path in files if decisions.recognise(sample(path))}
    assert found == set((SAMPLES / "decisions").iterdir())


HALF = {"a": 0.7, "b": 0.3}


@pytest.mark.parametrize(
    ("answer", "label", "right"),
    [
        (noul(0.8), True, 1),
        (noul(0.8), "True", 1),
        (noul(0.8), 1, 1),
        (noul(0.8), "no", 0),
        (noul(0.8), 0.9, 1),
        (noul(0.8), {"true": 0.2, "false": 0.8}, 0),
        (noul(0.8), {"type": "noul", "noul": 0.9}, 1),
        (noul(0.8), {"type": "noul", "noul": False}, 0),
        (noul(0.5), False, 1),  # the first of equal ones is false
        ({"type": "predicate", "name": None, "probability": 0.1}, False, 1),
        (choice(**HALF), "a", 1),
        (choice(**HALF), {"a": 0.4, "b": 0.6}, 0),
        (choice(**HALF), {"a": 5, "b": 1}, 1),  # votes
        (choice(**HALF), choice(a=0.1, b=0.9), 0),
        (choice(**HALF), {"type": "choice", "choice": "b"}, 0),
        (choice(**{"1": 0.7, "2": 0.3}), 1, 1),
        (choice(true=0.7, false=0.3), True, 1),  # a map of options has texts only
        (openai([("true", 0.2), (True, 0.5), ("b", 0.3)]), True, 1),
        (openai([("true", 0.2), (True, 0.5), ("b", 0.3)]), "true", 0),
        (openai([(True, 0.7), (False, 0.3)]), {"true": 0.9, "false": 0.1}, 1),
        (openai([("a", 0.7), ("b", 0.3)]), openai([("b", 0.6), ("a", 0.4)]), 0),
        (openai([("a", 0.7), ("b", 0.3)]), openai([("b", 0.6), ("a", 0.4)])["probabilities"], 0),
        (score(0.1, 0.7, 0.2), 1, 1),
        (score(0.1, 0.7, 0.2), 1.0, 1),
        (score(0.1, 0.7, 0.2), "1", 1),
        (score(0.1, 0.7, 0.2, legend={"1": "fair", "2": "good"}), "fair", 1),
        (score(0.1, 0.7, 0.2, legend={"0": "1", "1": "2", "2": "3"}), "1", 0),  # its text
        (score(0.1, 0.7, 0.2, legend={"0": "1", "1": "2", "2": "3"}), 1, 1),  # its number
        (score(0.1, 0.7, 0.2, legend={"0": "1", "1": "2", "2": "3"}), {"1": 0.9, "0": 0.1}, 1),
        (score(0.1, 0.7, 0.2), [0.1, 0.5, 0.4], 1),
        (score(0.1, 0.7, 0.2), score(0.1, 0.2, 0.7), 0),
        (score(0.1, 0.7, 0.2), {"type": "score", "score": 1}, 1),
        ({"type": "score", "probabilities": {"2": 0.1, "1": 0.7, "0": 0.2}}, 1, 1),
    ],
)
def test_labels_of_every_kind(answer, label, right):
    assert read(line({"q": answer}, {"q": label})).columns["correct"] == [right]


@pytest.mark.parametrize("label", [None, "", {}, float("nan"), {"type": "refusal"}])
def test_no_label_is_left_out_where_others_have_one(label):
    log = read(line({"q": noul(0.8)}, {"q": True}), line({"q": noul(0.9)}, {"q": label}))
    assert log.left_out == {"unlabelled answers": 1}
    assert log.columns["confidence"] == [0.8]


@pytest.mark.parametrize(
    ("answer", "label", "message"),
    [
        (noul(1.5), True, r"line 2: question 'q': P\(true\) must be between 0 and 1 \(got 1.5\)"),
        (noul("0.5"), True, r"P\(true\) must be a finite number \(got '0.5'\)"),
        (noul(float("nan")), True, r"P\(true\) must be a finite number"),
        (choice(a=0.7, b=0.2), "a", r"line 2: .*their sum is 0.9,.*--renormalize"),
        (choice(a=1.2, b=-0.2), "a", r"the smallest is -0.2"),
        (
            {"type": "choice", "probabilities": {"a": 0.7, "b": "x"}},
            "a",
            r"the probability of 'b' must be a finite number",
        ),
        (choice(**HALF), "c", r"the label 'c' is none of the options 'a', 'b'"),
        (choice(**HALF), True, r"the label true is none of the options"),
        (choice(**HALF), ["a"], r"got a list"),
        (choice(**HALF), {"who": "me"}, r"must be an answer, or shares of the options"),
        (openai([("true", 0.7), ("b", 0.3)]), True, r"the label true is none of"),
        (openai([(True, 0.7), (False, 0.3)]), "true", r"the label 'true' is none of"),
        (openai([("a", 0.7), ("a", 0.3)]), "a", r"an option is listed twice"),
        (score(0.1, 0.9), True, r"the label true is none of"),
        (score(0.1, 0.9), 2, r"the label 2 is none of"),
        (score(0.1, 0.9), 0.4, r"the label 0.4 is none of"),
        (score(0.1, 0.9, legend={"0": "x", "1": "x"}), "x", r"the text of several levels"),
        ({"type": "choice", "probabilities": [0.1]}, "a", r"must be an object, or a list of"),
        ("yes", True, r"an answer must be an object"),
    ],
)
def test_damage_is_named_by_line_and_question(answer, label, message):
    with pytest.raises(UnreadableError, match=message):
        read(line({"q": choice(**HALF)}, {"q": "a"}), line({"q": answer}, {"q": label}))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "line 2: not valid JSON"),
        ("[1]", "line 2: expected an object"),
        ({"text": "x"}, "line 2: holds no `answers`"),
        (line([noul(0.8), noul(0.9)], [True]), "1 labels in a list cannot be tied to 2 answers"),
        (line({"a": noul(0.8), "b": noul(0.9)}, [True, True]), "give them by question name"),
        (line([noul(0.8), noul(0.9)], {"x": True}), "answers without names need their labels"),
        (line({"a": noul(0.8), "b": noul(0.9)}, True), "one label cannot be tied to 2 answers"),
        (line([noul(0.8, name=3)], [True]), "the name of a question must be a text"),
    ],
)
def test_damaged_lines(record, message):
    with pytest.raises(UnreadableError, match=message):
        read(line({"q": noul(0.8)}, {"q": True}), record)


def test_sums_within_rounding_are_renormalised():
    many = {f"o{i}": 0.003 for i in range(255)}
    many["o0"] = 0.148  # a sum of 0.91: 255 options, each up to 0.0005 off
    log = read(
        line({"q": choice(**many)}, {"q": "o0"}),
        line({"q": choice(a=0.3334, b=0.3333, c=0.3334)}, {"q": "a"}),
    )
    assert log.columns["confidence"][0] == pytest.approx(0.148 / 0.91)
    assert log.columns["confidence"][1] == pytest.approx(0.3334 / 1.0001)
    log = read(line({"q": choice(a=6, b=2)}, {"q": "a"}), renormalize=True)
    assert log.columns["confidence"] == [0.75]


def test_openai_answers_are_tied_by_position_and_collected_by_value():
    asked = [
        {"type": "predicate", "instructions": "?"},
        {"type": "choice", "choices": [{"value": "b"}, {"value": "a"}, {"value": True}]},
    ]
    first = {"type": "predicate", "name": None, "probability": 0.9}
    log_lines = [
        {
            "request": {"questions": asked},
            "response": {"answers": [first, openai([("a", 0.7), ("b", 0.2), (True, 0.1)])]},
            "labels": [True, "a"],
        },
        {
            "response": {"answers": [first, openai([(True, 0.6), ("b", 0.3), ("a", 0.1)])]},
            "labels": [False, True],
        },
        {
            "response": {"answers": [{"type": "refusal", "name": None}, openai([("a", 1.0)])]},
            "labels": [None, "a"],
        },
    ]
    log = read(*log_lines)
    assert log.columns["question"] == ["0", "1", "0", "1", "1"]
    assert log.columns["correct"] == [1, 1, 0, 1, 1]
    assert log.columns["type"] == ["predicate", "choice"] * 2 + ["choice"]
    assert log.columns["options"] == [2, 3, 2, 3, 3]
    assert log.columns["line"] == [1, 1, 2, 2, 3]
    assert log.left_out == {"refusals": 1}
    log = read(*log_lines, question="1")
    assert log.classes == ("b", "a", "true")
    assert log.columns["labels"] == [1, 2, 1]
    assert log.columns["probs"].tolist() == [[0.2, 0.7, 0.1], [0.3, 0.1, 0.6], [0.0, 1.0, 0.0]]


def test_classes_that_only_their_type_tells_apart():
    log = read(line([openai([("true", 0.2), (True, 0.8)], "q")], {"q": True}), question="q")
    assert log.classes == ('"true"', "true")
    assert log.columns["labels"] == [1]


def test_what_is_no_prediction_is_counted():
    log = read(
        {"response": {"prompt_feedback": {"block_reason": "safety"}}, "labels": {"q": True}},
        {"custom_id": "x", "response": None, "error": {"code": "timeout"}},
        {"custom_id": "y", "response": {"status_code": 500, "body": {"error": {"code": "x"}}}},
        line({}, {"q": True}),
        line({"q": None, "r": noul(0.8)}, {"q": True, "r": True, "s": False}),
        line({"q": {"type": "box", "box": [0, 0, 1, 1]}}, {"q": True}),
        line({"q": {"type": "ranking", "order": ["a"]}}, {"q": None}),
        line({"q": {"type": "choice", "choice": "a", "confidence": 0.7}}, {"q": "a"}),
        line([{"type": "refusal", "name": "q"}], {"q": True}),
    )
    assert log.left_out == {
        "blocked inputs": 1,
        "requests with an error": 2,
        "lines without answers": 1,
        "missing answers": 1,
        "labels without an answer": 1,
        "answers that are no classification": 2,
        "answers without probabilities": 1,
        "refusals": 1,
    }
    assert log.columns["question"] == ["r"]


def test_nothing_to_measure():
    with pytest.raises(InputError, match=r"no answers to measure \(1 lines without answers\)"):
        read(line({}, {"q": True}))
    with pytest.raises(InputError, match=r"no answers to measure$"):
        read()


def test_an_unknown_question_is_named_with_those_there_are():
    lines = [line({"team": noul(0.8), "mood": noul(0.7)}, {"team": True})]
    with pytest.raises(UsageError, match="no question 'teem'; did you mean team"):
        read(*lines, question="teem")
    with pytest.raises(UsageError, match="expected one of team, mood"):
        read(*lines, question="x")


def test_options_that_differ_by_line_are_pooled():
    lines = [
        line({"q": choice(a=0.7, b=0.3)}, {"q": "a"}),
        line({"q": choice(a=0.7, c=0.2, d=0.1)}, {"q": "c"}),
    ]
    log = read(*lines, question="q")
    assert log.classes is None
    assert log.columns["confidence"] == pytest.approx([0.7, 0.7])
    assert log.columns["correct"] == [1, 0]
    assert "differ by line (2 to 3 options)" in log.notes[0]


def test_options_that_are_asked_for_and_not_answered_have_probability_0():
    asked = {"q": {"type": "choice", "criteria": {"c": None, "b": "", "a": "x"}}}
    lines = [
        line({"q": choice(a=0.7, b=0.3)}, {"q": "c"}, questions=asked),
        line({"q": choice(a=0.7, b=0.2, c=0.1)}, {"q": "a"}),
    ]
    log = read(*lines, question="q")
    assert log.classes == ("c", "b", "a")
    assert log.columns["probs"].tolist() == [[0.0, 0.3, 0.7], [0.1, 0.2, 0.7]]


def test_levels_are_called_by_their_texts():
    legend = {"0": "bad", "2": "good"}  # Gemini leaves empty texts out
    log = read(line({"q": score(0.1, 0.2, 0.7, legend=legend)}, {"q": "good"}), question="q")
    assert log.classes == ("bad", "1", "good")
    assert log.columns["labels"] == [2]
    asked = {"q": {"type": "score", "criteria": {"0": "low", "1": "high"}}}
    log = read(line({"q": score(0.1, 0.9)}, {"q": 1}, questions=asked), question="q")
    assert log.classes == ("low", "high")


def test_a_named_confidence_is_read_as_it_is():
    lines = [line({"q": choice(a=0.7, b=0.3), "r": noul(0.8)}, {"q": "a", "r": True})]
    log = read(*lines, confidence="confidence")
    assert log.columns["confidence"] == [0.1]
    assert log.left_out == {"answers without the confidence that was asked for": 1}
    assert any("differs from the largest probability in 1 of 1" in note for note in log.notes)
    assert any("is not read" in note for note in read(*lines).notes)


def test_labels_in_another_file():
    lines = [
        {"custom_id": f"{i}", "response": {"body": {"answers": [openai([("a", 0.6), ("b", 0.4)])]}}}
        for i in range(2)
    ]
    log = read(*lines)
    assert log.columns["correct"] == [None, None]
    assert log.columns["predictions"] == ["a", "a"]
    assert log.columns["id"] == ["0", "1"]
    assert "No answer has a label" in log.notes[0]
    log = read(*(record | {"labels": ["a"]} for record in lines), labels_file="x", question="0")
    assert log.columns["labels"] == [None, None]
    assert log.columns["id"] == log.columns["custom_id"] == ["0", "1"]
    assert log.left_out == {}


def test_labels_by_path():
    record = line({"q": noul(0.8)}, None, truth={"gold": {"q": False}})
    assert read(record, labels="truth.gold").columns["correct"] == [0]
    log = read(record, labels="truth.gold", question="q")
    assert log.columns["truth.gold"] == [0]
    record = line({"q": noul(0.8, gold=False), "r": noul(0.8, gold=True)}, team="x", truth=True)
    assert read(record, labels="gold").columns["correct"] == [0, 1]
    assert read(record, labels="truth", question="q").columns["truth"] == [1]


def test_columns_beside_the_answers():
    record = line(
        {"q": noul(0.8)},
        {"q": True},
        id=7,
        meta={"source": "mail", "deep": {"n": 1}},
        tags=["x", "y"],
        score=3,
        type="t",
        state="long",
        parts=[1, 2],
    )
    log = read(record, line({"q": noul(0.7)}, {"q": True}))
    assert dict(log.columns) == {
        "confidence": [0.8, 0.7],
        "correct": [1, 1],
        "question": ["q", "q"],
        "type": ["noul", "noul"],
        "options": [2, 2],
        "line": [1, 2],
        "id": [7, None],
        "model": ["m", "m"],
        "meta.source": ["mail", None],
        "meta.deep.n": [1, None],
        "tags": ["x, y", None],
        "line.score": [3, None],
        "line.type": ["t", None],
    }


def test_of_equal_ids_in_a_jevl_file_the_last_line_counts():
    lines = [
        {"v": 1, "id": "sha256:a", "answers": {"q": noul(0.8)}, "label": {"q": True}},
        {"v": 1, "id": "sha256:b", "answers": {"q": noul(0.7)}, "label": {"q": True}},
        {"v": 1, "id": "sha256:a", "answers": {"q": noul(0.9)}, "label": {"q": True}},
    ]
    for name in ("log.jevl", "log.jsonl"):
        log = read(*lines, name=name)
        assert log.columns["confidence"] == [0.7, 0.9]
        assert log.left_out == {"lines that a later one of the same id replaces": 1}
    log = read(*({k: v for k, v in r.items() if k != "v"} for r in lines))
    assert log.columns["confidence"] == [0.8, 0.7, 0.9]


def test_a_cache_has_one_answer_per_line():
    asked = {"type": "score", "criteria": ["calm", "angry"]}
    record = {"id": "mood", "question": asked, "row": 3, "type": "score", "meta": {"s": "x"}}
    log = read(
        {**record, "answer": None, "gold": "calm", "error": "HTTP 413"},
        {**record, "answer": None, "gold": "calm"},
        {**record, "answer": score(0.2, 0.8), "gold": "calm"},
        question="mood",
    )
    assert log.left_out == {"requests with an error": 1, "missing answers": 1}
    assert log.classes == ("calm", "angry")
    assert log.columns["labels"] == [0]
    assert log.columns["row"] == [3]


def test_several_files_and_a_json_list():
    record = line({"q": noul(0.8)}, {"q": True})
    files = [log_file([record], "a.jsonl"), log_file([json.dumps([record, record])], "b.json")]
    assert all(map(decisions.recognise, files))
    log = decisions.read(files, Choice())
    assert log.columns["line"] == ["a.jsonl:1", "b.json:1", "b.json:2"]
    bad = log_file([json.dumps([record, line({"q": noul(2)}, {"q": True})])], "b.json")
    with pytest.raises(UnreadableError, match=r"b.json: record 2: question 'q'"):
        decisions.read([bad], Choice())


@pytest.mark.parametrize(
    ("records", "is_log"),
    [
        ([line({"q": noul(0.8)})], True),
        ([line([openai([("a", 1.0)])])], True),
        ([{"answers": {"q": noul(0.8)}}], True),
        ([{"response": {"prompt_feedback": {"block_reason": "x"}}}, line({"q": noul(0.8)})], True),
        ([line({"q": noul(0.8)}, state="x" * 100_000)], True),
        ([{"answer": None, "question": {"type": "noul"}}, {"answer": noul(0.8)}], True),
        (["", json.dumps(line({"q": noul(0.8)}))], True),
        ([], False),
        (["{"], False),
        (["x" * 100_000], False),
        (["[" * 1000], False),
        (["[]"], False),
        ([{"answers": {"text": ["x"], "answer_start": [1]}}], False),
        ([{"answers": ["a", "b"]}], False),
        ([{"answer": "B", "confidence": 0.7}], False),
        ([{"response": {"choices": [{"logprobs": None}]}}], False),
        ([{"custom_id": "x", "response": None, "error": {"code": "x"}}], False),
        ([{"id": 1, "confidence": 0.7, "correct": True}], False),
    ],
)
def test_recognises_by_content(records, is_log):
    assert decisions.recognise(log_file(records)) is is_log
