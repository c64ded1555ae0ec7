"""The gate is a pure function of a report."""

from __future__ import annotations

import pytest
from simulated import simulate

import calibtool as ct
from calibtool.errors import NotAvailableError, UsageError
from calibtool.gate import parse_requirement, read_config

P = simulate(2000, 3)
ECE = ct.evaluate(P, ["ece"], ci="none")["ece"].value

TABLE = [
    ("ece <= 1", True),
    ("ece<=0.0001", False),
    (f"ece <= {ECE!r}", True),
    (f"ece < {ECE!r}", False),
    (f"ece >= {ECE!r}", True),
    (f"ece > {ECE!r}", False),
    ("ece <= 100 %", True),
    ("accuracy >= 10%", True),
    ("accuracy >= 0.999", False),
    ("ece(bins=5,norm=l2) <= 0.9", True),
]


@pytest.mark.parametrize(("requirement", "passed"), TABLE)
def test_the_measured_value_decides(requirement, passed):
    assert ct.check(P, [requirement], ci="none").passed is passed


def test_one_that_fails_fails_all():
    outcome = ct.check(P, ["ece <= 1", "nll <= 0"], ci="none")
    assert [verdict.passed for verdict in outcome.verdicts] == [True, False]
    assert not outcome.passed


def test_with_a_calibrator_the_calibrated_predictions_are_held_to_it():
    cal = ct.fit("temperature", P)
    requirement = f"ece <= {ECE / 2}"
    assert not ct.check(P, [requirement], ci="none").passed
    assert ct.check(P, [requirement], calibrator=cal, ci="none").passed


def test_what_cannot_be_computed_is_never_a_pass():
    alone = ct.Predictions.from_confidence([0.9, 0.8], [1, 0])
    with pytest.raises(NotAvailableError, match="cannot pass"):
        ct.check(alone, ["nll <= 9"], ci="none")


def test_an_infinite_score_fails():
    p = ct.Predictions.from_probs([[1.0, 0.0], [0.5, 0.5]], [1, 0])
    assert not ct.check(p, ["nll <= 1000"], ci="none").passed


@pytest.mark.parametrize(
    "text", ["ece", "ece = 3", "ece <= x", "<= 0.3", "ece <= inf", "ece <= nan", "ece <= 0.3 0.4"]
)
def test_what_cannot_be_understood_is_an_error(text):
    with pytest.raises(UsageError):
        parse_requirement(text)


def test_nothing_required_is_an_error():
    with pytest.raises(UsageError, match="nothing is required"):
        ct.check(P, [])


CONFIGS = [
    ('[tool.calibtool.check]\nrequire = ["ece <= 0.1"]\nseed = 3', None),
    ('[check]\nrequire = "ece <= 0.1"', None),
    ("[tool.other]\na = 1", "has no table"),
    ("[check]\nrequire = 3", "must be a list of texts"),
    ("[check]\nrequired = []", "has no key 'required'"),
    ('[check]\nseed = "x"', "seed must be of type int"),
    ("[check\n", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "message"), CONFIGS)
def test_configuration_files(tmp_path, text, message):
    path = tmp_path / "gate.toml"
    path.write_text(text)
    if message is None:
        assert read_config(path).require == ("ece <= 0.1",)
        return
    with pytest.raises(UsageError, match=r"gate\.toml") as error:
        read_config(path)
    assert message in str(error.value)
