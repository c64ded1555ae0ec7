"""What its user chooses of a picture, and what they set in matplotlib, is what it has."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from cycler import cycler
from matplotlib import rc_context
from matplotlib import style as sheets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import FEW, VARIANTS, data_of, kind_of, predictions, texts, unreadable

import calibtool as ct
from calibtool.diagrams import figure, marks
from calibtool.diagrams.room import wrapped
from calibtool.diagrams.style import STYLES
from calibtool.intervals.estimate import Estimate

OVERLAID = "reliability overlaid"


def own(columns=1, size=(6.75, 4)):
    """A figure of the user's, and its axes."""
    picture = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(picture)
    return picture, picture.subplots(1, columns)


def said(picture):
    return " ".join(" ".join(text.get_text().split()) for text in texts(picture))


def test_two_panels_of_ones_own_are_not_cut():
    """The example of docs/gallery/diagrams.md."""
    p = predictions()
    picture, (left, right) = own(2)
    data = ct.plot.reliability(p, ax=left, **FEW)
    risk = ct.plot.risk_coverage({"as given": p, "again": p}, ax=right, **FEW)
    assert not unreadable(picture)
    assert (data.axes, risk.axes) == ((left,), (right,))
    assert left.get_position().width > 0.2


@pytest.mark.parametrize("kind", ["gain", "compare", "classwise", "sets"])
def test_axes_that_took_the_place_of_ones_own_are_returned(kind):
    picture, (left, right) = own(2, (10, 5))
    panels = figure.draw(kind, data_of(kind), right)
    assert panels
    assert set(panels) == set(picture.axes) - {left}
    panels[0].set_title("mine")
    assert "mine" in said(picture)


def test_words_that_are_set_afterwards_stay_and_wrap():
    picture, axes = own(1, (3.25, 4))
    figure.draw("reliability", data_of(OVERLAID), axes)
    picture.canvas.draw()
    mine = "a name of mine that does not fit into one line at all"
    axes.get_legend().get_texts()[0].set_text(mine)
    axes.set_ylabel("Share of right answers among all")
    assert mine in said(picture)
    assert "right answers among all" in said(picture)
    assert not unreadable(picture)


def test_a_figure_of_ones_own_can_be_pickled_and_data_leave_it_out():
    picture, axes = own()
    data = ct.plot.risk_coverage(predictions(), ax=axes, **FEW)
    assert pickle.loads(pickle.dumps(picture)).axes
    copy = pickle.loads(pickle.dumps(data))
    assert (copy.axes, data.axes) == ((), (axes,))
    np.testing.assert_array_equal(copy.curves[0].risk, data.curves[0].risk)


def test_what_rcparams_set_is_kept_and_what_they_do_not_is_the_style():
    data = data_of(OVERLAID)
    with rc_context({"font.size": 11}):
        _, axes = own()
        figure.draw("reliability", data, axes)
    colours = [line.get_color() for line in axes.get_legend().get_lines()]
    assert colours == list(STYLES["paper"].series[:2])
    assert axes.get_legend().get_texts()[0].get_fontsize() == pytest.approx(0.86 * 11)

    with rc_context(
        {"axes.prop_cycle": cycler(color=["#ff0000", "#00ff00"]), "lines.linewidth": 3}
    ):
        _, axes = own()
        figure.draw("reliability", data, axes)
    lines = axes.get_legend().get_lines()
    assert [line.get_color() for line in lines] == ["#ff0000", "#00ff00"]
    assert {line.get_linewidth() for line in lines} == {3}


def test_on_a_dark_background_nothing_is_drawn_dark():
    with sheets.context("dark_background"):
        picture, axes = own()
        figure.draw("reliability", data_of("reliability"), axes)
        assert not unreadable(picture)
    for text in texts(picture):
        assert max(int(to_hex(text.get_color())[k : k + 2], 16) for k in (1, 3, 5)) > 128, text


def test_words_of_ones_own_in_python():
    words = {"names": ["a", "b"], "rename": {"Accuracy": "Trefferquote"}, "stats": "none"}
    whole = figure.figure("reliability", data_of(OVERLAID), caption="none", **words)
    picture, axes = own()
    figure.draw("reliability", data_of(OVERLAID), axes, caption="none", **words)
    for one in (whole, picture):
        assert all(f" {word} " in f" {said(one)} " for word in ("a", "b", "Trefferquote"))
        assert not any(word in said(one) for word in ("ECE", "Accuracy", "Bars"))
    with pytest.raises(ct.CalibtoolError, match=r"'Akkuracy'.*'Accuracy'"):
        figure.figure("reliability", data_of(OVERLAID), rename={"Akkuracy": "x"})
    with pytest.raises(ct.CalibtoolError, match="list"):
        figure.figure("reliability", data_of(OVERLAID), names="a")
    with pytest.raises(ct.CalibtoolError, match="all, none"):
        figure.figure("reliability", data_of(OVERLAID), stats="some")


@pytest.mark.parametrize("variant", [v for v in VARIANTS if kind_of(v) == v])
def test_without_numbers_and_caption_a_picture_of_any_kind_has_neither(variant):
    picture = figure.figure(variant, data_of(variant), stats="none", caption="none")
    own_words = [t for t in texts(picture) if t.get_gid() in ("caption", "corner")]
    assert not any("[" in t.get_text() or t.get_gid() == "caption" for t in own_words)
    key = [text for axes in picture.axes if axes.get_legend() for text in axes.get_legend().texts]
    assert not any("[" in text.get_text() for text in key)


def test_a_class_is_renamed_wherever_it_stands():
    data = data_of("confusion-calibration")
    picture = figure.figure("confusion-calibration", data, rename={"<b>": "bold"})
    assert "bold" in said(picture)
    assert "<b>" not in [text.get_text() for text in picture.axes[0].get_yticklabels()]


@pytest.mark.parametrize("width", [2, 5])
def test_what_is_asked_of_the_size_is_what_there_is(width):
    for variant in ("reliability", "compare"):
        picture = figure.figure(variant, data_of(variant), width=width, height="4in")
        assert picture.get_size_inches().tolist() == [width, 4]
        picture.canvas.draw()


def test_an_interval_is_told_with_digits_in_which_its_ends_differ():
    one = Estimate("ece", 0.03712, low=0.03705, high=0.0372, corrected=0.03712)
    assert marks.estimate_text(one) == "ECE 0.0371 [0.0370, 0.0372]"
    narrow = replace(one, low=0.037119, high=0.037121)
    assert marks.estimate_text(narrow) == "ECE 0.037120 [0.037119, 0.037121]"
    exact = replace(one, low=0.03712, high=0.03712)
    assert marks.estimate_text(exact) == "ECE 0.037 [0.037, 0.037]"
    none = Estimate("ece", 0.0, low=0.0, high=0.0004, corrected=0.0)
    assert marks.estimate_text(none) == "ECE 0 [0, 0.0004]"


def test_bars_of_many_rows_are_said_to_be_too_narrow():
    scores = np.linspace(0.5, 1, 400_000)
    right = np.random.default_rng(0).random(400_000) < scores
    data = ct.plot.reliability(
        ct.Predictions.from_confidence(scores, right), ax=own()[1], resamples=20
    )
    assert "too narrow to be seen" in said(data.axes[0].figure)
    assert "too narrow" not in said(figure.figure("reliability", data_of("reliability")))


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("ECE 0.166 [0.127, 0.198]", ["ECE 0.166", "[0.127, 0.198]"]),
        ("Bars: 95 % intervals", ["Bars: 95 %", "intervals"]),
        ("an_unbroken_name_of_a_file", None),
        ("two\nlines", ["two", "lines"]),
        ("", [""]),
    ],
)
def test_text_is_parted_where_it_reads_on(words, lines):
    from calibtool.diagrams.room import font_of, width_of_text

    made = wrapped(words, 60, font_of(7.5)).split("\n")
    if lines is None:
        assert "".join(made) == words
    else:
        assert made == lines
    assert all(width_of_text(line, font_of(7.5)) <= 60 for line in made)
