"""Every real log by the command line alone, with the fewest flags, against its right numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy.stats import beta

import calibtool as ct

SAMPLES = Path(__file__).parents[1] / "data" / "logs" / "samples"
LETTERS = ("--options", "A,B,C,D")
STATED = ("--confidence", "scores.stated.metadata.confidence")
NESTED = ("--confidence", "out.pred.confidence", "--predictions", "out.pred.label")
KAGGLE = ("--probs", "EAP,HPL,MWS", "--id", "id", "--labels", "author", "--join", "inner")
BATCH = ("--id", "custom_id", "--labels", "answer", "--join", "inner")
LM = "lmeval/samples_{}_2026-11-28T18-00-00.000000.jsonl"
LIGHT = "others/details_made_up_2026-11-28T18-00-00.000000.parquet"
# file, view of TRUTH.json or "", flags; {} is the folder of the logs
LOGS = [
    *((f"decisions/{name}", "", ()) for name in ("gemini.jsonl", "golden.jevl", "openai.jsonl")),
    *((f"decisions/{name}", "", ()) for name in ("jev_eval_cache.jsonl", "typesafe.jsonl")),
    ("decisions/openai.jsonl", "question:team", ("--question", "team")),
    ("decisions/openai.jsonl", "question:urgent", ("--question", "urgent")),
    ("decisions/typesafe.jsonl", "question:reply", ("--question", "reply")),
    ("decisions/golden.jevl", "question:mood", ("--question", "mood")),
    ("hdf5/models.h5", "cifar/vit/test", ("--logits", "cifar/vit/logits_test")),
    ("hf/animals", "", ()),
    ("hf/dict_abc", "test", ("--split", "test")),
    ("hf/predictions.npz", "", ()),
    ("hf/validation.parquet", "", ()),
    *((f"inspect/{name}", "", ()) for name in ("errors.eval", "errors.json", "old_version.eval")),
    *((f"inspect/{name}", "", STATED) for name in ("mc.json", "mc_2epochs.eval")),
    ("inspect/unfinished.eval", "", STATED),
    ("inspect/mc.json", "letters", LETTERS),
    ("inspect/mc_2epochs.eval", "letters", LETTERS),
    (LM.format("quiz4"), "", ()),
    (LM.format("quiz4"), "acc_norm", ("--norm", "chars")),
    (LM.format("quiz4"), "acc_bytes", ("--norm", "bytes")),
    (LM.format("quiz_ragged"), "", ()),
    (LM.format("quiz_ragged"), "acc_norm", ("--norm", "chars")),
    (LM.format("quiz_text_target"), "", ()),
    (LM.format("quiz_text_target"), "acc_norm", ("--norm", "chars")),
    ("openai/chat_letters.jsonl", "", LETTERS),
    ("openai/completions_letters.jsonl", "", LETTERS),
    (
        "openai/batch_output.jsonl",
        "",
        (*LETTERS, *BATCH, "--labels-file", "{}/openai/batch_labels.csv"),
    ),
    (LIGHT, "", ()),
    (LIGHT, "acc_norm", ("--norm", "chars")),
    ("others/judged_m.json", "", ()),
    ("others/per_instance_stats.json", "", ()),
    ("others/predictions.table.json", "", ("--probs", "score", "--labels", "truth")),
    ("plain/ints_0_100.jsonl", "", ("--scale", "100")),
    ("plain/kaggle/submission.csv", "", (*KAGGLE, "--labels-file", "{}/plain/kaggle/solution.csv")),
    ("plain/multilabel.parquet", "", ()),
    ("plain/nested.jsonl", "", (*NESTED, "--labels", "gold.label")),
    ("plain/nested.jsonl.gz", "", (*NESTED, "--labels", "gold.label")),
    ("plain/nested.jsonl.zst", "probabilities", ("--probs", "out.probs", "--labels", "gold.label")),
    ("plain/ordinal.csv", "", ("--probs", "level", "--labels", "rating")),
    ("plain/pair.jsonl", "", ()),
    ("plain/percent_yes_no.jsonl", "", ("--drop-missing",)),
    ("plain/probs.csv.gz", "", ()),
    ("plain/segmentation.npz", "", ("--ignore", "255")),
    ("plain/soft.jsonl", "", ("--soft-labels", "label_dist")),
    ("tensors/dict.pt", "", ()),
    ("tensors/tuple.pt", "", ()),
    *(
        (f"tensors/logits_{kind}.safetensors", "", ())
        for kind in ("float32", "float16", "bfloat16")
    ),
]
NAMES = {"ece": "ece15", "accuracy": "accuracy", "nll": "nll", "brier": "brier"}
HALF = 1e-6  # of half precision, and of softmax in float32


@pytest.fixture
def logs(published):
    if not (published / "logs" / "TRUTH.json").is_file():
        pytest.skip(f"no logs in {published}")
    return published / "logs"


@pytest.mark.parametrize(("file", "view", "flags"), LOGS, ids=[f"{f} {v}" for f, v, _ in LOGS])
def test_a_log_gives_its_right_numbers(file, view, flags, run, logs):
    if file.endswith((".pt", ".h5")):
        pytest.importorskip("torch" if file.endswith(".pt") else "h5py")
    entry = json.loads((logs / "TRUTH.json").read_text())[file]
    kind = (entry["views"][view] if view else entry)["kind"]
    right = entry["views"][view] if view else entry
    top = "(view=top)" if kind == "confidence" else ""
    words = [text.replace("{}", str(logs)) for text in flags]
    metrics = f"accuracy,ece(view=top),nll{top},brier{top}"
    said = run(
        *("evaluate", logs / file, *words, "--metrics", metrics, "--ci", "none"),
        *("--format", "json"),
    )
    assert said.code == 0, said.err
    report = json.loads(said.out)
    soft = "--soft-labels" in flags
    assert report["data"]["rows"] == right["rows"] * (len(right["classes"]) if soft else 1)
    near = HALF if file.startswith(("tensors", "hf", "hdf5", "plain/segm")) else 1e-9
    for one in report["metrics"]:
        name = NAMES[one["name"].partition("(")[0]]
        # the accuracy of soft labels is that of the likeliest class
        wanted = right[f"{name}_soft" if soft and name != "accuracy" else name]
        if wanted == "inf":
            assert one["value"] in (None, "inf", float("inf"))
        elif right.get("edge_rows", 0) and one["name"].startswith("ece"):
            # where scores lie on the edge of a bin, the last bit decides on which side
            assert one["value"] == pytest.approx(wanted, abs=right["edge_rows"] / right["rows"])
        else:
            assert one["value"] == pytest.approx(wanted, abs=near), one["name"]


def test_what_was_read_is_a_note_and_no_warning(run, tmp_path):
    file = SAMPLES / "openai.jsonl"
    said = json.loads(run("evaluate", file, "--format", "json").out)
    assert said["warnings"] == []
    assert any("questions are pooled" in note for note in said["notes"])
    assert any(note.startswith("left out: ") for note in said["notes"])
    by = json.loads(run("evaluate", file, "--by", "question", "--format", "json").out)
    assert by["notes"] == said["notes"]
    for words in (("evaluate", file), ("check", file, "--require", "ece <= 0.9")):
        told = run(*words).out
        assert "Note: left out: " in told
        assert "Warning" not in told
    for page in ("page.html", "page.md"):
        assert run("report", file, "-o", page).code == 0
        text = (tmp_path / page).read_text()
        assert "Note: left out: " in text
        assert "Warning" not in text


def test_the_advice_on_clusters_is_not_repeated_where_it_was_followed(run):
    file = SAMPLES / "mc.json"
    log = json.loads(file.read_text())
    first = log["samples"][0]
    log["samples"] = [{**first, "id": k // 2, "epoch": 1 + k % 2} for k in range(80)]
    Path("twice.json").write_text(json.dumps(log))
    flags = ("evaluate", "twice.json", "--options", "A,B,C,D", "--metrics", "ece")
    assert "which are correlated: pass --cluster id" in run(*flags).out.replace("\n", " ")
    told = run(*flags, "--cluster", "id").out
    assert "which are correlated" in told
    assert "pass --cluster" not in told


def test_a_broken_line_is_named(refused, logs):
    refused("evaluate", logs / "plain/broken_line18.jsonl", says=("line 18",))


def test_a_broken_line_is_named_in_any_block(refused, run, folder, monkeypatch):
    monkeypatch.setattr("calibtool.data.files.json_lines.BLOCK", 50)
    lines = [json.dumps({"confidence": k / 64, "correct": k % 3 > 0}) for k in range(64)]
    lines[40] += lines[40]
    (folder / "a.jsonl").write_bytes("\r\n".join(lines).encode())
    refused("evaluate", folder / "a.jsonl", says=("line 41: not valid JSON",))
    said = run("evaluate", folder / "a.jsonl", "--skip-bad-rows", "--format", "json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["data"]["rows"] == 63


def test_fields_that_few_records_have_are_no_columns(run, folder, monkeypatch):
    monkeypatch.setattr("calibtool.data.logs.records.MOST_VALUES", 1000)
    rows = [{"confidence": k / 256, "correct": k % 2, "by": {f"u{k}": 1}} for k in range(256)]
    (folder / "a.json").write_text(json.dumps(rows))
    said = run("inspect", folder / "a.json")
    assert said.code == 0, said.err
    assert "not read as columns: 256 fields that fewer than 1 in 100 records have" in said.out
    assert "by.u" not in said.out.replace("such as by.u0", "")


def test_a_log_without_a_confidence_tells_its_accuracy(run, refused, logs):
    file = logs / LM.format("sums")
    refused("evaluate", file, says=("--filter", "strict-match", "flexible-extract"))
    for name, accuracy in {"strict-match": 24 / 60, "flexible-extract": 32 / 60}.items():
        flags = ("--filter", f"filter = '{name}'")
        report = json.loads(run("evaluate", file, *flags, "--format", "json").out)
        assert report["metrics"][0]["value"] == pytest.approx(accuracy)
        refused("check", file, *flags, "--require", "ece <= 0.1", says=(f"{accuracy:.4f}",))


def test_answers_that_are_right_or_wrong_alone_have_an_accuracy(run, refused, tmp_path):
    lines = [
        {
            "doc_id": k,
            "doc": {"level": k % 2},
            "target": "7",
            "filter": "none",
            "resps": [["7"]],
            "filtered_resps": ["7"],
            "metrics": ["exact_match"],
            "exact_match": float(k < 24),
        }
        for k in range(60)
    ]
    file = tmp_path / "samples_sums_2026-11-28T18-00-00.000000.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = json.loads(run("evaluate", file, "--format", "json").out)
    accuracy, *others = report["metrics"]
    exact = beta.ppf(0.025, 24, 37), beta.ppf(0.975, 25, 36)  # Clopper & Pearson 1934: 24 of 60
    assert accuracy["value"] == 0.4
    assert (accuracy["low"], accuracy["high"]) == pytest.approx(exact)
    assert {one["missing"] for one in others} == {"there is no confidence"}
    assert report["data"]["kind"] == "correct"
    assert report["cells"] is report["bias"] is None
    told = run("evaluate", file, "--filter", "doc.level = 0", "--cluster", "doc_id").out
    assert "where doc.level = 0: 30" in told
    assert "Right 40.0 % of the time" in told
    assert ct.evaluate(file)["accuracy"].low == accuracy["low"]
    for flags in (("--metrics", "ece"), ("--by", "doc.level"), ("--as", "helm"), ("--plot",)):
        refused("evaluate", file, *flags, says=("--confidence PATH", "0.4000, 24 of 60 rows"))
    refused("report", file, "-o", "a.md", says=("--confidence PATH",))


def test_a_pickle_gives_the_command_that_converts_it(refused, logs):
    refused("evaluate", logs / "tensors/not_a_tensor.pkl", says=("pickle.load", "np.savez"))
