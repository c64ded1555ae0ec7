"""Calibrator files that were written once stay readable, and give the same numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keep_calibrators import FOLDER, cases, rows

import calibtool as ct
from calibtool.data.rows import to_probs

NAMES = sorted(path.name.removesuffix(".expected.json") for path in FOLDER.glob("*.expected.json"))


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_and_gives_the_same_numbers(name):
    expected = json.loads((FOLDER / f"{name}.expected.json").read_text())
    cal = ct.load_calibrator(FOLDER / f"{name}.json")
    after = to_probs(cal(rows(4, expected["classes"], 1, expected["kind"])))
    np.testing.assert_allclose(after.matrix(), expected["probs"], atol=1e-12)


def test_each_method_has_a_file():
    assert set(cases()) <= set(NAMES)


def test_the_very_first_file_names_no_map():
    """As written before there were maps."""
    cal = ct.load_calibrator(FOLDER / "first.json")
    assert cal.describe() == "temperature scaling (T = 2.2135)"
