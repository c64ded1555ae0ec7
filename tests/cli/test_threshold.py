"""threshold, and what takes its file: apply, check, export and plot."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest

import calibtool as ct

NAMES = ("cat", "dog", "owl")


def write(path: str, rows: int, seed: int, k: int = 3, *, sharp: float = 3.0, **more) -> None:
    """Logits that are right as often as they say."""
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(rows, k)) * sharp).astype(np.float32)
    probs = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    labels = np.minimum((rng.random(rows)[:, None] > probs.cumsum(1)).sum(1), k - 1)
    np.savez(path, logits=logits, labels=labels, classes=np.array(NAMES[:k]), **more)


@pytest.fixture
def files(folder):
    """Rows that choose, and others."""
    write("val.npz", 3000, 1, team=np.arange(3000) % 2)
    write("new.npz", 3000, 2, team=np.arange(3000) % 2)
    write("two.npz", 3000, 3, 2)
    return folder


def test_choose_apply_check_plot(run, files):
    found = run("threshold", "val.npz", "--target", "accuracy >= 0.9", "-o", "t.json")
    assert found.code == 0
    text = " ".join(found.out.split())
    assert "at most 10 % of the rows that are accepted are wrong" in text
    assert "Accepted: rows whose confidence is at least the threshold." in text
    assert "not after a shift" in text
    line = json.loads(Path("t.json").read_text())["threshold"]
    assert f"{line}" in found.out
    assert "Wrote threshold" in found.err

    applied = run("apply", "t.json", "new.npz", "-o", "decided.parquet")
    assert applied.code == 0
    table = pq.read_table("decided.parquet").to_pydict()
    assert set(table["prediction"]) <= set(NAMES)
    accepted = np.array(table["accepted"])
    rows = ct.load("new.npz")
    probs = np.exp(rows.values.astype(float) - rows.values.max(1, keepdims=True))
    top = (probs / probs.sum(1, keepdims=True)).max(1)
    np.testing.assert_array_equal(accepted, top >= line)
    right = np.array(table["prediction"]) == np.array(NAMES)[rows.labels]
    assert "logits" in table  # values and other columns stay
    assert "team" in table

    checked = run("check", "new.npz", "--threshold", "t.json", "--format", "json")
    document = json.loads(checked.out)
    (held,) = document["requirements"]
    assert held["requirement"] == "accepted accuracy >= 0.9"
    assert held["measured"]["value"] == pytest.approx(right[accepted].mean())
    assert checked.code == {"pass": 0, "fail": 1, "inconclusive": 3}[held["verdict"]]

    assert run("plot", "threshold", "val.npz", "-o", "t.svg").code == 0
    assert "accuracy &gt;= 0.95" in Path("t.svg").read_text()


@pytest.mark.parametrize("suffix", ["npz", "csv", "feather"])
def test_decisions_are_written_in_every_format(suffix, run, files):
    run("threshold", "val.npz", "--target", "risk <= 10 %", "-o", "t.json")
    assert run("apply", "t.json", "new.npz", "-o", f"out.{suffix}").code == 0
    again = run("evaluate", f"out.{suffix}", "--ci", "none", "--metrics", "accuracy")
    before = run("evaluate", "new.npz", "--ci", "none", "--metrics", "accuracy")
    assert again.out.splitlines()[2:] == before.out.splitlines()[2:]


def test_no_threshold_is_exit_code_3_and_no_file(run, folder):
    write("few.npz", 40, 1)
    result = run("threshold", "few.npz", "--target", "risk <= 5 %", "-o", "t.json")
    assert result.code == 3
    text = " ".join(result.out.split())
    assert "59 rows without an error are needed for 5 % at delta 5 %; there are 40." in text
    assert "The most that these rows could have promised is risk <= " in text
    assert "rows like these would" in text
    assert "Nothing was written to t.json" in result.err
    assert not Path("t.json").exists()
    result = run("threshold", "few.npz", "--target", "risk <= 5 %", "--format", "json")
    document = json.loads(result.out)
    assert result.code == 3
    assert document["threshold"] is None
    assert document["why"][0].startswith("59 rows")


@pytest.mark.parametrize("format_", ["csv", "markdown"])
def test_every_format_has_the_threshold(format_, run, files):
    result = run("threshold", "val.npz", "--target", "risk <= 10 %", "--format", format_)
    assert result.code == 0
    wanted = ct.choose_threshold("val.npz", target="risk <= 10 %").threshold
    assert str(wanted) in result.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "accuracy >= 1.5"], "between 0 and 1"),
        (["--target", "accuracy >= 95"], "did you mean 95 %?"),
        (["--target", "accuracy > 0.9"], "write 'accuracy >= ...'"),
        (["--target", "f1 >= 0.9"], "there is no target 'f1'"),
        (["--target", "risk <= 0.1", "--delta", "0"], "--delta"),
        (["--target", "risk <= 0.1", "--delta", "1"], "--delta"),
        (["--target", "precision >= 0.9"], "class 1 of two classes"),
        (["--target", "cost <= 0.9"], "needs costs"),
        (["--target", "risk <= 0.1", "--by", "nowhere"], "no column 'nowhere'"),
        (["--target", "risk <= 0.1", "--cross-fit"], "--cross-fit is for a calibrator"),
        ([], "nothing is promised"),
    ],
)
def test_what_cannot_be_promised(arguments, says, refused, files):
    refused("threshold", "val.npz", *arguments, "-o", "t.json", says=(says,))


def test_a_calibrator_of_the_same_rows_is_refused(run, refused, files):
    run("fit-temperature", "val.npz", "-o", "cal.json", "--ci", "none")
    target = ("--target", "accuracy >= 0.9", "--calibrator", "cal.json")
    refused("threshold", "val.npz", *target, says=("fitted on", "--cross-fit"))
    assert run("threshold", "val.npz", *target, "--cross-fit", "-o", "a.json").code == 0
    assert run("threshold", "new.npz", *target, "-o", "b.json").code == 0
    after = ct.load_calibrator("cal.json")(ct.load("new.npz"))
    wanted = ct.choose_threshold(after, target="accuracy >= 0.9").threshold
    assert json.loads(Path("b.json").read_text())["threshold"] == wanted
    assert run("apply", "b.json", "val.npz", "-o", "out.npz").code == 0
    np.testing.assert_array_equal(np.load("out.npz")["logits"], np.load("val.npz")["logits"])


def test_thresholds_do_not_carry_over(run, refused, files):
    run("threshold", "val.npz", "--target", "risk <= 10 %", "-o", "t.json")
    for command in (["apply", "t.json", "two.npz", "-o", "x.npz"], ["check", "two.npz"]):
        more = ["--threshold", "t.json"] if command[0] == "check" else []
        refused(*command, *more, says=("numbers of classes",))
    refused("check", "val.npz", "--threshold", "t.json", says=("chosen on these rows",))
    refused(*("apply", "t.json", "new.npz", "-o", "x.npz", "--write", "probs"), says=("--write",))
    refused(*("apply", "t.json", "new.npz", "-o", "x.npz", "--interval"), says=("--interval",))
    refused("check", "new.npz", "--threshold", "new.npz", says=("not a threshold file",))
    refused(
        *("check", "new.npz", "--threshold", "t.json", "--cluster", "team"), says=("--cluster",)
    )


def decisions(path: Path, rows: int, seed: int) -> None:
    """A log of two questions, one line a state."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(rows):
        answers, labels = {}, {}
        for question, options in (("team", ["a", "b", "c"]), ("kind", ["x", "y", "z"])):
            p = rng.dirichlet([0.2, 0.2, 0.2])
            answers[question] = {
                "type": "choice",
                "choice": options[int(p.argmax())],
                "confidence": float(p.max()),
                "probabilities": dict(zip(options, p.tolist(), strict=True)),
            }
            labels[question] = options[int((rng.random() > p.cumsum()).sum().clip(0, 2))]
        lines.append({"id": i, "model": "m", "answers": answers, "labels": labels})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_from_a_log_to_a_gate(run, refused, folder):
    decisions(Path("log.jsonl"), 1500, 1)
    decisions(Path("new.jsonl"), 1500, 2)
    target = ("--target", "risk <= 10 %")
    assert run("threshold", "log.jsonl", "--question", "team", *target, "-o", "t.json").code == 0
    document = json.loads(Path("t.json").read_text())
    assert document["question"] == "team"
    assert document["class_names"] == ["a", "b", "c"]
    new = ("new.jsonl", "--question")
    assert run("check", *new, "team", "--threshold", "t.json").code in (0, 3)
    assert run("apply", "t.json", *new, "team", "-o", "out.parquet").code == 0
    says = ("answers the question 'kind'", "'team'")
    refused("check", *new, "kind", "--threshold", "t.json", says=says)
    refused("apply", "t.json", *new, "kind", "-o", "x.parquet", says=says)
    by = run("threshold", "log.jsonl", *target, "--by", "question", "-o", "by.json")
    assert by.code == 0
    assert set(json.loads(Path("by.json").read_text())["threshold"]) == {"kind", "team"}
    assert "Holm" in by.out
    checked = run("check", "new.jsonl", "--threshold", "by.json", "--format", "json")
    assert {s["slice"] for s in json.loads(checked.out)["requirements"][0]["slices"]} == {
        "kind",
        "team",
    }


def test_a_promise_is_checked_in_every_mode_and_in_a_file(run, files):
    run("threshold", "val.npz", "--target", "accuracy >= 0.95", "-o", "t.json")
    assert run("check", "new.npz", "--threshold", "t.json", "--mode", "prove").code in (0, 3)
    assert run("check", "new.npz", "--threshold", "t.json", "--mode", "point").code in (0, 1)
    rows = np.load("new.npz")
    np.savez("bad.npz", logits=rows["logits"], labels=(rows["labels"] + 1) % 3)
    for mode in ("prove", "tolerate", "point"):
        failed = run("check", "bad.npz", "--threshold", "t.json", "--mode", mode)
        assert failed.code == 1
        assert "accepted accuracy >= 0.95" in " ".join(failed.out.split())
    Path("calibtool.toml").write_text('[check]\nfile = "bad.npz"\nthreshold = "t.json"\n')
    assert run("check").code == 1
    for format_ in ("junit", "sarif", "tap", "github", "gitlab", "csv", "markdown"):
        result = run("check", "bad.npz", "--threshold", "t.json", "--format", format_)
        assert result.code == 1
        assert "accepted accuracy" in result.out
    flat = np.zeros((500, 3))
    np.savez("flat.npz", logits=flat, labels=np.zeros(500, int))
    none = run("check", "flat.npz", "--threshold", "t.json")
    assert none.code == 2
    assert "none is accepted" in none.err


@pytest.mark.parametrize("target", ["precision >= 0.8", "recall >= 0.8", "npv >= 0.8"])
def test_two_classes(target, run, files):
    write("more.npz", 3000, 9, 2)
    assert run("threshold", "two.npz", "--target", target, "-o", "t.json").code == 0
    assert run("apply", "t.json", "more.npz", "-o", "out.npz").code == 0
    out = np.load("out.npz")
    flagged = out["prediction"] == NAMES[1]
    np.testing.assert_array_equal(flagged, ~out["accepted"] if "npv" in target else out["accepted"])
    checked = run("check", "more.npz", "--threshold", "t.json", "--format", "json")
    (held,) = json.loads(checked.out)["requirements"]
    labels = out["labels"] == 1
    share = {
        "precision": labels[out["accepted"]].mean(),
        "recall": out["accepted"][labels].mean(),
        "npv": (~labels)[out["accepted"]].mean(),
    }[target.split()[0]]
    assert held["measured"]["value"] == pytest.approx(share)
    assert run("plot", "threshold", "two.npz", "--target", target, "-o", "t.png").code == 0


# ------------------------------------------------------------------ costs


COSTS = "reject = 0.5\n[cost.cat]\ndog = 1\n[cost.dog]\ncat = 5\n"


def test_costs(run, files):
    Path("costs.toml").write_text(COSTS)
    run("fit-temperature", "two.npz", "-o", "cal.json", "--ci", "none")
    write("other.npz", 3000, 8, 2)
    plain = run("threshold", "other.npz", "--cost", "costs.toml")
    assert plain.code == 0
    assert "least expected cost" in plain.out
    after = run("threshold", "other.npz", "--cost", "costs.toml", "--calibrator", "cal.json")
    assert "Saved by calibrating first" in after.out
    target = ("--cost", "costs.toml", "--target", "cost <= 0.4")
    found = run("threshold", "other.npz", *target, "-o", "t.json")
    assert found.code == 0
    assert "cost at most 0.4 on average" in " ".join(found.out.split())
    write("more.npz", 3000, 7, 2)
    checked = run("check", "more.npz", "--threshold", "t.json", "--format", "json")
    assert json.loads(checked.out)["requirements"][0]["requirement"] == "accepted cost <= 0.4"


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        (COSTS.replace("dog]", "dgo]"), [], "has no class 'dgo'; did you mean dog?"),
        ("[cost.cat]\ndog = 1\n", [], "has no cost of the decision 'cat' where 'dog' is true"),
        ("[cost.cat]\ndog = -1\n", [], "cost.cat.dog must be a number"),
        ("[cost.cat]\ndog = 0\n", [], "names no cost above 0"),
        ("[costs.cat]\ndog = 1\n", [], "there is no key 'costs'; did you mean cost?"),
        ("reject = 1\n", [], "cost is missing"),
        ("x", [], "not valid TOML"),
        (COSTS, ["--target", "cost <= 7"], "between 0 and the largest cost, 5"),
        (COSTS, ["-o", "t.json"], "--output is for a threshold"),
        (COSTS, ["--by", "predicted"], "--by is for a threshold"),
    ],
)
def test_costs_that_are_none(text, arguments, says, refused, files):
    Path("costs.toml").write_text(text)
    refused("threshold", "two.npz", "--cost", "costs.toml", *arguments, says=(says,))


# ------------------------------------------------------------------ exports


def in_python(rows):
    module = {}
    exec(Path("t.py").read_text(), module)
    return [module["t"](row.tolist()) for row in rows.astype(float)]


def in_c(rows, folder):
    source = '#include "t.h"\nint run(const double *in, int *ok) { return t(in, ok); }\n'
    Path("run.c").write_text(source)
    subprocess.run(
        [shutil.which("cc") or "cc", "-shared", "-fPIC", "-O1", "run.c", "-o", "run.so", "-lm"],
        check=True,
    )
    library = ctypes.CDLL(str(folder / "run.so"))
    decided = []
    for row in rows.astype(float):
        accepted = ctypes.c_int()
        given = (ctypes.c_double * len(row))(*row)
        decided.append((library.run(given, ctypes.byref(accepted)), bool(accepted.value)))
    return decided


def in_onnx(rows):
    session = onnxruntime.InferenceSession("t.onnx")
    names = [session.get_inputs()[0].name]
    outputs = session.run(["prediction", "accepted"], {names[0]: rows.astype(np.float32)})
    return list(zip(outputs[0].tolist(), outputs[1].tolist(), strict=True))


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("val.npz", ["--target", "accuracy >= 0.95"]),
        ("val.npz", ["--target", "accuracy >= 0.95", "--by", "predicted"]),
        ("val.npz", ["--target", "accuracy >= 0.95", "--calibrator", "cal.json"]),
        ("two.npz", ["--target", "precision >= 0.8"]),
        ("two.npz", ["--target", "npv >= 0.8"]),
        ("two.npz", ["--target", "recall >= 0.8"]),
    ],
)
def test_exports_decide_alike(file, arguments, run, files):
    write("fit.npz", 1000, 5)
    run("fit-temperature", "fit.npz", "-o", "cal.json", "--ci", "none")
    assert run("threshold", file, *arguments, "-o", "t.json").code == 0
    k = 2 if file == "two.npz" else 3
    write("fresh.npz", 200, 6, k)
    rows = ct.load("fresh.npz")
    out = ct.load_threshold("t.json")(rows).extra
    wanted = [
        (NAMES.index(name), bool(ok))
        for name, ok in zip(out["prediction"], out["accepted"], strict=True)
    ]
    assert {ok for _, ok in wanted} == {True, False}
    for to, name in (("python", "t.py"), ("c", "t.h"), ("onnx", "t.onnx")):
        assert run("export", "t.json", "--to", to, "-o", name).code == 0
    assert in_python(rows.values) == wanted
    assert in_onnx(rows.values) == wanted
    if shutil.which("cc"):
        assert in_c(rows.values, files) == wanted


def test_exports_that_cannot_be(run, refused, files):
    run("threshold", "val.npz", "--target", "risk <= 20 %", "--by", "team", "-o", "t.json")
    refused("export", "t.json", "--to", "c", "-o", "t.h", says=("one threshold per group (team)",))
    run("threshold", "val.npz", "--target", "risk <= 20 %", "-o", "u.json")
    refused(
        *("export", "u.json", "--to", "onnx", "-o", "t.onnx", "--output-name", "x"),
        says=("--output-name",),
    )


def test_costs_of_decisions_that_cost_nothing_are_no_share(run, files):
    Path("costs.toml").write_text("[cost]\n0 = {0 = 0, 1 = 1}\n1 = {0 = 0, 1 = 0}\n")
    np.savez("two.npz", probs=np.tile([0.2, 0.8], (40, 1)), labels=np.arange(40) % 2)
    found = run("threshold", "two.npz", "--cost", "costs.toml", "--format", "csv")
    assert found.code == 0, found.err
    assert "nan" not in found.out
    assert found.out.splitlines()[1].endswith(",")


def test_recall_of_no_positives_has_no_picture(refused, folder):
    np.savez("none.npz", probs=np.tile([0.2, 0.8], (40, 1)), labels=np.zeros(40, int))
    says = ("none.npz: recall needs rows of class 1",)
    refused("plot", "threshold", "none.npz", "--target", "recall >= 0.5", "-o", "r.svg", says=says)
