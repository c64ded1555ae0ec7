"""lighteval, HELM and HLE: samples against their right numbers, and the layouts' traps."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logged import file_of, numbers, right_numbers

from calibtool.data.files.roles import Choice
from calibtool.data.logs import helm, hle, json_document, lighteval, lm_eval
from calibtool.errors import UnreadableError, UsageError

LIGHTEVAL = "others/details_made_up_2026-11-28T18-00-00.000000.parquet"
FORMATS = [lm_eval.FORMAT, lighteval.FORMAT, helm.FORMAT, hle.FORMAT]


@pytest.mark.parametrize(
    ("format_", "name", "norm", "view"),
    [
        (lighteval.FORMAT, LIGHTEVAL, None, None),
        (lighteval.FORMAT, LIGHTEVAL, "chars", "acc_norm"),
        (lighteval.FORMAT, LIGHTEVAL, "bytes", "acc_norm"),
        (helm.FORMAT, "others/per_instance_stats.json", None, None),
        (hle.FORMAT, "others/judged_m.json", None, None),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")  # a wrong answer with confidence 1
def test_the_samples_have_their_right_numbers(published, format_, name, norm, view):
    path, truth = right_numbers(published, name, view)
    assert [f.name for f in FORMATS if f.recognise(file_of(path))] == [format_.name]
    log = format_.read([file_of(path)], Choice(norm=norm))
    measured = numbers(log)
    right = {key: float(truth[key]) for key in measured}
    assert measured == pytest.approx(right, abs=1e-9)
    assert log.left_out == {}
    assert not any("differs" in note for note in log.notes)


def test_certain_answers_are_counted(published):
    path, truth = right_numbers(published, "others/judged_m.json")
    log = hle.read([file_of(path)], Choice())
    assert truth["rows_at_100"] == 58
    assert log.notes[0].startswith("58 of 240 rows have a confidence of exactly 100")


# ---- lighteval


def parquet(tmp_path, *rows, name="details_a|b|0_2026-11-28T18-00-00.0.parquet"):
    path = tmp_path / name
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def detail(logprobs, gold, choices=None, **metric):
    choices = choices or [" a", " bb", " ccc"][: len(logprobs or "ab")]
    return {
        "doc": {"choices": choices, "gold_index": gold, "id": "7", "specific": {"level": 2}},
        "metric": metric or {"acc": 1.0},
        "model_response": {"logprobs": logprobs, "unconditioned_logprobs": None, "text": ["x"]},
    }


def read(path, **options):
    return lighteval.read([file_of(path)], Choice(**options))


def test_gold_indices_are_numbers_or_lists(tmp_path):
    log = read(parquet(tmp_path, detail([-1.0, -2.0], [0]), detail([-3.0, -2.0], [1])))
    assert (log.columns["labels"], log.columns["task"]) == ([0, 1], ["a|b|0"] * 2)
    assert log.columns["doc.specific.level"] == [2, 2]
    log = read(parquet(tmp_path, detail([-1.0, -2.0], [0, 1]), detail([-1.0, -2.0, -3.0], [2])))
    assert log.columns["correct"] == [True, False]
    log = read(parquet(tmp_path, detail([-1.0, -2.0], -1), detail([-1.0, -2.0], 0)))
    assert log.left_out == {"unlabelled answers": 1}


def test_a_space_before_a_choice_counts(tmp_path):
    path = parquet(tmp_path, detail([-6.0, -6.0], 0, [" é", " bb"]))
    assert read(path, norm="chars").columns["logits"].tolist() == [[-3, -2]]
    assert read(path, norm="bytes").columns["logits"].tolist() == [[-2, -2]]
    with pytest.raises(UsageError, match=r"row 1 has no model_response.unconditioned_logprobs"):
        read(path, norm="mutual-info")
    row = detail([-1.0, -2.0], 1)
    row["model_response"]["unconditioned_logprobs"] = [-5.0, -9.0]
    path = parquet(tmp_path, row)
    assert read(path, norm="mutual-info").columns["logits"].tolist() == [[4, 7]]


def test_generation_has_no_confidence(tmp_path):
    path = parquet(tmp_path, detail(None, 0, em=1.0), detail(None, 0, em=0.0))
    assert lighteval.recognise(file_of(path))
    log = read(path)
    assert log.columns["correct"] == [True, False]
    assert "only the accuracy" in log.notes[0]
    log = read(path, confidence="metric.em", labels="model_response.text.0")
    assert log.columns["model_response.text.0"] == ["x", "x"]
    mixed = parquet(tmp_path, detail(None, 0), detail([-1.0, -2.0], 0))
    assert read(mixed).left_out == {"answers without loglikelihoods of choices": 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (detail([-1.0, -2.0, -3.0], 0, ["a", "b"]), "row 1: .*3 entries for 2 choices"),
        (detail([-1.0, None], 0), "row 1: .*entry 1 is no finite number"),
        (detail([-1.0, -2.0], 2), "row 1: doc.gold_index is '2'"),
        (detail([-1.0, -2.0], 0, ["", "b"]), "row 1: choice 0 is empty"),
    ],
)
def test_damaged_details(tmp_path, row, message):
    with pytest.raises(UnreadableError, match=message):
        read(parquet(tmp_path, row), norm="chars")


def test_a_parquet_file_of_others_and_a_cut_one(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"doc": [1], "metric": [1.0], "model_response": ["x"]}), path)
    assert not lighteval.recognise(file_of(path))
    path.write_bytes(path.read_bytes()[:-9])
    assert not lighteval.recognise(file_of(path))
    with pytest.raises(UnreadableError, match="not readable as Parquet"):
        read(path)


# ---- HELM


def entry(instance, split="test", perturbation=None, trial=0, **means):
    stats = [
        {"name": {"name": name, "split": split}, "count": 1, "mean": mean}
        for name, mean in means.items()
    ]
    about = {"instance_id": instance, "train_trial_index": trial}
    return about | ({"perturbation": perturbation} if perturbation else {}) | {"stats": stats}


def helm_log(tmp_path, *entries, **options):
    path = tmp_path / "per_instance_stats.json"
    path.write_text(json.dumps(entries))
    assert not entries or helm.recognise(file_of(path))
    return helm.read([file_of(path)], Choice(**options))


def test_statistics_are_gathered_by_instance_perturbation_and_trial(tmp_path):
    typos = {"name": "typos", "robustness": True}
    log = helm_log(
        tmp_path,
        entry("id0", exact_match=1.0),
        entry("id0", perturbation=typos, exact_match=0.0, max_prob=0.25),
        entry("id0", trial=1, exact_match=0.5, max_prob=0.75),
        entry("id0", max_prob=0.5, f1=0.1),
    )
    assert log.columns["confidence"] == [0.5, 0.25, 0.75]
    assert log.columns["correct"] == [1, 0, 0]
    assert log.columns["perturbation"] == ["none", "typos", "none"]
    assert log.columns["stats.f1"] == [0.1, None, None]
    assert "1 of 3 rows are perturbed copies" in log.notes[0]
    assert "1 of 3 rows have an exact_match between 0 and 1" in log.notes[1]


def test_incomplete_instances_are_counted(tmp_path):
    rows = [entry("a", exact_match=1.0, max_prob=0.5), entry("b", max_prob=0.5)]
    log = helm_log(tmp_path, *rows, entry("c", exact_match=1.0), entry("d"))
    assert log.columns["instance_id"] == ["a"]
    counts = {"instances without exact_match": 2, "instances without max_prob": 1}
    assert log.left_out == counts


def test_without_max_prob_only_the_accuracy_can_be_told(tmp_path):
    log = helm_log(tmp_path, entry("a", exact_match=1.0, f1=0.5), entry("b", exact_match=0.0))
    assert log.columns["correct"] == [1, 0]
    assert "no statistic max_prob" in log.notes[0]
    with pytest.raises(UnreadableError, match=r"--correct stats.NAME .*: f1"):
        helm_log(tmp_path, entry("a", f1=0.5))
    log = helm_log(tmp_path, entry("a", f1=0.5, x=0.0), confidence="stats.f1", correct="stats.x")
    assert (log.columns["stats.f1"], log.columns["stats.x"]) == ([0.5], [0.0])


def test_a_split_has_to_be_chosen(tmp_path):
    rows = [entry(s, s, exact_match=1.0, max_prob=0.5) for s in ("valid", "test")]
    with pytest.raises(UsageError, match="splits valid, test; choose one with --split"):
        helm_log(tmp_path, *rows)
    assert helm_log(tmp_path, *rows, split="test").columns["instance_id"] == ["test"]
    assert len(helm_log(tmp_path, *rows, filter="split = 'test'").columns["split"]) == 2
    with pytest.raises(UsageError, match="no split 'dev'; it has valid, test"):
        helm_log(tmp_path, *rows, split="dev")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no instances"),
        ([entry("a", f1=1), {"instance_id": "b"}], "entry 2: stats: expected a list"),
        ([entry("a", f1="x")], "entry 1: stats: the mean of f1 is 'x'"),
        ([entry("a", f1=1), entry("a", f1=0)], "entry 2: stats: the mean of f1 is 0, but 1"),
        ([entry("a", f1=1), 7], "entry 2: expected an instance"),
    ],
)
def test_damaged_statistics(tmp_path, rows, message):
    with pytest.raises(UnreadableError, match=message):
        helm_log(tmp_path, *rows)


# ---- HLE


def judged(correct="yes", confidence=80, **others):
    verdict = {"correct": correct, "confidence": confidence, "reasoning": "...", **others}
    return {"model": "m", "response": "text", "judge_response": verdict}


def hle_log(tmp_path, records, **options):
    path = tmp_path / "judged_m.json"
    path.write_text(json.dumps(records))
    return hle.read([file_of(path)], Choice(**options))


def test_judged_answers(tmp_path):
    records = {
        "a": judged("Yes", 100),
        "é": judged("no ", 0, model_answer="7"),
        "c": {"model": "m", "response": "text"},
        "d": {"model": "m", "response": "text", "judge_response": None},
        "e": judged(None),
        "f": judged(confidence=None),
    }
    log = hle_log(tmp_path, records)
    assert (log.columns["confidence"], log.columns["correct"]) == ([1.0, 0.0], [True, False])
    assert (log.columns["id"], log.columns["model"]) == (["a", "é"], ["m", "m"])
    assert log.columns["judge_response.model_answer"] == [None, "7"]
    counts = {"answers that were not judged": 3, "answers without a confidence": 1}
    assert log.left_out == counts
    log = hle_log(tmp_path, records, confidence="judge_response.confidence")
    assert log.columns["judge_response.confidence"] == [100, 0, None]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ({"q": judged("maybe")}, "'q': judge_response.correct is 'maybe'; expected yes or no"),
        ({"q": judged(confidence=101)}, "'q': .*from 0 to 100"),
        ({"q": judged(confidence="80")}, "'q': .*from 0 to 100"),
        ({"q": judged(confidence=float("nan"))}, "'q': .*from 0 to 100"),
        ({"q": 3}, "'q': expected a record"),
        ({"q": {"judge_response": []}}, "'q': judge_response: expected an object"),
        ({"q": {"judge_response": None}}, "no answers to read: 1 answers that were not judged"),
        ({}, "it is empty"),
        ([], "expected an object of judged answers"),
    ],
)
def test_damaged_judgements(tmp_path, records, message):
    with pytest.raises(UnreadableError, match=message):
        hle_log(tmp_path, records)


@pytest.mark.parametrize("indent", [None, 4])
def test_a_long_first_response_does_not_hide_the_judge(tmp_path, indent):
    record = judged()
    record["response"] = "x" * 300_000
    path = tmp_path / "judged_m.json"
    path.write_text(json.dumps({"a": record}, indent=indent))
    assert hle.recognise(file_of(path))
    del record["judge_response"]
    path.write_text(json.dumps({"a": record}, indent=indent))
    assert not hle.recognise(file_of(path))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        "7",
        '[{"instance_id": 1}]',
        '{"response": 1, "confidence": 1}',
        '{"id": 1, "response": "", "judge_response": {"correct": "yes"}}\n{"id": 2}\n',
    ],
)
def test_others_are_not_mistaken(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert [f.name for f in FORMATS if f.recognise(file_of(path))] == []
    assert json_document.FORMAT.suffixes == (".json",)
