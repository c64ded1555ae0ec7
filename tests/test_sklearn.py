"""scikit-learn's conventions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from simulated import simulate
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import calibtool as ct
from calibtool.data.rows import to_probs
from calibtool.sklearn import Calibrator, calibration_error

METHODS = ["temperature", "platt", "isotonic", "structured-vector"]


def data(classes=3, rows=600):
    X, y = make_classification(
        rows, 6, n_informative=4, n_classes=classes, flip_y=0.3, random_state=0
    )
    return X, y


def probabilities(calibrator, p):
    return to_probs(calibrator(p)).matrix()


@pytest.mark.filterwarnings("ignore")  # it tries what warnings are about
@pytest.mark.parametrize("method", METHODS)
def test_scikit_learn_s_own_checks_pass(method):
    found = check_estimator(Calibrator(method), on_skip=None)
    assert len(found) > 40
    assert {result["status"] for result in found} <= {"passed", "skipped"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_our_calibrator_of_cross_fitted_decisions(method, classes):
    X, y = data(classes)
    model = Calibrator(method).fit(X, y)
    z = cross_val_predict(LogisticRegression(), X, y, cv=5, method="decision_function")
    ours = ct.fit(method, ct.Predictions.from_logits(z, y))
    after = LogisticRegression().fit(X, y).decision_function(X)
    expected = probabilities(ours, ct.Predictions.from_logits(after, None))
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert model.calibrator_.fitted.fingerprint == ours.fitted.fingerprint
    np.testing.assert_array_equal(model.predict(X), expected.argmax(axis=1))


@pytest.mark.parametrize("base", [GaussianNB(), KNeighborsClassifier(9)])
def test_probabilities_are_taken_where_there_are_no_decisions(base):
    X, y = data()
    model = Calibrator("isotonic", base).fit(X, y)
    p = cross_val_predict(base, X, y, cv=5, method="predict_proba")
    ours = ct.fit("isotonic", ct.Predictions.from_probs(p, y))
    expected = probabilities(
        ours, ct.Predictions.from_probs(clone(base).fit(X, y).predict_proba(X), None)
    )
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-12)


def test_isotonic_and_sigmoid_agree_with_scikit_learn():
    """Of two classes: scikit-learn's sigmoid is Platt's, with his smoothed targets."""
    X, y = data(2)
    cv = StratifiedKFold(5)
    model = Calibrator("platt", LinearSVC(), cv=cv, options={"smoothing": True}).fit(X, y)
    other = CalibratedClassifierCV(LinearSVC(), method="sigmoid", cv=cv, ensemble=False).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-6)
    model = Calibrator("isotonic", GaussianNB(), cv=cv).fit(X, y)
    other = CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=cv, ensemble=False)
    np.testing.assert_allclose(model.predict_proba(X), other.fit(X, y).predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("classes", [3, 4])
def test_decisions_of_pairs_of_classes_are_no_logits(classes):
    X, y = data(classes)
    base = SVC(decision_function_shape="ovo", random_state=0)
    with pytest.raises(ValueError, match="neither predict_proba nor one decision value per class"):
        Calibrator(estimator=base).fit(X, y)


@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_saved_outputs_are_calibrated_as_they_are(kind):
    p = simulate(500, 4)
    p = p if kind == "logits" else to_probs(p)
    names = np.array(["ant", "bee", "cat", "dog"])
    model = Calibrator("structured-vector", kind).fit(p.values, names[p.labels])
    ours = ct.fit("structured-vector", p)
    np.testing.assert_allclose(
        model.predict_proba(p.values), probabilities(ours, p), rtol=0, atol=1e-12
    )
    assert model.classes_.tolist() == names.tolist()
    assert set(model.predict(p.values)) <= set(names)
    assert model.estimator_ is None
    assert model.score(p.values, names[p.labels]) > 0.5


def test_one_column_of_saved_outputs_is_class_1():
    p = simulate(300, 2)
    z = p.values[:, [1]] - p.values[:, [0]]
    model = Calibrator(estimator="logits").fit(z, p.labels)
    assert model.predict_proba(z).shape == (300, 2)
    ours = ct.fit("temperature", ct.Predictions.from_logits(z, p.labels))
    assert model.calibrator_.map.temperature == ours.map.temperature


def test_a_class_without_rows_keeps_its_column():
    p = simulate(300, 4)
    here = p.labels < 3
    model = Calibrator(estimator="logits").fit(p.values[here], p.labels[here])
    assert model.classes_.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="y has the labels a, b, c; there are columns for 4"):
        Calibrator(estimator="logits").fit(p.values[here], np.array(list("abc"))[p.labels[here]])


@pytest.mark.parametrize("base", [None, "logits"])
def test_weights_are_respected(base):
    X, y = (simulate(400, 3).values, simulate(400, 3).labels) if base else data()
    weights = 1.0 + np.arange(len(y)) % 3
    model = Calibrator("temperature", base).fit(X, y, sample_weight=weights)
    z = X
    if base is None:
        params = {"sample_weight": weights}
        z = cross_val_predict(
            LogisticRegression(), X, y, cv=5, method="decision_function", params=params
        )
    ours = ct.fit("temperature", ct.Predictions.from_logits(z, y, weights=weights))
    assert model.calibrator_.map.temperature == ours.map.temperature
    with pytest.raises(ValueError, match="egative values"):
        Calibrator("temperature", base).fit(X, y, sample_weight=-weights)


def test_a_classifier_that_takes_no_weights_is_a_warning():
    X, y = data()
    with pytest.warns(UserWarning, match="KNeighborsClassifier takes no sample_weight"):
        Calibrator("isotonic", KNeighborsClassifier(9)).fit(X, y, sample_weight=np.ones(len(y)))


def test_a_frozen_classifier_is_calibrated_on_all_rows():
    X, y = data()
    base = LogisticRegression().fit(X[:300], y[:300])
    model = Calibrator(estimator=FrozenEstimator(base)).fit(X[300:], y[300:])
    z = base.decision_function(X[300:])
    ours = ct.fit("temperature", ct.Predictions.from_logits(z, y[300:]))
    assert model.calibrator_.map.temperature == ours.map.temperature


def test_it_stands_in_a_pipeline_and_holds_one():
    X, y = data()
    outer = make_pipeline(StandardScaler(), Calibrator("platt")).fit(X, y)
    inner = Calibrator("platt", make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y)
    np.testing.assert_allclose(outer.predict_proba(X), inner.predict_proba(X), atol=0.01)


def test_a_grid_search_chooses_the_method():
    X, y = data()
    search = GridSearchCV(
        Calibrator(estimator=GaussianNB()),
        {"method": METHODS, "estimator__var_smoothing": [1e-9, 1e-3]},
        scoring="neg_brier_score",
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_["method"] in METHODS
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_options_are_the_method_s():
    X, y = data(2)
    plain, smooth = (
        Calibrator("platt", options=options).fit(X[:40], y[:40])
        for options in (None, {"smoothing": True})
    )
    assert smooth.calibrator_.fitted.options["smoothing"]
    assert np.abs(plain.predict_proba(X) - smooth.predict_proba(X)).max() > 1e-3
    with pytest.raises(ValueError, match="nonsense"):
        Calibrator("platt", options={"nonsense": 1}).fit(X, y)
    with pytest.raises(ValueError, match="did you mean temperature"):
        Calibrator("temprature").fit(X, y)
    with pytest.raises(ValueError, match="'logits' or 'probs'"):
        Calibrator(estimator="logit").fit(X, y)


def test_without_an_optimum_probabilities_stay_as_they_are_and_it_says_so():
    X = np.repeat([[-1.0], [1.0]], 20, axis=0)
    y = np.repeat(["no", "yes"], 20)
    with pytest.warns(UserWarning, match="stay as they are: .*every row is right"):
        model = Calibrator().fit(X, y)
    base = LogisticRegression().fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), base.predict_proba(X), atol=1e-12)
    assert "every row is right" in model.calibrator_.fitted.notes[0]


def test_probabilities_of_0_at_the_label_are_no_matter_for_isotonic_regression():
    X, y = data()
    base = RandomForestClassifier(10, random_state=0)
    with pytest.warns(UserWarning, match="exactly 0"):
        Calibrator("temperature", base).fit(X, y)
    model = Calibrator("isotonic", base).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_a_rare_class_lowers_the_folds_and_a_single_row_is_an_error():
    X, y = data(rows=200)
    few = np.flatnonzero(y < 2).tolist() + np.flatnonzero(y == 2)[:3].tolist()
    with pytest.warns(UserWarning, match="so 3 folds are used"):
        Calibrator().fit(X[few], y[few])
    with pytest.raises(ValueError, match="has 1 row"):
        Calibrator().fit(X[few[:-2]], y[few[:-2]])


def test_labels_that_a_frozen_classifier_does_not_know_are_an_error():
    X, y = data()
    base = FrozenEstimator(LogisticRegression().fit(X[y < 2], y[y < 2]))
    with pytest.raises(ValueError, match="does not know"):
        Calibrator(estimator=base).fit(X, y)


def test_the_calibrator_can_be_saved(tmp_path):
    X, y = data()
    model = Calibrator("structured-vector").fit(X, y)
    model.calibrator_.save(tmp_path / "cal.json")
    assert json.loads((tmp_path / "cal.json").read_text())["method"] == "structured-vector"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_it_is_imported_when_it_is_asked_for():
    code = (
        "import sys, calibtool as ct; assert 'sklearn' not in sys.modules; "
        "assert 'sklearn' in dir(ct); ct.sklearn.Calibrator; print('sklearn' in sys.modules)"
    )
    assert run(code).stdout.strip() == "True"


def test_without_scikit_learn_it_says_what_to_install():
    done = run("import sys; sys.modules['sklearn'] = None; import calibtool; calibtool.sklearn")
    assert "pip install 'calibtool[sklearn]'" in done.stderr


def test_the_page_s_code_runs(capsys):
    page = Path(__file__).parents[1] / "docs" / "how-to" / "sklearn.md"
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        exec(block, names)
    assert capsys.readouterr().out.startswith("T = ")


SCORE = {"greater_is_better": False, "response_method": "predict_proba"}


def test_a_grid_search_by_calibration_error():
    X, y = data(3)
    scorer = make_scorer(calibration_error, metric="brier", labels=np.arange(3), **SCORE)
    grid = {"method": ["temperature", "isotonic"]}
    search = GridSearchCV(Calibrator(), grid, scoring=scorer, cv=3, error_score="raise").fit(X, y)
    p = ct.Predictions.from_probs(search.predict_proba(X), y)
    wanted = ct.evaluate(p, metrics="brier", resamples=0)["brier"].value
    assert search.score(X, y) == -wanted


@pytest.mark.parametrize("positive", ["no", "yes"])
def test_probabilities_of_one_class_belong_to_pos_label(positive):
    p = np.array([0.1, 0.7, 0.4])
    y, weight = np.array(["no", "yes", "yes"]), [1.0, 2.0, 3.0]
    ours = calibration_error(y, p, metric="brier", sample_weight=weight, pos_label=positive)
    theirs = brier_score_loss(y, p, sample_weight=weight, pos_label=positive)
    assert ours == pytest.approx(theirs, abs=1e-15)


def test_two_classes_and_one_column_have_the_same_error():
    p, y = np.array([0.1, 0.7, 0.4, 0.9]), ["b", "c", "b", "c"]
    both = calibration_error(y, np.column_stack([1 - p, p]), metric="ece(view=positive)")
    assert calibration_error(y, p) == pytest.approx(both, abs=1e-15)


@pytest.mark.parametrize(
    ("y", "p", "more", "says"),
    [
        (["a", "a"], [0.1, 0.2], {}, "y has the labels a; there are columns for 2"),
        ([0, 1], [0.1, 1.2], {}, "1.2"),
        ([0, 1], [0.1, 0.2], {"metric": "ecce"}, "ecce"),
        ([0, 1], [0.1, 0.2], {"metric": "all"}, "one metric"),
        ([0, 1], [0.1, 0.2], {"pos_label": 7}, "7"),
        ([0, 1, 1], [0.1, 0.2], {}, "3"),
        ([0, 0], [0.1, 0.2], {"metric": "auroc"}, "auroc"),
    ],
)
def test_errors_of_scores_say_what_is_wrong(y, p, more, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        calibration_error(y, np.array(p), **more)
