"""Every real log by the command line alone, with the fewest flags, against its right numbers."""

from __future__ import annotations

import json

import pytest

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
    ("plain/nested.jsonl", "", (*NESTED, "--labels", "gold.label")),
    ("plain/nested.jsonl.gz", "", (*NESTED, "--labels", "gold.label")),
    ("plain/nested.jsonl.zst", "probabilities", ("--probs", "out.probs", "--labels", "gold.label")),
    ("plain/ordinal.csv", "", ("--probs", "level", "--labels", "rating")),
    ("plain/pair.jsonl", "", ()),
    ("plain/percent_yes_no.jsonl", "", ("--drop-missing",)),
    ("plain/probs.csv.gz", "", ()),
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
    assert report["data"]["rows"] == right["rows"]
    near = HALF if file.startswith(("tensors", "hf", "hdf5")) else 1e-9
    for one in report["metrics"]:
        wanted = right[NAMES[one["name"].partition("(")[0]]]
        if wanted == "inf":
            assert one["value"] in (None, "inf", float("inf"))
        elif right.get("edge_rows", 0) and one["name"].startswith("ece"):
            # where scores lie on the edge of a bin, the last bit decides on which side
            assert one["value"] == pytest.approx(wanted, abs=right["edge_rows"] / right["rows"])
        else:
            assert one["value"] == pytest.approx(wanted, abs=near), one["name"]


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


def test_a_log_without_a_confidence_says_so(refused, logs):
    file = logs / LM.format("sums")
    refused("evaluate", file, says=("--filter", "strict-match", "flexible-extract"))
    accuracies = {"strict-match": "0.4000, 24 of 60", "flexible-extract": "0.5333, 32 of 60"}
    for name, accuracy in accuracies.items():
        refused("evaluate", file, "--filter", f"filter = '{name}'", says=("confidence", accuracy))


def test_a_pickle_gives_the_command_that_converts_it(refused, logs):
    refused("evaluate", logs / "tensors/not_a_tensor.pkl", says=("pickle.load", "np.savez"))
