"""The reliability diagram as text: what is drawn where, in any width, colour and encoding."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import calibtool as ct
from calibtool.diagrams import reliability, terminal

FEW = ("--resamples", "50")
ESCAPE = "\x1b["


def drawn(score, outcome, **options):
    p = ct.Predictions.from_confidence(np.asarray(score, float), np.asarray(outcome))
    data = reliability.compute(p, resamples=50, bins=options.pop("bins", 15))
    return terminal.reliability(data, **{"width": 80, "colour": False, **options}).split("\n")


def place(lines, letter):
    """Return the score and outcome at which a letter stands in the diagram."""
    found = [
        (line.index(letter) - terminal.LEFT - 1, k)
        for k, line in enumerate(lines[1 : 1 + terminal.HEIGHT])
        if letter in line
    ]
    ((column, line),) = found
    return (column + 0.5) / 60, 1 - (line + 0.5) / terminal.HEIGHT


def test_a_bin_stands_at_its_mean_score_and_outcome():
    lines = drawn([0.7] * 100, [1] * 30 + [0] * 70)
    x, y = place(lines, "●")
    assert x == pytest.approx(0.7, abs=0.5 / 60 + 1e-9)
    assert y == pytest.approx(0.3, abs=0.5 / terminal.HEIGHT + 1e-9)


def test_a_bin_is_filled_where_its_interval_leaves_out_the_diagonal():
    assert place(drawn([0.7] * 100, [1] * 70 + [0] * 30), "○")
    lines = drawn([0.7] * 100, [1] * 70 + [0] * 30)
    assert not any("●" in line for line in lines[: 1 + terminal.HEIGHT])


def test_a_bin_without_an_interval_has_no_bar():
    p = ct.Predictions.from_confidence(np.full(100, 0.7), np.arange(100) < 30)
    data = reliability.compute(p, resamples=50)
    unknown = np.full(15, np.nan)
    data = replace(data, curves=(replace(data.curves[0], low=unknown, high=unknown),))
    text = terminal.reliability(data, width=80, colour=False)
    assert place(text.split("\n"), "○")
    assert "interval" not in text
    assert text.rstrip().split("\n")[-1].startswith("ece 0.4")


def test_the_histogram_shows_shares_and_hides_no_row():
    score = [0.95] * 900 + [0.5] * 450 + [0.2]
    lines = drawn(score, np.ones(len(score), int))
    bars = lines[2 + terminal.HEIGHT : 2 + terminal.HEIGHT + terminal.LOW_HEIGHT]
    top = [line[terminal.LEFT + 1 :].ljust(60) for line in bars]
    assert bars[0].startswith(" 67 % ┤")
    columns = ["".join(column) for column in zip(*reversed(top), strict=True)]
    assert columns[57] == "███"
    assert columns[30] == "█▄ "
    assert columns[11] == "▁  "
    assert columns[0] == "   "


@pytest.mark.parametrize("width", [40, 60, 72, 80, 120])
@pytest.mark.parametrize("bins", [1, 7, 15, 100])
def test_no_line_is_wider_than_the_terminal(width, bins):
    rng = np.random.default_rng(0)
    score = rng.uniform(0.1, 1, 500)
    lines = drawn(score, rng.random(500) < score, width=width, bins=bins)
    assert max(map(len, lines[:-3])) <= width
    assert len({len(line) for line in lines if "┬" in line}) == 1


def test_few_letters_are_enough():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.1, 1, 500)
    text = "\n".join(drawn(score, rng.random(500) < score**2, letters="ascii"))
    assert text.isascii()
    assert "@" in text
    assert "#" in text
    assert "?" not in text


# ------------------------------------------------------------------ as a user sees it


def test_evaluate_draws_below_the_table(run, good):
    result = run("evaluate", good, "--plot", *FEW)
    assert result.code == 0
    table, diagram = result.out.split("\naccuracy\n")
    assert table == run("evaluate", good, *FEW).out
    assert "1.0 ┤" in diagram
    assert ESCAPE not in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_before_and_after_are_overlaid(run, good, calibrator):
    out = run("evaluate", good, "--plot", "--calibrator", calibrator, *FEW).out
    assert re.search(r"^○ as given: corrected ece 0\.\d{4} \[", out, re.MULTILINE)
    assert re.search(r"^● temperature scaling .*: corrected ece 0\.\d{4} \[", out, re.MULTILINE)


def test_plot_without_a_file_to_write_draws_in_letters(run, good, folder):
    result = run("plot", "reliability", good, *FEW)
    assert result.code == 0
    assert result.err == ""
    assert "1.0 ┤" in result.out
    assert not list(folder.glob("*.png"))


def test_too_many_curves_for_letters(refused, data, folder):
    files = []
    for k in range(7):
        files.append(f"f{k}.npz")
        np.savez(files[-1], logits=data.logits * (1 + k), labels=data.labels)
    refused("plot", "reliability", *files, *FEW, says=("7 curves", "-o FILE.png"))


@pytest.mark.parametrize("option", [("--format", "json"), ("--as", "torchmetrics")])
def test_letters_go_with_the_table(refused, good, option):
    refused(
        "evaluate",
        good,
        "--plot",
        *option,
        *FEW,
        says=("--plot can only be combined with --format table",),
    )


def on_a_terminal(*arguments, columns=60, **environment):
    """Return what a command prints on a terminal of its own."""
    main, other = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **environment}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "calibtool", *map(str, arguments)]
    with subprocess.Popen(
        command, stdout=other, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(other)
        parts = []
        while True:
            try:
                part = os.read(main, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(main)
    assert process.returncode == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_its_width_and_colour_unless_told_otherwise(good, no_color):
    text = on_a_terminal("plot", "reliability", good, *FEW, NO_COLOR=no_color)
    assert (ESCAPE in text) is not bool(no_color)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert ESCAPE not in plain
    assert max(map(len, plain.splitlines())) <= 60
    if not no_color:
        assert text.count(f"{ESCAPE}2m") > 5
        assert not re.search(r"\x1b\[(3[0347]|9\d|4\d)m", text)  # unread on black or on white
