"""lm-evaluation-harness: real samples against their right numbers, and the layout's traps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from logged import file_of, numbers, right_numbers

from calibtool.data.files.roles import Choice
from calibtool.data.logs.lm_eval import FORMAT
from calibtool.errors import UnreadableError, UsageError

DATE = "2026-11-28T18-00-00.000000"


def read(*paths, **options):
    return FORMAT.read([file_of(path) for path in paths], Choice(**options))


@pytest.mark.parametrize("norm", [None, "none", "chars", "bytes"])
@pytest.mark.parametrize("task", ["quiz4", "quiz_ragged", "quiz_text_target"])
def test_the_samples_have_their_right_numbers(published, task, norm):
    view = {"chars": "acc_norm", "bytes": "acc_norm"}.get(norm)  # the choices are ASCII
    path, truth = right_numbers(published, f"lmeval/samples_{task}_{DATE}.jsonl", view)
    assert FORMAT.recognise(file_of(path))
    log = read(path, norm=norm)
    measured = numbers(log)
    assert measured == pytest.approx({key: truth[key] for key in measured}, abs=1e-9)
    assert {"doc.subject", "doc_id", "acc"} <= set(log.columns)
    assert set(log.columns["task"]) == {task}
    assert [note for note in log.notes if "differs" in note] == []


@pytest.mark.parametrize("name", ["strict-match", "flexible-extract"])
def test_generation_has_an_accuracy_and_no_confidence(published, name):
    view = "flexible_extract" if name == "flexible-extract" else None
    path, truth = right_numbers(published, f"lmeval/samples_sums_{DATE}.jsonl", view)
    with pytest.raises(UsageError, match=r"2 filters \(strict-match, flexible-extract\)"):
        read(path)
    log = read(path, filter=f"filter = '{name}'")
    rows = np.array(log.columns["filter"]) == name
    right = np.array(log.columns["correct"])[rows]
    assert (rows.sum(), right.mean()) == (60, pytest.approx(truth["accuracy"]))
    assert "confidence" not in log.columns
    assert "nothing can serve as a confidence" in log.notes[0]


def test_aggregates_are_recognised_and_explained(published):
    path, _ = right_numbers(published, f"lmeval/samples_sums_{DATE}.jsonl")
    path = path.with_name(f"results_{DATE}.json")
    assert FORMAT.recognise(file_of(path))
    with pytest.raises(UnreadableError, match="--log_samples"):
        read(path)


# ---- made-up records


def sample(lls, target="0", doc_id=0, texts=None, contexts=None, **others):
    texts = texts or ["a", "bb", "ccc", "dddd", "é", "f"][: len(lls)]
    contexts = contexts or ["Q: ?"] * len(lls)
    return {
        "doc_id": doc_id,
        "doc": {"choices": texts, "by": {"subject": "law"}, "hard": True},
        "target": target,
        "arguments": {
            f"gen_args_{k}": {"arg_0": context, "arg_1": f" {text}"}
            for k, (context, text) in enumerate(zip(contexts, texts, strict=True))
        },
        "resps": [[[str(ll), "False"]] for ll in lls],
        "filtered_resps": [[str(ll), "False"] for ll in lls],
        "filter": "none",
        "metrics": ["acc"],
        **others,
    }


@pytest.fixture
def write(tmp_path):
    def write(*samples, task="t"):
        path = tmp_path / f"samples_{task}_{DATE}.jsonl"
        path.write_text("".join(json.dumps(s, ensure_ascii=False) + "\n" for s in samples))
        return path

    return write


@pytest.mark.parametrize(
    ("targets", "texts", "accs", "labels"),
    [
        (["1", "0"], ["no", "yes"], None, [1, 0]),
        (["yes", " no "], ["no", "yes"], None, [1, 0]),
        ([1, 0], ["no", "yes"], None, [1, 0]),
        (["[1]", "[0]"], ["no", "yes"], None, [1, 0]),
        (["True", "False"], ["no", "yes"], None, [1, 0]),
        (["1", "0"], ["1", "0"], None, [0, 1]),  # texts that look like numbers: texts come first
        (["1", "0"], ["1", "0"], [0.0, 1.0], [1, 0]),  # but acc tells positions
        (["1", "0"], ["1", "0"], [1.0, 0.0], [0, 1]),
        (["7", "9"], ["7", "9"], None, [0, 1]),
        (["['yes']", "['no']"], ["no", "yes"], None, [1, 0]),
    ],
)
def test_targets(write, targets, texts, accs, labels):
    rows = [sample([-1.0, -2.0], t, k, texts) for k, t in enumerate(targets)]
    for row, acc in zip(rows, accs or (), strict=False):
        row["acc"] = acc
    assert read(write(*rows)).columns["labels"] == labels


def test_columns_by_dotted_path(write):
    log = read(write(sample([-1, -2], acc=1.0)), labels="doc.choices.1")
    assert log.columns["doc.by.subject"] == ["law"]
    assert log.columns["doc.hard"] == [True]
    assert log.columns["options"] == [2]
    assert log.columns["acc"] == [1.0]
    assert log.columns["doc.choices.1"] == ["bb"]


def test_lengths_are_of_the_text_without_the_space_in_characters_or_bytes(write):
    path = write(sample([-6.0, -6.0], texts=["éé", "abc"]))
    assert read(path, norm="chars").columns["logits"].tolist() == [[-3, -2]]
    assert read(path, norm="bytes").columns["logits"].tolist() == [[-1.5, -2]]


def test_mutual_information(write):
    row = sample([-1, -2, -5, -9], "1", texts=["x", "y"] * 2, contexts=["Q", "Q", "", ""])
    path = write(row)
    assert read(path).columns["logits"].tolist() == [[-1, -2]]
    assert read(path, norm="mutual-info").columns["logits"].tolist() == [[4, 7]]
    empty = sample([-1, -2, -5, -9], "1", contexts=[""] * 4)
    assert read(write(empty)).columns["logits"].shape == (1, 4)
    del empty["arguments"]
    asked = {**empty, "metrics": ["acc", "acc_mutual_info"]}
    assert read(write(asked)).columns["logits"].shape == (1, 2)
    with pytest.raises(UsageError, match="line 1 has no loglikelihoods without context"):
        read(write(sample([-1, -2])), norm="mutual-info")


def test_ragged_and_several_right_choices_are_pooled(write):
    log = read(write(sample([-1, -2], "1"), sample([-1, -2, -3], "[0, 2]", 1)))
    assert log.columns["correct"] == [False, True]
    assert log.columns["confidence"] == pytest.approx([1 / (1 + np.exp(-1)), 0.66524095])
    assert "from 2 to 3" in log.notes[0]
    assert "1 of 2 rows have several right choices" in log.notes[1]


def test_unlabelled_answers_are_counted(write):
    rows = [sample([-1, -2], t, k) for k, t in enumerate(["1", "-1", "", None, "None", "0"])]
    log = read(write(*rows))
    assert log.left_out == {"unlabelled answers": 4}
    assert (log.columns["labels"], log.columns["doc_id"]) == ([1, 0], [0, 5])
    assert read(write(*rows), labels_file="y.csv").columns["labels"] == [1, *[None] * 4, 0]
    assert read(write(*rows[1:3])).columns["labels"] == [None, None]


def test_choices_that_are_contexts_take_the_outcome_of_the_log(write):
    rows = [
        sample([-1, -2], "ran.", k, ["ran."] * 2, ["Ann", "Bob"], acc=acc)
        for k, acc in enumerate([1.0, 0.0])
    ]
    log = read(write(*rows))
    assert log.columns["correct"] == [True, False]
    assert "correct is acc of the log" in log.notes[0]
    with pytest.raises(UsageError, match="does not tell the texts"):
        read(write(*rows), norm="chars")
    with pytest.raises(UnreadableError, match="no acc of 0 or 1"):
        read(write(sample([-1, -2], "ran.", texts=["ran."] * 2, contexts=["A", "B"])))


def test_what_the_log_says_otherwise_is_told(write):
    log = read(write(sample([-1, -2], "0", acc=0.0)))
    assert "acc of the log differs in 1 of 1 rows" in log.notes[0]


def test_filters_that_change_no_loglikelihood_are_one(write):
    rows = [sample([-1, -2], "1", k, filter=f) for f in ("none", "b") for k in (0, 1)]
    log = read(write(*rows))
    assert log.columns["filter"] == ["none", "none"]
    assert "2 filters (none, b) of the same loglikelihoods" in log.notes[0]
    rows[3] = sample([-2, -1], "1", 1, filter="b")
    with pytest.raises(UsageError, match="filter = 'none'"):
        read(write(*rows), filter="doc.by.subject = 'law'")
    assert (
        read(write(*rows), filter="filter in ('b')").columns["filter"] == ["none"] * 2 + ["b"] * 2
    )


def test_several_files_are_tasks_and_generation_is_counted(write):
    text = sample([-1, -2], "5", filtered_resps=["5"], metrics=["exact_match"], exact_match=1.0)
    files = [write(sample([-1, -2], "1"), task="a_b"), write(text, task="sums")]
    log = read(*files)
    assert log.columns["task"] == ["a_b"]
    assert log.left_out == {"answers without loglikelihoods of choices": 1}
    log = read(*files, confidence="doc.hard")
    assert (log.columns["doc.hard"], log.columns["correct"]) == ([True, True], [False, True])
    assert log.notes == ()


def test_one_loglikelihood_is_no_choice(write):
    log = read(write(sample([-1.0], "word", acc=1.0), sample([-9.0], "word", 1, acc=0.0)))
    assert log.columns["correct"] == [True, False]
    assert "only the accuracy" in log.notes[0]


def test_lines_of_two_runs_are_told(write):
    log = read(write(sample([-1, -2]), sample([-1, -2])))
    assert "1 of 2 lines repeat a document" in log.notes[0]


def test_lists_of_old_versions(tmp_path):
    old = sample([-1, -2], 1)
    old["filtered_resps"] = [[-1.0, False], [-2.0, True]]
    old["arguments"] = [["Q", " x"], ["Q", " yy"]]
    path = tmp_path / "arc_easy.jsonl"
    path.write_text(json.dumps([old], indent=2))
    assert FORMAT.recognise(file_of(path))
    log = read(path, norm="chars")
    assert log.columns["logits"].tolist() == [[-1, -1]]
    assert (log.columns["labels"], log.columns["task"]) == ([1], ["arc_easy"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([sample([-1, float("nan")])], "line 1: filtered_resps: the loglikelihood of choice 1"),
        ([sample(["x", -1])], "line 1: filtered_resps: the loglikelihood of choice 0"),
        ([sample([-1, -2]), {"id": 3}], "line 2: no sample"),
        ([sample([-1, -2]), [1]], "line 2: no sample"),
        ([sample([-1, -2]), sample([-1, -2], "5", 1)], "line 2: target is neither"),
        ([sample([-1, -2]), sample([-1, -2], doc_id=1, filtered_resps=[])], "line 2: .*holds no"),
        ([], "holds no samples"),
    ],
)
def test_damage_is_named_by_its_line(write, rows, message):
    with pytest.raises(UnreadableError, match=message):
        read(write(*rows))


def test_a_norm_that_is_none(write):
    with pytest.raises(UsageError, match="there is no 'char'; did you mean chars"):
        read(write(sample([-1, -2])), norm="char")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("", False),
        ("[]", False),
        ('{"doc_id": 0, "doc": {}, "x": 1}\n', False),
        ('{"confidence": 0.5, "correct": true}\n', False),
        ('{"doc_id": 0, "doc": {"text": "' + "x" * 100_000 + '"}, "resps": []}\n', True),
    ],
)
def test_recognising(tmp_path, text, is_one):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    assert FORMAT.recognise(file_of(path)) is is_one


def test_labels_and_outcomes_that_the_user_names_need_no_target(write):
    rows = [sample([-1, -2], "word", k, key=k, acc=1.0) for k in (0, 1)]
    log = read(write(*rows), labels="key")
    assert (log.columns["key"], log.columns["labels"]) == ([0, 1], [None, None])
    log = read(write(*rows), correct="acc")
    assert log.columns["confidence"] == pytest.approx([1 / (1 + np.exp(-1))] * 2)
    assert (log.columns["acc"], "correct" in log.columns) == ([1.0, 1.0], False)
