"""Calibrator files that were written once stay readable, and give the same numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keep_calibrators import FOLDER, cases, rows

import calibtool as ct
from calibtool.data.rows import to_probs
from calibtool.errors import InputError

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


def spoiled(name, key, folder):
    """A kept calibrator whose lists of this key fall by a little, as a file."""
    document = json.loads((FOLDER / f"{name}.json").read_text())
    curve = document["parameters"]["curves"][-1]
    for pair in curve.get("pairs", [curve]):
        pair[key][-1] = pair[key][-2] * (1 - 1e-12)
    (folder / "c.json").write_text(json.dumps(document))
    return folder / "c.json"


@pytest.mark.parametrize(
    ("name", "key", "where"),
    [
        ("isotonic", "y", r"parameters.curves\[2\].y"),
        ("isotonic-confidence", "y", r"parameters.curves\[0\].y"),
        ("isotonic-shared", "y", r"parameters.curves\[0\].y"),
        ("venn-abers", "p0", r"parameters.curves\[2\].p0"),
        ("venn-abers-crossed", "p0", r"parameters.curves\[2\].pairs\[0\].p0"),
    ],
)
def test_what_never_falls_is_refused_where_it_falls(name, key, where, tmp_path):
    with pytest.raises(InputError, match=rf"{where}\[\d+\] is below the value before it"):
        ct.load_calibrator(spoiled(name, key, tmp_path))


@pytest.mark.parametrize(("name", "key"), [("enir", "y"), ("histogram", "values")])
def test_what_follows_the_outcomes_may_fall(name, key, tmp_path):
    ct.load_calibrator(spoiled(name, key, tmp_path))
