"""`calibtool report`: what it writes, in both forms, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import calibtool as ct
from calibtool.data.slicing import coded
from calibtool.reports.page.build import build_page
from calibtool.reports.page.markup import element

FEW = ("--resamples", "50")


@pytest.fixture(scope="module")
def texts():
    """Pages that several tests look at, by name, each written once."""
    return {}


@pytest.fixture
def plain(run, good, texts):
    """The page of the good data, without further options."""
    if "plain" not in texts:
        run("report", good, "-o", "report.html", *FEW)
        texts["plain"] = Path("report.html").read_text(encoding="utf-8")
    return texts["plain"]


@pytest.fixture
def columns(data):
    """The good data with columns to slice the rows by."""
    rng = np.random.default_rng(2)
    n = len(data.labels)
    parts = {
        "place": rng.choice(["north", "south", "<b>"], n),
        "age": rng.normal(40, 10, n),
        "many": np.array([f"v{k % 50}" for k in range(n)]),
    }
    np.savez("parts.npz", logits=data.logits, labels=data.labels, **parts)
    return Path("parts.npz")


def rows_of(text, label):
    """The cells of a table of a page, line by line."""
    (table,) = re.findall(
        rf'<table[^>]*aria-label="{re.escape(label)}".*?</table>', text, re.DOTALL
    )
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    return [[re.sub(r"<[^>]*>", "", cell) for cell in line] for line in cells]


# ------------------------------------------------------------------ the page


def test_a_page_is_one_file_that_needs_no_other(run, good):
    result = run("report", good, "-o", "report.html", *FEW)
    assert result.code == 0
    assert result.out == ""
    assert result.err == "Wrote report.html\n"
    text = Path("report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert re.findall(r'\s(?:src|href|srcset|action)="([^"]*)"', text) == ["data:,"]
    assert "@import" not in text
    assert "url(" not in text
    assert len(text) < 200_000


def test_only_its_own_script_and_style_may_run(plain):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', plain)[1]
    assert "default-src &#x27;none&#x27;" in policy
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", plain, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src &#x27;sha256-{digest}&#x27;" in policy
    assert " style=" not in plain
    assert not re.search(r"<[^>]* on\w+=", plain)


@pytest.mark.parametrize(("files", "classes"), [(1, 1200), (12, 60)])
def test_many_classes_and_many_files_stay_below_a_megabyte(run, files, classes):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, classes, 4 * classes)
    for k in range(files):
        logits = rng.normal(size=(len(labels), classes)).astype(np.float32)
        logits[np.arange(len(labels)), labels] += 4
        np.savez(f"model{k}.npz", logits=logits, labels=labels)
    names = [f"model{k}.npz" for k in range(files)]
    assert run("report", *names, "-o", "many.html", "--ci", "none").code == 0
    text = Path("many.html").read_text(encoding="utf-8")
    assert 200_000 < len(text.encode()) < 1_000_000
    if classes > 1000:
        assert "Listed are the 1,000 with the widest gaps beyond chance." in text


def test_the_same_input_gives_the_same_bytes(run, good):
    run("report", good, "-o", "a.html", *FEW)
    first = Path("a.html").read_bytes()
    run("report", good, "-o", "a.html", *FEW)
    assert Path("a.html").read_bytes() == first


def test_its_numbers_are_those_of_evaluate(run, good, plain):
    rows = rows_of(plain, "Metrics")
    report = json.loads(run("evaluate", good, *FEW, "--format", "json").out)
    assert rows[0] == ["metric", "value", "corrected", "95 % interval", "in words"]
    for line, metric in zip(rows[1:], report["metrics"], strict=True):
        view = f" {metric['view']}" if metric["view"] else ""
        assert line[0] == metric["name"] + view
        assert float(line[1]) == pytest.approx(metric["value"], abs=5e-5)
        assert float(line[2]) == pytest.approx(metric["corrected"], abs=5e-5)
        ends = [float(end) for end in line[3].strip("[]").split(",")]
        assert ends == pytest.approx([metric["low"], metric["high"]], abs=5e-5)
    reading = report["reading"].split("\n")[0]
    assert element("p", reading, class_="lead") in plain.replace("\xa0", " ")


def test_the_classes_are_counted_right(plain, data):
    rows = rows_of(plain, "Classes")[1:]
    predicted, confidence = data.probs.argmax(axis=1), data.probs.max(axis=1)
    assert sorted(line[0] for line in rows) == ["0", "1", "2"]
    for line in rows:
        at = predicted == int(line[0])
        right = data.labels[at] == int(line[0])
        assert line[1] == str(np.count_nonzero(data.labels == int(line[0])))
        assert line[2] == str(np.count_nonzero(at))
        assert line[3] == f"{100 * confidence[at].mean():.1f} %"
        assert line[4] == f"{100 * right.mean():.1f} %"
        printed = [float(cell.removesuffix(" %")) for cell in line[3:6]]
        assert printed[2] == pytest.approx(printed[0] - printed[1], abs=1e-9)
        found_share = np.mean(predicted[data.labels == int(line[0])] == int(line[0]))
        assert line[7] == f"{100 * found_share:.1f} %"


def test_the_one_vs_rest_errors_average_to_the_classwise_error(data):
    p = ct.Predictions.from_logits(data.logits, data.labels)
    made = build_page([p], methods=[], ci="none")
    errors = [one.ece for one in made.subjects[0].classes.rows]
    assert np.mean(errors) == pytest.approx(made.subjects[0].report["classwise-ece"].value)


def test_slices_hold_every_row_once(run, columns):
    arguments = ("--by", "place", "--by", "age", "--by", "many")
    run("report", columns, "-o", "report.html", *FEW, *arguments)
    text = Path("report.html").read_text(encoding="utf-8")
    for column, groups in (("place", 3), ("age", 8), ("many", 21)):
        found = rows_of(text, f"Slices by {column}")[1:]
        assert len(found) == groups
        assert sum(int(line[1]) for line in found) == 240
    assert "The 30 rarest of 50 values are joined." in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text


def test_numbers_that_are_missing_are_a_group_of_their_own():
    codes, names, note = coded(np.array([1.0, np.nan, 2.0, np.inf]), "file: column")
    assert codes.tolist() == [0, 2, 1, 2]
    assert names == ["1", "2", "(not a number)"]
    assert note == "2 rows hold no finite number."


@pytest.mark.parametrize("values", [np.arange(100) // 10, np.array([True, False] * 5)])
def test_few_values_are_groups_by_name(values):
    codes, names, _ = coded(values, "file: column")
    assert len(names) == len(np.unique(values))
    assert [names[k] for k in codes] == [str(value) for value in values]


# ------------------------------------------------------------------ what was tried


def test_a_temperature_is_tried_unless_something_else_is_said(run, good):
    run("report", good, "-o", "a.html", *FEW)
    text = Path("a.html").read_text(encoding="utf-8")
    assert re.search(r"Temperature scaling \(T = [\d.]+\), cross-fitted in 5 folds", text)
    assert "Calibrators tried" not in text
    run("report", good, "-o", "b.html", *FEW, "--select", "temperature,platt,beta")
    tried = rows_of(Path("b.html").read_text(encoding="utf-8"), "Calibrators tried")[1:]
    names = {line[0].removesuffix(" (chosen)") for line in tried}
    assert names == {"temperature", "platt", "beta", "nothing"}
    assert sum(line[0].endswith("(chosen)") for line in tried) == 1
    run("report", good, "-o", "c.html", *FEW, "--select", "none")
    assert "No calibrator was requested." in Path("c.html").read_text(encoding="utf-8")


def test_of_one_score_column_platt_scaling_is_tried_too(run, data):
    np.savez("score.npz", score=data.probs[:, 1] ** 2, labels=(data.labels == 1).astype(int))
    run("report", "score.npz", "-o", "a.html", *FEW)
    tried = rows_of(Path("a.html").read_text(encoding="utf-8"), "Calibrators tried")[1:]
    names = {line[0].removesuffix(" (chosen)") for line in tried}
    assert names == {"temperature", "platt", "nothing"}


def test_a_calibrator_of_ones_own_is_shown(run, good, calibrator):
    run("report", good, "-o", "a.html", *FEW, "--calibrator", calibrator)
    after = rows_of(Path("a.html").read_text(encoding="utf-8"), "Before and after")[1:]
    told = json.loads(
        run("evaluate", good, *FEW, "--calibrator", calibrator, "--format", "json").out
    )
    for line, metric in zip(after, told["metrics"], strict=True):
        assert float(line[1]) == pytest.approx(metric["corrected"], abs=5e-5)
        assert float(line[2]) == pytest.approx(metric["after"]["corrected"], abs=5e-5)
        assert float(line[3]) == pytest.approx(float(line[2]) - float(line[1]), abs=1e-9)


def test_what_cannot_be_fitted_is_said(run, data):
    np.savez("few.npz", logits=data.logits[:8], labels=data.labels[:8])
    assert run("report", "few.npz", "-o", "few.html", *FEW).code == 0
    assert "8 rows are too few to cross-fit a calibrator" in Path("few.html").read_text()
    np.savez("sure.npz", confidence=data.probs.max(axis=1), correct=data.labels == 0)
    assert run("report", "sure.npz", "-o", "sure.html", *FEW).code == 0
    text = Path("sure.html").read_text(encoding="utf-8")
    assert "Platt scaling of confidences" in text
    assert 'aria-label="Classes"' not in text


# ------------------------------------------------------------------ several files


def test_files_of_the_same_rows_are_compared_row_by_row(run, good, data):
    np.savez("sharper.npz", logits=2 * data.logits, labels=data.labels)
    run("report", good, "sharper.npz", "-o", "two.html", *FEW)
    text = Path("two.html").read_text(encoding="utf-8")
    change = rows_of(text, "sharper.npz minus good.npz")
    names = [line[0].split()[0] for line in change[1:]]
    values = [
        {
            m["name"]: m["value"]
            for m in json.loads(run("evaluate", file, "--ci", "none", "--format", "json").out)[
                "metrics"
            ]
        }
        for file in (good, "sharper.npz")
    ]
    for name, line in zip(names, change[1:], strict=True):
        if name in ("accuracy", "mean-confidence", "nll", "brier"):
            assert float(line[1]) == pytest.approx(values[1][name] - values[0][name], abs=6e-5)
    assert change[1][2] == "[0.0000, 0.0000]"  # a temperature changes no accuracy


@pytest.mark.parametrize(
    ("extra", "order"),
    [
        ({"id": np.arange(240)}, np.random.default_rng(0).permutation(240)),
        ({"weights": 1 + np.arange(240) / 7}, np.arange(240)),
    ],
    ids=["other order, same ids", "weights rounded to float32"],
)
def test_a_report_pairs_the_files_that_compare_pairs(run, data, extra, order):
    np.savez("a.npz", logits=data.logits, labels=data.labels, **extra)
    written = {
        name: values[order].astype("f4") if name == "weights" else values[order]
        for name, values in extra.items()
    }
    np.savez("b.npz", logits=2 * data.logits[order], labels=data.labels[order], **written)
    run("report", "a.npz", "b.npz", "-o", "two.html", *FEW)
    text = Path("two.html").read_text(encoding="utf-8")
    assert "No paired differences" not in text
    change = {line[0].split()[0]: line[1] for line in rows_of(text, "b.npz minus a.npz")[1:]}
    compared = run(
        *("compare", "a.npz", "b.npz", "--metrics", "accuracy,nll,brier"),
        *("--ci", "none", "--format", "json"),
    )
    for metric in json.loads(compared.out)["metrics"]:
        expected = metric["systems"][1]["change"]["value"]
        assert float(change[metric["metric"]]) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda z, y: {"logits": z[:100], "labels": y[:100]}, "have 100 and 240 rows"),
        (lambda z, y: {"logits": z, "labels": (y + 1) % 3}, "labels differ in 240 of 240 rows"),
        (lambda z, y: {"logits": z[:, :2], "labels": y % 2}, "have 2 and 3 classes"),
        (lambda z, y: {"logits": z, "labels": y, "weights": y + 2.0}, "weights differ in 240 rows"),
    ],
)
def test_files_of_other_rows_are_not_compared_row_by_row(run, data, change, says):
    np.savez("first.npz", logits=data.logits, labels=data.labels, weights=data.labels + 1.0)
    np.savez("other.npz", **change(data.logits, data.labels))
    assert run("report", "first.npz", "other.npz", "-o", "two.html", *FEW).code == 0
    text = Path("two.html").read_text(encoding="utf-8")
    assert "No paired differences: other.npz and first.npz" in text
    assert says in text
    assert "minus first.npz" not in text


def test_files_of_one_name_are_told_apart(run, good, data):
    Path("old").mkdir()
    np.savez("old/good.npz", logits=data.logits, labels=data.labels)
    run("report", "good.npz", "old/good.npz", "-o", "two.html", *FEW)
    heads = rows_of(Path("two.html").read_text(encoding="utf-8"), "Metrics of every file")[0]
    assert heads == ["metric", "good.npz", "95 % interval", "old/good.npz", "95 % interval"]


# ------------------------------------------------------------------ Markdown


def test_markdown_for_a_pull_request(run, good):
    result = run("report", good, "--format", "md", *FEW)
    assert result.code == 0
    assert result.err == ""
    assert result.out.startswith("# Calibration of good.npz\n")
    assert re.search(r"^\| ece \| top \| 0\.\d{4} \|", result.out, re.MULTILINE)
    assert "nll|ci:unseen-95|R:50|seed:0" in result.out
    run("report", good, "-o", "report.md", *FEW)
    told = "Made by `calibtool report good.npz"
    assert result.out.split(told)[0] == Path("report.md").read_text(encoding="utf-8").split(told)[0]
    assert result.out.splitlines()[-1] == f"{told} --format md --resamples 50`."


def test_names_make_no_markup_of_markdown(run, data):
    names = np.array(["![x](http://localhost/x.png)", "**b** | c", "<script>"])
    np.savez("odd.npz", logits=data.logits, labels=data.labels, classes=names)
    text = run("report", "odd.npz", "--format", "md", *FEW).out
    assert "| \\!\\[x\\](http://localhost/x.png) |" in text
    assert "| \\*\\*b\\*\\* \\| c |" in text
    assert "| \\<script\\> |" in text


def test_a_model_card_begins_with_metadata(run, good, data):
    sharp = np.where(np.eye(3)[data.labels] > 0, 1.0, 0.0)
    np.savez("sharp.npz", probs=sharp, labels=data.labels)
    result = run(
        *("report", "sharp.npz", "--model-card", "image-classification", *FEW),
        *("--model-name", 'a "name": b'),
    )
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "---"
    head = lines[1 : lines.index("---", 1)]
    assert head[:2] == ["model-index:", '- name: "a \\"name\\": b"']
    assert '      type: "image-classification"' in head
    at = head.index('    - type: "accuracy"')
    assert head[at + 1] == "      value: 1.0"
    assert head[at + 2] == '      name: "Accuracy [0.9847, 1.0000]"'


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no file to write to; give -o report.html, -o report.md or --format md"),
        (["-o", "report.pdf"], "report.pdf: unknown suffix; give -o report.html"),
        (["--format", "html"], "a page needs a file"),
        (["-o", "missing/report.html"], "missing is not a folder"),
        (["-o", "report.html", "--by", "region"], "there is no column 'region'"),
        (["-o", "report.html", "--by", "logits"], "holds several values per row"),
        (["-o", "report.html", "--select", "tempreture"], "did you mean temperature"),
        (["-o", "report.html", "--metrics", "ecce"], "did you mean"),
        (["-o", "report.html", "--model-card", "x"], "cannot be written to HTML; write Markdown"),
        (["-o", "report.html", "--level", "1"], "--level must lie between 0 and 1"),
        (["-o", "report.html", "--resamples", "5"], "--resamples must be at least 20"),
    ],
)
def test_what_makes_no_report_is_refused(refused, good, arguments, says):
    refused("report", good, *arguments, says=(says,))


def test_one_of_two_options(refused, good, calibrator):
    arguments = ("--select", "all", "--calibrator", calibrator, "-o", "report.html")
    refused("report", good, *arguments, says=("cannot be combined",))


def test_a_report_is_written_whole_or_not_at_all(refused, good, data):
    Path("report.html").write_text("the old one")
    np.savez("bad.npz", logits=data.logits, labels=data.labels + 7)
    refused("report", good, "bad.npz", "-o", "report.html", *FEW, says=("bad.npz", "label"))
    assert Path("report.html").read_text() == "the old one"


# ------------------------------------------------------------------ clinical models


@pytest.fixture
def patients():
    """Probabilities of an outcome that one row in eight has."""
    rng = np.random.default_rng(3)
    score = rng.beta(1, 6, 400)
    np.savez("patients.npz", probs=score, labels=(rng.random(400) < score).astype(int))
    return Path("patients.npz")


def test_a_clinical_report_begins_with_its_table_and_four_panels(run, patients):
    words = ("--clinical", "--threshold", "0.2", *FEW)
    result = run("report", patients, "-o", "report.html", *words)
    assert result.code == 0, result.err
    page = Path("report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", page)[:2] == ["Clinical use", "Metrics"]
    titles = ["Calibration", "Net benefit", "Probabilities by outcome", "Discrimination"]
    drawn = re.findall(r"<figcaption><strong>(.*?)</strong>", page)
    assert drawn[:4] == titles
    own = {e.name: e for e in ct.evaluate(patients, "clinical", resamples=50)}
    table = {line[0]: line[1:] for line in rows_of(page, "Clinical use")[1:]}
    names = ["auroc", "oe-ratio", "citl", "cox-slope", "ici", "net-benefit(threshold=0.2)"]
    names.append("net-benefit(threshold=0.2,of=all)")
    assert [name.removesuffix(" positive") for name in table] == names
    for name in names[:5]:
        assert table[f"{name} positive"][0] == f"{own[name].value:.4f}"
    spec = "net-benefit(threshold=0.2)"
    value = ct.evaluate(patients, [spec], ci="none").estimates[0].value
    assert table[f"{spec} positive"][0] == f"{value:.4f}"
    assert "nan" not in page


def test_a_clinical_report_as_markdown_has_the_same_in_tables(run, patients):
    text = run("report", patients, "--format", "md", "--clinical", *FEW).out
    heads = ("Clinical use:", "Calibration, smoothed", "Net benefit, that of", "Probabilities by")
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    value = ct.evaluate(patients, ["net-benefit"], ci="none").estimates[0].value
    assert f"| net-benefit | {value:.4f} |" in text
    assert "| class 1 |" in text
    assert "| threshold | net benefit | 95 % interval | acting on everybody |" in text


def test_several_clinical_models_are_compared(run, patients):
    assert run("fit-platt", patients, "-o", "platt.json").code == 0
    assert run("apply", "platt.json", patients, "-o", "after.npz").code == 0
    result = run("report", patients, "after.npz", "-o", "both.html", "--clinical", *FEW)
    assert result.code == 0, result.err
    page = Path("both.html").read_text(encoding="utf-8")
    assert page.count("<h2>Clinical use</h2>") == 2
    assert "net-benefit" in str(rows_of(page, "after.npz minus patients.npz"))
    given = ("--calibrator", "platt.json")
    assert run("report", patients, "-o", "one.html", "--clinical", *given, *FEW).code == 0
    assert "after the calibrator" in Path("one.html").read_text(encoding="utf-8")


def test_a_clinical_report_of_no_intervals_and_no_outcome(run, patients):
    np.savez("none.npz", probs=np.linspace(0, 0.3, 60), labels=np.zeros(60, int))
    for form in ("a.html", "a.md"):
        assert run("report", "none.npz", "-o", form, "--clinical", *FEW).code == 0
    page = build_page([ct.load(patients)], clinical=True, ci="none")
    assert page.subjects[0].clinical.estimates[0].low is None
    assert ct.write_report(ct.load(patients), "b.html", clinical=True, ci="none")


def test_a_large_file_has_a_clinical_report_too(run, patients, monkeypatch):
    from calibtool.reports.page import collect

    monkeypatch.setattr(collect, "is_streamed", lambda file, rows: True)
    assert run("report", patients, "-o", "a.html", "--clinical", *FEW).code == 0
    page = Path("a.html").read_text(encoding="utf-8")
    assert "cells hold no rows" in page
    assert rows_of(page, "Clinical use")[1][0] == "auroc positive"


def test_what_makes_no_clinical_report(refused, run, good, patients):
    refused("report", good, "--clinical", "-o", "a.html", says=("two classes", "as one column"))
    refused("report", patients, "--threshold", "0.2", "-o", "a.html", says=("--clinical",))
    for bad in ("0", "1", "7"):
        words = ("--clinical", "--threshold", bad, "-o", "a.html")
        refused("report", patients, *words, says=("--threshold", "between 0 and 1"))
    assert run("cells", patients, "-o", "a.cells").code == 0
    refused("report", "a.cells", "--clinical", "-o", "a.html", says=("cells", "needs rows"))


# ------------------------------------------------------------------ from Python


def test_from_python(good, data):
    p = ct.Predictions.from_logits(data.logits, data.labels)
    made = ct.write_report(p, "a.html", resamples=50, title="Mine & yours")
    assert "<h1>Mine &amp; yours</h1>" in Path("a.html").read_text(encoding="utf-8")
    ct.write_report([p, str(good)], "b.md", resamples=50)
    assert "## good.npz" in Path("b.md").read_text(encoding="utf-8").replace("\\", "")
    assert made.subjects[0].report["ece"].value == ct.evaluate(p, ["ece"], ci="none")["ece"].value
    with pytest.raises(ct.CalibtoolError, match="no further column 'age'"):
        ct.write_report(p, "a.html", by=["age"])
    with pytest.raises(ct.CalibtoolError, match="no file to report on"):
        ct.write_report([], "a.html")


def test_a_report_needs_no_matplotlib(process, good):
    code = (
        "import sys; from calibtool.cli.main import main; "
        "main(['report', 'good.npz', '-o', 'r.html', '--resamples', '50']); "
        "print('matplotlib' in sys.modules, 'pyarrow' in sys.modules)"
    )
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


# ------------------------------------------------------------------ what to do


@pytest.fixture
def low_scores():
    """Write scores that are too low by 0.4 log-odds, which 250 rows show in their mean alone."""
    random = np.random.default_rng(1)
    z = random.normal(size=250) * 1.2 - 1.5
    y = random.random(250) < 1 / (1 + np.exp(-z - 0.4))
    lines = [f"{1 / (1 + np.exp(-a)):.6f},{b:d}" for a, b in zip(z, y, strict=True)]
    Path("low.csv").write_text("\n".join(["score,label", *lines]), encoding="utf-8")
    return "low.csv"


def test_a_report_contradicts_none_of_its_intervals(run, low_scores):
    few = ("--resamples", "100")
    told = run("evaluate", low_scores, "--metrics", "ece,citl,oe-ratio", *few).out
    told = " ".join(told.split())
    assert re.search(r"ece positive \S+ \S+ \[0\.0000, ", told)
    start = r"Miscalibrated at n = 250, though not by ece\S* \(p = \S+\): "
    citl, ratio = (
        r"citl \S+ \[0\.\d+, 0\.\d+\] excludes 0",
        r"oe-ratio \S+ \[1\.\d+, 1\.\d+\] excludes 1",
    )
    short = "the intervals of {} exclude their ideals\\. "
    assert re.search(start + short.format("citl and oe-ratio"), told)
    assert "Next: calibtool select" in told
    for name in ("r.html", "r.md"):
        assert run("report", low_scores, "--clinical", "-o", name, *few).code == 0
        text = Path(name).read_text(encoding="utf-8").replace("\\", "").replace("\u00a0", " ")
        text = re.sub("<[^>]*>", "", text)
        off = short.format("oe-ratio and citl")
        assert re.search(start + off, text)
        assert re.search(f"What to do:? ?Recalibrate: {off}", text)
        assert re.search(f"How sure:? ?By their intervals, {ratio} and {citl}\\. ", text)
        assert "Use the probabilities as they are" not in text
