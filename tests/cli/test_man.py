"""calibtool man: the pages, by their structure and by what formats them."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from calibtool.calibrators.registry import EVERY
from calibtool.cli.main import COMMANDS
from calibtool.cli.options import READING
from calibtool.diagrams.registry import KINDS

MACROS = {".TH", ".SH", ".B", ".BR", ".PP", ".TP", ".nf", ".fi"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    from calibtool.cli.main import main

    folder = tmp_path_factory.mktemp("man") / "new" / "man1"
    assert main(["man", str(folder)]) == 0
    return {path.stem: path for path in folder.iterdir()}


def test_every_command_has_a_page(pages):
    names = [name for part in COMMANDS.values() for name in part]
    inner = [*(f"fit-{name}" for name in EVERY), *(f"plot-{name}" for name in KINDS)]
    assert set(pages) == {"calibtool", *(f"calibtool-{name}" for name in (*names, *inner))}


def test_a_page_has_what_help_has(pages, run):
    text = re.sub(r"\\\[u\w+\]", "?", pages["calibtool-evaluate"].read_text()).replace("\\-", "-")
    for line in run("evaluate", "--help").out.splitlines():
        if found := re.match(r"  (-.*?)  ", line):
            assert f"\n\\fB{found[1]}\\fR\n" in text
        if title := re.fullmatch(r"(\w+):", line):
            assert f'\n.SH "{title[1].upper()}"\n' in text
    assert all(f"--{name.replace('_', '-')}" in text for name in READING)
    assert "\n.B calibtool evaluate\n[OPTIONS] FILE...\n" in text
    assert '\n.SH "READING OPTIONS"\n' in text
    whole = pages["calibtool"].read_text()
    assert all(f'\n.SH "{title.upper()}"\n' in whole for title in COMMANDS)
    assert "\n.TP\n\\fB3\\fR\nOf check and threshold: there are too few rows to decide.\n" in whole


def test_pages_are_well_formed(pages):
    for name, path in pages.items():
        lines = path.read_bytes().decode("ascii").splitlines()
        assert lines[0].startswith(f'.TH {name.upper()} 1 "" "calibtool '.replace("-", "\\-"))
        assert lines[1:3][0] == ".SH NAME"
        assert re.match(re.escape(name.replace("-", "\\-")) + r" \\- \w", lines[2])
        used = [line.split()[0] for line in lines if line.startswith(".")]
        assert set(used) <= MACROS
        assert not any(line.startswith("'") or not line for line in lines)
        assert max(map(len, lines)) <= 120
        fills = [macro for macro in used if macro in (".nf", ".fi")]
        assert fills == [".nf", ".fi"] * (len(fills) // 2)
        for before, line in pairwise(lines):
            assert not (before == ".TP" and line.startswith("."))


@pytest.mark.parametrize(
    "tool", [("groff", "-man", "-ww", "-Tutf8", "-z"), ("mandoc", "-Tlint", "-Werror")]
)
def test_formatters_find_nothing_wrong(tool, pages):
    if shutil.which(tool[0]) is None:
        pytest.skip(f"needs {tool[0]}")
    done = subprocess.run([*tool, *pages.values()], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_folder_that_cannot_be_written_is_named(refused):
    Path("file").write_text("")
    refused("man", "file", says=("file: cannot be created",))
    refused("man", "a\0b", says=("cannot be created",))


def test_help_tells_of_the_pages(run):
    assert "calibtool man FOLDER" in run("completion", "--help").out
