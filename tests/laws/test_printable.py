"""Laws of text: no name from a file forges a line, moves a cursor, or runs, whatever shows it."""

from __future__ import annotations

import csv
import re
from functools import cache
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree.ElementTree import fromstring

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibtool as ct
from calibtool.data import inspection
from calibtool.data.files.roles import Choice
from calibtool.reports.page.build import build_page
from calibtool.reports.page.write import text
from calibtool.reports.render import FORMATS, render

HARMLESS = "plain"
HOSTILE = (
    "a\nok 9 - forged\r\nnot ok 9 - forged\n::error file=x::pwn",
    "::error::pwn ##vso[task.x]y",
    "\x1b[2J\x1b]0;x\x07nul\x00nul\u202eright\u2028line\x9b2J",
    *("=cmd()", "+1+cmd()", "-1+cmd()", "@cmd()", "\t=cmd()", 'q",=cmd()'),
    "[x](javascript:1) <javascript:1> ]: javascript:1 ![](x) `b` |c|",
    *("<script>alert(1)</script>]]>&lt;</td></title>", "\"><script>x='"),
    "\\input{x} %\\input{x} $^\\write18{x}&#~",
)
FEW = {"resamples": 20}
# whatever moves a cursor, and whatever XML, HTML or a terminal takes as the end of a line
HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")
FORGED = re.compile(r"^(?:ok |not ok|::|##)", re.MULTILINE)
NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?|[-+]?inf|-", re.IGNORECASE)


def write(folder: str, name: str, seed: int) -> Path:
    """Write 60 rows of two classes; a class, a column, a value and the file have the name."""
    rng = np.random.default_rng(0)
    p = rng.random(60)
    labels = [name if positive else "z" for positive in rng.random(60) < p**3]
    p = p ** (1 + seed)
    table = {"probs_z": 1 - p, f"probs_{name}": p, "label": labels}
    table |= dict.fromkeys((name, "group"), [name, "other"] * 30)
    path = Path(folder, f"{name.replace('/', '').replace(chr(0), '')} {seed}.parquet")
    pq.write_table(pa.table(table), path)
    return path


def by_column(name: str) -> str:
    """Return the name of a column whose values have a name: the same, where --by can name it."""
    return name if name == name.strip() and "," not in name else "group"


def results(name: str, paths: list[Path]) -> dict[str, object]:
    """Return an instance of each result that shows names."""
    first, second = (ct.load(path, extra=[name, "group"]) for path in paths)
    assert name in first.class_names
    periods = {name: first, f"{name} 2": second}
    fitted = ct.fit("platt", first)
    return {
        "evaluate": ct.evaluate(first, "nll,ece,classwise-ece", **FEW),
        "by": ct.evaluate_by(first, [by_column(name), "predicted"], "nll,ece", **FEW),
        "calibrator": ct.evaluate(first, "nll,ece", calibrator=fitted, **FEW),
        "compare": ct.compare([first, second], "nll,ece", **FEW),
        "check": ct.check(first, ["ece <= 0.001 by group", "ece <= 0.9 by predicted"], **FEW),
        "slices": ct.search_slices(first, [by_column(name), "confidence"]),
        "select": ct.select(first, ["temperature", "platt"], **FEW),
        "test": ct.significance(first, tests="cox,spiegelhalter", **FEW),
        "monitor": ct.monitor(periods, **FEW),
        "predictions": first,
        "fit": fitted,
    }


@cache
def texts(name: str) -> dict[tuple[str, str], str]:
    """Return everything that is printed or written, by result and format."""
    with TemporaryDirectory() as folder:
        paths = [write(folder, name, seed) for seed in (0, 1)]
        made = {
            (result, format_): render(value, format_)
            for result, value in results(name, paths).items()
            for format_ in FORMATS
        }
        made["inspect", "table"] = inspection.text(inspection.inspect(str(paths[0]), Choice()))
        sources = [ct.scan(path, extra=[name]) for path in paths]
        page = build_page(
            sources[:1], "nll,ece", by=[by_column(name)], methods=["platt"], resamples=20
        )
        compared = build_page(sources, "nll,ece", methods=[], **FEW)
    made |= {("report", form): text(page, form) for form in ("html", "md")}
    made |= {("compared", form): text(compared, form) for form in ("html", "md")}
    return made


def require_one_line(shown: str, honest: str) -> None:
    """Nothing moves a cursor, and no line is there that a harmless name does not bring."""
    assert not HIDDEN.search(shown)
    assert len(FORGED.findall(shown)) == len(FORGED.findall(honest))


class Elements(HTMLParser):
    """The elements of a page with their attributes; none links to a script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[tuple[str, str | None]] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {(tag, key) for key, _ in attrs} | {(tag, None)}
        assert not any((value or "").startswith("javascript:") for _, value in attrs)


def require_html(shown: str, honest: str) -> None:
    assert Elements(shown).seen == Elements(honest).seen


def require_xml(shown: str, honest: str) -> None:
    assert [e.tag for e in fromstring(shown).iter()] == [e.tag for e in fromstring(honest).iter()]


def require_no_formulas(shown: str, honest: str) -> None:
    fields = [field for row in csv.reader(StringIO(shown)) for field in row]
    assert len(fields) == sum(len(row) for row in csv.reader(StringIO(honest)))
    assert not [f for f in fields if f.startswith(tuple("=+-@")) and not NUMBER.fullmatch(f)]


def require_no_macros(shown: str, honest: str) -> None:
    lines = [line for line in shown.split("\n") if not line.startswith("%")]
    assert len(lines) == len([line for line in honest.split("\n") if not line.startswith("%")])
    assert not re.search(r"\\(?:input|write18)|(?<!\\)%", "\n".join(lines))


def require_no_links(shown: str, honest: str) -> None:
    assert not re.search(r"(?<!\\)(?:\][(:]|<(?:script|javascript|/td))", shown)


LAWS = {
    "html": require_html,
    "junit": require_xml,
    "csv": require_no_formulas,
    "latex": require_no_macros,
    "markdown": require_no_links,
    "md": require_no_links,
}


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_from_files_are_shown_and_do_nothing(name):
    for (result, format_), shown in texts(name).items():
        honest = texts(HARMLESS)[result, format_]
        require_one_line(shown, honest)
        if format_ in LAWS:
            LAWS[format_](shown, honest)
