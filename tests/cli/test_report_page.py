"""`calibtool report`: what the page advises, how it sorts classes, its scales and its glossary."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import calibtool as ct
from calibtool.reports.page.advice import about_comparison, about_file
from calibtool.reports.page.build import build_page
from calibtool.reports.page.glossary import TERMS
from calibtool.reports.page.groups import urgency
from calibtool.reports.page.model import Group

FEW = ("--resamples", "50")


def plain(markup):
    """The text of a page, with ordinary spaces."""
    return unescape(re.sub(r"<[^>]*>", "", markup)).replace("\xa0", " ")


def answers(text):
    """What a page says to do, and how sure it is, by file."""
    lists = re.findall(r'<dl class="answers">(.*?)</dl>', text, re.DOTALL)
    return [
        [plain(said) for said in re.findall(r"<dd>(.*?)</dd>", entry, re.DOTALL)] for entry in lists
    ]


def true_to(probs, seed=0):
    """Labels that come true as often as `probs` say."""
    rng = np.random.default_rng(seed)
    return (rng.random(len(probs))[:, None] > probs.cumsum(axis=1)).sum(axis=1)


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture
def sharp():
    """Logits that are twice too large, and the labels."""
    logits = np.random.default_rng(1).normal(size=(2000, 3))
    np.savez("sharp.npz", logits=2 * logits, labels=true_to(softmax(logits)))
    return Path("sharp.npz")


# ------------------------------------------------------------------ what to do


def test_a_calibrator_that_helps_is_to_be_applied(run, sharp):
    run("report", sharp, "-o", "a.html", *FEW)
    ((action, sure),) = answers(Path("a.html").read_text(encoding="utf-8"))
    assert action.startswith("Apply temperature scaling; fit it on rows that are not used")
    assert "calibtool fit temperature VALIDATION_FILE -o temperature.json" in action
    assert "cross-fitted in 5 folds: ece 0." in action
    report = build_page([ct.load(sharp)], methods=[], resamples=50).subjects[0].report
    low, high = (f"{x:.4f}" for x in (report["ece"].low, report["ece"].high))
    assert f"the 95 % interval of the true ece, {low} to {high}, excludes 0" in sure
    assert "n = 2,000" in sure
    assert "is beyond chance" in sure
    assert run("fit", "temperature", sharp, "-o", "temperature.json").code == 0  # as advised
    run("report", sharp, "-o", "b.html", *FEW, "--calibrator", "temperature.json")
    ((action, _),) = answers(Path("b.html").read_text(encoding="utf-8"))
    assert action.startswith("Apply this calibrator.")
    assert "calibtool apply temperature.json FILE -o calibrated.npz" in action


def test_the_command_names_the_calibrator_as_a_shell_takes_it(run, sharp):
    name = "the -o best.json"
    run("fit", "temperature", sharp, "-o", name)
    run("report", sharp, "-o", "a.md", *FEW, "--calibrator", name, "--logits", "logits")
    text = Path("a.md").read_text(encoding="utf-8")
    assert f"calibtool apply '{name}' FILE --logits logits -o calibrated.npz" in text


def test_the_command_repeats_the_options_of_reading(run, sharp):
    with np.load(sharp) as file:
        np.savez("other.npz", z=file["logits"], truth=file["labels"])
    keys = ("--logits", "z", "--labels", "truth")
    assert run("report", "other.npz", "-o", "a.html", *FEW, *keys).code == 0
    ((action, _),) = answers(Path("a.html").read_text(encoding="utf-8"))
    advised = "calibtool fit temperature VALIDATION_FILE --logits z --labels truth -o t.json"
    assert advised.replace("t.json", "temperature.json") in action


def test_where_nothing_is_wrong_nothing_is_to_be_done(run):
    probs = softmax(np.random.default_rng(2).normal(size=(2000, 3)))
    np.savez("fine.npz", probs=probs, labels=true_to(probs))
    run("report", "fine.npz", "-o", "a.html", *FEW)
    text = Path("a.html").read_text(encoding="utf-8")
    ((action, sure),) = answers(text)
    assert action.startswith("Use the probabilities as they are; nothing has to be corrected.")
    assert "calibtool fit" not in action
    assert sure.startswith("Sure only up to a size: the 95 % interval of the true ece is 0.0000 to")
    assert 'class="verdict good"' in text


def test_a_calibrator_that_does_harm_is_not_to_be_applied(run, sharp):
    with np.load(sharp) as file:
        logits, labels = file["logits"], file["labels"]
    ct.fit("temperature", ct.Predictions.from_logits(logits / 10, labels)).save("sharper.json")
    run("report", sharp, "-o", "a.html", *FEW, "--calibrator", "sharper.json")
    ((action, _),) = answers(Path("a.html").read_text(encoding="utf-8"))
    assert re.match(r"Temperature scaling makes NLL worse: [\d.]+ to [\d.]+", action)
    assert "calibtool select VALIDATION_FILE -o best.json" in action


def test_where_none_was_tried_one_is_to_be_looked_for(run, sharp):
    run("report", sharp, "-o", "a.html", *FEW, "--select", "none")
    ((action, _),) = answers(Path("a.html").read_text(encoding="utf-8"))
    assert action.startswith("Do not use the probabilities as they are; look for a calibrator.")
    assert action.endswith("calibtool select VALIDATION_FILE -o best.json")


def test_a_calibrator_that_misses_what_is_wrong_is_told_apart_from_one_that_helps(run):
    odds = np.random.default_rng(3).normal(size=3000)
    logits, truth = (np.stack([np.zeros(3000), z], axis=1) for z in (odds, odds - 1.4))
    np.savez("shifted.npz", logits=logits, labels=true_to(softmax(truth)))
    run("report", "shifted.npz", "-o", "a.html", *FEW)
    ((action, sure),) = answers(Path("a.html").read_text(encoding="utf-8"))
    assert action.startswith("Temperature scaling does not visibly lower ece(view=positive).")
    assert "calibtool select VALIDATION_FILE -o best.json" in action
    assert sure.endswith("can be chance.")


@pytest.mark.parametrize(
    ("rows", "words", "action", "sure"),
    [
        (4, (), "Measure on more rows before you decide", "4 rows are too few for an interval"),
        (300, ("--ci", "none"), "Measure with intervals before you decide", "no interval was"),
        (300, ("--metrics", "nll"), "Measure a calibration error, such as ece", "Unknown: no"),
    ],
    ids=["four rows", "no intervals", "no calibration error"],
)
def test_numbers_that_say_nothing_are_not_acted_on(run, sharp, rows, words, action, sure):
    with np.load(sharp) as file:
        np.savez("few.npz", logits=file["logits"][:rows], labels=file["labels"][:rows])
    assert run("report", "few.npz", "-o", "a.html", *FEW, *words).code == 0
    text = Path("a.html").read_text(encoding="utf-8")
    ((said, how),) = answers(text)
    assert action in said
    assert sure in how
    assert 'class="verdict"' in text  # neither good nor bad
    assert plain(re.search(r'<p class="lead">(.*?)</p>', text)[1])


def test_confidences_alone_are_calibrated_too(run, sharp):
    with np.load(sharp) as file:
        probs, labels = softmax(file["logits"]), file["labels"]
    np.savez("sure.npz", confidence=probs.max(axis=1), correct=probs.argmax(axis=1) == labels)
    run("report", "sure.npz", "-o", "a.html", *FEW)
    ((action, _),) = answers(Path("a.html").read_text(encoding="utf-8"))
    assert re.match("Apply (temperature|Platt) scaling of confidences", action)
    method = re.search(r"calibtool fit (\w+) VALIDATION_FILE", action)[1]
    assert run("fit", method, "sure.npz", "-o", "t.json").code == 0


def test_of_paired_files_the_one_of_the_better_score_is_preferred(run, sharp):
    with np.load(sharp) as file:
        np.savez("right.npz", logits=file["logits"] / 2, labels=file["labels"])
    run("report", sharp, "right.npz", "-o", "a.html", *FEW)
    compared, first, second = answers(Path("a.html").read_text(encoding="utf-8"))
    assert compared[0] == "Prefer right.npz: its nll is lower."
    pages = build_page([ct.load(sharp), ct.load("right.npz")], methods=[], resamples=50)
    (_, changes) = pages.comparison.changes[0]
    nll = next(change for change in changes if change.name == "nll")
    (shown,) = re.findall(r"right.npz minus sharp.npz (.*), lower\.", compared[1])
    numbers = [float(x) for x in re.findall(r"-[\d.]+", shown)]
    assert numbers == pytest.approx([nll.best, nll.low, nll.high], abs=2e-4)
    assert first[0].startswith("Apply temperature")
    assert second[0].startswith("Use the probabilities as they are")
    run("report", "right.npz", sharp, "-o", "a.html", *FEW)
    (compared, *_) = answers(Path("a.html").read_text(encoding="utf-8"))
    assert compared[0] == "Keep right.npz: no other file has a visibly lower nll."
    run("report", sharp, sharp, "-o", "a.html", *FEW, "--ci", "none")
    assert "Compare a proper score" in answers(Path("a.html").read_text(encoding="utf-8"))[0][0]


def test_files_of_other_rows_are_not_ranked(run, sharp):
    with np.load(sharp) as file:
        np.savez("half.npz", logits=file["logits"][:900], labels=file["labels"][:900])
    run("report", sharp, "half.npz", "-o", "a.html", *FEW)
    (compared, *_) = answers(Path("a.html").read_text(encoding="utf-8"))
    assert compared[0] == "Read each file by itself, below."


def test_the_advice_of_a_page_is_that_of_its_records(sharp):
    page = build_page([ct.load(sharp)], resamples=50)
    given = about_file(page, page.subjects[0])
    assert given.command.startswith("calibtool fit temperature")
    assert about_comparison(page) is None


# ------------------------------------------------------------------ classes


def test_classes_are_sorted_by_the_gap_beyond_chance(run):
    """The order is that of the least gap that the interval leaves, by a formula of its own."""
    from scipy.stats import beta

    # class: predicted rows, confidence, rows that are right
    plan = {
        0: (400, 0.9, 300),
        1: (40, 0.9, 28),
        2: (2, 0.95, 1),
        3: (1, 0.99, 0),
        4: (100, 0.5, 50),
    }
    probs, labels = [], []
    for k, (rows, score, right) in plan.items():
        row = np.full(6, (1 - score) / 5)
        row[k] = score
        probs += [row] * rows
        labels += [k] * right + [(k + 1) % 5] * (rows - right)
    np.savez("plan.npz", probs=np.array(probs), labels=np.array(labels))
    run("report", "plan.npz", "-o", "a.html", *FEW, "--select", "none")
    text = Path("a.html").read_text(encoding="utf-8")
    (table,) = re.findall(r'<table aria-label="Classes".*?</table>', text, re.DOTALL)
    shown = re.findall(r'<tr><th scope="row">(\d)</th>', table)
    beyond = {}
    for k, (rows, score, right) in plan.items():
        low = beta.ppf(0.025, right, rows - right + 1) if right else 0.0
        high = beta.ppf(0.975, right + 1, rows - right) if right < rows else 1.0
        beyond[str(k)] = max(score - high, low - score, 0.0)
    off = [name for name in shown if beyond[name] > 0]
    assert shown[: len(off)] == sorted(off, key=lambda name: -beyond[name]) == ["0", "1", "3"]
    assert shown[len(off) :] == ["2", "4"]  # a gap of 0 comes last
    assert "Not listed: 1 of the classes, which are neither a label nor predicted." in text
    assert "3 of 5 predicted classes have a gap whose interval excludes 0" in text
    assert re.search(r'aria-sort="descending"><span>95 % interval', table)


def test_a_gap_of_few_rows_does_not_come_before_one_that_is_nearly_certain():
    wide = Group("one row", 1, 0.6, 0.0, 0.0, 0.975)
    near = Group("many rows", 300, 0.6, 0.55, 0.493, 0.607)
    assert wide.beyond == near.beyond == 0
    assert abs(wide.gap) > abs(near.gap)
    assert urgency(near) > urgency(wide)


# ------------------------------------------------------------------ scales


@pytest.fixture
def certain():
    """Predictions of which most are sure: mean confidence near 98 %, accuracy of 97 %."""
    rng = np.random.default_rng(4)
    margin = rng.gamma(9, 1, 4000)
    logits = np.stack([margin, np.zeros(4000), np.zeros(4000)], axis=1)
    np.savez("certain.npz", logits=logits, labels=true_to(softmax(0.8 * logits)))
    return Path("certain.npz")


def heights(text, kind):
    return [float(x) for x in re.findall(rf'<rect class="{kind}"[^>]*height="([\d.]+)"', text)]


def test_a_panel_of_sure_predictions_shows_something(run, certain):
    run("report", certain, "-o", "a.html", *FEW, "--select", "none")
    text = Path("a.html").read_text(encoding="utf-8")
    ((said, right),) = re.findall(r"accuracy ([\d.]+) %, mean confidence ([\d.]+) %", text)[:1]
    assert float(right) > 97
    # of 104 units; in bins of equal width, all wrong rows together would be 2 or 3
    assert max(heights(text, "wrong")) > 20
    assert sum(height > 5 for height in heights(text, "right")) >= 5
    assert ">0.999</text>" in text
    # of 56 units, for a share of the rows of some per mille
    bars = heights(text, "bar")
    assert np.median(bars) > 10
    assert "drawn on a log scale" in text
    page = build_page([ct.load(certain)], methods=[], ci="none")
    data = page.subjects[0].confidence
    assert data.wide
    assert sum(data.right) + sum(data.wrong) == pytest.approx(1)
    assert sum(data.right) == pytest.approx(float(said) / 100, abs=5e-4)


def test_histograms_side_by_side_are_on_one_scale(run, sharp, certain):
    """One of them alone would be linear, the other is not."""
    run("report", sharp, "-o", "a.html", *FEW, "--select", "none")
    assert "drawn on a log scale" not in Path("a.html").read_text(encoding="utf-8")
    run("report", sharp, certain, "-o", "b.html", *FEW, "--select", "none")
    text = Path("b.html").read_text(encoding="utf-8")
    row = text[text.index('class="figures-row') :].partition("</section>")[0]
    assert row.count("drawn on a log scale") == 2
    scales = re.findall(r'class="tick"[^>]*>([\d.]+ %)</text>', row)
    assert len(scales) >= 6
    assert scales[: len(scales) // 2] == scales[len(scales) // 2 :]


def test_the_panel_of_cells_has_the_shares_of_its_own_edges(run, certain):
    run("cells", certain, "-o", "a.cells")
    cells = build_page([ct.read("a.cells")], ci="none").subjects[0].confidence
    rows = build_page([ct.load(certain)], methods=[], ci="none").subjects[0].confidence
    assert cells.edges == pytest.approx(rows.edges, abs=2e-4)
    with np.load(certain) as file:
        probs, labels = softmax(file["logits"]), file["labels"]
    sure, hit = probs.max(axis=1), probs.argmax(axis=1) == labels
    for found, group in ((cells.right, sure[hit]), (cells.wrong, sure[~hit])):
        counted, _ = np.histogram(group, np.array(cells.edges))
        assert found == pytest.approx(counted / len(labels), abs=1e-9)


def test_an_axis_of_no_error_has_labels_that_fit(run):
    np.savez("right.npz", probs=np.tile([[0.9, 0.1, 0.0]], (40, 1)), labels=np.zeros(40, int))
    run("report", "right.npz", "-o", "a.html", *FEW, "--ci", "none", "--select", "none")
    text = Path("a.html").read_text(encoding="utf-8")
    ticks = re.findall(r'class="tick">([^<]* %)<', text)
    assert ticks
    assert max(map(len, ticks)) <= 7


# ------------------------------------------------------------------ glossary


def words_of(text):
    (entries,) = re.findall(r'<dl class="glossary">(.*?)</dl>', text, re.DOTALL)
    return re.findall(r"<dt>(.*?)</dt>", entries)


def test_the_glossary_explains_the_words_that_a_page_uses(run, sharp):
    run("report", sharp, "-o", "a.html", *FEW)
    text = Path("a.html").read_text(encoding="utf-8")
    words = words_of(text)
    assert words == [term.word for term in TERMS if term.word in words]
    used = ["accuracy", "beyond chance", "confidence", "corrected", "cross-fitted", "ece", "gap"]
    used += ["interval", "nll", "overconfident", "p-value", "recall"]
    assert set(used) <= set(words)
    assert not {"P(class 1)", "PHI", "slice", "net benefit"} & set(words)
    body = plain(text[: text.index('id="glossary"')].split("</style>")[1]).lower()
    # these are explained where a page writes another form of them: p = 0.01, nll, scaling, view=top
    others = {"p-value", "calibrated", "calibrator", "proper score", "top, positive, class"}
    assert [word for word in words if word not in others and word.lower() not in body] == []
    assert text.index('id="glossary"') > text.index("How each number was computed")


def test_further_words_are_explained_where_they_are_used(run, sharp):
    with np.load(sharp) as file:
        probs, labels = softmax(file["logits"]), file["labels"]
    where = np.where(np.arange(len(labels)) % 2, "a", "b")
    np.savez("two.npz", score=probs[:, 1], labels=(labels == 1).astype(int), place=where)
    run("report", "two.npz", "-o", "a.html", *FEW, "--by", "place", "--clinical")
    words = words_of(Path("a.html").read_text(encoding="utf-8"))
    assert {"P(class 1)", "PHI", "flips", "slice", "net benefit", "brier"} <= set(words)
    run("report", "two.npz", "two.npz", "-o", "a.html", *FEW)
    assert Path("a.html").read_text(encoding="utf-8").count('class="glossary"') == 1


def test_rows_of_a_cluster_stay_together_on_a_page(run, examples):
    visits, few = examples / "visits.parquet", ("--resamples", "40", "--select", "platt")
    args = ("--cluster", "user_id", "--by", "country", "--clinical", *few)
    assert run("report", visits, "-o", "a.html", *args).code == 0
    text = Path("a.html").read_text(encoding="utf-8")
    assert "(user_id: 1,317 clusters)" in text
    assert "draws:1317 clusters" in text
    assert "draws:rows" not in text.replace(" | ", "|")
    options = {"cluster": "user_id", "resamples": 40}
    one = build_page([ct.scan(visits)], methods=[], **options).subjects[0]
    told = ct.evaluate(ct.scan(visits), **options)
    assert [(e.value, e.low, e.high) for e in one.report] == [
        (e.value, e.low, e.high) for e in told
    ]
    alone = build_page([ct.scan(visits)], methods=[], resamples=40).subjects[0]
    assert not np.array_equal(one.curves[0].high, alone.curves[0].high)
    assert not np.array_equal(one.risk.high, alone.risk.high)


def test_a_calibrator_is_not_tried_on_rows_whose_cluster_it_saw(sharp):
    """Isotonic regression knows the outcome of a row that it saw the twin of."""
    rng = np.random.default_rng(3)
    score, label = rng.random(300), rng.integers(0, 2, 300)
    twin = np.repeat(np.arange(300), 4)
    extra = {"twin": twin}
    rows = replace(ct.Predictions.from_probs(score[twin], label[twin]), extra=extra)

    def after(cluster):
        page = build_page([rows], ["brier"], methods=["isotonic"], ci="none", cluster=cluster)
        return page.subjects[0].report.after[0].value

    assert after(None) < 0.25 < after("twin")  # 0.25 is what 0.5 for every row has


def test_differences_of_a_page_are_paired_by_cluster(run, sharp):
    with np.load(sharp) as file:
        logits, labels = file["logits"], file["labels"]
    user = np.arange(len(labels)) // 8
    for name, scale in (("one.npz", 1.0), ("two.npz", 0.5)):
        np.savez(name, logits=scale * logits, labels=labels, user=user)
    assert run("report", "one.npz", "two.npz", "-o", "a.md", *FEW, "--cluster", "user").code == 0
    assert "(user: 250 clusters)" in Path("a.md").read_text(encoding="utf-8")
    files = [ct.scan(name) for name in ("one.npz", "two.npz")]
    changed = build_page(files, ["nll"], methods=[], resamples=40, cluster="user").comparison
    told = ct.compare(files, metrics=["nll"], resamples=40, cluster="user")
    low, high = changed.changes[0][1][0].low, changed.changes[0][1][0].high
    assert f"{low:.4f}, {high:.4f}".replace("-", "") in str(told).replace("-", "").replace("+", "")


def test_cells_and_too_few_clusters_are_refused_in_words(run, sharp):
    run("cells", sharp, "-o", "a.cells")
    found = run("report", "a.cells", "-o", "a.html", "--cluster", "user")
    assert found.code == 2
    assert "holds cells, no rows; --cluster needs rows" in found.err
    with np.load(sharp) as file:
        np.savez("few.npz", **file, user=np.arange(2000) % 7)
    found = run("report", "few.npz", "-o", "a.html", "--cluster", "user")
    assert found.code == 2
    assert "7 clusters are too few" in found.err
