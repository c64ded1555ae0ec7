"""Rendering: any result in any format, and formats that know tables only."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass, replace
from importlib import import_module
from types import SimpleNamespace

import pytest

from calibtool.reports import render as rendering
from calibtool.reports import text
from calibtool.reports.render import FORMATS, TABLES, render
from calibtool.reports.table import Finding, Note, Table
from calibtool.types import Shown

# what a module of a format may import of calibtool
KNOWN = {
    "calibtool.formatting",
    "calibtool.reports",
    "calibtool.reports.page.markup",
    "calibtool.reports.siunitx",
    "calibtool.reports.table",
    "calibtool.version",
}
TABLE = Table(
    kind="calibtool-toy",
    head="a | b",
    titles=("name", "value", "verdict"),
    cells=[["x_1", "0.1000", "FAILED"], ["y", "-1.0e-05", "passed"]],
    records=[{"name": "x_1", "value": 0.1}, {"name": "y", "value": float("inf")}],
    key="toys",
    notes=["A note.", Note("Another <note>.", "warning")],
    body={"seed": 0},
    tones={(0, 2): "bad", (1, None): "best"},
    lead=["Before the table."],
    left=("verdict",),
    findings=[
        Finding("ece <= 1", "ece", "fail", "FAILED", "too large", "a.npz", "calibtool.toml", 3)
    ],
    summary="Failed: 1 of 1.",
)


@pytest.mark.parametrize("module", sorted({module for module, _ in FORMATS.values()}))
def test_a_format_knows_tables_only(module):
    tree = ast.parse(inspect.getsource(import_module(f"calibtool.reports.{module}")))
    imported = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("calibtool")
    }
    assert imported <= KNOWN


@pytest.mark.parametrize("module", sorted(set(TABLES.values())))
def test_a_result_makes_its_table_from_the_width_alone(module):
    function = import_module(f"calibtool.reports.{module}").table
    assert list(inspect.signature(function).parameters)[1:] == ["width"]


@dataclass(frozen=True)
class Toy(Shown):
    """A result of one number."""

    value: float


def test_a_toy_result_of_one_line_has_every_face(monkeypatch):
    """CONTRIBUTING describes it."""

    def table(toy, _width):
        return Table("calibtool-toy", "A toy", ["value"], [[f"{toy.value}"]], [vars(toy)], "toys")

    module = SimpleNamespace(table=table)
    monkeypatch.setitem(TABLES, "Toy", "toy")
    real = rendering.import_module
    monkeypatch.setattr(
        rendering, "import_module", lambda name: module if name.endswith(".toy") else real(name)
    )
    toy = Toy(0.5)
    assert "A toy" in str(toy)
    assert "<td" in toy._repr_html_()
    assert toy.to_dict()["toys"] == [{"value": 0.5}]
    assert render(toy, "csv") == "value\n0.5\n"
    assert render(toy, "latex").endswith("\\end{tabular}\n")


def test_text_pads_words_left_and_numbers_right():
    lines = render(TABLE, "table", width=60).splitlines()
    assert lines == [
        "a | b",
        "",
        "Before the table.",
        "",
        "name      value   verdict",
        "─" * 25,
        "x_1      0.1000   FAILED",
        "y      -1.0e-05   passed",
        "",
        "A note.",
        "",
        "Another <note>.",
    ]


def test_text_colours_cells_rows_and_notes():
    text = render(TABLE, "table", width=60, colour=True)
    assert "\x1b[1;31mFAILED" in text
    assert "\x1b[1;32my" in text
    assert "\x1b[33mAnother <note>." in text


def test_markdown_escapes_and_emphasises():
    assert render(TABLE, "markdown").splitlines() == [
        "a \\| b",
        "",
        "| name | value | verdict |",
        "| --- | --- | --- |",
        "| x_1 | 0.1000 | **FAILED** |",
        "| **y** | **-1.0e-05** | **passed** |",
        "",
        "Before the table.",
        "",
        "A note.",
        "",
        "Another \\<note\\>.",
    ]


def test_latex_is_a_tabular_of_booktabs():
    assert render(TABLE, "latex").splitlines()[3:] == [
        "% \\usepackage{booktabs}",
        "\\begin{tabular}{lrr}",
        "\\toprule",
        "name & value & verdict \\\\",
        "\\midrule",
        "x\\_1 & 0.1000 & FAILED \\\\",
        "y & $-1.0 \\times 10^{-5}$ & passed \\\\",
        "\\bottomrule",
        "\\end{tabular}",
    ]


def test_json_holds_the_body_and_the_records():
    text = render(TABLE, "json")
    assert '"seed": 0' in text
    assert '"value": "inf"' in text


@pytest.mark.parametrize("format_", ["github", "gitlab", "junit", "sarif", "tap"])
def test_ci_systems_read_the_findings(format_):
    text = render(TABLE, format_)
    assert "ece" in text
    assert "too large" in text
    assert format_ != "github" or text.startswith("::error file=calibtool.toml,line=3,title=ece <=")


def test_further_tables_stand_below():
    both = Table("calibtool-toy", "Two", ["a"], [["1"]], (), "toys", more=[TABLE])
    for format_ in ("table", "markdown", "html"):
        text = render(both, format_)
        assert text.index("Two") < text.index("A note.")


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("width", "says"),
    [
        (23, ["metric        value", "a-long-one   [1, 2]"]),
        (18, ["metric       value", "a-long-one  [1, 2]"]),  # less between the columns
        (17, ["metric      value", "a-long-one [1, 2]"]),
        (16, ["metric   value", "a-long-one", "        [1, 2]"]),  # on a line of its own
        (14, ["metric   value", "a-long-one", "        [1, 2]"]),
    ],
)
def test_a_name_is_never_cut_where_it_fits_the_terminal(width, says, colour):
    cells = [["a-long-one", "[1, 2]"], ["b", ""]]
    toy = Table("calibtool-toy", "", ["metric", "value"], cells, [], "", wraps=["metric"])
    tones = {(0, 0): "best", (1, None): "alarm"}
    shown = render(replace(toy, tones=tones), "table", width=width, colour=colour)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()]
    assert set(says) <= set(lines)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_blocks_of_rows_are_laid_out_as_the_rows_are(monkeypatch, width, colour):
    cells = [[f"2026-01-{k:02}", f"{k / 7:.4f}", "", "[0.1, 0.2]"] for k in range(1, 30)]
    titles = ["day", "confi-\ndence", "note", "95 % interval"]
    tones = {(3, None): "alarm", (4, None): "alarm", (9, 1): "bad", (29, None): "quiet"}
    toy = Table("calibtool-toy", "Toy", titles, cells, [], "toys", tones=tones)
    in_blocks = text.render(toy, width=width, colour=colour)
    monkeypatch.setattr(text, "_fits", lambda *_: False)
    assert in_blocks == text.render(toy, width=width, colour=colour)


def test_a_table_of_many_rows_that_fit_is_one_block():
    cells = [[str(k), "0.5"] for k in range(100)]
    toy = Table("calibtool-toy", "Toy", ["day", "ece"], cells, [], "toys")
    assert text._grid(toy, 80).row_count == 1
