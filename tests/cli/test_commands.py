"""What a user of the README types, in an empty folder, and what comes of it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibtool as ct
from calibtool.calibrators.registry import METHODS
from calibtool.cli.main import COMMANDS
from calibtool.cli.options import READING
from calibtool.metrics.registry import METRICS, SETS

ALL = [name for section in COMMANDS.values() for name in section]
# what an example needs besides its name
FLAGS = {"scenes.npz": ("--ignore", "255")}
FEW = ("--resamples", "50")
NONE = ("--ci", "none")


@pytest.fixture
def demo(run):
    """The example files, as the README makes them."""
    assert run("example", "demo/").code == 0
    return Path("demo")


def values(run, *arguments):
    result = run("evaluate", *arguments, *NONE, "--format", "json")
    assert result.code == 0, result.err
    return {e["name"]: e["value"] for e in json.loads(result.out)["metrics"]}


def narrow(text):
    return max(map(len, text.splitlines()), default=0) <= 80


# ------------------------------------------------------------------ learn


def test_example_writes_real_predictions_and_says_what_next(run, folder):
    result = run("example")
    assert result.code == 0
    assert "Next: calibtool evaluate" in result.out
    names = sorted(path.name for path in Path("demo").iterdir())
    assert names == [
        "answers.csv",
        "days.parquet",
        "digits_binary.parquet",
        "fashion_test.npz",
        "fashion_val.npz",
        "scenes.npz",
        "tags.parquet",
        "visits.parquet",
    ]
    follow = re.search(r"Next: calibtool (.*)", result.out)[1].split()
    assert run(*follow, *NONE).code == 0
    assert run("example").code == 0  # twice does no harm


def test_every_example_can_be_evaluated_and_inspected(run, demo):
    for path in sorted(demo.iterdir()):
        assert run("evaluate", path, *FLAGS.get(path.name, ()), *FEW).code == 0
        assert "Would be read" in run("inspect", path).out


@pytest.mark.parametrize("name", [None, *ALL, "plot reliability"])
def test_help_of_every_command(name, run):
    words = name.split() if name else []
    for option in ("--help", "-h"):
        result = run(*words, option)
        assert result.code == 0
        assert "Usage: calibtool" in result.out
        assert narrow(result.out)
        assert result.err == ""
    if not name:
        assert all(command in result.out for command in ALL)
        assert len(result.out.splitlines()) <= 50, "help fits one screen"


def test_options_of_reading_are_told_once(run, refused):
    shown = run("evaluate", "--help").out
    assert len(shown.splitlines()) <= 32
    assert "--soft-labels" not in shown
    assert "calibtool help reading" in shown
    assert "\nOutput:\n" in shown
    assert "\nIntervals (--ci, --resamples, --level, --seed): calibtool help intervals\n" in shown
    assert "\nResources (--dask, --state): calibtool help resources\n" in shown
    for topic, options in (("intervals", ("--ci", "--level")), ("resources", ("--dask",))):
        assert all(f"\n  {option} " in run("help", topic).out for option in options)
    other = run("monitor", "--help").out  # whose intervals have another default
    assert "\nIntervals:\n" in other
    assert "help intervals" not in other
    assert "\n  --name NAME" in run("plot", "reliability", "--help").out
    told = run("help", "reading").out
    assert narrow(told)
    assert all(f"--{name.replace('_', '-')}" in told for name in READING)
    assert "calibtool help reading" not in run("metrics", "--help").out
    refused("help", "nothing", says=("reading",))


def test_calibrators_are_listed_by_family_and_called_in_two_ways(run, refused, demo):
    listed = run("fit", "--help").out
    assert all(re.search(rf"^  {name} ", listed, re.MULTILINE) for name in METHODS)
    file = demo / "digits_binary.parquet"
    for name in ("platt", "beta"):
        one, other = (run(*words, file, *NONE) for words in (["fit", name], [f"fit-{name}"]))
        assert one.code == 0
        assert one.out == other.out
    refused("fit", "betta", file, says=("calibrator 'betta'", "did you mean beta"))
    refused("fit-bta", file, says=("command 'fit-bta'", "did you mean fit-beta"))


def test_version(run):
    assert run("--version").out == f"calibtool {ct.__version__}\n"


def test_without_a_command_there_is_help_and_an_error(run):
    result = run()
    assert result.code == 2
    assert "evaluate" in result.err


def test_metrics_in_every_format(run):
    table = run("metrics").out
    assert all(name in table for name in METRICS)
    assert narrow(table)
    found = json.loads(run("metrics", "--format", "json").out)
    assert [line["metric"] for line in found["metrics"]] == list(METRICS)
    rows = list(csv.DictReader(io.StringIO(run("metrics", "--format", "csv").out)))
    assert [row["metric"] for row in rows] == list(METRICS)
    assert "| classwise-ece |" in run("metrics", "--format", "markdown").out
    assert run("metrics", "-o", "metrics.txt").out == ""
    assert Path("metrics.txt").read_text() == table


# ------------------------------------------------------------------ evaluate


def test_the_table_fits_a_screen_and_reads_itself(run, demo):
    result = run("evaluate", demo / "fashion_test.npz", *FEW)
    assert result.code == 0
    assert result.err == ""
    assert narrow(result.out)
    assert len(result.out.splitlines()) <= 24
    assert "5,000 rows, 10 classes, logits" in result.out
    assert all(name in result.out for name in SETS["default"])
    assert "Overconfident: says 95.3 %, is right 88.9 % of the time" in result.out
    assert "Next: calibtool select" in " ".join(result.out.split())


def test_names_of_metrics_are_whole_in_80_columns(run, demo):
    specs = ("calibration-lp(view=top,side=over)", *METRICS)
    words = ("evaluate", demo / "digits_binary.parquet", "--metrics", ",".join(specs))
    out = run(*words, "--resamples", "20").out
    assert narrow(out)
    first = {line.split()[0] for line in out.splitlines() if line.strip()}
    missing = set(re.search(r"Not available: (.*?) \(", out)[1].split(", "))
    assert set(specs) <= first | missing


def test_json_agrees_with_python_to_the_last_bit(run, demo):
    path = demo / "fashion_test.npz"
    result = run("evaluate", path, *FEW, "--format", "json")
    found = json.loads(result.out)["metrics"]
    report = ct.evaluate(ct.load(path), resamples=50)
    assert [e["name"] for e in found] == list(SETS["default"])
    for mine, theirs in zip(found, report, strict=True):
        for key in ("value", "low", "high", "corrected", "p_value", "signature"):
            assert mine[key] == getattr(theirs, key)


def test_csv_agrees_with_json(run, demo):
    path = demo / "fashion_test.npz"
    found = json.loads(run("evaluate", path, *FEW, "--format", "json").out)["metrics"]
    rows = csv.DictReader(io.StringIO(run("evaluate", path, *FEW, "--format", "csv").out))
    for row, estimate in zip(rows, found, strict=True):
        assert row["name"] == estimate["name"]
        assert float(row["value"]) == estimate["value"]
        assert float(row["low"]) == estimate["low"]


def test_markdown_is_a_table(run, demo):
    out = run("evaluate", demo / "fashion_test.npz", *FEW, "--format", "markdown").out
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(SETS["default"])
    assert len({line.count("|") for line in rows}) == 1


@pytest.mark.parametrize("format_", ["table", "json", "csv", "markdown"])
def test_a_file_holds_what_would_have_been_printed(format_, run, demo):
    words = ("evaluate", demo / "fashion_test.npz", *NONE, "--format", format_)
    printed = run(*words)
    written = run(*words, "-o", "report")
    assert written.code == 0
    assert written.out == ""
    assert Path("report").read_text() == printed.out


def test_a_dash_is_standard_output(run, good):
    assert run("evaluate", good, *NONE, "-o", "-").out == run("evaluate", good, *NONE).out
    assert not Path("-").exists()


def test_signatures_are_shown_and_kept_in_files(run, good):
    words = ("evaluate", good, *NONE, "--metrics", "ece", "--signatures")
    assert "ece|view:top|bins:15" in run(*words).out
    run(*words, "-o", "report.txt")
    assert "ece|view:top|bins:15" in Path("report.txt").read_text()
    assert "ece|view:top|bins:15" in run(*words, "--format", "markdown").out


def test_the_same_seed_gives_the_same_report_and_another_does_not(run, good):
    first = run("evaluate", good, *FEW).out
    assert run("evaluate", good, *FEW).out == first
    assert run("evaluate", good, *FEW, "--seed", "1").out != first


def test_metrics_of_ones_own(run, good):
    found = values(run, good, "--metrics", "ece(bins=20), classwise-ece ,nll,ECE(norm=l2)")
    assert list(found) == ["ece(bins=20)", "classwise-ece", "nll", "ece(norm=l2)"]
    assert found["ece(norm=l2)"] == values(run, good, "--metrics", "rmsce")["rmsce"]


def test_over_and_underconfidence_apart_by_calibration_lp(run, demo):
    """Without an interval, as its page says; `check` then decides by the value alone."""
    specs = [
        "calibration-lp(p=2)",
        *(f"calibration-lp(view=top,side={s})" for s in ("over", "under")),
    ]
    specs.append("calibration-lp(side=over)")
    out = run(
        "evaluate", demo / "fashion_val.npz", "--metrics", ",".join(specs), "--format", "json"
    )
    found = {line["name"]: line for line in json.loads(out.out)["metrics"]}
    assert [found[spec]["low"] for spec in specs] == [None] * 4
    both, over, under, missing = (found[spec]["value"] for spec in specs)
    assert over > 0.04
    assert abs(under) < 0.01
    assert both > over
    assert missing is None
    text = run("evaluate", demo / "fashion_val.npz", "--metrics", specs[-1]).out
    assert "a side needs one score per row; add view=top" in " ".join(text.split())
    page = run("metrics", "calibration-lp").out
    assert "options: p=1, view=rows, side=both" in page
    requirement = ("--require", "calibration-lp <= 0.2")
    assert run("check", demo / "fashion_val.npz", *requirement).code == 2
    assert run("check", demo / "fashion_val.npz", *requirement, "--mode", "point").code == 0


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("calibration-lp(p=3)", "there is no p '3'; expected one of 1, 2, inf"),
        ("calibration-lp(side=left)", "there is no side 'left'"),
        ("calibration-lp(view=label)", "there is no view 'label'"),
    ],
)
def test_what_calibration_lp_cannot_be_asked(spec, says, refused, good):
    refused("evaluate", good, "--metrics", spec, says=(says,))


def test_a_report_says_the_level_it_was_made_at(run, good):
    assert "90 % interval" in run("evaluate", good, *FEW, "--level", "0.9").out
    assert "100 % interval" not in run("evaluate", good, *FEW, "--level", "0.99999").out


def test_confidences_alone_say_what_is_not_available(run, demo):
    result = run("evaluate", demo / "answers.csv", *FEW)
    assert result.code == 0
    assert "nll(view=top) " in result.out
    assert "brier(view=top) " in result.out
    assert "Not available: classwise-ece (needs whole probability rows)" in result.out
    assert "fit-temperature" not in result.out  # it could not be fitted
    assert narrow(result.out)


def test_numbers_of_the_examples_are_those_of_their_readme(run, demo):
    found = values(run, demo / "fashion_test.npz")
    assert found["accuracy"] == pytest.approx(0.8886, abs=5e-5)
    assert found["mean-confidence"] == pytest.approx(0.9531, abs=5e-5)
    assert found["ece"] == pytest.approx(0.0648, abs=5e-5)
    assert found["nll"] == pytest.approx(0.4540, abs=5e-5)
    binary = values(run, demo / "digits_binary.parquet")
    assert binary["ece(view=positive)"] == pytest.approx(0.115, abs=5e-4)
    assert binary["nll"] == pytest.approx(0.494, abs=5e-4)
    assert values(run, demo / "answers.csv")["ece"] == pytest.approx(0.110, abs=5e-4)


# ------------------------------------------------------------------ fit and apply


def test_fit_without_a_test_file_is_cross_fitted_and_says_so(run, demo):
    result = run("fit-temperature", demo / "fashion_val.npz", "-o", "temperature.json", *FEW)
    assert result.code == 0
    assert "T = 2.213" in result.out
    assert "cross-fitted in 5 folds" in " ".join(result.out.split())
    assert narrow(result.out)
    document = json.loads(Path("temperature.json").read_text())
    assert document["parameters"]["temperature"] == pytest.approx(2.213, abs=5e-4)
    assert document["fitted"]["rows"] == 5000
    assert document["classes"] == 10


def test_fit_with_a_test_file_reports_that_file(run, demo):
    words = (demo / "fashion_val.npz", "--test", demo / "fashion_test.npz", *FEW)
    result = run("fit-temperature", *words, "-o", "t.json")
    assert result.code == 0
    assert "fashion_test.npz: 5,000 rows" in result.out
    assert "cross-fitted" not in result.out
    assert "0.4540" in result.out
    assert "0.3173" in result.out


def test_fit_without_an_output_writes_nothing_and_says_so(run, good, folder):
    result = run("fit-temperature", good, *NONE)
    assert "-o temperature.json" in result.out
    assert [path.name for path in folder.iterdir()] == ["good.npz"]


def test_fit_reports_in_json_that_can_be_read(run, good):
    result = run("fit-temperature", good, "-o", "t.json", *NONE, "--format", "json")
    found = json.loads(result.out)
    assert "cross-fitted" in found["calibrator"]
    assert all(e["after"]["value"] is not None for e in found["metrics"])


def test_the_grid_of_the_paper(run, good):
    run("fit-temperature", good, "--objective", "ece", "-o", "t.json", *NONE)
    temperature = json.loads(Path("t.json").read_text())["parameters"]["temperature"]
    assert temperature * 10 == pytest.approx(round(temperature * 10))


def test_before_and_after_side_by_side(run, demo):
    run("fit-temperature", demo / "fashion_val.npz", "-o", "t.json", *NONE)
    result = run("evaluate", demo / "fashion_test.npz", "--calibrator", "t.json", *FEW)
    assert result.code == 0
    assert narrow(result.out)
    for word in ("before", "after", "change", "corrected for bias", "better"):
        assert word in result.out


@pytest.mark.parametrize("suffix", ["npz", "parquet", "feather", "arrow", "csv"])
@pytest.mark.parametrize("kind", ["logits", "probs", "column"])
def test_what_apply_writes_measures_as_evaluate_said(kind, suffix, run, data):
    weights = 1 + np.arange(240) % 3
    if kind == "column":
        p, y = data.probs[:, 0], (data.labels == 0).astype(int)
        np.savez("in.npz", probs=p, labels=y, weights=weights)
    else:
        np.savez("in.npz", **{kind: getattr(data, kind)}, labels=data.labels, weights=weights)
    assert run("fit-temperature", "in.npz", "-o", "t.json", *NONE).code == 0
    report = run("evaluate", "in.npz", "--calibrator", "t.json", *NONE, "--format", "json")
    expected = {e["name"]: e["after"]["value"] for e in json.loads(report.out)["metrics"]}
    result = run("apply", "t.json", "in.npz", "-o", f"out.{suffix}")
    assert result.code == 0
    assert result.out == ""
    assert "240 rows" in result.err
    assert values(run, f"out.{suffix}") == pytest.approx(expected, abs=2e-6)


def test_apply_writes_logits_on_request(run, good):
    run("fit-temperature", good, "-o", "t.json", *NONE)
    run("apply", "t.json", good, "-o", "probs.npz")
    run("apply", "t.json", good, "-o", "logits.npz", "--write", "logits")
    assert ct.load("logits.npz").kind == "logits"
    assert values(run, "logits.npz") == pytest.approx(values(run, "probs.npz"), abs=1e-6)


def test_apply_needs_no_labels_and_keeps_other_columns(run, good, data):
    run("fit-temperature", good, "-o", "t.json", *NONE)
    table = {f"logit_{k}": data.logits[:, k] for k in range(3)}
    table |= {"id": np.arange(240), "text": [f"row {k}" for k in range(240)]}
    pq.write_table(pa.table(table), "in.parquet")
    for suffix in ("npz", "parquet", "csv"):
        assert run("apply", "t.json", "in.parquet", "-o", f"out.{suffix}").code == 0
        found = ct.data.files.open.open_source(
            f"out.{suffix}", need_labels=False, extra=["id", "text"]
        )
        extra = found.load().extra
        np.testing.assert_array_equal(extra["id"], np.arange(240))
        assert extra["text"][7] == "row 7"


def test_class_names_travel_with_the_calibrator_and_the_predictions(run, demo):
    run("fit-temperature", demo / "fashion_val.npz", "-o", "t.json", *NONE)
    names = ct.load(demo / "fashion_val.npz").class_names
    assert tuple(json.loads(Path("t.json").read_text())["class_names"]) == names
    for suffix in ("npz", "parquet", "csv"):
        run("apply", "t.json", demo / "fashion_test.npz", "-o", f"out.{suffix}")
        assert ct.load(f"out.{suffix}").class_names == names


# ------------------------------------------------------------------ plot

MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}


@pytest.mark.parametrize("overlay", [False, True])
@pytest.mark.parametrize("suffix", MAGIC)
def test_a_diagram_is_a_picture_and_the_same_picture_twice(suffix, overlay, run, calibrator, good):
    more = ("--calibrator", calibrator) if overlay else ()
    for name in ("a", "b"):
        result = run("plot", "reliability", good, "-o", f"{name}.{suffix}", *FEW, *more)
        assert result.code == 0
        assert result.out == ""
        assert f"{name}.{suffix}" in result.err
    first = Path(f"a.{suffix}").read_bytes()
    assert first.startswith(MAGIC[suffix])
    assert first == Path(f"b.{suffix}").read_bytes()


def test_a_diagram_that_letters_cannot_draw_is_called_reliability_png_by_default(run, good):
    assert run("plot", "reliability", good, "--smooth", *FEW).code == 0
    assert Path("reliability.png").read_bytes().startswith(MAGIC["png"])


def test_a_diagram_of_every_kind_of_predictions(run, demo):
    for path in sorted(demo.iterdir()):
        flags = FLAGS.get(path.name, ())
        assert run("plot", "reliability", path, "-o", "x.svg", *flags, *FEW).code == 0
        assert "ECE" in Path("x.svg").read_text()


@pytest.mark.parametrize("title", ["50 % of $5", "a_b^c", "$\\frac{", "<&>", "校准"])
def test_a_title_is_text_and_not_a_formula(title, run, good):
    result = run("plot", "reliability", good, "-o", "x.svg", *FEW, "--title", title)
    assert result.code == 0
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert escaped in Path("x.svg").read_text()
    assert len(result.err.splitlines()) == 1


def test_a_format_that_is_not_drawn_is_refused_before_the_work(refused, good):
    for name in ("x.jpg", "x", "x.html"):
        refused("plot", "reliability", good, "-o", name, says=(name, ".png"))


# ------------------------------------------------------------------ inspect


def test_inspect_tells_what_is_read_and_what_is_left_alone(run, data):
    np.savez("in.npz", logits=data.logits, labels=data.labels, features=np.zeros((240, 7)))
    result = run("inspect", "in.npz")
    assert result.code == 0
    assert "240 rows, 3 classes, logits" in result.out
    assert "features" in result.out
    assert "240 rows are few" in result.out
    found = json.loads(run("inspect", "in.npz", "--format", "json").out)
    assert (found["format"], found["problem"]) == ("calibtool-inspection", "")
    assert found["recognised_as"] == "arrays of numpy"


def test_inspect_shows_what_is_there_when_nothing_can_be_read(run, data):
    np.savez("in.npz", activations=data.logits, truth=data.labels)
    result = run("inspect", "in.npz")
    assert "activations" in result.out
    assert "Problem:" in result.out
    assert "--logits" in result.out


def test_inspect_notices_probabilities_called_logits(run, data):
    np.savez("in.npz", logits=data.probs, labels=data.labels)
    assert "--probs logits" in run("inspect", "in.npz").out


# ------------------------------------------------------------------ the terminal


def test_no_escape_codes_where_nobody_watches(process, good, demo, monkeypatch):
    for variable in ("COLUMNS", "FORCE_COLOR"):
        monkeypatch.setenv(variable, "200")
    words = f"calibtool evaluate {good} --ci none"
    for line in (words, f"{words} | cat", "calibtool metrics", "calibtool --help"):
        result = process(line)
        assert result.returncode == 0
        assert "\x1b" not in result.stdout + result.stderr
        assert narrow(result.stdout)


def test_no_colour_on_a_terminal_that_does_not_want_it(process, good):
    command = f"calibtool evaluate {good} --ci none"
    quoted = 'script -qec "$(declare -f calibtool); ' + command + '" /dev/null'
    plain = process(f"NO_COLOR=1 TERM=xterm {quoted}")
    if plain.returncode == 127:
        pytest.skip("no `script` on this machine")
    assert plain.returncode == 0
    assert "\x1b[" not in plain.stdout
    coloured = process(f"unset NO_COLOR; TERM=xterm {quoted}")
    assert "\x1b[" in coloured.stdout


@pytest.mark.parametrize("name", ["a" * 100 + ".npz", "names of many words " * 6 + ".npz"])
def test_long_names_do_not_widen_the_table(name, run, good):
    good.rename(name)
    metrics = "ece(bins=20,profile=equal_mass,norm=l2,view=top),classwise-ece(bins=37),nll"
    assert narrow(run("evaluate", name, *FEW, "--metrics", metrics).out)
    assert narrow(run("check", name, *FEW, "--require", "ece(bins=20,norm=l2) <= 0.9").out)


def test_python_dash_m_is_the_same_command(process, good):
    assert (
        process(["evaluate", str(good), *NONE]).stdout
        == process(f"calibtool evaluate {good} --ci none").stdout
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--as", "netcal", "--conventions"], "--as cannot be combined with --conventions"),
        (["--as", "netcal", "--metrics", "ece"], "--as cannot be combined with --metrics"),
        (["--conventions", "--calibrator", "x.json"], "calibtool apply"),
        (["--conventions", "--signatures"], "--conventions cannot be combined with --signatures"),
    ],
)
def test_other_libraries_numbers_stand_alone(run, examples, options, message):
    found = run("evaluate", examples / "fashion_test.npz", *options)
    assert found.code == 2
    assert message in found.err
