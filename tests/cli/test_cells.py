"""calibtool cells and merge, and the commands that take cells."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture
def cells(run, examples, folder):
    for name in ("visits.parquet", "fashion_test.npz", "answers.csv", "digits_binary.parquet"):
        shutil.copy(examples / name, folder)
        assert run("cells", name, "-o", f"{name.split('.')[0]}.cells").code == 0
    return folder


def test_cells_are_small_and_say_how_many_rows(run, cells):
    result = run("cells", "visits.parquet", "-o", "again.cells")
    assert result.out == "8,000 rows -> again.cells\n"
    assert (cells / "again.cells").read_bytes() == (cells / "visits.cells").read_bytes()
    assert all(path.stat().st_size < 120_000 for path in cells.glob("*.cells"))


def test_merged_cells_are_those_of_all_rows(run, cells):
    import pyarrow.parquet as pq

    table = pq.read_table("visits.parquet")
    for k, (low, size) in enumerate([(0, 3000), (3000, 1000), (4000, 4000)]):
        pq.write_table(table.slice(low, size), f"day{k}.parquet")
        run("cells", f"day{k}.parquet", "-o", f"day{k}.cells")
    result = run("merge", "day2.cells", "day0.cells", "day1.cells", "-o", "all.cells")
    assert result.out == "3 files, 8,000 rows -> all.cells\n"
    assert (cells / "all.cells").read_bytes() == (cells / "visits.cells").read_bytes()


@pytest.mark.usefixtures("cells")
def test_no_command_applies_a_calibrator_per_group_to_cells(run, refused):
    assert run("fit-platt", "visits.parquet", "--by", "device", "-o", "device.json").code == 0
    for command in (
        ("evaluate", "visits.cells"),
        ("check", "visits.cells", "--require", "ece <= 0.1"),
    ):
        refused(*command, "--calibrator", "device.json", says=("can only be applied to rows",))


def test_evaluate_of_cells_agrees_with_that_of_rows(run, cells):
    both = [
        json.loads(run("evaluate", f"visits.{end}", "--format", "json").out)
        for end in ("cells", "parquet")
    ]
    for one, other in zip(both[0]["metrics"], both[1]["metrics"], strict=True):
        assert one["name"] == other["name"]
        assert one["value"] == pytest.approx(other["value"], abs=3e-3)
    ece = [
        next(m["value"] for m in found["metrics"] if m["name"] == "ece(view=top)") for found in both
    ]
    assert ece[0] == pytest.approx(ece[1], abs=1e-12)


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "fashion_test.cells", "--plot"),
        ("check", "visits.cells", "--require", "ece <= 0.1"),
        ("plot", "reliability", "visits.cells"),
        ("plot", "reliability", "visits.cells", "--smooth", "-o", "x.png"),
        ("plot", "reliability", "answers.cells", "--corp", "-o", "x.png"),
        ("plot", "risk-coverage", "fashion_test.cells", "-o", "x.png"),
        ("report", "visits.cells", "-o", "x.html"),
        ("report", "visits.cells", "answers.cells", "-o", "x.md"),
    ],
)
@pytest.mark.usefixtures("cells")
def test_commands_take_cells(run, command):
    assert run(*command).code == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            ("evaluate", "visits.cells", "--score", "p"),
            "--score only applies to rows (`calibtool cells`)",
        ),
        (("evaluate", "visits.cells", "--by", "x"), "holds cells, no rows"),
        (("evaluate", "visits.cells", "--cluster", "x"), "--cluster needs rows"),
        (("compare", "visits.cells", "digits_binary.cells"), "holds cells, no rows"),
        (("test", "visits.cells"), "holds cells, no rows"),
        (("inspect", "visits.cells"), "holds cells, no rows"),
        (("plot", "classwise", "fashion_test.cells", "-o", "x.png"), "holds cells, no rows"),
        (("plot", "reliability", "visits.cells", "--bins", "12"), "edges of 12 bins"),
        (("merge", "visits.cells", "visits.cells", "-o", "x.cells"), "is listed twice"),
        (("merge", "visits.cells", "fashion_test.cells", "-o", "x.cells"), "cannot be added"),
        (("merge", "visits.cells", "-o", "x.npz"), "must end with .cells"),
        (("cells", "visits.parquet", "-o", "x.json"), "must end with .cells"),
        (("cells", "visits.cells", "-o", "x.cells"), "holds cells, no rows"),
        (("evaluate", "nothing.cells"), "no such file"),
        (("merge", "nothing.cells", "-o", "x.cells"), "no such file"),
        (("check", "visits.cells", "--require", "p(cox) > 0.1"), "holds cells, no rows"),
    ],
)
@pytest.mark.usefixtures("cells")
def test_what_needs_rows_says_so(refused, command, says):
    refused(*command, says=(says,))


@pytest.mark.usefixtures("cells")
def test_a_calibrator_cannot_be_applied_to_cells(run, refused):
    run("fit-temperature", "visits.parquet", "-o", "t.json")
    refused(
        "evaluate",
        "visits.cells",
        "--calibrator",
        "t.json",
        says=("a calibrator can only be applied to rows",),
    )


@pytest.mark.parametrize(
    "command",
    [
        ("check", "visits.cells", "--require", "ece <= 0.1"),
        ("report", "visits.cells", "-o", "x.html"),
        ("plot", "reliability", "visits.cells"),
        ("fit-platt", "visits.cells"),
    ],
)
@pytest.mark.usefixtures("cells")
def test_options_that_would_have_no_say_are_refused(refused, command):
    refused(*command, "--score", "p", says=("--score only applies to rows (`calibtool cells`)",))
    refused(
        *command,
        "--filter",
        "age > 50",
        says=("--filter only applies to rows (`calibtool cells`)",),
    )
