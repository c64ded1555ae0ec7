"""Work in other processes: the same results, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import jobs
import pytest
from simulated import simulate

from calibtool.analysis.selection import select
from calibtool.calibrators import processes
from calibtool.diagrams import gain
from calibtool.errors import FitError
from calibtool.parallel import Work

NAMES = ["one", "two", "three"]


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(processes, "cores", lambda: 2)
    monkeypatch.setattr(processes, "PAYS", 0.1)


def done(job, seconds=1.0, told=None):
    told = [] if told is None else told
    work = Work(lambda stage, share: told.append(stage), dict.fromkeys(NAMES, 1.0))
    return list(processes.in_parts(job, NAMES, work, seconds))


def test_several_processes_do_the_work_in_order_and_tell():
    told = []
    with processes.allowed():
        results = done(jobs.place, told=told)
    assert [name for name, _ in results] == NAMES
    assert os.getpid() in {number for _, number in results}
    assert len({number for _, number in results}) == 2
    assert {f"doing {name}" for name in NAMES} <= set(told)


@pytest.mark.parametrize("allowed", [True, False])
def test_where_it_does_not_pay_or_is_not_allowed_there_is_one_process(allowed):
    if allowed:
        with processes.allowed():
            results = done(jobs.place, seconds=0.05)
    else:
        results = done(jobs.place)
    assert {number for _, number in results} == {os.getpid()}


def test_an_error_of_another_process_is_raised_here():
    with processes.allowed(), pytest.raises(FitError, match="cannot be fitted"):
        done(jobs.refuse)


def test_what_a_process_leaves_undone_is_done_here():
    with processes.allowed():
        assert done(partial(jobs.leave, but=os.getpid())) == NAMES


def test_what_cannot_be_sent_is_done_here():
    here = []  # a function inside a function cannot be pickled
    with processes.allowed():
        assert [result() for result in done(jobs.unsendable)] == NAMES
        assert done(lambda name, tell: here.append(name)) == [None] * 3
    assert sorted(here) == sorted(NAMES)


def test_a_process_ends_with_the_one_that_began_it(tmp_path):
    file = tmp_path / "numbers"
    code = (
        "from functools import partial; import jobs; from calibtool.calibrators import processes\n"
        "from calibtool.parallel import Work\n"
        "processes.cores, processes.PAYS = (lambda: 2), 0.1\n"
        "work = Work(lambda *_: None, {'a': 1, 'b': 1})\n"
        "with processes.allowed():\n"
        f"    job = partial(jobs.last_long, file={str(file)!r})\n"
        "    list(processes.in_parts(job, ['a', 'b'], work, 1.0))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    began = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path})
    until(lambda: file.exists() and len(file.read_text().split()) == 2)
    (other,) = {int(number) for number in file.read_text().split()} - {began.pid}
    began.send_signal(signal.SIGKILL)
    began.wait()
    until(lambda: not is_running(other))


def until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(number):
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def rows():
    return simulate(300, 4)


@pytest.mark.parametrize("test", [False, True])
def test_select_chooses_the_same(rows, test):
    asked = {"methods": "temperature,vector,isotonic", "test": rows if test else None}
    here = select(rows, **asked, resamples=20)
    with processes.allowed():
        there = select(rows, **asked, resamples=20)

    def timeless(selection):
        return [replace(c, fit_seconds=0, apply_seconds=0) for c in selection.candidates]

    assert timeless(here) == timeless(there)
    assert (here.chosen, here.why) == (there.chosen, there.why)


def test_the_gain_is_the_same(rows):
    def computed():
        return gain.compute(rows, methods=["temperature", "isotonic"], resamples=20)

    here = computed()
    with processes.allowed():
        there = computed()
    assert here.gains == there.gains
