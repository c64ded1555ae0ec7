"""completion, and what a shell is told when it completes a word."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calibtool.calibrators.registry import EVERY, METHODS
from calibtool.cli.completion import SHELLS
from calibtool.cli.main import COMMANDS, main


@pytest.fixture
def complete(monkeypatch, capsys):
    """The words that bash is offered for the last word of a line."""

    def call(line):
        *words, _ = line.split(" ")
        monkeypatch.setenv("_CALIBTOOL_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"calibtool {line}")
        monkeypatch.setenv("COMP_CWORD", str(len(words) + 1))
        assert main([]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return [item.split(",", 1) for item in out.split()]

    return call


def plain(*words):
    return [["plain", word] for word in words]


def test_words_of_a_line(complete, folder):
    assert complete("") == plain(*(name for part in COMMANDS.values() for name in part))
    assert complete("ev") == plain("evaluate")
    assert {word for _, word in complete("fit ")} == {*EVERY}
    assert complete("fit temperature --outp") == plain("--output")
    assert complete("plot rel") == plain("reliability")
    assert complete("evaluate --ci i") == plain("inverted")
    assert complete("schema cal") == plain("calibrator")
    assert complete("evaluate da") == [["file", "da"]]
    assert complete("evaluate x.npz -o ta") == [["file", "ta"]]


@pytest.mark.parametrize(
    ("file", "written"),
    [
        ("a.csv", b"\xef\xbb\xbfp,label,country\r\n.1,0,x\n"),
        ("a.tsv", b"p\tlabel\tcountry\n"),
        ("a.jsonl", b'{"p": 0.5, "label": 1, "country": "x"}\n'),
        ("a.npz", None),
    ],
)
def test_columns_of_a_file(complete, folder, file, written):
    if written is None:
        np.savez(file, p=[0.5], label=[1], country=["x"])
    else:
        Path(file).write_bytes(written)
    assert complete(f"evaluate {file} --score ") == plain("p", "label", "country")
    assert complete(f"evaluate {file} --by co") == plain("country")
    assert complete(f"fit platt {file} --by label,co") == plain("label,country")


@pytest.mark.parametrize("file", ["no.csv", "empty.csv", "damaged.npz", "list.jsonl", "a.parquet"])
def test_what_has_no_columns_offers_none(complete, folder, file):
    Path("empty.csv").touch()
    Path("damaged.npz").write_bytes(b"PK")
    Path("list.jsonl").write_text("[1]\n")
    Path("a.parquet").write_bytes(b"PAR1")
    assert complete(f"evaluate {file} --score ") == []


def test_a_line_that_makes_no_sense_offers_nothing_false(complete, folder):
    assert complete("nonsense --x") == []
    assert complete("evaluate --nonsense 1 --al") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_its_lines(shell, run):
    printed = run("completion", shell)
    assert printed.code == 0
    assert f"{shell}_complete" in printed.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=printed.out, text=True, check=True)


def test_powershell_is_told_values_and_help(monkeypatch, capsys):
    monkeypatch.setenv("_CALIBTOOL_COMPLETE", "powershell_complete")
    monkeypatch.setenv("COMP_WORDS", "calibtool fit bet")
    monkeypatch.setenv("COMP_WORD", "bet")
    assert main([]) == 0
    assert capsys.readouterr().out.strip() == f"beta\t{METHODS['beta'].summary}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_a_word(folder):
    """Through bash itself: its function is called as readline calls it."""
    lines = subprocess.run(
        [sys.executable, "-m", "calibtool", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    tool = Path("calibtool")
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m calibtool "$@"\n')
    tool.chmod(0o755)
    script = f"""{lines}
COMP_WORDS=(calibtool evalu)
COMP_CWORD=1
_calibtool_completion ./calibtool
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["evaluate"]
