"""`calibtool check`: each mode, verdict and format by the real command and its real exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import calibtool as ct
from calibtool.cli.options import READING
from calibtool.gate.config import SETTINGS
from calibtool.testing import assert_calibrated

FEW = ("--resamples", "100")
POINT = ("--mode", "point", "--ci", "none")
FORMATS = ("table", "json", "csv", "markdown", "github", "gitlab", "junit", "sarif", "tap")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo(examples):
    """The example files, as `calibtool example` writes them."""
    shutil.copytree(examples, "demo")
    return Path("demo")


@pytest.fixture(scope="session")
def slope(tmp_path_factory):
    """A calibrated file and an overconfident one of the same 2,000 rows, and a small one."""
    folder = tmp_path_factory.mktemp("slope")
    rng = np.random.default_rng(3)
    logits = 1.5 * rng.standard_normal((2000, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    np.savez(folder / "main.npz", logits=logits, labels=labels)
    np.savez(folder / "new.npz", logits=2.5 * logits, labels=labels)
    np.savez(folder / "few.npz", logits=logits[:40], labels=labels[:40])
    return folder


# ------------------------------------------------------------------ modes and verdicts

CASES = [  # file, requirement -> exit codes of prove, tolerate, point
    ("main.npz", "ece <= 0.2", (0, 0, 0)),
    ("new.npz", "ece <= 0.03", (1, 1, 1)),
    ("main.npz", "ece <= 0.01", (3, 3, 1)),
    ("few.npz", "ece <= 0.02", (3, 3, 1)),
    ("main.npz", "accuracy >= 0.685", (3, 0, 0)),
]


@pytest.mark.parametrize(("file", "requirement", "codes"), CASES)
def test_the_exit_code_of_every_mode(file, requirement, codes, run, process, slope):
    for mode, code in zip(("prove", "tolerate", "point"), codes, strict=True):
        words = ["check", str(slope / file), "--require", requirement, "--mode", mode]
        result = run(*words, "--resamples", "200")
        assert (mode, result.code) == (mode, code), result.out
        word = {0: "Passed: 1 of 1", 1: "Failed: 1 of 1", 3: "Inconclusive: 1 of 1"}[code]
        assert word in result.out
        assert result.err == ""
        if mode == "prove":  # that a process ends with this code, once for each
            done = process([*words, "--resamples", "200"])
            assert (done.returncode, done.stdout, done.stderr) == result


@pytest.mark.parametrize(("taken_as", "code"), [("pass", 0), ("fail", 1)])
def test_an_inconclusive_verdict_can_be_mapped(taken_as, code, run, slope):
    words = ("check", slope / "few.npz", "--require", "ece <= 0.02", *FEW)
    assert run(*words).code == 3
    mapped = run(*words, "--inconclusive", taken_as)
    assert mapped.code == code
    assert "inconclusive: " in mapped.out


def test_what_it_could_have_found_is_said_before_what_it_found(run, slope):
    result = run("check", slope / "main.npz", "--require", "ece <= 0.2", *FEW)
    assert result.out.index("(80 % power)") < result.out.index("verdict")
    assert "2,000 rows would detect a true ece above 0." in result.out
    words = ("check", slope / "main.npz", "--require", "accuracy >= 0.3 by class", *FEW)
    assert "in any slice by class (80 % power)." in " ".join(run(*words).out.split())


def test_an_inconclusive_verdict_says_how_many_rows_it_takes(run, slope):
    words = ("check", slope / "few.npz", "--require", "ece <= 0.02", *FEW)
    assert "rows would decide it" in " ".join(run(*words).out.split())
    held = json.loads(run(*words, "--format", "json").out)["requirements"][0]
    assert held["rows_needed"] > 40
    assert held["verdict"] == "inconclusive"


def test_unlucky_and_worse_are_told_apart(run, slope):
    worse = run("check", slope / "new.npz", "--require", "ece <= 0.03", *FEW)
    assert "violated beyond sampling noise" in worse.out
    unlucky = run("check", slope / "main.npz", "--require", "accuracy >= 0.7", *FEW)
    assert unlucky.code == 0
    assert "sampling noise can explain it" in " ".join(unlucky.out.split())


# ------------------------------------------------------------------ every kind of requirement


def test_every_kind_of_requirement_at_once(run, slope):
    requirements = [
        "ece <= 0.1",
        "classwise-ece(bins=10) <= 0.1",
        "delta(nll) <= 0.005",
        "accuracy >= 50 %",
        "p(spiegelhalter) >= 0.01",
        "ece <= 0.2 by predicted",
        "worst(ece by class) <= 0.2",
    ]
    words = [word for text in requirements for word in ("--require", text)]
    baseline = ("--baseline", slope / "new.npz")
    good = run("check", slope / "main.npz", *words, *baseline, *FEW)
    assert good.code == 0, good.out
    assert "Passed: 7 of 7" in good.out
    assert max(map(len, good.out.splitlines())) <= 80
    swapped = run("check", slope / "new.npz", *words, "--baseline", slope / "main.npz", *FEW)
    assert swapped.code == 1


def test_slices_by_a_column_of_the_file(run, demo):
    words = ("check", demo / "visits.parquet", "--require", "ece <= 0.5 by country", *FEW)
    result = run(*words, "--format", "json")
    assert result.code == 0, result.out + result.err
    verdict = json.loads(result.out)["requirements"][0]
    slices = verdict["slices"]
    assert len(slices) > 1
    assert sum(one["rows"] for one in slices) == 7996
    assert "4 rows in all" in verdict["note"]
    assert all(one["measured"]["low"] is not None for one in slices)


def test_a_column_that_is_not_there_is_an_error(refused, demo):
    refused(
        "check",
        demo / "visits.parquet",
        "--require",
        "ece <= 0.5 by planet",
        says=("there is no column 'planet'",),
    )


def test_rows_that_do_not_match_the_baseline_are_an_error(refused, slope):
    refused(
        "check",
        slope / "few.npz",
        "--baseline",
        slope / "main.npz",
        "--require",
        "delta(nll) <= 0",
        says=("2,000 and 40 rows", "only predictions on the same rows can be paired"),
    )


def test_a_saved_report_is_an_unpaired_baseline(run, slope):
    evaluate = ("evaluate", slope / "main.npz", *FEW, "--format", "json", "-o", "main.json")
    assert run(*evaluate).code == 0
    words = ("check", slope / "new.npz", "--baseline", "main.json", *FEW)
    result = run(*words, "--require", "delta(nll) <= 0.005")
    assert result.code == 1
    assert "unpaired with the saved report main.json of 2,000 rows" in result.out


def test_rows_are_matched_by_an_id(run, slope):
    for name in ("main", "new"):
        with np.load(slope / f"{name}.npz") as file:
            order = np.random.default_rng(len(name)).permutation(2000)
            np.savez(f"{name}.npz", **{key: file[key][order] for key in file}, key=order)
    words = ("check", "new.npz", "--baseline", "main.npz", "--require", "delta(nll) <= 0.005", *FEW)
    assert run(*words).code == 2  # by order, labels differ
    result = run(*words, "--id", "key")
    assert result.code == 1
    assert "rows matched by id 'key'" in " ".join(result.out.split())


# ------------------------------------------------------------------ formats


def outcome(run, slope, format_, *more):
    """A pass, a fail and an inconclusive verdict."""
    words = ("check", slope / "few.npz", *FEW, "--format", format_, *more)
    wanted = ("accuracy >= 0.1", "nll <= 0.1", "ece <= 0.02")
    requirements = [word for text in wanted for word in ("--require", text)]
    return run(*words, *requirements)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_verdict_in_every_format_and_in_a_file(format_, run, slope):
    printed = outcome(run, slope, format_)
    assert printed.code == 1
    assert outcome(run, slope, format_, "-o", "verdict").code == 1
    assert Path("verdict").read_text() == printed.out
    for text in ("accuracy", "nll", "ece"):
        assert text in printed.out or format_ == "gitlab"


def test_json_is_versioned_and_whole(run, slope):
    body = json.loads(outcome(run, slope, "json").out)
    assert (body["format"], body["version"]) == ("calibtool-check", 3)
    assert body["decision"] == "fail"
    assert body["passed"] is False
    assert body["alpha"] == 0.025
    assert [one["verdict"] for one in body["requirements"]] == ["pass", "fail", "inconclusive"]
    assert body["report"]["cells"]["view"] == "top"


def test_csv_has_a_line_a_requirement(run, slope):
    rows = list(csv.DictReader(io.StringIO(outcome(run, slope, "csv").out)))
    assert [row["verdict"] for row in rows] == ["pass", "fail", "inconclusive"]
    assert float(rows[0]["margin"]) > 0 > float(rows[1]["margin"])


def test_github_annotates_and_summarizes(run, slope, monkeypatch):
    Path("summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    lines = outcome(run, slope, "github").out.splitlines()
    assert [line.split(" ")[0] for line in lines[:3]] == ["accuracy", "::error", "::warning"]
    assert "title=nll <= 0.1 FAILED::nll <= 0.1 FAILED: measured" in lines[1]
    assert "%25" not in lines[3]
    summary = Path("summary.md").read_text()
    assert summary.startswith("before\n### calibtool: Failed: 1 of 3")
    assert "| nll \\<= 0.1 |" in summary
    assert summary.count("```") == 2
    assert "confidence" in summary


def test_github_points_at_the_line_of_the_requirement(run, slope):
    Path("calibtool.toml").write_text('[check]\nrequire = [\n  "nll <= 0.1",\n]\n')
    result = run("check", slope / "few.npz", "--format", "github", *FEW)
    assert result.out.startswith("::error file=calibtool.toml,line=3,title=nll")


def test_commands_of_github_are_escaped(run, slope):
    shutil.copy(slope / "few.npz", "a,b: 100%.npz")
    result = run("check", "a,b: 100%.npz", "--require", "nll <= 0", "--format", "github", *FEW)
    assert "file=a%2Cb%3A 100%25.npz,line=1," in result.out


def test_junit_has_a_test_a_requirement(run, slope):
    suite = ET.fromstring(outcome(run, slope, "junit").out).find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["accuracy >= 0.1", "nll <= 0.1", "ece <= 0.02"]
    assert "measured" in cases[1].find("failure").get("message")
    assert cases[2].find("skipped") is not None


def test_sarif_has_a_result_for_what_did_not_pass(run, slope):
    body = json.loads(outcome(run, slope, "sarif").out)
    assert body["version"] == "2.1.0"
    (sarif,) = body["runs"]
    assert len(sarif["tool"]["driver"]["rules"]) == 3
    assert [one["level"] for one in sarif["results"]] == ["error", "warning"]
    where = sarif["results"][0]["locations"][0]["physicalLocation"]
    assert where["region"]["startLine"] == 1


def test_tap_has_a_line_a_requirement(run, slope):
    lines = outcome(run, slope, "tap").out.splitlines()
    assert lines[:2] == ["TAP version 14", "1..3"]
    assert [line for line in lines[2:] if not line.startswith(" ")] == [
        "ok 1 - accuracy >= 0.1",
        "not ok 2 - nll <= 0.1",
        "ok 3 - ece <= 0.02 # SKIP inconclusive",
    ]


def test_rules_of_sarif_are_unique(run, slope):
    twice = ("--require", "nll <= 0.1", "--require", "nll <= 0.1")
    body = json.loads(run("check", slope / "few.npz", *twice, "--format", "sarif", *FEW).out)
    (sarif,) = body["runs"]
    assert [rule["id"] for rule in sarif["tool"]["driver"]["rules"]] == ["nll <= 0.1"]
    assert len(sarif["results"]) == 2


MESSAGE = "no.npz: no such file"
ERRORS = {
    "json": lambda text: json.loads(text)["error"],
    "github": lambda text: text.removeprefix("::error title=calibtool::").rstrip("\n"),
    "gitlab": lambda text: json.loads(text)[0]["description"],
    "junit": lambda text: ET.fromstring(text).find("testsuite/testcase/error").get("message"),
    "sarif": lambda text: json.loads(text)["runs"][0]["invocations"][0][
        "toolExecutionNotifications"
    ][0]["message"]["text"],
    "tap": lambda text: text.removeprefix("TAP version 14\nBail out! ").rstrip("\n"),
    "table": lambda text: text or MESSAGE,
    "csv": lambda text: text or MESSAGE,
    "markdown": lambda text: text or MESSAGE,
}


@pytest.mark.parametrize("format_", FORMATS)
def test_an_error_has_the_format_that_was_asked_for(format_, run, folder, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    words = ["check", "no.npz", "--require", "ece <= 0.1"]
    result = run(*words, "--format", format_)
    assert (result.code, result.err) == (2, f"calibtool: {MESSAGE}\n")
    assert ERRORS[format_](result.out) == MESSAGE
    summary = Path("summary.md")
    assert (summary.exists() and "no.npz" in summary.read_text()) == (format_ == "github")
    Path("there").write_text("as it was")
    for file in ("there", "new"):
        result = run(*words, f"--format={format_}", "-o", file)
        assert (result.code, result.err) == (2, f"calibtool: {MESSAGE}\n")
    assert Path("there").read_text() == "as it was"
    if format_ in ("table", "csv", "markdown"):
        assert not Path("new").exists()
    else:
        assert ERRORS[format_](Path("new").read_text()) == MESSAGE


def test_errors_of_usage_have_a_format_too(run, folder):
    for words in (["evaluate", "--colour"], ["evaluate"], ["plot", "nothing"]):
        result = run(*words, "--format", "json")
        body = json.loads(result.out)
        assert (body["format"], body["version"]) == ("calibtool-error", 1)
        assert result.err == f"calibtool: {body['error']}\n"


def test_gitlab_has_an_issue_for_what_did_not_pass(run, slope):
    issues = json.loads(outcome(run, slope, "gitlab").out)
    assert [issue["severity"] for issue in issues] == ["major", "minor"]
    assert len({issue["fingerprint"] for issue in issues}) == 2
    assert set(issues[0]["location"]) == {"path", "lines"}


@pytest.mark.parametrize("format_", FORMATS)
def test_an_inconclusive_verdict_counts_in_every_format_as_is_said(format_, run, slope):
    words = ("check", slope / "few.npz", "--require", "ece <= 0.02", *FEW, "--format", format_)
    failed = run(*words, "--inconclusive", "fail")
    passed = run(*words, "--inconclusive", "pass")
    assert (failed.code, passed.code) == (1, 0)
    marks = {
        "github": ("::error", "Passed"),
        "junit": ('failures="1"', 'failures="0"'),
        "sarif": ('"error"', '"results": []'),
        "tap": ("not ok 1", "ok 1"),
        "gitlab": ("major", "[]"),
    }
    if format_ in marks:
        assert marks[format_][0] in failed.out
        assert marks[format_][1] in passed.out
        assert marks[format_][0] not in passed.out


# ------------------------------------------------------------------ configuration


def test_requirements_in_pyproject_or_in_a_file_of_their_own(run, slope):
    good = shutil.copy(slope / "main.npz", "good.npz")
    table = f'require = ["ece <= 0.9"]\nfile = "{good}"\nci = "none"\nmode = "point"\n'
    Path("pyproject.toml").write_text(f"[tool.calibtool.check]\n{table}")
    assert run("check").code == 0
    assert run("check", good).code == 0
    Path("strict.toml").write_text('[check]\nrequire = "ece <= 0.0001"\n')
    assert run("check", good, "--config", "strict.toml", *POINT).code == 1
    Path("strict.toml").write_text('[tool.calibtool.check]\nrequire = ["ece <= 0.0001"]\n')
    assert run("check", good, "--config", "strict.toml", *POINT).code == 1
    more = ("--require", "nll <= 100")
    result = run("check", good, "--config", "strict.toml", *more, *POINT)
    assert result.code == 1
    assert "1 of 2" in result.out


def test_the_configuration_decides_what_is_not_typed(run, slope):
    shutil.copy(slope / "few.npz", "few.npz")
    table = '[check]\nfile = "few.npz"\nrequire = "ece <= 0.02"\nresamples = 100\n'
    for line, code in (("", 3), ('inconclusive = "fail"', 1), ('inconclusive = "pass"', 0)):
        Path("calibtool.toml").write_text(table + line)
        assert run("check").code == code
    assert run("check", "--inconclusive", "fail").code == 1
    Path("calibtool.toml").write_text(table + 'mode = "point"\n')
    assert run("check").code == 1


def test_the_command_line_wins_over_the_configuration(run, slope):
    toml = '[tool.calibtool.check]\nrequire = ["ece <= 0.9"]\nfile = "other.npz"\nlevel = 0.8\n'
    Path("pyproject.toml").write_text(toml)
    assert "80 % interval" in run("check", slope / "few.npz", *FEW).out
    assert "90 % interval" in run("check", slope / "few.npz", *FEW, "--level", "0.9").out


def test_mistakes_of_the_configuration_are_named_by_line(refused, slope):
    Path("pyproject.toml").write_text(
        '[project]\nname = "x"\n\n[tool.calibtool.check]\nrequires = ["ece <= 0.9"]\nseed = 0.5\n'
    )
    refused(
        "check",
        slope / "few.npz",
        says=("pyproject.toml:5: there is no key 'requires'", "pyproject.toml:6: seed must be"),
    )


def test_init_writes_what_check_reads(run, slope):
    shutil.copy(slope / "main.npz", "main.npz")
    made = run("check", "main.npz", "--init", "calibtool.toml", *FEW)
    assert made.code == 0
    assert "Now: calibtool check" in " ".join(made.out.split())
    table = tomllib.loads(Path("calibtool.toml").read_text())["check"]
    assert table["file"] == "main.npz"
    assert run("check", *FEW).code == 0
    assert run("check", slope / "new.npz", *FEW).code == 1
    again = run("check", "main.npz", "--init", "calibtool.toml", *FEW)
    assert again.code == 2
    assert "already" in again.err


def test_init_keeps_how_the_file_is_read_and_calibrated(run, refused, demo):
    run("fit-temperature", demo / "fashion_val.npz", "-o", "t.json", "--ci", "none")
    with np.load(demo / "fashion_test.npz") as file:
        np.savez("odd.npz", z=file["logits"], truth=file["labels"])
    words = ("odd.npz", "--logits", "z", "--labels", "truth", "--calibrator", "t.json", *FEW)
    assert run("check", *words, "--init", "calibtool.toml").code == 0
    table = tomllib.loads(Path("calibtool.toml").read_text())["check"]
    assert (table["logits"], table["labels"], table["calibrator"]) == ("z", "truth", "t.json")
    assert float(table["require"][0].split()[-1]) < 0.03
    assert run("check", *FEW).code == 0
    refused("check", "--init", "new.toml", says=("--init needs a FILE",))
    also = ("--require", "ece <= 0.9")
    refused("check", *words, *also, "--init", "new.toml", says=("from FILE alone",))


def test_init_keeps_which_rows_are_read(run, demo):
    words = ("check", demo / "visits.parquet", "--filter", "age > 40", "--skip-bad-files", *FEW)
    assert run(*words, "--init", "calibtool.toml").code == 0
    assert run("check", "--format", "json", *FEW).code == 0
    assert set(READING) <= set(SETTINGS)


def test_init_adds_to_a_pyproject_that_is_there(run, slope):
    shutil.copy(slope / "main.npz", "main.npz")
    Path("pyproject.toml").write_text('[project]\nname = "x"\n')
    assert run("check", "main.npz", "--init", "pyproject.toml", *FEW).code == 0
    assert tomllib.loads(Path("pyproject.toml").read_text())["project"]["name"] == "x"
    assert run("check", *FEW).code == 0


def test_a_gate_holds_what_a_calibrator_makes_of_a_file(run, demo):
    run("fit-temperature", demo / "fashion_val.npz", "-o", "t.json", "--ci", "none")
    words = ("check", demo / "fashion_test.npz", "--require", "ece <= 0.03", *FEW)
    assert run(*words).code == 1
    assert run(*words, "--calibrator", "t.json").code == 0


def test_a_gate_reads_the_same_flags_as_evaluate(run, data):
    np.savez("odd.npz", z=data.logits, truth=data.labels)
    words = ("odd.npz", "--logits", "z", "--labels", "truth")
    assert run("check", *words, "--require", "ece <= 0.9", *POINT).code == 0


# ------------------------------------------------------------------ where it runs

PYTEST = """
from calibtool.testing import assert_calibrated

def test_good():
    assert_calibrated("main.npz", "ece <= 0.2", resamples=100)

def test_bad():
    assert_calibrated("new.npz", "ece <= 0.03", "accuracy >= 0.1", resamples=100)
"""


def test_an_assertion_in_a_users_own_tests_shows_the_table(slope):
    for name in ("main.npz", "new.npz"):
        shutil.copy(slope / name, name)
    Path("test_model.py").write_text(PYTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_model.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert "AssertionError: not calibrated as required" in done.stdout
    assert "Failed: 1 of 2 requirements not met." in done.stdout
    assert "> " in done.stdout
    assert 'assert_calibrated("new.npz"' in done.stdout


def test_an_inconclusive_assertion_fails_unless_said(slope):
    words = (slope / "few.npz", "ece <= 0.02")
    with pytest.raises(AssertionError, match="inconclusive"):
        assert_calibrated(*words, resamples=100)
    found = assert_calibrated(*words, resamples=100, inconclusive="pass")
    assert found.decision == "inconclusive"
    deltas = {"baseline": slope / "main.npz", "resamples": 100}
    assert_calibrated(slope / "main.npz", "delta(nll) <= 0", **deltas)
    with pytest.raises(AssertionError, match=r"delta\(nll\) <= 0"):
        assert_calibrated(slope / "new.npz", "delta(nll) <= 0", **deltas)


def steps():
    """The shell lines of action.yml, by the name of their step."""
    found, lines, name = {}, (ROOT / "action.yml").read_text().splitlines(), ""
    for at, line in enumerate(lines):
        if line.startswith("    - name: "):
            name = line.removeprefix("    - name: ")
        elif line.startswith("      run: |"):
            body = []
            for own in lines[at + 1 :]:
                if own.strip() and not own.startswith("        "):
                    break
                body.append(own[8:])
            found[name] = "\n".join(body)
        elif line.startswith("      run: "):
            found[name] = line.removeprefix("      run: ")
    return found


def act(**inputs):
    """Run the step `Check` as a runner would: bash -e with the inputs in its environment."""
    Path("bin").mkdir(exist_ok=True)
    tool = Path("bin/calibtool")
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m calibtool "$@"\n')
    tool.chmod(0o755)
    names = ("FILE", "REQUIRE", "CONFIG", "BASELINE", "MODE", "INCONCLUSIVE", "ARGUMENTS", "REPORT")
    environment = {
        **os.environ,
        **dict.fromkeys(names, ""),
        **{name.upper(): str(value) for name, value in inputs.items()},
        "PATH": f"{Path('bin').resolve()}:{os.environ['PATH']}",
        "GITHUB_OUTPUT": "output.txt",
        "GITHUB_STEP_SUMMARY": "summary.md",
        "RUNNER_TEMP": "bin",
    }
    Path("output.txt").write_text("")
    Path("summary.md").write_text("")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()["Check"]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("wanted", "installed"), [(".", "/the/action"), ("x==1", "x==1")])
def test_the_action_installs_itself_or_what_is_said(wanted, installed):
    Path("bin").mkdir()
    Path("bin/python").write_text('#!/bin/sh\necho "$@"\n')
    Path("bin/python").chmod(0o755)
    environment = {
        "PATH": f"{Path('bin').resolve()}:{os.environ['PATH']}",
        "INSTALL": wanted,
        "GITHUB_ACTION_PATH": "/the/action",
    }
    command = ["bash", "-eo", "pipefail", "-c", steps()["Install calibtool"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"-m pip install --quiet {installed}\n"


ACTS = [
    ({"file": "main.npz", "require": "ece <= 0.2\n\naccuracy >= 0.1\n"}, 0, "pass"),
    ({"file": "new.npz", "require": "ece <= 0.03"}, 1, "fail"),
    ({"file": "few.npz", "require": "ece <= 0.02"}, 3, "inconclusive"),
    ({"file": "few.npz", "require": "ece <= 0.02", "inconclusive": "pass"}, 0, "pass"),
    ({"file": "none.npz", "require": "ece <= 0.02"}, 2, "error"),
    ({"file": "new.npz", "baseline": "main.npz", "require": "delta(nll) <= 0.005"}, 1, "fail"),
    ({"config": "my gate.toml", "mode": "point"}, 1, "fail"),
]


@pytest.mark.parametrize(("inputs", "code", "decision"), ACTS)
def test_the_shell_lines_of_the_action(inputs, code, decision, slope):
    for name in ("main.npz", "new.npz", "few.npz"):
        shutil.copy(slope / name, name)
    Path("my gate.toml").write_text('[check]\nfile = "new.npz"\nrequire = "ece <= 0.03"\n')
    done = act(arguments="--resamples 100 --seed '1'", **inputs)
    assert done.returncode == code, done.stdout + done.stderr
    assert Path("output.txt").read_text() == f"decision={decision}\n"
    if code != 2:
        assert ("::" in done.stdout) == (decision != "pass")
        assert "### calibtool" in Path("summary.md").read_text()


def test_the_action_writes_a_report_and_a_comment(slope):
    shutil.copy(slope / "few.npz", "few.npz")
    given = {"file": "few.npz", "require": "nll <= 0.1", "arguments": "--resamples 100"}
    done = act(**given, report="page.html")
    assert done.returncode == 1
    assert Path("output.txt").read_text() == "decision=fail\nreport=page.html\n"
    assert "<html" in Path("page.html").read_text()
    done = act(**given, report="no/folder.html")
    assert done.returncode == 1
    assert "::warning title=calibtool::no report" in done.stdout
    gh = Path("bin/gh")
    gh.write_text('#!/bin/sh\necho "$@"\n')
    gh.chmod(0o755)
    environment = {"PATH": f"bin:{os.environ['PATH']}", "RUNNER_TEMP": "bin", "PULL_REQUEST": "7"}
    command = ["bash", "-eo", "pipefail", "-c", steps()["Comment"]]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    words = "pr comment 7 --edit-last --create-if-none --body-file bin/calibtool-summary.md"
    assert said.stdout.split() == words.split()
    assert "### calibtool: Failed: 1 of 1" in Path("bin/calibtool-summary.md").read_text()


def test_the_inputs_of_the_action_reach_its_shell_lines():
    """Every input is handed over by the environment, never pasted into a shell line."""
    text = (ROOT / "action.yml").read_text()
    assert all("${{" not in lines for lines in steps().values())
    inputs = text.split("outputs:")[0].split("inputs:")[1]
    names = [
        line.strip(" :") for line in inputs.splitlines() if line.startswith("  ") and line[2] != " "
    ]
    assert len(names) == 11
    assert all(f" inputs.{name} " in text for name in names)


def test_the_pre_commit_hook_checks_what_requirements_name(run, slope):
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    entry = next(line for line in text.splitlines() if "entry:" in line).split(": ")[1]
    words = entry.split()[1:]
    shutil.copy(slope / "new.npz", "new.npz")
    assert run(*words, "new.npz", "README.md") == (0, "", "")
    Path("calibtool.toml").write_text('[check]\nrequire = "ece <= 0.03"\n')
    assert run(*words, "calibtool.toml") == (0, "", "")
    settings = 'file = "./new.npz"\nrequire = "ece <= 0.03"\nresamples = 100\n'
    Path("calibtool.toml").write_text(f"[check]\n{settings}")
    assert run(*words, "README.md", "other.npz") == (0, "", "")
    for changed in ("new.npz", "calibtool.toml"):
        found = run(*words, "README.md", changed)
        assert found.code == 1
        assert "Failed: 1 of 1 requirements not met" in found.out
        assert "Requirements of calibtool.toml." in found.out


def test_mlflow_gets_metrics_and_artifacts(slope):
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    store = Path("store").resolve()
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": store.as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    words = ["check", str(slope / "new.npz"), "--require", "ece <= 0.03", *FEW]
    command = [sys.executable, "-m", "calibtool", *words, "--log-to", "mlflow"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Failed: 1 of 1" in done.stdout
    found = {path.name: path for path in store.rglob("*") if path.is_file()}
    outcome = json.loads(found["outcome.json"].read_text())
    measured = outcome["requirements"][0]["measured"]
    for name, key in (("ece", "value"), ("ece.low", "low"), ("ece.high", "high")):
        assert float(found[name].read_text().split()[1]) == measured[key]
    assert float(found["passed"].read_text().split()[1]) == 0
    assert float(found["margin.ece_max_0.03"].read_text().split()[1]) < 0
    assert "confidence" in found["reliability.txt"].read_text()
    assert found["calibtool.decision"].read_text() == "fail"


def test_wandb_gets_metrics_and_artifacts(slope):
    """Through the real client into a run kept offline, which holds its records as they are."""
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    words = ["check", str(slope / "new.npz"), "--require", "ece <= 0.03", *FEW]
    command = [sys.executable, "-m", "calibtool", *words, "--format", "json", "--log-to", "wandb"]
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(Path.cwd())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    measured = json.loads(done.stdout)["requirements"][0]["measured"]
    (kept,) = Path("wandb").glob("offline-run-*/*.wandb")
    record = kept.read_bytes()
    for name, key in (("ece", "value"), ("ece.low", "low"), ("ece.high", "high")):
        assert name.encode() in record
        assert json.dumps(measured[key]).encode() in record
    for name in (b"margin.ece_max_0.03", b"outcome.json", b"reliability.txt"):
        assert name in record


def test_wandb_without_an_account_is_a_warning(slope):
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    words = ["check", str(slope / "main.npz"), "--require", "ece <= 0.5", *FEW]
    command = [sys.executable, "-m", "calibtool", *words, "--log-to", "wandb"]
    drop = ("WANDB_MODE", "WANDB_API_KEY")
    environment = {k: v for k, v in os.environ.items() if k not in drop}
    environment |= {"HOME": str(Path.cwd()), "NETRC": "none", "WANDB_DIR": str(Path.cwd())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "warning: Weights & Biases could not log" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tracker_that_cannot_be_reached_changes_no_verdict(slope):
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    Path("occupied").write_text("a file where a folder should be")
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": (Path("occupied").resolve() / "store").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    words = ["check", str(slope / "main.npz"), "--require", "ece <= 0.5", *FEW]
    command = [sys.executable, "-m", "calibtool", *words, "--log-to", "mlflow"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Passed" in done.stdout
    assert "warning: MLflow could not log" in done.stderr
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------ published predictions


def test_resnet20_on_cifar10_fails_and_passes_after_temperature_scaling(run, published):
    file = published / "cifar10_resnet20.npz"
    words = ("check", file, "--require", "ece <= 0.02", "--resamples", "400")
    raw = run(*words)
    assert raw.code == 1
    assert "violated beyond sampling noise" in raw.out
    assert run("fit-temperature", file, "-o", "t.json", "--ci", "none").code == 0
    assert run(*words, "--calibrator", "t.json").code == 0
    assert run(*words, "--calibrator", "t.json", "--mode", "prove").code == 0


def test_shuffled_labels_fail(run, published):
    with np.load(published / "cifar10_resnet20.npz") as file:
        labels = np.random.default_rng(0).permutation(file["labels"])
        np.savez("shuffled.npz", logits=file["logits"], labels=labels)
    words = ("--require", "ece <= 0.05", "--require", "accuracy >= 0.9", *FEW)
    result = run("check", "shuffled.npz", *words)
    assert result.code == 1
    assert "Failed: 2 of 2" in result.out


def test_a_truncated_file_is_an_error(refused, published):
    whole = (published / "cifar10_resnet20.npz").read_bytes()
    Path("cut.npz").write_bytes(whole[: len(whole) // 2])
    refused("check", "cut.npz", "--require", "ece <= 0.5", says=("cut.npz", "truncated"))


def test_a_report_from_main_stops_what_got_worse(run, published):
    file = published / "cifar10_resnet20.npz"
    run("fit-temperature", file, "-o", "t.json", "--ci", "none")
    run("apply", "t.json", file, "-o", "scaled.npz")
    assert run("evaluate", "scaled.npz", *FEW, "--format", "json", "-o", "main.json").code == 0
    words = ("--require", "delta(ece) <= 0.01", "--require", "delta(nll) <= 0.005", *FEW)
    assert run("check", file, "--baseline", "main.json", *words).code == 1
    assert run("check", file, "--baseline", "scaled.npz", *words).code == 1
    assert run("check", "scaled.npz", "--baseline", file, *words).code == 0


def test_calibrated_in_memory(overconfident):
    assert_calibrated(overconfident, "accuracy >= 0.1", resamples=100)
    with pytest.raises(AssertionError):
        assert_calibrated(overconfident, "ece <= 0.01", resamples=100)
    cooler = ct.fit("temperature", overconfident)
    assert_calibrated(overconfident, "ece <= 0.05", calibrator=cooler, resamples=100)


# ------------------------------------------------------------------ the page


def section(page, title):
    """A part of a page of docs/how-to."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_page_works_pasted_into_a_fresh_repository(process, demo):
    """The console's commands, then the lines of the workflow, in a folder with predictions."""
    text = section("gate.md", "Set up a fresh repository")
    commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    runs = [line.split("run: ")[1] for line in text.splitlines() if "- run: calibtool" in line]
    assert len(commands) == 2
    assert len(runs) == 1
    for line in [*commands, *runs]:
        done = process(line)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert done.stdout.endswith("Passed: 4 of 4 requirements met.\n")


def test_the_test_on_the_page_passes(demo):
    text = section("hooks-and-tests.md", "Check in your own tests")
    code = text.split("```python\n")[1].split("```")[0]
    Path("test_page.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_by_holds_every_requirement_in_each_slice(run, demo):
    words = ("check", demo / "visits.parquet", "--require", "ece <= 0.5", *FEW)
    result = run(*words, "--by", "country", "--format", "json")
    (requirement,) = json.loads(result.out)["requirements"]
    assert requirement["requirement"] == "ece <= 0.5 by country"
    assert requirement["level"] > 0.95
    assert run(*words, "--by", "").code == 2
    assert run(*words, "--by", "country,country").code == 2


def test_rows_that_hang_together_are_resampled_together(run, demo):
    words = ("check", demo / "visits.parquet", "--require", "accuracy >= 0.5")
    ends = []
    for more in ((), ("--cluster", "user_id")):
        body = json.loads(run(*words, *more, "--format", "json").out)
        measured = body["requirements"][0]["measured"]
        ends.append(measured["high"] - measured["low"])
    assert ends[1] > 1.1 * ends[0]
