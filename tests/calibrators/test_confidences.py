"""Calibrators of confidences: laws over the methods of one score, their files, their commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.calibrators.confidences import as_classes, confidence_methods
from calibtool.calibrators.export.write import export
from calibtool.calibrators.registry import METHODS
from calibtool.cli.main import main
from calibtool.errors import FitError, InputError, NotAvailableError, UsageError

FIVE = ("temperature", "platt", "beta", "isotonic", "histogram")
OTHERS = [name for name in METHODS if name not in confidence_methods()]


def logit(c):
    return np.log(c) - np.log1p(-c)


def expit(x):
    return 1 / (1 + np.exp(-x))


def confidences(rows=1500, scale=2.0, seed=0, **more):
    """Confidences whose log-odds are `scale` times as large as they should be."""
    rng = np.random.Generator(np.random.PCG64(seed))
    z = rng.normal(0.8, 1.2, rows)
    made = ct.Predictions.from_confidence(expit(scale * z), rng.random(rows) < expit(z))
    return replace(made, extra={"type": np.array(["a", "b"])[np.arange(rows) % 2], **more})


DATA = confidences()
WHOLE = simulate(300, 3)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {"confidence": DATA.values.tolist(), "correct": DATA.correct.tolist()}
    rows = zip(*columns.values(), DATA.extra["type"].tolist(), strict=True)
    lines = [json.dumps({"confidence": c, "correct": y, "type": t}) for c, y, t in rows]
    (tmp_path / "conf.jsonl").write_text("\n".join(lines))
    return "conf.jsonl"


@pytest.mark.parametrize("method", confidence_methods())
def test_it_is_the_calibrator_of_the_two_classes_right_and_wrong(method):
    fitted = ct.fit(method, DATA)
    two = ct.fit(method, as_classes(DATA))
    after = fitted(DATA)
    assert (after.kind, after.classes, fitted.classes) == ("confidence", None, None)
    np.testing.assert_array_equal(after.values, two(as_classes(DATA)).values[:, 0])
    np.testing.assert_array_equal(after.correct, DATA.correct)
    assert after.extra is DATA.extra or list(after.extra) == ["type"]
    assert ((after.values >= 0) & (after.values <= 1)).all()
    assert fitted.describe().startswith(f"{METHODS[method].title} of confidences (")


def test_a_temperature_is_of_the_log_odds():
    fitted = ct.fit("temperature", DATA)
    t = fitted.map.temperature
    assert t == pytest.approx(2, abs=0.25)
    np.testing.assert_allclose(fitted(DATA).values, expit(logit(DATA.values) / t), atol=1e-12)


def test_a_sigmoid_is_of_the_log_odds():
    fitted = ct.fit("platt", DATA)
    curve = fitted.map.curves[0]
    expected = expit(curve.a * logit(DATA.values) + curve.c)
    np.testing.assert_allclose(fitted(DATA).values, expected, atol=1e-12)


@pytest.mark.parametrize("method", FIVE)
def test_what_is_calibrated_stays_nearly_as_it_is(method):
    p = confidences(rows=20_000, scale=1.0)
    before, after = p.values, ct.fit(method, p)(p).values
    # a bin of the histogram is 1/15 wide, and its share has a standard error of up to 2 %
    assert np.abs(after - before).mean() < (0.03 if method == "histogram" else 0.015)
    again = ct.fit(method, replace(p, values=after))(replace(p, values=after)).values
    assert np.abs(again - after).mean() < (0.03 if method == "histogram" else 1e-4)


@pytest.mark.parametrize("method", [name for name in FIVE if name != "histogram"])
def test_it_keeps_the_order(method):
    p = replace(DATA, values=np.sort(DATA.values))
    assert (np.diff(ct.fit(method, DATA)(p).values) >= -1e-15).all()


@pytest.mark.parametrize("method", confidence_methods())
def test_it_is_saved_and_loaded_to_the_bit(method, tmp_path):
    fitted = ct.fit(method, DATA)
    fitted.save(tmp_path / "cal.json")
    loaded = ct.load_calibrator(tmp_path / "cal.json")
    assert (loaded.classes, loaded.fitted) == (None, fitted.fitted)
    np.testing.assert_array_equal(loaded(DATA).values, fitted(DATA).values)
    document = json.loads((tmp_path / "cal.json").read_text())
    assert (document["version"], document["kind"], document["classes"]) == (2, "confidence", None)
    assert document["fitted"]["kind"] == "confidence"
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "cal.json").read_text()


def test_files_of_classes_stay_files_of_version_1():
    assert ct.fit("temperature", WHOLE).document()["version"] == 1
    assert "kind" not in ct.fit("temperature", WHOLE).document()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 1}, "classes must be a whole number"),
        ({"kind": "logits"}, "kind must be"),
        ({"classes": 2}, "classes must be null"),
        ({"class_names": ["wrong", "right"]}, "class_names must be null"),
        ({"kind": None}, "classes must be a whole number"),
        ({"version": 4}, "update calibtool"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(changes, says, tmp_path):
    path = tmp_path / "cal.json"
    path.write_text(json.dumps(ct.fit("platt", DATA).document() | changes))
    with pytest.raises(InputError, match=says):
        ct.load_calibrator(path)


@pytest.mark.parametrize("method", FIVE)
def test_weights_count_as_copies(method):
    p = confidences(rows=300)
    times = np.arange(300) % 3
    copies = p.take(np.repeat(np.arange(300), times))
    weighted = replace(p, weights=times.astype(float))
    np.testing.assert_allclose(
        ct.fit(method, weighted)(p).values, ct.fit(method, copies)(p).values, atol=1e-9
    )


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_calibrator_per_group(method, tmp_path):
    fitted = ct.fit(method, DATA, by="type")
    fitted.save(tmp_path / "cal.json")
    after = ct.load_calibrator(tmp_path / "cal.json")(DATA)
    at = np.flatnonzero(DATA.extra["type"] == "b")
    alone = ct.fit(method, DATA.take(at))(DATA.take(at))
    np.testing.assert_array_equal(after.values[at], alone.values)
    assert fitted.classes is None


@pytest.mark.parametrize("method", FIVE)
def test_confidences_of_0_and_1_and_single_precision(method):
    values = DATA.values.astype(np.float32)
    values[:4] = 0, 0, 1, 1
    correct = DATA.correct.copy()
    correct[:4] = [False, False, True, True]
    p = ct.Predictions.from_confidence(values, correct)
    fitted = ct.fit(method, p)
    after = fitted(p).values
    assert ((after >= 0) & (after <= 1)).all()
    floored = [note for note in fitted.fitted.notes if "exactly 0 or 1 count as" in note]
    assert len(floored) == (method in ("platt", "beta"))
    if method == "temperature":
        assert after[:4].tolist() == [0, 0, 1, 1]


def test_a_confidence_of_1_that_was_wrong_has_no_temperature():
    p = ct.Predictions.from_confidence([1.0, *DATA.values[:200]], [False, *DATA.correct[:200]])
    with pytest.raises(FitError, match="a probability of exactly 0"):
        ct.fit("temperature", p)


def test_where_a_temperature_cannot_help_the_message_names_what_can():
    p = ct.Predictions.from_confidence([0.9, 0.8, 0.95, 0.7] * 50, [True, False, False, False] * 50)
    with pytest.raises(FitError, match="fit-platt and fit-beta also shift"):
        ct.fit("temperature", p)
    assert ct.fit("platt", p, smoothing=True)(p).values.mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("method", OTHERS)
def test_methods_of_whole_rows_name_those_that_would_do(method):
    with pytest.raises(NotAvailableError, match=f"fit-{method} needs whole rows.*temperature, pl"):
        ct.fit(method, DATA)


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda: ct.fit("platt", DATA, multiclass="top-label"), UsageError, "--multiclass needs"),
        (lambda: ct.fit("temperature", DATA, objective="ece"), UsageError, "--objective ece needs"),
        (lambda: ct.fit("platt", DATA)(WHOLE), UsageError, "holds logits.*fitted to confidences"),
        (lambda: ct.fit("temperature", WHOLE)(DATA), NotAvailableError, "such as with fit-temp"),
        (lambda: ct.fit("platt", DATA).for_prior([0.5, 0.5]), UsageError, "shares are of classes"),
        (lambda: ct.fit("platt", DATA.take(slice(20))), None, "20 confidences are few"),
        (
            lambda: ct.fit("platt", ct.Predictions.from_confidence([0.5, 0.7], None)),
            NotAvailableError,
            "a fit needs labels",
        ),
        (
            lambda: ct.evaluate(ct.Predictions.from_confidence([0.5, 0.7], None)),
            NotAvailableError,
            "no hits to measure against",
        ),
    ],
)
def test_what_does_not_fit_is_said(act, error, says):
    if error is None:
        assert any(says in note for note in act().fitted.notes)
        return
    with pytest.raises(error, match=says):
        act()


@pytest.mark.parametrize("method", ["platt", "isotonic", "histogram"])
def test_cells_of_confidences_are_fitted_like_the_rows(method):
    p = replace(DATA, values=DATA.values.round(3))
    from_cells = ct.fit(method, ct.cells(p))
    assert from_cells.classes is None
    np.testing.assert_allclose(from_cells(p).values, ct.fit(method, p)(p).values, atol=1e-3)


def test_intervals_of_confidences():
    fitted = ct.fit("venn-abers", DATA)
    low, high = (bound[:, 1] for bound in fitted.interval(DATA))
    after = fitted(DATA).values
    assert ((low <= after) & (after <= high)).all()


@pytest.mark.parametrize("method", FIVE)
def test_the_exported_module_gives_wrong_and_right(method):
    fitted = ct.fit(method, DATA)
    module = {}
    exec(export(fitted, "python").decode(), module)
    expected = fitted(DATA).values[:50]
    for c, right in zip(DATA.values[:50].tolist(), expected.tolist(), strict=True):
        np.testing.assert_allclose(module["calibrate"]([c]), [1 - right, right], atol=1e-12)
    assert "of confidences" in module["__doc__"]
    with pytest.raises(UsageError, match="fitted to confidences"):
        export(fitted, "python", kind="logits")
    with pytest.raises(UsageError, match="fitted to classes"):
        export(ct.fit("temperature", WHOLE), "python", kind="confidence")


def test_select_tries_the_methods_of_one_score():
    found = ct.select(DATA, "all", resamples=50)
    assert {c.method for c in found.candidates} == {"nothing", *confidence_methods()}
    assert not [c for c in found.candidates if c.failed]
    assert found.calibrator.classes is None
    before = ct.evaluate(DATA, "nll(view=top),brier(view=top),accuracy,ece", ci="none")
    for name in ("nll(view=top)", "brier(view=top)", "accuracy", "ece"):
        nothing = getattr(found["nothing"], name.split("(")[0])
        assert nothing == pytest.approx(before[name].value, abs=1e-12)
    assert found[found.chosen].nll < found["nothing"].nll
    assert {c.flips for c in found.candidates} == {0.0}
    honest = ct.select(confidences(scale=1.0), ["temperature"], resamples=50)
    assert honest.calibrator(DATA).values == pytest.approx(DATA.values, abs=1e-12)


@pytest.mark.parametrize("method", FIVE)
def test_the_commands_from_fit_to_evaluate(method, file, capsys):
    assert main([f"fit-{method}", file, "-o", "c.json", "--ci", "none", "--seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("nll(view=top)", "brier(view=top)", "ece"))
    assert "cross-fitted in 5 folds" in shown
    assert main(["apply", "c.json", file, "-o", "out.parquet"]) == 0
    assert main(["evaluate", "out.parquet", "--ci", "none"]) == 0
    assert "confidence only" in capsys.readouterr().out
    out = ct.load("out.parquet")
    np.testing.assert_array_equal(out.correct, DATA.correct)
    np.testing.assert_array_equal(out.values, ct.fit(method, DATA)(DATA).values)
    assert main(["evaluate", file, "--calibrator", "c.json", "--ci", "none"]) == 0


def test_the_commands_by_group_without_hits_and_where_something_is_wrong(file, capsys):
    assert main(["fit-platt", file, "--by", "type", "-o", "c.json", "--ci", "none"]) == 0
    lines = [
        json.dumps({"conf": c, "type": t})
        for c, t in zip(DATA.values.tolist(), DATA.extra["type"].tolist(), strict=True)
    ]
    Path("new.jsonl").write_text("\n".join(lines))
    assert main(["apply", "c.json", "new.jsonl", "-o", "new.npz"]) == 0
    with np.load("new.npz") as arrays:
        assert sorted(arrays) == ["conf", "type"]
    assert main(["inspect", "new.jsonl"]) == 0
    assert "nothing can be measured" in " ".join(capsys.readouterr().out.split())
    np.savez("whole.npz", logits=WHOLE.values, labels=WHOLE.labels)
    main(["fit-platt", file, "-o", "all.json", "--ci", "none"])
    main(["fit-temperature", "whole.npz", "-o", "w.json", "--ci", "none"])
    capsys.readouterr()
    for line, says in (
        ("apply all.json whole.npz -o x.npz", "holds logits, the calibrator was fitted to confid"),
        ("apply w.json conf.jsonl -o x.npz", "only confidences are known, the calibrator was"),
        ("apply c.json conf.jsonl -o x.npz --write logits", "there are no logits to write"),
        ("fit-vector conf.jsonl", "temperature, platt, beta"),
        ("fit-platt conf.jsonl --target-prior 0.5,0.5", "shares are of classes"),
        ("fit-platt new.jsonl", "needs a column 'correct'"),
        ("select conf.jsonl --methods vector", "fit-vector needs whole rows"),
        ("fit-platt conf.jsonl --test whole.npz", "was fitted to confidences"),
    ):
        assert main(line.split()) == 2, line
        assert says in " ".join(capsys.readouterr().err.split())


def test_a_calibrator_per_combination_of_two_columns(tmp_path):
    options = np.array(["2", "4", "4"])[np.arange(DATA.rows) % 3]
    p = replace(DATA, extra={**DATA.extra, "options": options})
    fitted = ct.fit("platt", p, by="type,options")
    fitted.save(tmp_path / "cal.json")
    loaded = ct.load_calibrator(tmp_path / "cal.json")
    assert loaded.columns == ("type", "options")
    assert fitted.fitted.options["by"] == "type,options"
    at = np.flatnonzero((p.extra["type"] == "b") & (options == "4"))
    alone = ct.fit("platt", p.take(at))(p.take(at))
    np.testing.assert_array_equal(loaded(p).values[at], alone.values)
