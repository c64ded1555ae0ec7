"""The reader of docs/how-to/own-format.md, installed as a package of its own."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import calibtool as ct
from calibtool.cli.main import main
from calibtool.errors import CalibtoolError, UnreadableError

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "own-format.md"
LONGEST = 30  # lines that the page promises


@pytest.fixture(scope="module")
def blocks():
    """The blocks of the page by their language, the first of each."""
    found = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(reversed(found))


@pytest.fixture
def installed(blocks, tmp_path, monkeypatch):
    """A folder of `sys.path` with the module and the entry points that the page shows."""
    (tmp_path / "quizlog.py").write_text(blocks["python"], encoding="utf-8")
    package = tmp_path / "quizlog-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: quizlog\nVersion: 1.0\n")
    groups = tomllib.loads(blocks["toml"])["project"]["entry-points"]
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (package / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "run.quiz").write_text(blocks["text"], encoding="utf-8")
    yield tmp_path
    sys.modules.pop("quizlog", None)


def test_it_is_as_short_as_promised(blocks):
    assert len(blocks["python"].splitlines()) <= LONGEST


def test_it_is_found_and_read(installed):
    assert [entry.name for entry in metadata.entry_points(group="calibtool.readers")] == ["quizlog"]
    data = ct.read(installed / "run.quiz").load()
    assert data.values.tolist() == [0.83, 0.97]
    assert data.correct.tolist() == [0, 1]


def test_inspect_names_it_and_counts_what_it_left_out(installed, monkeypatch, capsys):
    monkeypatch.chdir(installed)
    assert main(["inspect", "run.quiz"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("run.quiz: answers of quizlog\n")
    assert "left out: 1 empty answer" in said
    assert said.strip() in PAGE.read_text(encoding="utf-8")


def test_it_is_forced_by_name_and_names_bad_lines(installed):
    path = installed / "run.log"
    path.write_bytes((installed / "run.quiz").read_bytes() + b"q4 said=B sure=high gold=B\n")
    with pytest.raises(UnreadableError, match=r"run\.log: line 5: expected ID said=X sure=N%"):
        ct.read(path, reader="quizlog")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("FORMAT = 3", "the reader 'quizlog' is int, expected a LogFormat"),
        ("import nowhere_to_be_found", "the reader 'quizlog' cannot be loaded: No module named"),
    ],
)
def test_readers_that_cannot_be_used_are_named(installed, module, message):
    (installed / "quizlog.py").write_text(module)
    with pytest.raises(CalibtoolError, match=message):
        ct.read(installed / "run.quiz")
