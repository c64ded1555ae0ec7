"""Laws over everything that is printed: what stands beside an interval lies in it, and a printed
change is the difference of the two printed numbers."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from decimal import Decimal
from html import unescape
from io import StringIO

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.gate.check import check
from calibtool.metrics.registry import METRICS
from calibtool.reports.page.build import build_page
from calibtool.reports.page.html import document as page_html
from calibtool.reports.page.markdown import document as page_markdown
from calibtool.reports.render import render
from calibtool.train.trained import Trained, listing

NUMBER = r"[-+]?(?:1 - )?(?:\d[\d,]*\.?\d*(?:e[-+]?\d+)?|inf)"
ENDS = re.compile(rf"\[({NUMBER}), ({NUMBER})\]")
BESIDE = re.compile(
    rf"({NUMBER}|nan)(?: %)?(?:, [\d.]+ % interval|:)?[\s|]*\[({NUMBER}), ({NUMBER})\]"
)
FORMATS = ("table", "markdown", "latex", "html")
METRIC_NAMES = [name for name in METRICS if name not in {"ood-auroc", "ood-fpr95"}]
FEW = {"resamples": 60}


def weighted(rows, classes):
    p = simulate(rows, classes)
    weights = np.random.Generator(np.random.PCG64(1)).lognormal(size=rows)
    return ct.Predictions.from_logits(p.values, p.labels, weights=weights)


def confident():
    """200 rows, of which one is wrong."""
    labels = np.arange(200) % 2
    logits = np.where(np.eye(2)[labels] > 0, 4.0, -4.0)
    labels[0] = 1 - labels[0]
    return ct.Predictions.from_logits(logits, labels)


DATA = {
    "few rows": lambda: simulate(40, 3),
    "calibrated": lambda: simulate(400, 3, scale=1.0),
    "overconfident": lambda: simulate(400, 3),
    "two classes": lambda: simulate(300, 2, scale=1.3),
    "weights": lambda: weighted(300, 4),
    "one error": confident,
    "confidences": lambda: ct.Predictions.from_confidence(
        np.linspace(0.5, 0.999, 300), np.arange(300) % 7 > 0
    ),
}


@pytest.fixture(scope="module")
def made():
    """Return each result once: of a name of DATA, measured in one of several ways."""
    kept = {}

    def get(kind, name):
        if (kind, name) not in kept:
            kept[kind, name] = WAYS[kind](DATA[name]())
        return kept[kind, name]

    return get


def cooled(p, by=1.3):
    return replace(p, values=p.values / by)


def evaluated(p):
    return ct.evaluate(p, METRIC_NAMES, **FEW)


def before_and_after(p):
    return ct.evaluate(p, METRIC_NAMES, calibrator=ct.fit("temperature", simulate(500, 3)), **FEW)


def compared(*divisors):
    def of(p):
        files = [p, *(cooled(p, by) for by in divisors)]
        names = ["given", *(f"cooled by {by}" for by in divisors)]
        return ct.compare(files, METRIC_NAMES, names=names, **FEW)

    return of


def sliced(p):
    part = np.array(["a", "b"])[np.arange(p.rows) // (p.rows // 2 + 1)]
    return ct.evaluate_by(
        replace(p, extra={"part": part}), "part", ["ece", "nll", "accuracy"], **FEW
    )


def searched(p):
    part = np.array(["a", "b"])[np.arange(p.rows) % 2]
    return ct.search_slices(replace(p, extra={"part": part, "half": part[::-1]}))


def selected(p):
    return ct.select(p, ["temperature", "platt", "isotonic"], **FEW)


def checked(p):
    part = np.array(["a", "b"])[np.arange(p.rows) // (p.rows // 2 + 1)]
    rows = replace(p, extra={"part": part})
    demands = [f"{e.name} <= {e.value + 0.00001:.5f}" for e in evaluated(p) if e.low is not None]
    demands = [*demands[:12], "delta(nll) <= 0.01", "delta(ece) <= 0.01", "ece <= 0.2 by part"]
    return check(rows, demands, mode="tolerate", baseline=cooled(p), **FEW)


def trained(p):
    about = {"model": "mlp", "loss": "nll", "epochs_trained": 1, "val_rows": 5}
    report = before_and_after(p)
    return listing(Trained("out", report, about, (), ct.fit("temperature", p), p, p))


WAYS = {
    "evaluate": evaluated,
    "before and after": before_and_after,
    "two files": compared(1.3),
    "three files": compared(1.3, 1.00001),
    "slices": sliced,
    "search": searched,
    "select": selected,
    "check": checked,
    "train": trained,
}
LOGITS = [name for name in DATA if name != "confidences"]
THREE = ["few rows", "calibrated", "overconfident"]
CASES = [
    *(("evaluate", name) for name in DATA),
    *(("before and after", name) for name in THREE),
    *(("two files", name) for name in LOGITS if name != "one error"),
    ("three files", "overconfident"),
    *(("slices", name) for name in LOGITS if name != "few rows"),
    ("search", "overconfident"),
    ("select", "overconfident"),
    ("select", "two classes"),
    *(("check", name) for name in ("calibrated", "overconfident", "weights")),
    ("train", "overconfident"),
]


# ------------------------------------------------------------------ reading what is printed


def plain(text, format_):
    """Return text with a bar between the cells of a row, a number as `number` prints it."""
    if format_ == "latex":
        text = re.sub(r"\$([-+\d. ]+) \\times 10\^\{(-?\d+)\}\$", r"\1e\2", text)
        text = re.sub(r"\\textbf\{([^}]*)\}", r"\1", text)
        text = text.replace("$-$", "-").replace("$\\infty$", "inf").replace("\\%", "%")
        text = text.replace("$^{\\dagger}$", "").replace(" \\\\", "").replace(" & ", " | ")
    if format_ == "html":
        text = re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
        text = re.sub(r"</t[dh]><t[dh][^>]*>", " | ", text)
        text = unescape(re.sub(r"<[^>]*>", "\n", text).replace("\N{NO-BREAK SPACE}", " "))
    if format_ == "markdown":
        text = text.replace("**", "")
    if format_ == "table":
        text = re.sub(r" {2,}", " | ", text)
    return text


def rendered(result, format_):
    return plain(render(result, format_, width=200), format_)


def value_of(text):
    """Return the number that a text says."""
    text = text.removesuffix(" %").replace(",", "")
    if text.startswith("1 - "):
        return 1 - Decimal(text.removeprefix("1 - "))
    return Decimal(text)


def outside(text):
    """Return what stands beside an interval and does not lie in it."""
    found = []
    for beside, low, high in BESIDE.findall(text):
        if not value_of(low) <= value_of(beside) <= value_of(high):
            found.append((beside, low, high))
    return found


def tables(text):
    """Yield the rows of each table as dictionaries; titles are those of the last head."""
    titles = []
    for line in text.split("\n"):
        inner = line[1:-1] if line.startswith("| ") and line.endswith(" |") else line
        cells = [cell.strip() for cell in inner.split("|")]
        if {"change", "behind", "gap"} & set(cells):
            titles = cells
        elif titles and 1 < len(cells) <= len(titles):
            cells += [""] * (len(titles) - len(cells))
            yield dict(zip(titles, cells, strict=True))


def off(first, second, change):
    """Return whether a printed change is not the difference of two printed numbers, to the digits
    of the change. A number that is printed with an exponent counts as it would be rounded."""
    change = value_of(change)
    unit = Decimal(1).scaleb(int(change.as_tuple().exponent))
    rest = value_of(second) - value_of(first) - change
    exact = "e" not in first + second and "1 -" not in first + second
    return abs(rest) > (0 if exact else Decimal("0.5001") * unit)


# ------------------------------------------------------------------ the laws


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_what_stands_beside_an_interval_lies_in_it(kind, name, format_, made):
    text = rendered(made(kind, name), format_)
    assert outside(text) == []
    assert len(BESIDE.findall(text)) == len(ENDS.findall(text))
    # LaTeX has the table of a paper, plain values alone, and a search may find nothing
    assert ENDS.findall(text) or kind == "search" or (format_ == "latex" and "files" in kind)


@pytest.mark.parametrize("format_", ["table", "markdown", "html"])
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("before and after", ("before", "after", "change")),
        ("two files", ("given", "cooled by 1.3", "change")),
        ("search", ("accuracy", "confidence", "gap")),
    ],
)
@pytest.mark.parametrize("name", THREE)
def test_a_printed_change_is_the_difference_of_the_printed_numbers(
    kind, names, name, format_, made
):
    text = rendered(made(kind, name), format_).replace("| A |", "| given |")
    text = re.sub(r"\| B +\|", "| cooled by 1.3 |", text)
    rows = [row for row in tables(text) if re.fullmatch(NUMBER, row.get(names[2], "").rstrip("*"))]
    assert rows or kind == "search"
    for row in rows:
        first, second, change = (row[title] for title in names)
        if "inf" not in first + second:
            assert not off(first, second, change), row


@pytest.mark.parametrize("format_", ["table", "markdown", "html"])
def test_of_three_files_every_change_is_from_the_number_of_the_first(format_, made):
    first, seen = None, 0
    for row in tables(rendered(made("three files", "overconfident"), format_)):
        if row["file"] == "given":
            first = row["corrected"]
        elif row["file"].startswith("cooled") and "inf" not in row["corrected"]:
            seen += 1
            assert not off(first, row["corrected"], row["change"]), row
    assert seen > 100


@pytest.mark.parametrize("format_", ["markdown", "html"])
def test_a_calibrator_is_behind_by_the_difference_of_the_scores(format_, made):
    rows = list(tables(rendered(made("select", "overconfident"), format_)))
    (best,) = (row["nll"] for row in rows if row["behind"] == "best")
    known = [row for row in rows if re.fullmatch(r"[\d.]+", row["behind"])]
    assert known
    for row in known:
        assert not off(best, row["nll"], row["behind"]), row


@pytest.mark.parametrize("name", ["calibrated", "overconfident", "weights"])
def test_a_margin_is_the_distance_of_the_printed_numbers(name, made):
    outcome = made("check", name)
    lines = rendered(outcome, "markdown").split("\n")
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    titles = next(row for row in rows if "margin" in row)
    assert "level" in titles  # that of the slices is higher
    for row in (dict(zip(titles, row, strict=False)) for row in rows):
        required = re.fullmatch(r"(\S+) \\<= (\S+)", row.get("required", ""))
        if required and row["margin"]:
            judged = row["corrected" if required[1].startswith("delta") else "value"]
            assert not off(judged, required[2], row["margin"]), row


def test_a_verdict_that_stands_alone_names_number_interval_and_level(made):
    for kind in ("github", "junit", "tap"):
        text = unescape(render(made("check", "overconfident"), kind)).replace("%25", "%")
        assert outside(text) == []
        assert ENDS.findall(text)
        assert len(BESIDE.findall(text)) >= len(ENDS.findall(text)) - 1  # one of another level


def numbers_of(node):
    """Yield every object of a JSON document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            yield from numbers_of(child)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_json_and_csv_hold_the_corrected_estimate_in_its_interval(kind, name, made):
    result = made(kind, name)
    seen = 0
    for node in numbers_of(json.loads(render(result, "json"))):
        for end in ("", "_after"):
            if {f"low{end}", f"high{end}", f"corrected{end}"} <= set(node):
                low, middle, high = (node[f"{key}{end}"] for key in ("low", "corrected", "high"))
                assert (low is None) == (middle is None) == (high is None)
                if low is not None:
                    seen += 1
                    assert float(low) <= float(middle) <= float(high), node
        assert "unbiased" not in node
    assert seen or kind in {"search", "select"}
    for row in csv.DictReader(StringIO(render(result, "csv"))):
        for start in ("", "change_"):
            low, middle, high = (row.get(f"{start}{k}") for k in ("low", "corrected", "high"))
            if low and middle and high:
                assert float(low) <= float(middle) <= float(high), row


@pytest.mark.parametrize("name", THREE)
def test_changes_in_json_are_differences_to_the_last_bit(name, made):
    for metric in json.loads(render(made("before and after", name), "json"))["metrics"]:
        after, change = metric["after"], metric["change"]
        for key in ("value", "corrected"):
            numbers = (metric[key], after[key], change[key])
            if all(isinstance(x, float) for x in numbers):
                assert change[key] == after[key] - metric[key], (metric["name"], key)


@pytest.mark.parametrize("kind", ["evaluate", "before and after"])
@pytest.mark.parametrize("name", THREE)
def test_at_80_columns_no_interval_is_parted_from_its_number(kind, name, made):
    text = render(made(kind, name), "table", width=80)
    assert max(map(len, text.split("\n"))) <= 80
    assert outside(plain(text, "table")) == []


def test_calibration_over_time():
    found = ct.monitor({f"2026-01-0{k}": simulate(300, 2, seed=k) for k in (1, 2, 3)}, **FEW)
    for width in (80, 200):
        text = plain(render(found, "table", width=width), "table")
        assert outside(text) == []
        assert len(BESIDE.findall(text)) == 3


@pytest.mark.parametrize("name", ["overconfident", "few rows", "weights"])
def test_the_page(name):
    p = DATA[name]()
    part = np.array(["a", "b"])[np.arange(p.rows) % 2]
    rows = replace(p, extra={"part": part}, source="a.npz")
    page = build_page([rows], by=["part"], **FEW)
    two = build_page([rows, replace(cooled(p), source="b.npz")], **FEW)
    for shown in (page, two):
        for text, format_ in ((page_html(shown), "html"), (page_markdown(shown), "markdown")):
            words = plain(text, format_)
            assert outside(words) == []
            assert len(BESIDE.findall(words)) == len(ENDS.findall(words)) > 0
            for row in tables(words):
                ends = [row.get(k, "") for k in ("before", "after", "change")]
                if all(re.fullmatch(NUMBER, text) for text in ends):
                    assert not off(*ends), row
                ends = [row.get(k, "") for k in ("accuracy", "confidence", "gap")]
                if all(
                    text.endswith(" %") and "<" not in text and ">" not in text for text in ends
                ):
                    assert not off(*ends), row
