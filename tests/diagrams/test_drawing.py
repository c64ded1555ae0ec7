"""Ink: what is drawn is what the data say, all of it is on the page, and no words collide."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree.ElementTree import fromstring

import numpy as np
import pictures
import pytest
from pictures import (
    FEW,
    RESULTS,
    ROWS,
    RULES,
    VARIANTS,
    kind_of,
    predictions,
    unreadable,
    words,
)
from simulated import simulate

import calibtool as ct
from calibtool.diagrams import data_file, figure
from calibtool.diagrams.registry import KINDS, module_of
from calibtool.diagrams.style import inches


@pytest.fixture(scope="module")
def data_of():
    """The data of every variant, computed when first asked for."""
    return pictures.data_of


@pytest.fixture(scope="module")
def picture_of():
    """The figure of every variant on paper, drawn when first asked for; tests only look at it."""
    return pictures.picture_of


def drawn(picture):
    """Every mark that carries data, by panel and gid."""
    marks = {}
    for artist in picture.findobj(lambda artist: artist.get_gid() is not None):
        panels = [ax for ax in picture.axes if artist.axes in (ax, *ax.child_axes)]
        at = picture.axes.index(panels[0]) if panels else 0
        marks[at, artist.get_gid()] = artist
    return marks


def spans(artist):
    """Upright (or level) lines as rows of x, low, high."""
    return np.array([[s[0][0], s[0][1], s[1][1]] for s in artist.get_segments()])


def has_band(artist, x, low, high):
    """Whether the corners of a band are these."""
    some = np.isfinite(low) & np.isfinite(high)
    corners = np.concatenate([path.vertices for path in artist.get_paths()])
    for y in (low[some], high[some]):
        wanted = np.stack([x[some], y], axis=1)
        away = np.abs(corners[None] - wanted[:, None]).max(axis=2).min(axis=1)
        assert away.max() < 1e-12
    inside = np.concatenate([low[some], high[some]])
    assert corners[:, 1].min() >= inside.min() - 1e-12
    assert corners[:, 1].max() <= inside.max() + 1e-12


def table(diagram, part, **where):
    """A part's columns as arrays, of the rows where columns have these values."""
    columns = {name: np.array(x) for name, x in diagram.parts[part].items()}
    keep = np.ones(len(next(iter(columns.values()))), bool)
    for name, value in where.items():
        keep &= columns[name] == value
    out = {}
    for name, x in columns.items():
        own = x[keep]
        numbers = own.dtype == object and all(v is None or isinstance(v, float) for v in own)
        out[name] = np.array([np.nan if v is None else v for v in own]) if numbers else own
    return out


def test_every_kind_has_its_variants():
    assert {kind for kind, _ in VARIANTS.values()} == set(KINDS)


@pytest.mark.parametrize("variant", ["reliability", "reliability bootstrap"])
def test_bins_are_drawn_as_they_are_reported(variant, data_of, picture_of):
    data, marks = data_of(variant), drawn(picture_of(variant))
    own = table(data, "curve")
    some = np.isfinite(own["outcome"])
    np.testing.assert_allclose(
        spans(marks[0, "bars-0"]),
        np.stack([own[name][some] for name in ("score", "low", "high")], axis=1),
    )
    points = marks[0, "points-0"].get_offsets()
    np.testing.assert_allclose(points, np.stack([own["score"], own["outcome"]], axis=1)[some])
    blocks = [marks[0, f"expected-{k}"] for k in range(some.sum())]
    ends = [(b.get_y(), b.get_y() + b.get_height()) for b in blocks]
    np.testing.assert_allclose(ends, np.stack([own["least"], own["most"]], axis=1)[some])
    np.testing.assert_allclose(
        marks[0, "histogram-0"].get_data().values, table(data, "histogram")["mass"]
    )


@pytest.mark.parametrize("form", ["smooth", "corp", "loess"])
def test_curves_are_drawn_as_they_are_reported(form, data_of, picture_of):
    data, marks = data_of(f"reliability {form}"), drawn(picture_of(f"reliability {form}"))
    own = table(data, "curve")
    has_band(marks[0, "band-0"], own["score"], own["low"], own["high"])
    has_band(marks[0, "expected-0"], own["score"], own["least"], own["most"])
    some = np.isfinite(own["outcome"])
    ends = np.concatenate(marks[0, "curve-0"].get_segments())
    wanted = np.stack([own["score"], own["outcome"]], axis=1)[some]
    np.testing.assert_allclose(np.unique(ends, axis=0), np.unique(wanted, axis=0))


def test_on_a_logit_axis_marks_stay_where_they_are_but_for_0_and_1(data_of, picture_of):
    data, marks = data_of("reliability logit"), drawn(picture_of("reliability logit"))
    own = table(data, "curve")
    seen = spans(marks[0, "bars-0"])
    low, high = marks[0, "bars-0"].axes.get_ylim()
    np.testing.assert_allclose(seen[:, 1], np.clip(own["low"], low, high))
    np.testing.assert_allclose(seen[:, 2], np.clip(own["high"], low, high))
    inside = (own["high"] > 0) & (own["high"] < 1)
    assert (own["high"][inside] <= high).all()


@pytest.mark.parametrize(
    ("variant", "bands"),
    [
        ("belt", [(0, "curve", "score", "low_80", "high_80"), (0, "curve", "score", "low_95", "")]),
        ("risk-coverage", [(0, "curve", "coverage", "low", "high")]),
        ("decision-curve", [(0, "curve", "threshold", "low", "high")]),
    ],
)
def test_bands_of_one_curve(variant, bands, data_of, picture_of):
    data, marks = data_of(variant), drawn(picture_of(variant))
    for number, (panel, part, x, low, high) in enumerate(bands):
        own = table(data, part)
        ends = own[low], own[high or low.replace("low", "high")]
        has_band(marks[panel, f"band-{number}"], own[x], *ends)


def test_bands_of_temperature_bins_and_compare(data_of, picture_of):
    data, marks = data_of("temperature"), drawn(picture_of("temperature"))
    for number, name in enumerate(("nll", "ece(bins=15)")):
        own = table(data, "curve", name={"ece(bins=15)": "ece"}.get(name, name))
        has_band(marks[number, f"band-{number}"], own["temperature"], own["low"], own["high"])
    data, marks = data_of("bins"), drawn(picture_of("bins"))
    for number, rule in enumerate(("equal width", "equal mass")):
        own = table(data, "curve", rule=rule)
        has_band(marks[0, f"band-{number}"], own["bins"].astype(float), own["low"], own["high"])
    for number, values in enumerate(data.agreeing.values()):
        seen = np.array(marks[0, f"library-{number}"].get_ydata(), float)
        np.testing.assert_allclose(seen, np.array(values, float))
    data, marks = data_of("compare"), drawn(picture_of("compare"))
    for number, line in enumerate((*data.models, data.difference)):
        own = table(data, "curve", curve=line.label)
        has_band(marks[number // 2, f"band-{number}"], own["score"], own["low"], own["high"])


def test_lines_of_decision_curves_and_bars_of_outcomes(data_of, picture_of):
    data = data_of("decision-curve overlaid")
    marks = drawn(picture_of("decision-curve overlaid"))
    for number, line in enumerate(data.curves):
        own = table(data, "curve", curve=line.label)
        seen = np.array(marks[0, f"curve-{number}"].get_xydata(), float)
        np.testing.assert_allclose(seen, np.stack([own["threshold"], own["net_benefit"]], axis=1))
    all_ = table(data, "everybody")
    seen = np.array(marks[0, "everybody-0"].get_ydata(), float)
    np.testing.assert_allclose(seen, all_["net_benefit"])
    low, high = marks[0, "curve-0"].axes.get_ylim()
    assert -0.2 * high < low < 0
    data, marks = data_of("outcomes"), drawn(picture_of("outcomes"))
    for number, (name, sign) in enumerate((("class 1", 1), ("class 0", -1))):
        own = table(data, "histogram", group=name)
        np.testing.assert_allclose(
            marks[0, f"histogram-{number}"].get_data().values, sign * own["mass"]
        )


def test_bars_of_shift_gain_classes(data_of, picture_of):
    data, marks = data_of("shift"), drawn(picture_of("shift"))
    own, ece = table(data, "stretch"), table(data, "estimate")
    for gid, columns in {
        "bars-0": ("was_low", "was_high"),
        "expected-0": ("least", "most"),
    }.items():
        wanted = np.stack([own[name] for name in ("middle", *columns)], axis=1)
        np.testing.assert_allclose(spans(marks[0, gid]), wanted)
    wanted = np.stack([ece[name] for name in ("middle", "low", "high")], axis=1)
    np.testing.assert_allclose(spans(marks[1, "bars-1"]), wanted)
    data, marks = data_of("gain"), drawn(picture_of("gain"))
    for y, gain in enumerate(data.gains):
        for panel, one in enumerate(gain.after):
            if (panel, f"bars-{panel}-{y}") in marks:
                line = marks[panel, f"bars-{panel}-{y}"]
                assert list(line.get_xdata()) == [one.low, one.high]
    data, marks = data_of("confusion-calibration"), drawn(picture_of("confusion-calibration"))
    for y, one in enumerate(data.classes):
        assert list(marks[0, f"bars-{y}"].get_xdata()) == [one.low, one.high]
        assert list(marks[0, f"point-{y}"].get_xdata()) == [one.was]
    data, marks = data_of("classwise"), drawn(picture_of("classwise"))
    for panel, curve in enumerate(data.curves):
        some = np.isfinite(curve.outcome)
        wanted = np.stack([curve.score, curve.low, curve.high], axis=1)[some]
        np.testing.assert_allclose(spans(marks[panel, "bars-0"]), wanted)


def test_sets_are_drawn_as_they_are_reported(data_of, picture_of):
    data, marks = data_of("sets"), drawn(picture_of("sets"))
    own = ct.evaluate_sets(predictions(), RULES[0], **FEW)
    shares = [marks[0, f"share-{k}"].get_height() for k in range(len(own.sizes))]
    assert shares == [part.rows / ROWS for part in own.sizes]
    covered = sorted(part.coverage.value for part in own.classes)
    assert marks[1, "points-0"].get_xdata().tolist() == covered
    for y, part in enumerate(data.slices):
        ends = [part.coverage.low, part.coverage.high]
        assert list(marks[1, f"bars-{y}"].get_xdata()) == ends
    assert list(marks[1, "promise"].get_xdata()) == [0.8, 0.8]
    marks = drawn(picture_of("sets beside one another"))
    reports = [ct.evaluate_sets(predictions(), rule, **FEW) for rule in RULES]
    for k, some in enumerate((reports[:3], reports[3:])):  # APS, LAC
        assert marks[0, f"curve-{k}"].get_ydata().tolist() == [r.whole.coverage.value for r in some]
        assert marks[1, f"curve-{2 + k}"].get_ydata().tolist() == [r.size.value for r in some]


@pytest.mark.parametrize("variant", VARIANTS)
def test_intervals_are_those_of_the_json_report(variant, data_of):
    """Signed numbers of the first estimate: the same call of evaluate gives the same digits."""
    kind, _ = VARIANTS[variant]
    if kind not in ("reliability", "risk-coverage", "belt", "bins", "confusion-calibration"):
        return
    if "by" in variant:
        return
    parts = data_of(variant).parts
    table_ = parts.get("estimate") or parts["curve"]
    report = ct.evaluate(predictions(), [table_["name"][0]], **FEW)
    (own,) = report.estimates
    first = [table_[name][0] for name in ("value", "low", "high")]
    assert first == [own.value, own.low, own.high]
    assert table_["signature"][0] == own.signature


# ------------------------------------------------------------------ the page


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_printed_beside_an_interval_lies_in_it(variant, picture_of):
    number = r"-?[\d.]+(?:e-\d+)?"
    beside = re.compile(rf"([+]?{number}) \[([+]?{number}), ([+]?{number})\]")
    text = " ".join("\n".join(text for text, _ in words(picture_of(variant))).split())
    found = beside.findall(text)
    assert len(found) == len(re.findall(r"\[[^\]]*\]", text))
    for value, low, high in found:
        assert float(low) <= float(value) <= float(high), (value, low, high)


WIDTHS = (2, 3.25, 5, 6.75)  # inches: a margin, a column, a page of a book, both columns
OF_KINDS = [*KINDS, *RESULTS]


@pytest.mark.parametrize("variant", [*VARIANTS, *RESULTS])
def test_no_word_is_cut_off_or_covers_another(variant, data_of, picture_of):
    kind, data = kind_of(variant), data_of(variant)
    for width in WIDTHS if variant in OF_KINDS else WIDTHS[:1]:
        # that of a column is the default
        picture = picture_of(variant) if width == 3.25 else figure.figure(kind, data, width=width)
        assert float(picture.get_figwidth()) == pytest.approx(width)
        assert not unreadable(picture), width
        columns = {round(axes.get_position().x0, 2): axes for axes in picture.axes}
        assert sum(axes.get_position().width for axes in columns.values()) > 0.5, width


@pytest.mark.parametrize("variant", OF_KINDS)
def test_large_text_on_a_slide_is_not_cut_off_either(variant, data_of):
    picture = figure.figure(kind_of(variant), data_of(variant), style="talk")
    assert not unreadable(picture)


@pytest.mark.parametrize("by", ["class", "size"])
def test_many_sizes_of_sets_do_not_meet(by):
    rule = replace(ct.fit_sets(simulate(300, 80, seed=5), 0.9), quantiles=np.array([0.98]))
    data = module_of("sets").compute(simulate(300, 80, seed=6), rule, by=by, **FEW)
    assert any(" to " in part.name for part in data.reports[0].sizes)
    for style, width in (("paper", "3.25in"), ("talk", "8in")):
        assert not unreadable(figure.figure("sets", data, width=width, style=style))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_data_make_the_same_bytes_with_real_text(variant, data_of):
    _, files = pictures.files_of(variant)
    text = files["svg"].decode()
    assert "&lt;T&gt; &amp; $x_1$" in text
    assert text.count("<text") > 5
    again = figure.figure(VARIANTS[variant][0], data_of(variant), title=pictures.TITLE)
    for suffix, content in files.items():
        assert content == figure.picture(again, suffix)
        assert len(content) < 300_000


def test_a_saved_picture_holds_the_bytes_of_its_figure(data_of, tmp_path):
    data = data_of("reliability")
    for suffix in ("svg", "pdf", "png"):
        figure.save("reliability", data, tmp_path / f"a.{suffix}", title="T")
        drawn_ = figure.figure("reliability", data, title="T")
        assert (tmp_path / f"a.{suffix}").read_bytes() == figure.picture(drawn_, suffix)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_is_drawn_on_axes_of_ones_own(variant, data_of):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=(10, 5), layout="constrained")
    FigureCanvasAgg(picture)
    own, other = picture.subplots(1, 2)
    other.plot([0, 1])
    figure.draw(VARIANTS[variant][0], data_of(variant), own)
    picture.canvas.draw()
    assert drawn(picture)
    assert len(other.lines) == 1


def test_from_python_a_kind_takes_axes_and_answers_with_its_data():
    from matplotlib.figure import Figure

    one = predictions()
    axes = Figure().subplots()
    data = ct.plot.reliability(one, ax=axes, **FEW)
    assert data.curves[0].estimates[0].name == "ece"
    assert axes.get_ylabel() == "Accuracy"
    assert set(ct.plot.__all__) >= {kind.replace("-", "_") for kind in KINDS}


def test_a_matplotlibrc_changes_no_byte(data_of, tmp_path):
    import matplotlib as mpl

    data = data_of("reliability")
    figure.save("reliability", data, tmp_path / "a.svg")
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "lines.linewidth": 9}):
        figure.save("reliability", data, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_gain_from_an_infinite_nll_is_drawn_from_the_edge():
    labels = np.arange(40) % 4
    probs = np.eye(4)[(labels + (np.arange(40) < 8)) % 4]  # eight are wrong, and sure
    rows = ct.Predictions.from_probs(probs, labels)
    data = module_of("gain").compute(rows, methods=["histogram"], **FEW)
    assert data.before[0].value == np.inf
    picture = figure.figure("gain", data)
    marks = drawn(picture)
    assert (0, "before-0") not in marks
    assert list(marks[0, "point-0-0"].get_xdata()) == [data.gains[0].after[0].best]
    assert picture.axes[0].get_title("left") == "before: infinite"
    assert all(np.isfinite(ax.get_xlim()).all() for ax in picture.axes)


def test_a_diagram_of_several_panels_says_which_axes_it_needs(data_of):
    from matplotlib.figure import Figure

    free = Figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ct.CalibtoolError, match="subplots"):
        figure.draw("gain", data_of("gain"), free)


@pytest.mark.parametrize(
    ("width", "says"), [("3 furlongs", "3.25in"), ("0.5in", "2 and 20"), ("90cm", "2 and 20")]
)
def test_widths_that_are_none(width, says):
    with pytest.raises(ct.CalibtoolError, match=says):
        inches(width)


@pytest.mark.parametrize("variant", VARIANTS)
def test_csv_and_json_hold_the_same(variant, data_of, tmp_path):
    import csv
    import json

    kind, data = VARIANTS[variant][0], data_of(variant)
    data_file.save(kind, data, tmp_path / "d.csv")
    data_file.save(kind, data, tmp_path / "d.json")
    record = json.loads((tmp_path / "d.json").read_text())
    assert (record["schema"], record["version"]) == ("calibtool-diagram", 1)
    with (tmp_path / "d.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for part, listed in record["parts"].items():
        own = [row for row in rows if row["part"] == part]
        assert len(own) == len(listed)
        for row, item in zip(own, listed, strict=True):
            for name, value in item.items():
                assert row[name] == ("" if value is None else str(value))


@pytest.mark.parametrize("variant", ["threshold", "threshold logit"])
def test_thresholds_are_drawn_as_they_are_reported(variant, data_of, picture_of):
    data, marks = data_of(variant), drawn(picture_of(variant))
    own, promise = table(data, "curve"), data.parts["promise"]
    x = np.clip(own["threshold"], 1e-8, 1 - 1e-8) if "logit" in variant else own["threshold"]
    for panel, gid, column in (
        (0, "curve-0", "value"),
        (0, "proven", "proven"),
        (1, "coverage", 0),
    ):
        drawn_x, drawn_y = marks[panel, gid].get_data()
        np.testing.assert_allclose(drawn_x, x)
        np.testing.assert_allclose(drawn_y, own[column or "coverage"])
    chosen = marks[0, "chosen"].get_xdata()
    np.testing.assert_allclose(chosen, promise["threshold"][0])
    np.testing.assert_allclose(marks[0, "limit"].get_ydata(), promise["limit"][0])
    has_band(marks[0, "band-0"], x, own["low"], own["high"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["outcomes", "reliability", "confidence", "classwise"])
@pytest.mark.parametrize("names", [("\x1b[2J\ufffe", "a\ud800"), ("名前", "猫")])
def test_names_of_classes_that_no_font_has_break_no_picture(kind, names):
    rows = replace(simulate(200, 2, seed=3), class_names=names)
    found = module_of(kind).compute({"x": rows}, resamples=20)
    made = figure.figure(kind, found, title="a\x1bb", names=[])
    assert figure.picture(made, "png")
    assert "a\\x1bb" in "".join(fromstring(figure.svg(made)).itertext())


@pytest.mark.parametrize("blank", ["title", "caption"])
def test_a_title_or_caption_of_spaces_is_none(blank, data_of, tmp_path):
    figure.save("classwise", data_of("classwise"), tmp_path / "x.svg", **{blank: " "})
    assert (tmp_path / "x.svg").stat().st_size > 1000
