"""The schemas describe what is written, and what is read: no more and no less."""

from __future__ import annotations

import copy
import io
import json
import math
import re
import tomllib
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from simulated import simulate
from valid import require_valid, validator

import calibtool as ct
from calibtool.analysis.significance.registry import TESTS
from calibtool.calibrators.calibrator_file import UNIFORM
from calibtool.calibrators.calibrator_file import VERSION as NEWEST
from calibtool.calibrators.fit import calibrator_in
from calibtool.calibrators.nested_maps import MAPS
from calibtool.calibrators.registry import EVERY, WITH_COLUMNS
from calibtool.data.files.document import Document
from calibtool.decisions.costs import Costs
from calibtool.decisions.prediction_sets import read_sets
from calibtool.decisions.threshold import threshold_in
from calibtool.errors import CalibtoolError, UsageError
from calibtool.gate.baseline import read_saved
from calibtool.gate.config import SETTINGS, read_config
from calibtool.gate.requirement import parse_requirement
from calibtool.metrics.registry import ALIASES, METRICS
from calibtool.metrics.spec import parse
from calibtool.reports.schemas import calibrator
from calibtool.reports.schemas.keywords import ref
from calibtool.reports.schemas.registry import SCHEMAS, schema
from calibtool.streaming.cells_file import from_bytes

ROOT = Path(__file__).parents[2]
GOLDENS = ROOT / "tests" / "goldens"
PACKAGE = Path(ct.__file__).parent
CALIBRATORS = sorted(
    path for path in GOLDENS.glob("calibrators-v1/*.json") if ".expected" not in path.name
)
CELLS = sorted(GOLDENS.glob("cells-v1/*.cells"))


def frozen():
    """The JSON documents among the frozen outputs, without the command and what follows them."""
    for path in sorted(GOLDENS.glob("outputs/*.txt")):
        # the one number that no output keeps
        text = path.read_text(encoding="utf-8").replace(": SECONDS", ": 0.5")
        at = text.find("\n{\n") + 1 if text.startswith("$") else 0
        if text[at:].startswith("{\n"):
            document, _ = json.JSONDecoder().raw_decode(text[at:])
            if "$schema" not in document:  # SARIF, whose schema is its own
                yield pytest.param(document, id=path.stem)


# ------------------------------------------------------------------ the table


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_of_its_draft_and_says_what_it_is_of(name):
    made = schema(name)
    validator(name)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert made["description"]
    assert set(made.get("$defs", ())) == {used.split("/")[-1] for used in _values(made, "$ref")}, (
        "every definition is used, and every reference is defined"
    )
    assert schema(f"calibtool-{name}") == made
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def _values(node, key):
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == key)
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _values(part, key)


def test_every_format_that_the_code_names_has_a_schema():
    """A new document is a text such as "calibtool-report" in the code, and a line of the table."""
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    formats = {name for text in texts for name in re.findall(r'"calibtool-([a-z-]+)"', text)}
    assert len(formats) >= 28
    assert formats <= SCHEMAS.keys()


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="no schema 'calibratr'; did you mean calibrator"):
        schema("calibratr")


def test_every_map_of_calibrators_has_its_parameters():
    assert calibrator.parameters(ref("map")).keys() == MAPS.keys()


# ------------------------------------------------------------------ what is there


@pytest.mark.parametrize("document", list(frozen()))
def test_frozen_outputs_are_valid(document):
    require_valid(document)


# keys of frozen outputs that others of their kind lack
OPTIONAL = {"after", "change", "mean", "promise", "fitted", "calibtool", "class_names", "why"}


# what calibrators may lack, which old ones do, is held against the reader below
SHOWN = [case for case in frozen() if case.values[0]["format"] != "calibtool-calibrator"]


@pytest.mark.parametrize("document", SHOWN)
def test_spoilt_outputs_are_refused(document):
    valid = validator(document["format"], strict=False).is_valid
    assert not valid({**document, "version": document["version"] + 7})
    for at, value in mutations(document):
        if len(at) <= 3 and at[-1] != "$schema" and (value is not None or at[-1] not in OPTIONAL):
            assert not valid(mutated(document, at, value)), (at, value)


def test_there_are_frozen_outputs():
    assert len(list(frozen())) >= 26


@pytest.mark.parametrize("path", CALIBRATORS, ids=lambda path: path.stem)
def test_old_calibrator_files_are_valid(path):
    require_valid(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("method", EVERY)
def test_calibrators_are_valid(method):
    made = ct.fit(method, predictions(), **({"by": "place"} if method in WITH_COLUMNS else {}))
    require_valid(json.loads(json.dumps(made.document())))
    require_valid(made.to_dict())


@pytest.mark.parametrize("path", CELLS, ids=lambda path: path.stem)
def test_headers_of_old_files_of_cells_are_valid(path):
    require_valid(_header(path.read_bytes()), "cells")


# ------------------------------------------------------------------ what is refused


def _header(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read("header.json"))


def _with_header(data, header):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, header if name == "header.json" else old.read(name))
    return out.getvalue()


@cache
def predictions():
    """Rows of two classes, and a column."""
    rows = simulate(400, 2, scale=0.5)
    return replace(rows, extra={"place": np.array(["a", "b"] * 200)})


def threshold_by_place():
    return ct.choose_threshold(predictions(), target="accuracy >= 0.6", by="place").document()


def threshold_after_platt():
    after = ct.fit("platt", simulate(400, 2, seed=1))
    made = ct.choose_threshold(predictions(), target="precision >= 0.5", calibrator=after)
    return made.document()


def threshold_of_costs():
    costs = Costs("costs.toml", {"0": {"1": 1.0}, "1": {"0": 2.0}}, 0.2)
    return ct.choose_threshold(predictions(), target="cost <= 0.9", costs=costs).document()


def sets_per_class():
    after = ct.fit("structured-matrix", simulate(400, 2, seed=1))
    return ct.fit_sets(predictions(), method="lac", per_class=True, calibrator=after).document()


def report():
    return ct.evaluate(
        predictions(), "ece,nll", calibrator=ct.fit("temperature", predictions())
    ).to_dict()


def in_document(take):
    """A reader of a document that is given as its content."""
    return lambda content, _: take(Document("x.json", "a file").parse_json(_bytes(content)))


def read_report(content, folder):
    (folder / "report.json").write_bytes(_bytes(content))
    read_saved(folder / "report.json")


def _bytes(content):
    return json.dumps(content).encode()


def of_calibrator(path):
    return lambda: json.loads(path.read_text(encoding="utf-8")), in_document(calibrator_in)


def of_cells(path):
    def read(content, _):
        from_bytes(_with_header(path.read_bytes(), _bytes(content)))

    return lambda: _header(path.read_bytes()), read


# each document that calibtool reads -> its schema, what makes its content, and its reader
DOCUMENTS = {
    **{f"calibrator {path.stem}": of_calibrator(path) for path in CALIBRATORS},
    **{f"cells {path.stem}": of_cells(path) for path in CELLS},
    "threshold by-place": (threshold_by_place, in_document(threshold_in)),
    "threshold after-platt": (threshold_after_platt, in_document(threshold_in)),
    "threshold of-costs": (threshold_of_costs, in_document(threshold_in)),
    "sets marginal": (lambda: ct.fit_sets(predictions()).document(), in_document(read_sets)),
    "sets per-class": (sets_per_class, in_document(read_sets)),
    "report after-temperature": (report, read_report),
}


@pytest.fixture(params=DOCUMENTS)
def read(request):
    """The name of a schema, the content of a document, and its reader."""
    make, reader = DOCUMENTS[request.param]
    return request.param.split()[0], json.loads(json.dumps(make())), reader


# What a schema demands, and the reader does not need: what people and other programs are told.
TOLD = {
    "calibrator": ("fitted.calibtool",),
    "cells": ("calibtool",),
    "threshold": (
        *("accepts", "promise", "calibrator", "class_names", "classes", "costs", "question"),
        *("chosen.calibtool", "chosen.classes", "chosen.unit", "fitted.calibtool", "reject"),
        *("value", "low", "high", "lacking"),
    ),
    "sets": ("class_names", "calibrator", "fitted.calibtool"),
}
# What the reader sees, and no schema can: that the groups of a threshold are those of its points.
UNSAYABLE = {"threshold": ("threshold.a", "threshold.b")}
WRONG = {str: [[]], bool: "x", int: "x", float: "x", list: "x", dict: "x", type(None): [[]]}


def mutations(node, at=()):
    """Ways to spoil a part: a key removed or added, or a value of another type. Of lists, the first
    item."""
    parts = node.items() if isinstance(node, dict) else list(enumerate(node))[:1]
    if isinstance(node, dict):
        yield (*at, "$schema"), "./one.schema.json"  # which an editor wants in the first place
    for key, value in parts:
        if isinstance(node, dict):
            yield (*at, key), None
        yield (*at, key), WRONG[type(value)]
        if isinstance(value, (dict, list)):
            yield from mutations(value, (*at, key))


def mutated(content, at, value):
    out = part = copy.deepcopy(content)
    for key in at[:-1]:
        part = part[key]
    if value is None:
        del part[at[-1]]
    else:
        part[at[-1]] = value
    return out


def reads(reader, content, folder):
    try:
        reader(content, folder)
    except CalibtoolError:
        return False
    return True


def test_schema_and_reader_refuse_the_same_mutations(read, tmp_path):
    name, content, reader = read
    require_valid(content, name)
    assert reads(reader, content, tmp_path)
    valid = validator(name, strict=False).is_valid
    for at, value in mutations(content):
        spoilt = mutated(content, at, value)
        where = ".".join(map(str, at))
        accepted, understood = valid(spoilt), reads(reader, spoilt, tmp_path)
        if accepted:
            assert understood or where in UNSAYABLE.get(name, ()), (where, value)
        elif understood and name != "report":  # of which a gate reads little
            assert where.endswith(TOLD[name]), (where, value)


def test_no_other_version_and_no_other_format_is_accepted(read, tmp_path):
    name, content, reader = read
    newer = {"cells": 3, "report": 3, "calibrator": NEWEST + 1}.get(name, 2)
    for key, value in (
        *(("version", wrong) for wrong in (0, newer, -1, "1", None, 1.5)),
        *(("format", wrong) for wrong in ("calibtool", "calibtool-other", None, 3)),
    ):
        other = {**content, key: value}
        assert not validator(name, strict=False).is_valid(other), (key, value)
        assert not reads(reader, other, tmp_path), (key, value)


def test_a_report_of_version_1_is_valid(tmp_path):
    content = ct.evaluate(predictions(), "ece,nll").to_dict() | {"version": 1}
    for metric in content["metrics"]:
        metric["unbiased"] = metric.pop("corrected")
    assert validator("report", strict=False).is_valid(content)
    read_report(content, tmp_path)
    assert not validator("report", strict=False).is_valid(content | {"version": 2})


def test_version_3_of_calibrators_says_the_uniform_share_of_every_affine_map():
    found = [json.loads(path.read_text(encoding="utf-8")) for path in CALIBRATORS]
    third = [content for content in found if content["version"] == UNIFORM]
    assert len(third) == 2
    for content in third:
        inner = {"map": content["map"], "parameters": content["parameters"]}
        shares = [1 / content["classes"]] * content["classes"]
        nested = {
            "by-group": {"column": "place", "groups": {"a": inner}},
            "shifted": {"inner": inner, "prior": shares, "target": shares},
        }
        for name, parameters in nested.items():
            whole = {**content, "map": name, "parameters": parameters}
            require_valid(whole)
            spoilt = copy.deepcopy(whole)
            del _inner(spoilt["parameters"])["parameters"]["uniform"]
            assert not validator("calibrator").is_valid(spoilt)
            assert not reads(in_document(calibrator_in), spoilt, None)
            assert reads(in_document(calibrator_in), whole, None)


def _inner(parameters):
    return parameters["inner"] if "inner" in parameters else parameters["groups"]["a"]


# ------------------------------------------------------------------ the configuration

VALUES = (
    *("3", "0", "1", "-1", "19", "20", "0.5", "1000001", "18446744073709551616", "1e30", "inf"),
    *("0.9999999", "1e-7", "true", '"x"', '"pass"', '"prove"', '"inverted"', '"channels-last"'),
    *(r'"a\u0000"', "[]", '["x"]', "{}", "[3]", "2026-01-01", '["ece <= 0.03"]', '"ece <= 0.03"'),
)


def both(text, folder):
    """Whether a configuration is valid, and whether it is read."""
    path = folder / "calibtool.toml"
    path.write_text(text, encoding="utf-8")
    read = reads(lambda *_: read_config(path), None, folder)
    return validator("config", strict=False).is_valid(tomllib.loads(text)), read


@pytest.mark.parametrize("key", ["require", *SETTINGS, "nonsense"])
def test_a_setting_is_valid_where_it_is_read(key, tmp_path):
    answers = {value: both(f"[check]\n{key} = {value}\n", tmp_path) for value in VALUES}
    assert [value for value, (valid, read) in answers.items() if valid != read] == []
    assert any(read for _, read in answers.values()) == (key != "nonsense")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("[check]\nseed = 1", True),
        ("[tool.calibtool.check]\nseed = 1", True),
        ("[other]\na = 1\n[check]\nseed = 1", True),
        ("[tool]\ncalibtool = {check = {seed = 1}}", True),
        ("[tool.calibtool.check]\nseed = 'x'", False),
        ("[tool.calibtool]\nseed = 1", False),
        ("[other]\nseed = 1", False),
        ("check = 3", False),
        ("tool = 3", False),
    ],
)
def test_the_table_stands_at_one_of_two_places(text, right, tmp_path):
    assert both(text, tmp_path) == (right, right)


def within(name):
    """A requirement on a metric that some values meet and some do not."""
    least, most = (end if math.isfinite(end) else None for end in parse(name).limits)
    inner = [end + step for end, step in ((least, 0.25), (most, -0.25)) if end is not None]
    return f"{name} {'<=' if METRICS[name].better == 'lower' else '>='} {inner[0] if inner else 1}"


@pytest.mark.parametrize(
    "text",
    [
        *map(within, METRICS),
        *(f"{name} >= 0.3" for name in ALIASES),
        *(f"p({name}) >= 0.01" for name in TESTS),
        *("e(change) < 20", "e(miscalibration) <= 100", "set-coverage >= 88 %", "set-size < 3"),
        *("ECE(bins=20) <= 3 %", " classwise_ece<=.05 ", "ece <= 1e-2 by a, b", "delta(NLL) <= 0"),
        *("worst(ece by class) <= 10 %", "worst(delta(ece) by a) <= 0.1", "p( cox )>0.1 by x"),
        "ece(profile=equal_mass, norm=l2) <= +0.1",
    ],
)
def test_a_requirement_that_is_read_is_valid(text):
    parse_requirement(text)
    assert validator("config").is_valid({"check": {"require": text}})
    assert validator("config").is_valid({"check": {"require": [text]}})


@pytest.mark.parametrize(
    "text",
    [
        *("eec <= 0.03", "ecee <= 0.03", "ec <= 0.03", "ece = 3", "ece <= x", "ece <= 0,03", "ece"),
        *("p(cocks) >= 0.01", "p(cox) <= 0.01", "e(chance) < 20", "e(change) > 20", "", "<= 3"),
        *("delta(eec) <= 0", "set-cover >= 1 %", "ece <= 3 per cent", "ece <= 0.1 by", "ece < nan"),
    ],
)
def test_a_requirement_that_cannot_be_meant_is_refused(text):
    with pytest.raises(UsageError):
        parse_requirement(text)
    assert not validator("config").is_valid({"check": {"require": [text]}})


def test_configurations_of_the_docs_are_valid_where_they_are_read(tmp_path):
    """One page shows what is said of mistakes."""
    answers = [
        both(block, tmp_path)
        for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        for block in re.findall(
            r"```toml[^\n]*\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL
        )
        if re.search(r"^\[(tool\.calibtool\.)?check\]", block, re.MULTILINE)
    ]
    assert len(answers) >= 3
    assert {valid for valid, _ in answers} == {True, False}
    assert all(valid == read for valid, read in answers)
