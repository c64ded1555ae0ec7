"""calibtool evaluate A B: several files in one table, and that of a paper."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import calibtool as ct

FEW = ("--resamples", "30")
METRICS = ("--metrics", "accuracy,nll,ece")


@pytest.fixture
def files(data):
    """Two files of different rows, and one whose classes are others."""
    np.savez("good.npz", logits=data.logits, labels=data.labels)
    np.savez("hot_1.npz", logits=4 * data.logits[:150], labels=data.labels[:150])
    np.savez("two.npz", probs=data.probs[:, 0] / 2, labels=(data.labels == 0).astype(int))
    return "good.npz", "hot_1.npz"


def cells(text):
    """The cells of a LaTeX table, by the name of the row."""
    _, _, body = text.partition("\\midrule\n")
    rows = [
        line.removesuffix(" \\\\").split(" & ")
        for line in body.split("\n\\bottomrule")[0].split("\n")
    ]
    return {name: row for name, *row in rows}


def test_numbers_are_those_of_one_file_alone(run, files):
    both = json.loads(run("evaluate", *files, *METRICS, *FEW, "--format", "json").out)
    assert (both["format"], both["version"]) == ("calibtool-reports", 1)
    lines = list(
        csv.DictReader(io.StringIO(run("evaluate", *files, *METRICS, *FEW, "--format", "csv").out))
    )
    for k, file in enumerate(files):
        alone = json.loads(run("evaluate", file, *METRICS, *FEW, "--format", "json").out)
        report = both["reports"][k]
        assert report.pop("name") == Path(file).stem
        assert all(
            report[key] == alone[key] for key in alone.keys() - {"format", "version", "calibtool"}
        )
        values = [float(line["value"]) for line in lines if line["file"] == Path(file).stem]
        assert values == [metric["value"] for metric in alone["metrics"]]


@pytest.mark.parametrize(
    ("metrics", "titles"),
    [
        ("nll,ece", "file nll ece"),  # a row per file
        ("default", "metric good hot_1"),  # too wide: a row per metric
        ("accuracy,nll,ece,mce", "metric file corrected 95 % interval"),  # of three files
    ],
)
def test_the_layout_is_the_first_that_fits_80_columns(run, files, metrics, titles):
    more = ("two.npz",) if "file corr" in titles else ()
    out = run("evaluate", *files, *more, "--metrics", metrics, *FEW).out
    assert max(map(len, out.splitlines())) <= 80
    head = next(line for line in out.splitlines() if line.startswith(titles.split()[0]))
    assert " ".join(head.split()) == titles
    for text in ("good.npz: 240 rows", "hot_1.npz: 150 rows", "good: ", "hot_1: ", "compare"):
        assert text in out
    ece = ct.evaluate("hot_1.npz", "ece", resamples=30)["ece"]
    assert f"{ece.corrected:.4f}" in out
    assert f"[{ece.low:.4f}, {ece.high:.4f}]" in out
    assert ("In brackets" in out) == ("file corr" not in titles)
    if more:
        assert "Views differ: top for good, hot_1; positive for two" in " ".join(out.split())


def test_files_need_not_have_the_same_metrics(run, files):
    np.savez("answers.npz", confidence=np.linspace(0.4, 0.9, 50), correct=np.arange(50) % 3 > 0)
    out = run(
        "evaluate", "good.npz", "answers.npz", "--metrics", "ece,macro-f1,ood-auroc", *FEW
    ).out
    line = next(line for line in out.splitlines() if line.startswith("answers "))
    assert line.endswith("n/a")
    assert "Not available for answers: macro-f1 (" in out
    assert "Not available: ood-auroc (" in out
    text = run(
        "evaluate",
        "good.npz",
        "answers.npz",
        "--metrics",
        "ece,macro-f1",
        *FEW,
        "--format",
        "latex",
    )
    assert cells(text.out)["answers"][2:] == ["{--}", ""]


@pytest.mark.parametrize("format_", ["table", "markdown", "latex", "csv", "json"])
def test_a_table_without_any_number(run, files, format_):
    done = run("evaluate", *files, "--metrics", "ood-auroc", *FEW, "--format", format_)
    assert done.code == 0
    assert "needs a second file" in done.out


def test_a_table_for_a_paper(run, files):
    words = (
        "evaluate",
        *files,
        "--metrics",
        "accuracy,nll,cox-slope,atb",
        *FEW,
        "--format",
        "latex",
    )
    named = run(*words, "--name", "A_1 & 50 %", "--name", "[B] #2").out
    kind = re.search(r"\\begin\{tabular\}\{(.*)\}", named)[1]
    assert kind == (
        r"l S[table-format=1.4]@{\ }l S[table-format=1.4]@{\ }l S[table-format=1.4]@{\ }l "
        "S[table-format=1.4]"
    )
    assert r"\multicolumn{2}{c}{nll $\downarrow$} & \multicolumn{2}{c}{cox-slope $\to$ 1}" in named
    rows = cells(named)
    assert list(rows) == [r"A\_1 \& 50 \%", r"{}[B] \#2"]
    assert all(len(row) == 7 for row in rows.values())  # as many as the type has columns
    nll = ct.evaluate("good.npz", "nll", resamples=30)["nll"]
    assert rows[r"A\_1 \& 50 \%"][2:4] == [f"{nll.value:.4f}", f"[{nll.low:.4f}, {nll.high:.4f}]"]
    for text in (named, run(*words, "--ci", "none").out, run(*words, "--pm").out):
        plain = re.sub(r"\\[%&#_]", "", text)
        assert plain.count("{") == plain.count("}")
        assert all(rule in text for rule in ("booktabs, siunitx", "\\toprule", "% nll|"))
        tabular = text.partition("\\begin")[2]
        assert "%" not in re.sub(r"\\%", "", tabular)  # would hide the rest of its line
    run(*words, "-o", "table.tex")
    assert Path("table.tex").read_text() == run(*words).out


@pytest.mark.parametrize("file", ["good.npz", "hot_1.npz"])
def test_percent_digits_and_half_widths(run, files, file):
    words = ("evaluate", file, *METRICS, *FEW, "--format", "latex")
    exact = {e.name: e for e in ct.evaluate(file, "accuracy,nll,ece", resamples=30)}
    (row,) = cells(run(*words, "--percent").out).values()
    accuracy, nll = exact["accuracy"], exact["nll"]
    assert row[:3] == [
        f"{100 * accuracy.value:.2f}",
        f"[{100 * accuracy.low:.2f}, {100 * accuracy.high:.2f}]",
        f"{nll.value:.4f}",  # as precise as percentages
    ]
    (row,) = cells(run(*words, "--digits", "3", "--pm").out).values()
    half = max(nll.high - nll.value, nll.value - nll.low)
    assert row[2:4] == [f"{nll.value:.3f}", f"$\\pm$ {half:.3f}"]
    title = run(*words, "--percent").out
    assert "ece (\\%) $\\downarrow$" in title
    assert "nll (" not in title
    shown = run("evaluate", file, *METRICS, *FEW, "--percent", "--pm", "--digits", "1").out
    assert f"{100 * accuracy.value:.1f} ± " in shown
    assert "±: the distance to the farther end" in shown


def test_numbers_that_would_read_0_or_100_do_not(run, folder):
    labels = np.r_[1, np.zeros(49_999, int)]
    np.savez("rare.npz", probs=np.full(50_000, 2e-5), labels=labels)
    words = ("evaluate", "rare.npz", "--metrics", "accuracy,bias", "--ci", "none", "--percent")
    line = run(*words).out.splitlines()[4].split()
    assert line == ["rare", ">99.99", "0.00"]
    assert "{$>$99.99}" in run(*words, "--format", "latex").out
    np.savez("tiny.npz", probs=np.full(50_000, 3e-5), labels=labels)
    line = run("evaluate", "tiny.npz", *words[2:]).out.splitlines()[4].split()
    assert line[-1] == "1.0e-03"


def test_calibrators_are_one_for_all_or_one_per_file(run, refused, files):
    for file in files:
        assert run("fit-temperature", file, "-o", f"{file}.json", *("--ci", "none")).code == 0
    words = ("evaluate", *files, "--metrics", "nll", "--ci", "none", "--format")
    for given in (["good.npz.json"], ["good.npz.json", "hot_1.npz.json"]):
        options = [word for path in given for word in ("--calibrator", path)]
        found = json.loads(run(*words, "json", *options).out)["reports"]
        for report, file, path in zip(found, files, given * 2, strict=False):
            after = ct.evaluate(file, "nll", ci="none", calibrator=ct.load_calibrator(path)).after
            assert report["metrics"][0]["after"]["value"] == after[0].value
    assert list(cells(run(*words, "latex", *options).out)) == [
        "good",
        "good, temperature scaling",
        "hot\\_1",
        "hot\\_1, temperature scaling",
    ]
    refused(
        *("evaluate", *files, "two.npz", *options),
        says=("--calibrator must be given once for all files, or once per file: 3", "(got 2)"),
    )
    refused("evaluate", "two.npz", *files, *options[:2], says=("two.npz: has 2 classes",))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--by", "x"), "--by cannot be combined with several files"),
        (("--plot",), "--plot cannot be combined with several files"),
        (("--as", "netcal"), "--as cannot be combined with several files"),
        (("--conventions",), "--conventions cannot be combined with several files"),
        (("--sets", "good.npz"), "--sets cannot be combined with several files"),
        (("--ood", "two.npz"), "--ood takes one file (got 2)"),
        (("--state", "s"), "--state takes one file (got 2)"),
        (("--name", "A"), "--name must be given once per file"),
        (("--name", "A", "--name", "A"), "each another one: 2 of them (got A, A)"),
        (("--digits", "9"), "digits must be between 0 and 8 (got 9)"),
        (
            ("--digits", "2", "--format", "json"),
            "--digits only applies to --format table, markdown or",
        ),
        (("--pm", "--format", "csv"), "csv holds every digit"),
        (("--cluster", "user"), "good.npz: there is no column 'user'"),
        (("nowhere.npz",), "nowhere.npz: no such file"),
        (("--metrics", "eec"), "did you mean"),
    ],
)
def test_mistakes_are_named(refused, files, options, says):
    refused("evaluate", *files, *options, says=(says,))


def test_an_error_names_the_file(refused, files, data):
    np.savez("bad.npz", logits=data.logits, labels=data.labels + 1)
    refused("evaluate", "good.npz", "bad.npz", says=("bad.npz: ",))
    refused("evaluate", "good.npz", "--digits", "0", "--format", "csv", says=("--digits only",))
    refused(
        "evaluate", "good.npz", "--pm", "--by", "x", says=("--by cannot be combined with --pm",)
    )


def test_a_file_may_come_twice(run, files):
    out = run("evaluate", "good.npz", "good.npz", "--metrics", "nll", "--ci", "none").out
    assert "\ngood.npz     " in out
    assert "\ngood.npz (2) " in out


def test_python_has_the_same_table(run, files):
    reports = {
        name: ct.evaluate(file, "nll,ece", resamples=30)
        for name, file in zip("AB", files, strict=True)
    }
    table = ct.side_by_side(reports, percent=True)
    words = ("evaluate", *files, "--metrics", "nll,ece", *FEW, "--name", "A", "--name", "B")
    assert f"{table}\n" == run(*words, "--percent").out
    assert table.to_latex() == run(*words, "--percent", "--format", "latex").out
    assert table.to_dict() == json.loads(run(*words, "--format", "json").out)
    assert list(table.to_pandas()["file"]) == ["A", "A", "B", "B"]
    other = ct.evaluate(files[0], "nll", resamples=30, level=0.9)
    for wrong, says in (
        ({}, "expected at least one report by its name"),
        ([other], "expected at least one report by its name"),
        ({"A": "good.npz"}, "A: expected a report"),
        (reports | {"C": other}, "levels (0.9, 0.95)"),
    ):
        with pytest.raises(ct.CalibtoolError, match=re.escape(says)):
            ct.side_by_side(wrong)


def test_help_tells_the_options_of_tables(run):
    told = run("help", "tables").out
    assert all(option in told for option in ("--name", "--digits", "--percent", "--pm"))
    assert max(map(len, told.splitlines())) <= 80
    assert "--pm): calibtool help tables" in run("evaluate", "--help").out
    assert "help tables" not in run("compare", "--help").out


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a LaTeX with siunitx")
def test_latex_takes_the_table(run, files):
    words = ("evaluate", *files, "two.npz", "--metrics", "all", *FEW, "--name", "[a_1] & b")
    names = ("--name", "50 % #1", "--name", "{<|>}~^\\")
    for more in ((), ("--pm", "--percent"), ("--ci", "none")):
        assert run(*words, *names, *more, "--format", "latex", "-o", "t.tex").code == 0
        Path("d.tex").write_text(
            "\\documentclass{article}\\usepackage{booktabs, siunitx}"
            "\\begin{document}\\input{t.tex}\\end{document}"
        )
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
