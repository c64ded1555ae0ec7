"""Every result shows itself: printed, in a notebook, as a dict, as a data frame."""

from __future__ import annotations

import csv
import json
import sys
from functools import cache
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pytest

import calibtool as ct
from calibtool.analysis.monitoring.read import in_memory
from calibtool.analysis.monitoring.slices import monitor_slices
from calibtool.data.slicing import with_extra
from calibtool.decisions.costs import Costs
from calibtool.diagrams import registry
from calibtool.evaluation.resampling import Resampling
from calibtool.metrics.conventions.reproduce import reproduce, spread
from calibtool.reports.conventions import LibraryComparison, LibraryReport
from calibtool.reports.render import FORMATS, TABLES, render, table_of

FEW = {"resamples": 30}
VOID = {"meta", "link", "br"}  # elements without an end


@cache
def rows(classes=2, seed=0):
    """300 overconfident rows, with a column of places and one of days."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, 0.3), 300)
    truth = 0.6 * probs + 0.4 / classes
    labels = (rng.random(300)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    p = ct.Predictions.from_probs(probs, np.minimum(labels, classes - 1))
    places = np.array(["<at>", "be & ch", "de"])[rng.integers(0, 3, 300)]
    return with_extra(p, {"place": places})


def three_days():
    """Return days, after the first of which the scores are too high."""
    rng = np.random.default_rng(1)
    days = {}
    for day, slope in (("2026-11-01", 1.0), ("2026-11-02", 0.4), ("2026-11-03", 0.4)):
        score = rng.random(400)
        labels = (rng.random(400) < slope * score).astype(int)
        days[day] = ct.Predictions.from_probs(score, labels)
    return days


def in_slices():
    """The rows of three days in two slices, one of which appears later."""
    slices = {"<at>": three_days(), "be & ch": dict(list(three_days().items())[1:])}
    return monitor_slices(
        {name: in_memory(days, "auto", 15)[""] for name, days in slices.items()},
        "place",
        against="first",
        alpha=0.05,
        resampling=Resampling(resamples=FEW["resamples"]),
    )


RESULTS = {
    "Report": lambda: ct.evaluate(rows(), calibrator=ct.fit("temperature", rows()), **FEW),
    "Outcome": lambda: ct.check(rows(), ["ece <= 0.01", "ece <= 0.9 by place"], **FEW),
    "Comparison": lambda: ct.compare(
        [rows(), ct.fit("temperature", rows())(rows())], "nll,ece", names=["a", "<b>"], **FEW
    ),
    "SideBySide": lambda: ct.side_by_side(
        {
            "a_1 & <b>": ct.evaluate(rows(), "nll,ece,cox-slope", **FEW),
            "c": ct.evaluate(rows(3), "ece,nll", calibrator=ct.fit("temperature", rows(3)), **FEW),
        },
        percent=True,
    ),
    "SliceReport": lambda: ct.evaluate_by(rows(), ["place", "predicted"], "nll,ece", **FEW),
    "SliceSearch": lambda: ct.search_slices(rows(), ["place", "confidence"]),
    "Selection": lambda: ct.select(rows(), ["temperature", "platt"], **FEW),
    "TestResults": lambda: ct.significance(rows(), tests="cox,spiegelhalter", **FEW),
    "Prior": lambda: ct.estimate_prior(rows(), rows(2, 1), resamples=20),
    "Implied": lambda: ct.estimate(rows(), resamples=20),
    "Threshold": lambda: ct.choose_threshold(rows(), target="risk <= 40 %", by="place"),
    "CostReport": lambda: ct.decision_costs(
        rows(), costs=Costs("<costs>", {"0": {"1": 1.0}, "1": {"0": 5.0}}, 0.5)
    ),
    "Predictions": rows,
    "Calibrator": lambda: ct.fit("temperature", rows(3)),
    "PredictionSets": lambda: ct.fit_sets(rows(3)),
    "SetReport": lambda: ct.evaluate_sets(rows(), ct.fit_sets(rows(seed=1)), "place", **FEW),
    "LibraryReport": lambda: LibraryReport("test.npz", reproduce("netcal", rows())),
    "LibraryComparison": lambda: LibraryComparison(
        "test.npz", spread(rows()), ct.evaluate(rows(), ["ece"], **FEW)["ece"]
    ),
    "Monitoring": lambda: ct.monitor(three_days(), **FEW),
    "SliceMonitoring": in_slices,
}
DIAGRAMS = {
    name: (lambda name=name: registry.module_of(name).compute(rows(3), **FEW))
    for name in ("reliability", "confidence")
}


@pytest.fixture(scope="module")
def results():
    """Each result, computed once."""
    made = {}

    def result(name):
        if name not in made:
            made[name] = RESULTS[name]()
        return made[name]

    return result


every_result = pytest.mark.parametrize("name", RESULTS)


class Reader(HTMLParser):
    """Checks that elements end in the order in which they began."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_table_of_results_is_complete():
    assert set(RESULTS) == set(TABLES)


@every_result
def test_a_result_has_the_class_by_which_its_table_is_found(name, results):
    assert type(results(name)).__name__ == name
    assert table_of(results(name)).kind.startswith("calibtool-")


@every_result
def test_print_shows_the_table_of_the_command_line(name, results):
    result = results(name)
    if name == "Predictions":
        assert str(result) == "predictions: 300 rows, 2 classes, probabilities"
    else:
        assert f"{result}\n" == render(result, "table", width=80, colour=False)


@every_result
def test_repr_is_that_of_the_record(name, results):
    assert repr(results(name)).startswith(f"{name}(")


@every_result
def test_html_is_whole_escaped_and_asks_for_nothing(name, results):
    text = results(name)._repr_html_()
    reader = Reader(text)
    assert not reader.open
    assert reader.seen[0][0] == "div"
    tags = {tag for tag, _ in reader.seen}
    assert "table" in tags
    assert tags <= {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert {key for _, attributes in reader.seen for key in attributes} <= {"style", "scope"}
    for cells in table_of(results(name)).cells:
        for cell in cells:
            assert cell in reader.words or not cell


@every_result
def test_to_dict_is_the_json_document(name, results):
    document = results(name).to_dict()
    assert document == json.loads(render(results(name), "json"))
    assert {"format", "version", "calibtool"} <= set(document)


@every_result
def test_to_pandas_has_the_records_of_csv(name, results):
    pytest.importorskip("pandas")
    frame = results(name).to_pandas()
    if name == "Predictions":
        assert list(frame) == ["prob_0", "prob_1", "labels", "place"]
        assert len(frame) == 300
        return
    head, *lines = csv.reader(StringIO(render(results(name), "csv")))
    assert list(frame) == head
    assert len(frame) == len(lines)


def test_to_pandas_without_pandas_says_what_to_install(monkeypatch, results):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ct.CalibtoolError, match="pip install pandas"):
        results("Report").to_pandas()


@pytest.mark.parametrize("format_", ["csv", "markdown", "latex", "html", "json", "table"])
@every_result
def test_every_result_has_every_format(name, format_, results):
    assert format_ in FORMATS
    assert render(results(name), format_).endswith("\n")


def test_columns_of_predictions_are_named_by_their_classes():
    pytest.importorskip("pandas")
    p = ct.Predictions.from_logits([[1.0, 0.0]], [0], weights=[2.0], class_names=("cat", "dog"))
    frame = p.to_pandas()
    assert list(frame) == ["logit_cat", "logit_dog", "labels", "weights"]
    assert list(ct.Predictions.from_probs([0.2, 0.9], [0, 1]).to_pandas()) == ["prob", "labels"]
    sure = ct.Predictions.from_confidence([0.9, 0.6], [True, False]).to_pandas()
    assert list(sure) == ["confidence", "correct"]


@pytest.mark.parametrize(
    ("p", "accuracy"),
    [
        (ct.Predictions.from_probs([0.2, 0.9], [1, 1]), 0.5),
        (ct.Predictions.from_probs([0.2, 0.9], [1, 1], weights=[1.0, 3.0]), 0.75),
        (ct.Predictions.from_confidence([0.9, 0.6, 0.5], [True, True, True]), 1.0),
        (ct.Predictions.from_probs([0.2, 0.9], None), None),
    ],
)
def test_predictions_say_their_accuracy_where_they_have_labels(p, accuracy):
    assert p.to_dict()["accuracy"] == accuracy
    assert ("accuracy" in p._repr_html_()) == (accuracy is not None)


def test_a_calibrator_shows_what_its_file_holds(results):
    calibrator = results("Calibrator")
    document = json.loads(json.dumps(calibrator.document()))
    assert calibrator.to_dict() == {**document, "calibtool": ct.__version__}


def test_a_verdict_that_failed_is_red(results):
    assert "font-weight: bold" in results("Outcome")._repr_html_()


@pytest.mark.parametrize("kind", DIAGRAMS)
def test_a_diagram_is_drawn_in_a_notebook(kind):
    pytest.importorskip("matplotlib")
    diagram = DIAGRAMS[kind]()
    assert diagram._repr_png_().startswith(b"\x89PNG")
    assert "<svg" in diagram._repr_svg_()


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_kind_of_diagram_has_a_record_that_draws_itself(kind):
    module = registry.module_of(kind)
    records = [
        name
        for name, member in vars(module).items()
        if hasattr(member, "_repr_png_") and member.__module__ == module.__name__
    ]
    assert len(records) == 1
