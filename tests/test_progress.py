"""Progress of work in parts: its shares are true to a clock, never fall, and are not made up."""

from __future__ import annotations

import math
import threading
import time

import pytest

from calibtool import parallel
from calibtool.parallel import Work, in_steps


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(parallel, "clock", clock)
    return clock


def run(clock, believed, true, steps=10):
    """Do parts that truly take so long; return pairs of the share told and the share of time."""
    told = []
    work = Work(lambda stage, share: told.append((share, clock.now - 100)), believed)
    for name, seconds in true.items():
        work.next(name)
        for k in range(steps):
            work(name, k / steps)
            clock.now += seconds / steps
    work.end()
    total = clock.now - 100
    return [(share, at / total) for share, at in told]


@pytest.mark.parametrize(
    ("believed", "true", "most"),
    [
        ({"a": 1, "b": 3}, {"a": 1, "b": 3}, 0.001),
        ({"a": 1, "b": 3}, {"a": 10, "b": 30}, 0.07),  # a machine ten times as slow
        ({"a": 1, "b": 3}, {"a": 0.1, "b": 0.3}, 0.2),  # and ten times as fast
        ({"a": 1, "b": 1}, {"a": 1, "b": 2}, 0.17),  # a part that was believed to be half as long
        ({"a": 1}, {"a": 50}, 0.1),  # a part by itself is told by its own pace
    ],
)
def test_the_share_is_that_of_the_time(clock, believed, true, most):
    pairs = run(clock, believed, true)
    assert max(abs(share - at) for share, at in pairs) < most
    shares = [share for share, _ in pairs]
    assert shares == sorted(shares)
    assert shares[-1] < 1


def test_shares_never_fall_where_a_part_takes_longer_than_believed(clock):
    shares = [share for share, _ in run(clock, {"a": 10, "b": 1}, {"a": 1, "b": 10})]
    assert shares == sorted(shares)
    assert shares[-1] < 1


def test_a_share_of_what_nobody_knows_is_not_made_up(clock):
    told = []
    work = Work(lambda stage, share: told.append(share), {"a": 1.0, "b": math.nan})
    work.next("a")
    clock.now += 1
    work("a", 0.9)
    work.know("b", 1.0)
    work.next("b")
    clock.now += 1
    work("b", 0.5)
    assert math.isnan(told[0])
    assert 0.5 < told[1] < 0.8


def test_a_part_that_tells_no_share_counts_by_its_cost(clock):
    told = []
    work = Work(lambda stage, share: told.append(share), {"a": 2.0, "b": 2.0})
    work.next("a")
    clock.now += 1
    work("a", math.nan)
    clock.now += 1
    work.next("b")
    work("b", math.nan)
    assert told == [pytest.approx(0.25, abs=0.02), pytest.approx(0.5, abs=0.02)]


def test_parts_beside_each_other_count_by_the_time_that_passes(clock):
    told = []
    work = Work(lambda stage, share: told.append(share), {"a": 1.0, "b": 1.0, "c": 2.0})
    parts = [work.part("a", threads=2), work.part("b", threads=2)]
    clock.now += 1
    parts[0]("a", 0.5)
    parts[1]("b", 0.5)
    clock.now += 1
    for part in parts:
        part.end()
    work.next("c")
    work("c", 0.0)
    assert told == [pytest.approx(0.25, abs=0.05), pytest.approx(0.25, abs=0.02), 0.5]


def test_work_inside_a_part_is_a_share_of_it(clock):
    told = []
    outer = Work(lambda stage, share: told.append((stage, share)), {"a": 1.0, "b": 1.0})
    outer.next("a")
    inner = Work(outer, {"c": 1.0})
    inner.next("c")
    clock.now += 0.5
    inner("c", 0.5)
    assert told == [("c", pytest.approx(0.25, abs=0.01))]


def test_steps_tell_their_own_share_in_words():
    told = []
    tell = in_steps(lambda *said: told.append(said))
    tell("reading", 0.999)
    tell("reading", 1.0)
    tell("fitting", math.nan)
    stages = ["reading (99 % of this step)", "after reading", "fitting"]
    assert [stage for stage, _ in told] == stages
    assert all(math.isnan(share) for _, share in told)


def test_threads_that_ask_at_once_compute_once():
    once, computed, asked = parallel.Once(), [], threading.Barrier(4)

    def compute():
        computed.append(1)
        time.sleep(0.05)
        return object()

    def ask(_):
        asked.wait()
        return once("key", compute)

    assert len(set(map(id, parallel.ordered(ask, range(4), threads=4)))) == 1
    assert len(computed) == 1


def test_a_thread_of_several_does_its_work_alone():
    def inner(_):
        return threading.get_ident()

    def outer(_):
        found = set(parallel.ordered(inner, range(4), threads=2))
        return threading.get_ident(), found

    for mine, found in parallel.ordered(outer, range(4), threads=2):
        assert found == {mine}
    assert threading.get_ident() not in set(parallel.ordered(inner, range(4), threads=2))


def test_work_on_one_item_may_begin_threads():
    def inner(item):
        return threading.get_ident()

    def outer(item):
        return threading.get_ident(), set(parallel.ordered(inner, range(4), threads=2))

    ((mine, found),) = parallel.ordered(outer, ["one"], threads=2)
    assert mine == threading.get_ident()
    assert mine not in found


def test_what_has_not_begun_is_not_begun_after_an_error():
    begun = []

    def work(item):
        begun.append(item)
        if item == 0:
            raise ValueError("no")
        time.sleep(0.2)

    with pytest.raises(ValueError, match="no"):
        list(parallel.ordered(work, range(6), threads=2))
    assert len(begun) <= 3
