"""Cells files and states of runs, written once, stay readable and give the same numbers."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
from keep_cells import CELLS, FOLDER, STATE_RUN, write_scores

import calibtool as ct
from calibtool.cli.main import main
from calibtool.streaming.cells_file import load_cells
from calibtool.streaming.engines import checkpoint


def test_the_former_name_of_a_summary_is_the_same_class():
    assert ct.State is ct.Summary


@pytest.mark.parametrize("name", [*CELLS, "run"])
def test_a_cells_file_gives_the_same_numbers(name):
    expected = json.loads((FOLDER / f"{name}.expected.json").read_text(encoding="utf-8"))
    if "brier" in expected:  # when they were written, it was the sum for two classes too
        expected["brier(scale=sum)"] = expected.pop("brier")
    report = ct.evaluate(load_cells(FOLDER / f"{name}.cells"), list(expected), ci="none")
    values = {estimate.name: estimate.value for estimate in report.estimates}
    assert values == pytest.approx(expected, rel=1e-12)


def test_the_state_of_an_interrupted_run_is_resumed_to_the_same_sums(tmp_path, capsys, monkeypatch):
    with zipfile.ZipFile(FOLDER / "run.state") as archive:
        header = json.loads(archive.read("header.json"))
    # a later version refuses to mix its sums with an older one's; what is tested here is that it
    # reads them, so it says that it is the old one
    monkeypatch.setattr(checkpoint, "__version__", header["run"]["versions of calibtool"])
    monkeypatch.chdir(tmp_path)
    write_scores(tmp_path)
    shutil.copy(FOLDER / "run.state", tmp_path)
    assert main(STATE_RUN) == 0
    assert "run.state: the run continues at 67 %" in capsys.readouterr().err
    resumed, whole = load_cells("all.cells"), load_cells(FOLDER / "run.cells")
    assert resumed.rows == whole.rows
    assert resumed.sums.keys() == whole.sums.keys()
    for name, value in whole.sums.items():
        np.testing.assert_allclose(resumed.sums[name].high, value.high, rtol=1e-12)


def test_old_files_of_confidences_add_up_with_new_ones():
    old = load_cells(FOLDER / "confidence.cells")
    score = np.linspace(0.5, 1, 40)
    new = ct.cells(ct.Predictions.from_confidence(score, np.arange(40) % 3 > 0))
    assert "nll(view=top)" in new.keep.scores
    for both in (old + new, new + old):
        assert both.rows == old.rows + 40
        assert both.keep.scores == ("accuracy", "mean-confidence")
        assert (both + old).keep == both.keep
        report = ct.evaluate(both, ci="none")
        assert "make them with --metrics" in report["nll(view=top)"].missing


def test_old_and_new_brier_scores_add_up():
    old = load_cells(FOLDER / "two-classes.cells")
    new = ct.cells(ct.Predictions.from_probs([0.25, 0.75], [1, 1]))
    before = ct.evaluate(old, ["brier"], ci="none")["brier"].value
    both = ct.evaluate(old + new, ["brier"], ci="none")["brier"].value
    assert both == pytest.approx((before * old.rows + 0.75**2 + 0.25**2) / (old.rows + 2))
