"""What is drawn of two classes, of several models and of many slices."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Text
from pictures import words_of
from simulated import simulate

import calibtool as ct
from calibtool.diagrams import classwise, figure, reliability
from calibtool.diagrams.registry import module_of
from calibtool.errors import UsageError

FEW = {"resamples": 60}


def two_columns(rows: int = 400) -> ct.Predictions:
    rng = np.random.Generator(np.random.PCG64(5))
    score = rng.uniform(0, 1, rows)
    labels = (rng.uniform(0, 1, rows) < score**2).astype(int)
    return ct.Predictions.from_probs(np.stack([1 - score, score], axis=1), labels)


@pytest.mark.parametrize("kind", ["reliability", "belt", "compare", "confidence", "shift"])
def test_two_classes_are_drawn_by_the_probability_of_class_1(kind):
    """In one column or two, of rows or of cells; `view="top"` draws the confidence."""
    wide = two_columns()
    wide = replace(wide, extra={"age": np.arange(wide.rows)})
    one = replace(ct.Predictions.from_probs(wide.values[:, 1], wide.labels), extra=wide.extra)
    options = {"shift": {"over": "age", "groups": 2}}.get(kind, {}) | FEW

    def drawn(rows, **more):
        shown = {"a": rows, "b": rows} if kind == "compare" else rows
        return module_of(kind).compute(shown, **options, **more)

    both = drawn(wide), drawn(one)
    assert both[0].view == both[1].view == drawn(wide, view="positive").view == "positive"
    assert drawn(wide, view="top").view == drawn(one, view="top").view == "top"
    a, b = (diagram.parts for diagram in both)
    for part in ("curve", "histogram", "stretch"):
        for name, values in a.get(part, {}).items():
            if isinstance(values[0], float):
                np.testing.assert_allclose(
                    np.array(values, float), np.array(b[part][name], float), atol=1e-12
                )
    three = simulate(60, 3, seed=1)
    with pytest.raises(UsageError, match="positive needs two classes"):
        drawn(replace(three, extra={"age": np.arange(60)}), view="positive")


def test_several_files_share_a_view():
    pair, three = two_columns(), simulate(400, 3, seed=1)
    assert reliability.compute({"a": pair, "b": pair}, **FEW).view == "positive"
    mixed = reliability.compute({"a": pair, "b": three}, **FEW)
    other = reliability.compute({"a": three, "b": pair}, **FEW)
    assert mixed.view == other.view == "top"
    assert reliability.compute(ct.cells(pair), **FEW).view == "positive"


@pytest.fixture(scope="module")
def regions() -> ct.Predictions:
    """Fourteen regions: the smallest but one is badly off, the largest well calibrated; of two
    there are four rows and eight."""
    rows = simulate(2000, 3, seed=7)
    sizes = {"off": 60, "tiny": 4, "small": 8} | {f"r{k:02d}": 150 - 5 * k for k in range(12)}
    names = np.repeat(list(sizes), list(sizes.values()))
    names = np.append(names, ["large"] * (rows.rows - len(names)))
    values = rows.values.copy()
    values[names == "off"] *= 6
    calm = ct.fit("temperature", rows)(replace(rows, values=values))
    calm = replace(calm, values=np.where((names == "off")[:, None], values, calm.values))
    return replace(calm, extra={"region": names}, source="regions.npz")


def test_the_worst_slices_are_drawn_by_the_lower_end_of_their_interval(regions):
    every = reliability.compute(regions, by="region", top=200, **FEW)
    low = {c.panel: c.estimates[0].low for c in every.curves}
    assert len(low) == 14
    data = reliability.compute(regions, by="region", top=3, **FEW)
    drawn = [c.panel for c in data.curves]
    assert drawn[0] == "region off"
    assert [low[name] for name in drawn] == sorted(low.values(), reverse=True)[:3]
    assert "region large" not in drawn
    assert len(data.data) == 3
    left = regions.rows - 12 - sum(c.rows for c in data.curves)
    assert "region has 16 values: the 3 with the highest lower end" in data.notes[0]
    assert f"{left:,} rows are not" in data.notes[0]
    assert len(reliability.compute(regions, by="region", **FEW).panels) == 12


def test_slices_of_few_rows_are_listed_not_drawn(regions):
    data = reliability.compute(regions, by="region", top=200, **FEW)
    (note,) = data.notes
    assert "fewer than 30 rows say too little: small (8), tiny (4); 12 rows in all" in note
    assert list(data.panels) == sorted(data.panels)  # all are drawn: in the order of their values
    few = regions.take(np.flatnonzero(regions.extra["region"] == "tiny"))
    with pytest.raises(UsageError, match="no slice has 30 rows"):
        reliability.compute(few, by="region", **FEW)
    with pytest.raises(UsageError, match="--top chooses among the diagrams of --by"):
        reliability.compute(regions, top=3, **FEW)


def test_a_grid_that_is_too_tall_goes_to_several_files(regions, tmp_path):
    data = reliability.compute(regions, by="region", **FEW)
    paths = ct.plot.save("reliability", data, tmp_path / "x.svg", width="3.25in")
    assert [path.name for path in paths] == ["x.svg", "x-2.svg"]
    texts = [words_of(path) for path in paths]
    for number, name in enumerate(data.panels):
        assert [name in text for text in texts] == [number < 6, number >= 6]
    assert all("small (8), tiny (4)" in text for text in texts)
    for path in paths:
        height = re.search(r'<svg [^>]*height="([\d.]+)pt"', path.read_text())
        assert float(height[1]) <= 12 * 72
    assert len(figure.pages_of("reliability", data, width="6.75in")) == 1


def test_the_only_slice_keeps_its_name(regions):
    data = reliability.compute(regions, by="region", top=1, **FEW)
    assert "region off" in figure.svg(figure.figure("reliability", data))


@pytest.fixture(scope="module")
def models() -> dict[str, ct.Predictions]:
    """Three models of the same rows, the first overconfident: nine rows of ten are in its last
    bin."""
    rows = simulate(800, 3, seed=11)
    sure = replace(rows, values=rows.values * 5)
    return {"sure": sure, "cooled": ct.fit("temperature", rows)(rows), "vector": rows}


def said(picture) -> str:
    """All text of a picture, wherever its lines break."""
    return " ".join(" ".join(text.get_text() for text in picture.findobj(Text)).split())


def marks_of(picture):
    found = picture.findobj(lambda artist: artist.get_gid() is not None)
    return {artist.get_gid(): artist for artist in found}


@pytest.mark.parametrize("logit", [False, True])
def test_bins_of_several_models_stand_side_by_side_and_keep_their_gaps(models, logit):
    """Moved along the diagonal: what is drawn away from it stays as far away."""
    data = reliability.compute(models, logit=logit, **FEW)
    picture = figure.figure("reliability", data, width="3.25in")
    picture.canvas.draw()
    marks = marks_of(picture)
    axes = marks["points-0"].axes
    ends = [axes.transData.transform((x, x)) for x in (0.6, 0.9)]
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    moved = []
    for k in range(3):
        for gid in (f"points-{k}", f"bars-{k}"):
            artist = marks[gid]
            shift = artist.get_transform() if gid[0] == "b" else artist.get_offset_transform()
            at = np.array([[0.7, 0.7], [0.8, 0.6]])
            away = shift.transform(at) - axes.transData.transform(at)
            np.testing.assert_allclose(away[0], away[1], atol=1e-9)
            across = away[0] - (away[0] @ along) * along
            np.testing.assert_allclose(across, 0, atol=1e-6)
        moved.append(away[0] @ along * 72 / picture.dpi)
    np.testing.assert_allclose(np.diff(moved), 0.3 * 7.5 * np.sqrt(2))
    assert "set apart along the diagonal" in said(picture)


def test_a_single_model_and_a_crowd_stay_where_they_are(models):
    crowd = {f"{name} {k}": rows for k in range(2) for name, rows in models.items()}
    for sets in ({"a": models["sure"]}, crowd):
        data = reliability.compute(sets, **FEW)
        marks = marks_of(figure.figure("reliability", data))
        offset, own = marks["points-0"].get_offset_transform(), marks["points-0"].axes.transData
        np.testing.assert_allclose(offset.transform((0.3, 0.4)), own.transform((0.3, 0.4)))


@pytest.mark.parametrize("form", ["smooth", "corp", "loess"])
def test_lines_and_bands_of_several_models_differ_without_colour(models, form):
    data = reliability.compute(models, form=form, **FEW)
    marks = marks_of(figure.figure("reliability", data))
    for gid in ("curve", "low", "high"):
        dashes = [marks[f"{gid}-{k}"]._unscaled_dash_pattern for k in range(3)]
        assert len({str(dash) for dash in dashes}) == 3
    own = data.curves[1]
    np.testing.assert_allclose(marks["curve-1"].get_ydata(), own.outcome)
    np.testing.assert_allclose(marks["low-1"].get_ydata(), own.low)


def test_bars_of_several_histograms_stand_side_by_side(models):
    """As high as reported, within their bin, and apart from one another."""
    data = reliability.compute(models, bins=10, **FEW)
    marks = marks_of(figure.figure("reliability", data))
    ends = []
    for k, curve in enumerate(data.curves):
        stairs = marks[f"histogram-{k}"].get_data()
        np.testing.assert_allclose(stairs.values[1::2], curve.histogram.mass)
        assert not stairs.values[::2].any()
        left, right = stairs.edges[1:-1:2], stairs.edges[2:-1:2]
        assert (left > curve.histogram.edges[:-1]).all()
        assert (right < curve.histogram.edges[1:]).all()
        ends.append((left, right))
    for (_, right), (left, _) in pairwise(ends):
        np.testing.assert_allclose(left, right)
    outlines = reliability.compute(models, form="smooth", **FEW)
    marks = marks_of(figure.figure("reliability", outlines))
    styles = {str(marks[f"histogram-{k}"].get_linestyle()) for k in range(3)}
    assert len(styles) == 3


@pytest.mark.parametrize("kind", ["reliability", "belt", "confidence", "outcomes"])
def test_low_bars_beside_a_high_one_are_seen(kind):
    """93 % of the rows in one bin: of the others, even one row is some points high."""
    rng = np.random.Generator(np.random.PCG64(2))
    z = np.where(rng.uniform(0, 1, 4000) < 0.93, rng.normal(-5, 0.5, 4000), rng.normal(0, 1, 4000))
    score = 1 / (1 + np.exp(-z))
    rows = ct.Predictions.from_probs(score, (rng.uniform(0, 1, 4000) < score).astype(int))
    data = module_of(kind).compute(rows, **FEW)
    picture = figure.figure(kind, data)
    picture.canvas.draw()
    bars = marks_of(picture)["histogram-0"]
    axes, masses = bars.axes, bars.get_data().values
    assert masses.max() > 0.15
    least = min(abs(masses[masses != 0]))
    foot, head = axes.transData.transform([(0.5, 0), (0.5, least)])[:, 1]
    assert (head - foot) * 72 / picture.dpi > 2.5
    assert "log scale" in said(picture)
    even = ct.Predictions.from_probs(
        rng.uniform(0, 1, 400), (rng.uniform(0, 1, 400) < 0.5).astype(int)
    )
    picture = figure.figure(kind, module_of(kind).compute(even, **FEW))
    assert "log scale" not in said(picture)


@pytest.fixture(scope="module")
def classes() -> ct.Predictions:
    """Forty classes; the score of the first is too high, that of the second too low."""
    made = simulate(1500, 40, seed=13)
    probs = np.exp(made.values - made.values.max(axis=1, keepdims=True))
    probs[:, 0] *= 6
    probs[:, 1] /= 6
    return ct.Predictions.from_probs(probs / probs.sum(axis=1, keepdims=True), made.labels)


def test_the_strip_is_shaded_by_significance(classes):
    from scipy.stats import binom

    data = classwise.compute(classes, top=2, **FEW)
    strip = data.strip
    n, some = strip.n, strip.n > 0
    count = np.zeros(n.shape)
    for g, group in enumerate(strip.groups):
        (k,) = data.order[group]
        score, hit = classes.values[:, k], classes.labels == k
        at = np.clip(np.ceil(score * 15) - 1, 0, 14).astype(int)
        count[g] = np.bincount(at, hit, 15)
        mean = np.bincount(at, score, 15)[some[g]] / n[g][some[g]]
        y, m = count[g][some[g]], n[g][some[g]]
        tails = np.minimum(binom.cdf(y, m, mean), binom.sf(y - 1, m, mean))
        np.testing.assert_allclose(
            strip.p[g][some[g]], np.minimum(1, 2 * tails), rtol=1e-6, atol=1e-300
        )
    shades = strip.shades
    assert np.isnan(shades[~some]).all()
    np.testing.assert_array_equal(
        np.sign(shades[some]), np.sign(strip.gap[some]) * strip.outside[some]
    )
    depth = 1 + (strip.p < 1e-3).astype(int) + (strip.p < 1e-6)
    np.testing.assert_array_equal(np.abs(shades)[strip.outside], depth[strip.outside])
    by_class = {int(k): shades[g] for g, k in enumerate(data.order)}
    assert np.nanmin(by_class[0]) == -3
    assert np.nanmax(by_class[1]) >= 2


@pytest.mark.parametrize("style", ["paper", "dark"])
def test_too_high_and_too_low_differ_in_grey_and_from_no_rows(classes, style):
    data = classwise.compute(classes, top=2, **FEW)
    picture = figure.figure("classwise", data, style=style, width="6.75in")
    found = picture.findobj(lambda artist: artist.get_gid() is not None)
    strips = [artist for artist in found if artist.get_gid() == "strip"]
    hatches = [artist for artist in found if str(artist.get_gid()).startswith("hatch")]
    (main,) = (image for image in strips if image.axes in picture.axes)
    shades = main.get_array()
    own = [artist for artist in hatches if artist.axes is main.axes]
    for artist in own:  # every line lies in a bin whose score is too low, and every one has a line
        ends = np.array([segment.mean(axis=0) for segment in artist.get_segments()]).reshape(-1, 2)
        cells = {(int(y * 15), int(x)) for x, y in ends}
        depth = int(artist.get_gid()[-1])
        assert cells == set(zip(*np.nonzero(np.ma.filled(shades, 0) == depth), strict=True))
    (empty,) = (
        artist for artist in found if artist.get_gid() == "empty" and artist.axes is main.axes
    )
    assert len(empty.get_segments()) == int(np.isnan(data.strip.shades).sum())
    assert "too high" in said(picture)
    (key,) = (image.axes for image in strips if image.axes not in picture.axes)
    picture.canvas.draw()
    grey = np.asarray(picture.canvas.buffer_rgba())[..., :3] @ [0.2126, 0.7152, 0.0722]  # BT.709
    spread = []
    for shade in (-3, -2, -1, 1, 2, 3):
        corners = key.transData.transform([(shade - 0.4, 0.1), (shade + 0.4, 0.9)])
        (x0, y0), (x1, y1) = np.rint(corners).astype(int)
        spread.append(grey[len(grey) - y1 : len(grey) - y0, x0:x1].std())
    assert max(spread[:3]) < 1
    assert min(spread[3:]) > 5


def test_the_strip_names_its_columns(classes):
    """All of them, or those for which there is room; what a column of several classes holds."""
    few = simulate(400, 5, seed=1)
    picture = figure.figure("classwise", classwise.compute(few, **FEW))
    names = [text.get_text() for text in picture.axes[-1].get_xticklabels()]
    assert sorted(names) == list("01234")
    data = classwise.compute(classes, top=2, **FEW)
    wide = figure.figure("classwise", data, width="6.75in").axes[-1]
    assert [t.get_text() for t in wide.get_xticklabels()] == [str(k) for k in data.order]
    narrow = figure.figure("classwise", data, width="2in").axes[-1]
    shown = [text.get_text() for text in narrow.get_xticklabels()]
    step = -(-40 // len(shown))
    assert shown == [str(k) for k in data.order[::step]]
    assert narrow.get_xlabel().startswith(f"One in {step} classes")
    many = ct.Predictions.from_logits(
        np.random.Generator(np.random.PCG64(0)).normal(size=(300, 450)), np.arange(300)
    )
    data = classwise.compute(many, top=1, **FEW)
    last = figure.figure("classwise", data).axes[-1]
    group = data.strip.groups[0]
    assert last.get_xticklabels()[0].get_text() == f"{data.order[0]} +{len(group) - 1}"


def test_classes_go_to_several_pages_each_with_the_strip(classes, tmp_path):
    data = classwise.compute(classes, top=12, **FEW)
    paths = ct.plot.save("classwise", data, tmp_path / "x.svg")
    texts = [words_of(path) for path in paths]
    assert len(texts) > 1
    assert all("too high" in text for text in texts)
    for k, curve in enumerate(data.curves):
        held = [f"class {curve.label} " in text for text in texts]
        assert held.count(True) == 1, k


def test_no_axis_is_named_by_a_value_and_words_stand_beside_the_classes(classes):
    data = module_of("confusion-calibration").compute(classes, top=5, **FEW)
    picture = figure.figure("confusion-calibration", data)
    assert not any("[" in axes.get_xlabel() + axes.get_ylabel() for axes in picture.axes)
    text = said(picture)
    for one in data.classes:
        share = round(100 * one.mistaken_share)
        assert f"{one.rows} row" in text
        assert f"{share} % are class {one.mistaken}" in text
    assert "top-label ECE" in text


LONG = "a model with quite a long name that says what it was trained on"


def test_titles_are_not_elided(tmp_path):
    rows = simulate(300, 3, seed=2)
    other = ct.fit("temperature", rows)(rows)
    data = module_of("compare").compute({f"{LONG} twice": rows, LONG: other}, **FEW)
    assert f"{LONG} minus {LONG} twice" in said(figure.figure("compare", data))
    by = replace(rows, extra={"place": np.array([f"{LONG} in {k % 2}" for k in range(300)])})
    data = reliability.compute(by, by="place", **FEW)
    text = said(figure.figure("reliability", data, width="6.75in"))
    assert all(f"place {LONG} in {k}" in text for k in range(2))
    named = replace(rows, class_names=(f"{LONG} 1", f"{LONG} 2", f"{LONG} 3"))
    text = said(figure.figure("classwise", classwise.compute(named, **FEW), width="6.75in"))
    assert all(f"{LONG} {k}" in text for k in (1, 2, 3))


@pytest.mark.parametrize("kind", ["reliability", "risk-coverage", "decision-curve"])
def test_calibrators_of_one_title_are_told_apart(kind):
    rows = two_columns(300)
    same = [ct.fit("platt", rows), ct.fit("platt", rows.take(np.arange(150)))]
    data = module_of(kind).compute(rows, calibrators=same, **FEW)
    labels = [curve.label for curve in data.curves]
    assert labels[0] == "as given"
    assert labels[2] == f"{labels[1]}, no. 2"
