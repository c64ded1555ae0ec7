"""Two classes are one problem: one column or two, logits or probabilities, the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

import calibtool as ct
from calibtool.errors import UsageError
from calibtool.evaluation import request
from calibtool.metrics.grammar import VIEWS
from calibtool.metrics.kinds import BinnedError, CellMetric, Score, TwoFileMetric
from calibtool.metrics.registry import METRICS, SECTIONS
from calibtool.metrics.spec import ONE_SCORE, parse
from calibtool.reports.evaluation import table

FEW = {"resamples": 40}


def forms(rows=300, seed=0):
    """The same predictions in every shape that two classes can have."""
    rng = np.random.Generator(np.random.PCG64(seed))
    z = rng.normal(size=(rows, 2)) * 2
    positive = 1 / (1 + np.exp(z[:, 0] - z[:, 1]))
    labels = (rng.random(rows) < positive**1.3).astype(int)
    weights = rng.integers(1, 4, rows)
    both = np.stack([1 - positive, positive], axis=1)
    return {
        "two logits": ct.Predictions.from_logits(z, labels, weights=weights),
        "one logit": ct.Predictions.from_logits(z[:, 1] - z[:, 0], labels, weights=weights),
        "two probabilities": ct.Predictions.from_probs(both, labels, weights=weights),
        "one probability": ct.Predictions.from_probs(positive, labels, weights=weights),
    }


def specs():
    """Every metric with its view written out, and those that have none."""
    for name, metric in METRICS.items():
        if isinstance(metric, TwoFileMetric):
            continue
        views = ()
        if isinstance(metric, BinnedError | CellMetric):
            views = tuple(VIEWS)
        elif isinstance(metric, Score) and metric.of_view:
            views = ONE_SCORE
            yield name
        yield from (f"{name}(view={view})" for view in views)
        if not views:
            yield name


SPECS = list(specs())
FORMS = forms()
VALUES = {
    form: {e.name: e.value for e in ct.evaluate(p, SPECS, ci="none")} for form, p in FORMS.items()
}


@pytest.mark.parametrize("spec", SPECS)
def test_a_metric_whose_view_is_written_out_does_not_see_the_shape(spec):
    first = VALUES["two logits"][parse(spec).name]
    for form, values in VALUES.items():
        assert values[parse(spec).name] == pytest.approx(first, rel=1e-8, abs=1e-12), form


def test_the_default_table_is_the_same_line_by_line():
    tables = {form: table(ct.evaluate(p, **FEW), None) for form, p in FORMS.items()}
    first = tables["two logits"]
    names = [row[0] for row in first.cells]
    assert [name for name in names if name.startswith("ece")] == [
        "ece(view=positive)",
        "ece(view=top)",
    ]
    for form, of_form in tables.items():
        assert of_form.cells == first.cells, form
        assert of_form.notes == first.notes, form


def test_the_default_table_of_cells_is_that_of_the_other_shapes_too():
    tables = [table(ct.evaluate(ct.cells(p), **FEW), None).cells for p in FORMS.values()]
    assert all(cells == tables[0] for cells in tables)


def test_compare_has_the_same_lines_too():
    found = []
    for p in FORMS.values():
        other = ct.fit("temperature", p)(p)
        lines = ct.compare([p, other], **FEW).lines
        found.append([(line.spec, line.estimates[0].view) for line in lines])
    assert all(lines == found[0] for lines in found)
    assert {("ece(view=positive)", "positive"), ("ece(view=top)", "top")} <= set(found[0])


def test_a_bare_ece_keeps_its_view_by_shape():
    views = {form: ct.evaluate(p, ["ece"], ci="none")["ece"].view for form, p in FORMS.items()}
    assert views == {
        "two logits": "top",
        "one logit": "positive",
        "two probabilities": "top",
        "one probability": "positive",
    }


@pytest.mark.parametrize("name", [metric.name for metric in SECTIONS["clinical"]])
def test_clinical_metrics_look_at_class_1(name):
    for p in FORMS.values():
        assert ct.evaluate(p, [name], ci="none")[name].view == "positive"
    conf = ct.Predictions.from_confidence([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 1])
    assert ct.evaluate(conf, [name], ci="none")[name].view == "top"


# ---------------------------------------------------------------- the Brier score


@pytest.mark.parametrize("form", list(FORMS))
def test_brier_is_that_of_scikit_learn(form):
    p = FORMS[form]
    positive = FORMS["one probability"].values[:, 0]
    report = ct.evaluate(p, ["brier", "brier(scale=half)", "brier(scale=sum)"], ci="none")
    for name, scale in (
        ("brier", "auto"),
        ("brier(scale=half)", True),
        ("brier(scale=sum)", False),
    ):
        theirs = brier_score_loss(p.labels, positive, sample_weight=p.weights, scale_by_half=scale)
        assert report[name].value == pytest.approx(theirs, rel=1e-12), name
    assert [e.signature.split("|n:")[0] for e in report] == [
        "brier|scale:half",
        "brier|scale:half",
        "brier|scale:sum",
    ]


def test_brier_of_three_classes_is_the_sum():
    rng = np.random.Generator(np.random.PCG64(1))
    probs = rng.dirichlet(np.ones(3), 50)
    p = ct.Predictions.from_probs(probs, rng.integers(0, 3, 50))
    report = ct.evaluate(p, ["brier", "brier(scale=half)"], ci="none")
    theirs = brier_score_loss(p.labels, probs, labels=[0, 1, 2])
    assert [e.value for e in report] == pytest.approx([theirs, theirs / 2])
    assert report["brier"].signature.startswith("brier|scale:sum|")


@pytest.mark.parametrize("view", ["positive", "top"])
def test_decompositions_add_up_to_the_brier_score(view):
    rng = np.random.Generator(np.random.PCG64(2))
    score = rng.choice([0.05, 0.25, 0.45, 0.65, 0.95], 400)  # one score per bin
    p = ct.Predictions.from_probs(score, rng.random(400) < score**2)
    names = [f"{name}(view={view})" for name in ("reliability", "resolution", "uncertainty")]
    names += [f"{name}(view={view})" for name in ("mcb", "dsc", "unc")]
    rel, res, unc, mcb, dsc, overall = (e.value for e in ct.evaluate(p, names, ci="none"))
    brier = ct.evaluate(p, ["brier"], ci="none")["brier"].value
    assert rel - res + unc == pytest.approx(brier)
    assert mcb - dsc + overall == pytest.approx(brier)


def test_the_skill_does_not_depend_on_the_scale():
    p = FORMS["two logits"]
    names = ["brier(scale=sum)", "brier-skill"]
    brier, skill = (e.value for e in ct.evaluate(p, names, ci="none"))
    shares = np.bincount(p.labels, p.weights) / p.weights.sum()
    assert skill == pytest.approx(1 - brier / (1 - (shares**2).sum()))


def test_select_ranks_by_the_same_brier_score():
    p = FORMS["two probabilities"]
    chosen = ct.select(p, ["temperature"], rank_by="brier", test=p, resamples=30)
    own = ct.evaluate(p, ["brier", "brier-skill"], ci="none")
    plain = chosen["nothing"]
    assert plain.score == plain.brier == pytest.approx(own["brier"].value)
    assert chosen.skill(plain) == pytest.approx(own["brier-skill"].value)


# ---------------------------------------------------------------- scores of a view

SCORES = ["nll(view=top)", "brier(view=top)", "brier(scale=sum,view=top)", "nll(view=positive)"]


def test_scores_of_a_view_are_those_of_whole_rows_for_two_classes():
    for values in VALUES.values():
        for view in ONE_SCORE:
            assert values[f"nll(view={view})"] == pytest.approx(values["nll"])
            assert values[f"brier(view={view})"] == pytest.approx(values["brier"])


def test_scores_of_the_confidence_by_hand():
    conf, hit = np.array([0.9, 0.8, 0.5, 1.0]), np.array([1, 0, 1, 1])
    p = ct.Predictions.from_confidence(conf, hit)
    report = ct.evaluate(p, ["nll(view=top)", "brier(view=top)", SCORES[2]], ci="none")
    nll = -np.log([0.9, 0.2, 0.5, 1.0]).mean()
    brier = ((conf - hit) ** 2).mean()
    assert [e.value for e in report] == pytest.approx([nll, brier, 2 * brier])
    assert [e.view for e in report] == ["top"] * 3


def test_the_confidence_of_many_classes_is_scored_like_confidences_alone():
    rng = np.random.Generator(np.random.PCG64(3))
    p = ct.Predictions.from_logits(rng.normal(size=(200, 5)) * 2, rng.integers(0, 5, 200))
    probs = np.exp(p.values) / np.exp(p.values).sum(axis=1, keepdims=True)
    alone = ct.Predictions.from_confidence(probs.max(axis=1), probs.argmax(axis=1) == p.labels)
    whole, conf = (ct.evaluate(x, SCORES[:3], **FEW) for x in (p, alone))
    for a, b in zip(whole, conf, strict=True):
        assert (a.value, a.low) == pytest.approx((b.value, b.low))
    assert whole["nll(view=top)"].value < ct.evaluate(p, ["nll"], ci="none")["nll"].value


@pytest.mark.parametrize("form", list(FORMS))
def test_scores_of_a_view_come_from_cells(form, monkeypatch):
    p = FORMS[form]
    asked = [*SCORES, "brier", "brier(scale=sum)", "brier-skill"]
    rows = ct.evaluate(p, asked, ci="none")
    kept = ct.evaluate(ct.cells(p), asked, ci="none")  # for two classes, from those of whole rows
    named = ct.evaluate(ct.cells(p, asked), asked, ci="none")
    monkeypatch.setattr(request, "STREAMED_ROWS", 10)
    streamed = ct.evaluate(p, asked, ci="none")
    for found in (kept, named, streamed):
        assert [e.value for e in found] == pytest.approx([e.value for e in rows])
        assert [e.signature.split("|n:")[0] for e in found] == [
            e.signature.split("|n:")[0] for e in rows
        ]


def test_confidences_alone_have_them_by_default():
    p = ct.Predictions.from_confidence(np.linspace(0.5, 1, 40), np.arange(40) % 4 > 0)
    for data in (p, ct.cells(p)):
        report = ct.evaluate(data, **FEW)
        assert report["nll(view=top)"].value is not None
        assert report["brier(view=top)"].low is not None
        assert [e.name for e in report if e.missing] == ["classwise-ece"]
        assert "nll" not in report.reading


def test_the_set_for_language_models_is_of_the_confidence_where_only_that_is_known():
    p = ct.Predictions.from_confidence(np.linspace(0.5, 1, 240), np.arange(240) % 4 > 0)
    for data in (p, ct.cells(p, "llm")):
        report = ct.evaluate(data, "llm", **FEW)
        assert not [e.name for e in report if e.missing]
        names = [e.name for e in report]
        assert names[1:5] == [
            "brier(view=top)",
            "nll(view=top)",
            "ece",
            "rmsce(profile=equal_rows)",
        ]


def test_a_view_that_the_data_do_not_have_is_an_error():
    p = ct.Predictions.from_probs(np.full((12, 3), 1 / 3), np.arange(12) % 3)
    with pytest.raises(UsageError, match=r"nll\(view=positive\): the positive view needs two"):
        ct.evaluate(p, ["nll(view=positive)"])
    with pytest.raises(UsageError, match="there is no view 'class'; expected one of top, posit"):
        ct.evaluate(p, ["nll(view=class)"])
