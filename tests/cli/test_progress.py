"""Long work says so: one bar on a terminal, a line now and then elsewhere, nothing with --quiet."""

from __future__ import annotations

import math
import os
import pty
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest

from calibtool.cli import progress
from calibtool.cli.main import COMMANDS, Commands, group
from calibtool.cli.progress import Bar, Lines, Now, line, percent

# A command that works for as long as it is told to, by the callback of all commands.
WORK = """
import sys, time
from calibtool.cli import progress
progress.PATIENCE, progress.FIRST_LINE = {patience}, {first}
with progress.shown() as tell:
    for k in range({steps}):
        stage = "reading a file whose name is much longer than the terminal is wide"
        tell(stage * {wide}, k / {steps})
        time.sleep(0.05)
    tell("at the end", 1.0)
    time.sleep(0.25)
print("result")
"""


def on_terminal(source, columns=80, interrupt_after=None):
    """Run Python on a terminal of its own; return what the terminal was sent, and the exit code."""
    master, slave = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    env.pop("NO_COLOR", None)
    running = subprocess.Popen(
        [sys.executable, "-c", source], stdout=slave, stderr=slave, stdin=slave, env=env
    )
    os.close(slave)
    sent = b""
    while True:
        try:
            got = os.read(master, 65536)
        except OSError:  # the terminal is closed
            break
        if not got:
            break
        sent += got
        if interrupt_after and interrupt_after in sent:
            running.send_signal(signal.SIGINT)
            interrupt_after = None
    os.close(master)
    return sent.decode(), running.wait(10)


def source(patience=0.0, first=60.0, steps=10, wide=0):
    return WORK.format(patience=patience, first=first, steps=steps, wide=wide or "(k < 0)")


def test_a_terminal_shows_one_bar_that_never_reads_100_and_is_gone_in_the_end():
    sent, code = on_terminal(source(steps=40))
    assert code == 0
    shares = [int(share) for share in re.findall(r"(\d+) %", sent)]
    assert shares == sorted(shares)
    assert shares[-1] == 99
    assert len(set(shares)) > 2
    assert "0:00" in sent
    assert sent.endswith("result\r\n")
    # the line of the bar is erased, and the cursor is visible again
    assert sent.rindex("\x1b[2K") > sent.rindex("99 %")
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")


@pytest.mark.parametrize("columns", [40, 80])
def test_a_bar_takes_one_line(columns):
    sent, _ = on_terminal(source(wide=1), columns)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent).replace("\r\n", "\n")
    assert "%" in drawn
    assert max(len(part) for part in re.split(r"[\r\n]", drawn)) <= columns
    # to go back over a line, which rich does once in the end, and at once where a bar takes two
    assert sent.count("\x1b[1A") <= 1


def test_short_work_shows_nothing_on_a_terminal():
    sent, code = on_terminal(source(patience=60))
    assert (sent, code) == ("result\r\n", 0)


def test_ctrl_c_leaves_the_terminal_clean():
    sent, code = on_terminal(source(steps=1000), interrupt_after=b"%")
    assert code != 0
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")
    assert "\x1b[2K" in sent[sent.rindex("%") :]


@pytest.mark.parametrize(("first", "expected"), [(60.0, []), (0.2, ["reading", "done after 0 s"])])
def test_a_pipe_gets_lines_only_of_long_work(first, expected):
    script = source(first=first).replace("stage * (k < 0)", "'reading'")
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout == "result\n"
    lines = found.stderr.splitlines()
    assert bool(lines) == bool(expected)
    for text in expected:
        assert text in lines[0]


def test_lines_come_ever_more_rarely(capsys):
    """A clock is put in: of three hours of work there are few lines."""
    lines, now = Lines(), Now()
    passed, at = 0.0, []
    while passed < 3 * 3600:
        now("fitting", passed / 20000)
        delay = lines.show(now, passed)
        if capsys.readouterr().err:
            at.append(passed)
        assert delay > 0
        passed += delay
    assert at[:6] == [10, 20, 40, 80, 160, 320]
    gaps = [b - a for a, b in pairwise(at)]
    assert gaps == sorted(gaps)
    assert max(gaps) == progress.LONGEST_GAP
    assert len(at) < 45


def test_a_bar_waits_for_its_time():
    bar = Bar()
    assert bar.show(Now(), 0.25) == progress.PATIENCE - 0.25
    assert bar.bar is None


def test_a_line_says_what_is_known():
    now = Now()
    assert line(now, 10) == "calibtool: working, for 10 s so far"
    now("reading", 1.0)
    assert line(now, 3725) == "calibtool: reading, 99 % done after 1:02:05"
    now("fitting\x1b[2J", math.nan)
    assert line(now, 10) == "calibtool: fitting\\x1b[2J, for 10 s so far"
    assert percent(-0.1) == "0 %"


def test_quiet_shows_nothing(run, good, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_LINE", 0.0)
    assert "calibtool: " in run("evaluate", good).err
    assert run("evaluate", good, "--quiet").err == ""
    monkeypatch.setenv("CALIBTOOL_QUIET", "1")
    assert run("evaluate", good).err == ""
    assert run("evaluate", good, "-q").out == run("evaluate", good).out


def test_every_command_of_long_work_has_quiet():
    """All but those that read no predictions, or only add up what was read."""
    short = {"merge", "inspect", "export", "help", "metrics", "losses", "completion", "example"}
    short.add("schema")
    context = group.make_context("calibtool", ["--version"], resilient_parsing=True)
    for name in [name for section in COMMANDS.values() for name in section]:
        command = Commands(name="calibtool").make(name)
        kinds = [command]
        if hasattr(command, "commands") or hasattr(command, "make"):
            kinds = [command.get_command(context, kind) for kind in command.list_commands(context)]
        for kind in kinds:
            has = any("--quiet" in option.opts for option in kind.get_params(context))
            assert has == (name not in short), (name, kind.name)


def test_telling_costs_next_to_nothing():
    now = Now()
    began = time.process_time()
    for k in range(10000):
        now("reading", k / 10000)
    assert time.process_time() - began < 0.5  # 50 microseconds each; it is far below one
