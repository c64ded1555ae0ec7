"""Direction: better and worse are said only where they are beyond chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibtool.intervals.direction import direction, is_worse, judged
from calibtool.intervals.estimate import Estimate

VALUES = st.floats(-3, 3).map(lambda x: round(x, 3))
WIDTHS = st.floats(0, 1)
OTHER = {"better": "worse", "worse": "better", "higher": "lower", "lower": "higher"}


def near(value, width, ideal=1.0):
    return Estimate(
        "x",
        value,
        low=value - width,
        high=value + width,
        corrected=value,
        better="nearer",
        ideal=ideal,
    )


@given(VALUES, WIDTHS, VALUES, WIDTHS)
def test_what_is_better_ends_nearer_and_the_way_back_is_worse(a, wide, b, wider):
    if a == b:
        return
    before, after = near(a, wide), near(b, wider)
    found = judged(before, after, up=b > a)
    if found == "better":
        assert abs(b - 1) < abs(a - 1) + 1e-9
    if found == "worse":
        assert abs(b - 1) > abs(a - 1) - 1e-9
    assert judged(after, before, up=a > b) == OTHER[found]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (near(0.33, 0.03), near(1.0, 0.05), "better"),  # a slope of 0.33 to one of 1
        (near(3.0, 0.3), near(1.0, 0.05), "better"),
        (near(-4.1, 0.1, 0.0), near(0.0, 0.1, 0.0), "better"),  # citl
        (near(0.0, 0.1, 0.0), near(-4.1, 0.1, 0.0), "worse"),
        (near(0.8, 0.05), near(1.2, 0.05), "higher"),  # as far on the other side
        (near(0.9, 0.02), near(1.5, 0.05), "worse"),
        (near(0.9, 0.2), near(1.0, 0.2), "higher"),  # the truth may have been above 1 already
    ],
)
def test_towards_the_ideal_is_better(before, after, says):
    moved = after.value - before.value
    change = Estimate("x", moved, low=moved - 0.01, high=moved + 0.01)
    assert direction(before, after, change) == says


def test_a_change_that_chance_explains_has_no_direction():
    change = Estimate("x", 0.1, low=-0.1, high=0.3)
    assert direction(near(0.5, 0.1), near(0.6, 0.1), change) == ""
    assert direction(near(0.5, 0.1), near(0.6, 0.1), Estimate("x", 0.1)) == ""


def test_a_metric_without_a_better_side_is_not_praised():
    sharp = [Estimate("sharpness", x, better="") for x in (0.2, 0.1)]
    fall = Estimate("sharpness", -0.1, low=-0.12, high=-0.08, better="")
    assert direction(*sharp, fall) == "lower"
    assert not is_worse(*sharp, fall)


def test_a_loss_that_becomes_infinite_is_worse():
    before, after = Estimate("nll", 0.4), Estimate("nll", float("inf"))
    assert is_worse(before, after, Estimate("nll", float("inf")))
    assert not is_worse(after, after, Estimate("nll", None))
