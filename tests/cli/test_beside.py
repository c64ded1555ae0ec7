"""The table of tools (benchmarks/beside.py): what it says of calibtool holds, and was checked."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("beside_tools", BENCHMARKS / "beside.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_calibtool_has_what_the_table_names(script):
    for row in script.ROWS:
        for name in script.named(row.calibtool):
            script.own(name)
    with pytest.raises(SystemExit, match="no command evaluatte"):
        script.own("command evaluatte")


def test_the_record_is_of_these_rows(script):
    record = json.loads((BENCHMARKS / "results" / "beside.json").read_text())
    assert record["rows"] == [row._asdict() for row in script.ROWS]
    assert set(record["versions"]) == set(script.TOOLS)


def test_a_name_that_is_not_there_is_found_out(script):
    script.check("calibtool", "evaluate(resamples)")
    with pytest.raises(SystemExit, match="no parameter speed"):
        script.check("calibtool", "evaluate(speed)")
    with pytest.raises(ModuleNotFoundError):
        script.check("calibtool", "evaluation.nothing")
