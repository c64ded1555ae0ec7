"""Spec strings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

import calibtool as ct
from calibtool.errors import UsageError
from calibtool.metrics.grammar import NORMS
from calibtool.metrics.registry import ALIASES, MEANT, METRICS, SECTIONS, SETS
from calibtool.metrics.spec import parse, parse_list


@given(
    st.sampled_from(["ece", "mce", "rmsce"]),
    st.integers(1, 500),
    st.sampled_from(sorted(NORMS)),
    st.sampled_from(["top", "positive", "auto"]),
    st.sampled_from(["equal_width", "equal_mass"]),
)
def test_the_canonical_name_parses_back_to_the_same_metric(name, bins, norm, view, profile):
    spec = parse(f" {name} ( bins = {bins} , norm={norm}, view={view},profile={profile})")
    again = parse(spec.name)
    assert again == spec
    assert again.name == spec.name


@pytest.mark.parametrize("name", list(METRICS))
def test_every_name_is_its_own_canonical_form(name):
    assert parse(name).name == name
    assert parse(name.upper().replace("-", "_")).name == name


def test_defaults_are_left_out_of_the_name():
    assert parse("ece(bins=15,norm=l1)").name == "ece"


def test_a_list_is_split_outside_parentheses_only_and_repeats_are_dropped():
    names = [spec.name for spec in parse_list("ece(bins=10,norm=l2), nll,ece,nll")]
    assert names == ["ece(norm=l2,bins=10)", "nll", "ece"]


@pytest.mark.parametrize("name", list(SETS))
def test_sets_stand_for_their_metrics(name):
    assert [spec.name for spec in parse_list(name)] == list(SETS[name])


def test_all_is_the_whole_table_and_the_sections_are_all():
    assert [spec.name for spec in parse_list("all")] == list(METRICS)
    sections = [metric.name for section in SECTIONS.values() for metric in section]
    assert sections == list(METRICS)
    joined = {spec.name for spec in parse_list(",".join(SECTIONS))}
    # the set of levels has those a reader asks for first, the clinical one more than its own
    of_levels = {metric.name for metric in SECTIONS["ordinal"]} - {*SETS["ordinal"]}
    assert joined == {*METRICS, "net-benefit(of=all)"} - of_levels


@pytest.mark.parametrize("name", ["cutoff-ce", "Cutoff_CE"])
def test_another_name_is_resolved_and_said(name):
    assert parse(f"{name}(view=top)") == parse("kuiper(view=top)")
    p = ct.Predictions.from_confidence(np.linspace(0.1, 0.9, 30), np.arange(30) % 2)
    for data in (p, ct.cells(p, "kuiper")):
        report = ct.evaluate(data, name, ci="none")
        assert report["cutoff-ce"] is report["kuiper"]
        assert "cutoff-ce is another name of kuiper, and is reported as that" in report.notes


def test_a_comparison_says_another_name():
    scores, right = np.linspace(0.1, 0.9, 30), np.arange(30) % 2
    files = [ct.Predictions.from_probs(scores, right) for _ in range(2)]
    said = "cutoff-ce is another name of kuiper, and is reported as that.\n"
    assert ct.compare(files, "cutoff-ce", names=["a", "b"]).reading.startswith(said)
    assert "another name" not in ct.compare(files, "kuiper", names=["a", "b"]).reading


def test_no_other_name_is_the_name_of_a_metric():
    assert not {*ALIASES} & {*METRICS, *SETS}
    assert {name for name, _ in ALIASES.values()} <= {*METRICS}
    assert not {*MEANT} & {*METRICS, *SETS, *ALIASES}
    assert {*MEANT.values()} <= {*METRICS}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (log_loss, "log_loss"),
        (brier_score_loss, "brier_score_loss"),
        (roc_auc_score, "roc_auc_score"),
        (accuracy_score, "accuracy_score"),
    ],
)
def test_names_of_scikit_learn_give_its_numbers(theirs, ours):
    p, y = np.array([0.1, 0.7, 0.4, 0.9, 0.3]), np.array([0, 1, 0, 1, 1])
    said = p if ours != "accuracy_score" else (p > 0.5).astype(int)
    report = ct.evaluate(ct.Predictions.from_probs(p, y), metrics=ours, resamples=0)
    assert report.estimates[0].value == pytest.approx(theirs(y, said), abs=1e-12)


def test_names_that_mean_something_else_elsewhere_are_suggested():
    with pytest.raises(UsageError, match="'calibration-error'; did you mean ece"):
        parse("calibration_error")


MISTAKES = [
    ("ecee", "there is no metric 'ecee'; did you mean ece"),
    ("ece(bin=3)", "there is no option 'bin'; did you mean bins"),
    ("ece(bins=x)", "bins must be a whole number, not 'x'"),
    ("ece(bins=0)", "bins must lie between 1 and 100,000"),
    ("ece(bins=3,bins=4)", "bins is given twice"),
    ("ece(norm=l3)", "there is no norm 'l3'"),
    ("ece(view=tip)", "there is no view 'tip'; did you mean top"),
    ("ece(bins)", "'bins' is not OPTION=VALUE"),
    ("ece bins=3", "is not of the form NAME"),
    ("nll(bins=3)", "there is no option 'bins'"),
    ("mcb(score=crps)", "there is no score 'crps'; expected one of brier, log"),
    ("top-k-accuracy(k=0)", "k must lie between 1 and 1,000,000"),
    ("tace(threshold=2)", "threshold must lie between 0 and 1"),
    ("calibration", "did you mean"),
    ("smoothece", "did you mean smece"),
    ("cutof-ce", "did you mean cutoff-ce"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes_say_what_is_wrong(text, message):
    with pytest.raises(UsageError) as error:
        parse(text)
    assert message in str(error.value)


def test_all_mistakes_of_a_list_are_reported_together():
    with pytest.raises(UsageError) as error:
        parse_list("ecee, nll, mse(bins=2)")
    assert "ecee" in str(error.value)
    assert "mse" in str(error.value)


def test_no_metrics_is_an_error():
    with pytest.raises(UsageError, match="no metrics"):
        parse_list(" , ")
