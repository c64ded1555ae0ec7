"""calibtool monitor, and check on it: the commands as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import expit, logit

import calibtool as ct
from calibtool.streaming.cells_file import to_bytes

DAYS = [f"2026-11-{k:02d}" for k in range(1, 13)]
CHANGED = 6  # with this day, log-odds are higher by 1
COLUMNS = ("--score", "p", "--labels", "clicked")
NONE = ("--ci", "none")


def rows(k, count=300):
    random = np.random.default_rng(k)
    p = expit(random.normal(-0.5, 1.2, count))
    clicked = random.random(count) < expit(logit(p) + (k >= CHANGED))
    seconds = random.integers(0, 86_400, count).astype("timedelta64[s]")
    at = np.datetime64(DAYS[k], "s") + seconds
    return {"p": p, "clicked": clicked.astype(int), "at": at}


@pytest.fixture
def scores():
    """A folder of days, and one file of all their rows in any order."""
    tables = []
    for k, day in enumerate(DAYS):
        folder = Path(f"scores/day={day}")
        folder.mkdir(parents=True)
        tables.append(pa.table(rows(k)))
        pq.write_table(tables[-1], folder / "part-0.parquet")
    whole = pa.concat_tables(tables)
    order = np.random.default_rng(0).permutation(whole.num_rows)
    pq.write_table(whole.take(order), "all.parquet")
    return "scores/day=*"


def found(run, *arguments):
    result = run("monitor", *arguments, *NONE, "--format", "json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_change_is_told_with_its_day_its_alarm_and_its_scores(run, scores):
    result = run("monitor", scores, *COLUMNS)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "scores/day=*: 12 days, 3,600 rows, probabilities"
    assert max(map(len, lines)) <= 80
    assert sum(line.endswith(" *") for line in lines) == 12 - CHANGED
    told = " ".join(result.out.split())
    assert "Calibration changed around 2026-11-07 (alarm on 2026-11-07, e = " in told
    assert "* alarm: e has reached 20." in told
    assert "score frequency" in told  # as in the picture
    assert sum(line.endswith("   > 1e6 *") for line in lines) == 5


def test_folders_a_glob_rows_and_cells_say_the_same(run, scores):
    by_path = found(run, scores, *COLUMNS)
    assert (by_path["format"], by_path["version"]) == ("calibtool-monitor", 2)
    assert by_path["change"]["period"] == "2026-11-07"
    assert by_path["alarm"] == "2026-11-07"
    assert [one["period"] for one in by_path["periods"]] == DAYS
    Path("cells").mkdir()
    for day in DAYS:
        file = f"scores/day={day}/part-0.parquet"
        assert run("cells", file, *COLUMNS, "-o", f"cells/{day}.cells").code == 0
    others = [
        found(run, "scores", *COLUMNS),
        found(run, "all.parquet", *COLUMNS, "--time", "at"),
        found(run, "scores", *COLUMNS, "--every", "day"),
        found(run, "cells"),
    ]
    for other in others:
        assert other["periods"] == by_path["periods"]
    named = found(run, "cells/*.cells", "--every", "file")
    assert named["periods"] == by_path["periods"]


def test_weeks_months_columns_and_numbers_are_periods(run, scores):
    weeks = found(run, scores, *COLUMNS, "--every", "week")
    assert [one["period"] for one in weeks["periods"]] == ["2026-W44", "2026-W45", "2026-W46"]
    assert [one["rows"] for one in weeks["periods"]] == [300, 2100, 1200]
    months = found(run, "all.parquet", *COLUMNS, "--time", "at", "--every", "month")
    assert [(one["period"], one["rows"]) for one in months["periods"]] == [("2026-11", 3600)]
    folders = found(run, "scores", *COLUMNS, "--every", "day")
    assert folders["every"] == "day"
    for version in (2, 10, 1):
        Path(f"v/version={version}").mkdir(parents=True)
        pq.write_table(pa.table(rows(0)), f"v/version={version}/x.parquet")
    versions = found(run, "v", *COLUMNS, "--every", "version")
    assert [one["period"] for one in versions["periods"]] == ["1", "2", "10"]
    table = pa.table({**rows(0, 30), "batch": np.repeat([3.0, 1.0, 2.0], 10)})
    pq.write_table(table, "batches.parquet")
    batches = found(run, "batches.parquet", *COLUMNS, "--every", "batch")
    assert [one["period"] for one in batches["periods"]] == ["1", "2", "3"]


def test_arrays_by_file(run, data):
    for name in ("b", "a"):
        np.savez(f"run-{name}.npz", logits=data.logits, labels=data.labels)
    told = found(run, "run-*.npz", "--every", "file", "--against", "calibrated")
    assert [one["period"] for one in told["periods"]] == ["run-a", "run-b"]
    assert told["view"] == "top"
    out = run("monitor", "run-*.npz", "--every", "file", *NONE, "--format", "csv").out
    lines = list(csv.DictReader(io.StringIO(out)))
    assert [line["period"] for line in lines] == ["run-a", "run-b"]
    assert float(lines[0]["was"]) == told["periods"][0]["was"]


def test_days_without_rows_are_noted_and_since_begins_anew(run, scores):
    for name in ("2026-11-03", "2026-11-04"):
        Path(f"scores/day={name}/part-0.parquet").unlink()
    told = found(run, "scores", *COLUMNS)
    assert told["notes"] == ["no rows in 2 days: 2026-11-03, 2026-11-04"]
    later = found(run, "scores", *COLUMNS, "--since", "2026-11-07")
    assert later["periods"][0]["period"] == "2026-11-07"
    assert later["alarm"] is None
    assert later["notes"][-1] == "4 earlier periods are left out"


def test_a_bad_file_is_named_or_skipped_with_a_note(run, refused, scores):
    Path("scores/day=2026-11-05/part-0.parquet").write_bytes(b"PAR1 no more")
    refused("monitor", scores, *COLUMNS, says=("day=2026-11-05/part-0.parquet",))
    told = found(run, scores, *COLUMNS, "--skip-bad-files")
    assert len(told["periods"]) == 11
    assert "skipped scores/day=2026-11-05/part-0.parquet" in told["notes"][0]


def test_a_picture_and_a_file(run, scores):
    result = run("monitor", scores, *COLUMNS, *NONE, "--plot", "m.svg", "-o", "m.md")
    assert result.code == 0, result.err
    assert result.out == ""
    assert "Wrote m.svg" in result.err
    drawn = Path("m.svg").read_text(encoding="utf-8")
    for gid in ("curve-0", "curve-1", "curve-2", "curve-3", "limit", "alarm", "change"):
        assert f'id="{gid}"' in drawn, gid
    assert "mean score" in drawn
    assert "frequency" in drawn
    assert "&gt; 1e6" in drawn
    assert 'id="beyond"' in drawn
    assert Path("m.md").read_text(encoding="utf-8").startswith("scores/day=")


# ------------------------------------------------------------------ slices


@pytest.fixture
def countries():
    """Rows of twelve days: fr changes with the seventh, pl appears with the third."""
    tables = []
    for k in range(12):
        for number, country in enumerate(("fr", "de", "pl")):
            if country == "pl" and k < 2:
                continue
            random = np.random.default_rng([k, number])
            p = expit(random.normal(-0.5, 1.2, 300))
            shift = k >= CHANGED and country == "fr"
            clicked = (random.random(300) < expit(logit(p) + shift)).astype(int)
            days = np.full(300, np.datetime64(DAYS[k]))
            site = np.where(np.arange(300) % 2, 7, 12)
            columns = {"p": p, "clicked": clicked, "at": days, "country": [country] * 300}
            tables.append(pa.table({**columns, "site": site}))
            folder = Path(f"by/country={country}/day={DAYS[k]}")
            folder.mkdir(parents=True)
            pq.write_table(tables[-1].drop(["country"]), folder / "x.parquet")
    pq.write_table(pa.concat_tables(tables), "countries.parquet")
    return "countries.parquet"


def by_slice(told):
    return {one["slice"]: one for one in told["slices"]}


def test_every_slice_has_its_own_evidence_and_its_share_of_alpha(run, countries):
    told = found(run, countries, *COLUMNS, "--time", "at", "--by", "country")
    assert (told["format"], told["version"]) == ("calibtool-monitor-slices", 1)
    assert (told["by"], told["alpha"], told["rows"]) == ("country", 0.05, 34 * 300)
    slices = by_slice(told)
    # two slices on the first day, a third of alpha each; a half of the last third for the later one
    assert {name: one["needed"] for name, one in slices.items()} == {
        "fr": pytest.approx(60),
        "de": pytest.approx(60),
        "pl": pytest.approx(120),
    }
    assert told["slices"][0]["slice"] == "fr"
    assert slices["fr"]["change"]["period"] == "2026-11-07"
    assert [slices[name]["alarm"] for name in ("de", "pl")] == [None, None]
    assert [one["period"] for one in slices["pl"]["periods"]] == DAYS[2:]
    # a slice is monitored as a file of its rows alone would be
    alone = found(run, "by/country=fr", *COLUMNS, "--every", "day", "--alpha", str(0.05 / 3))
    assert slices["fr"]["periods"] == alone["periods"]


def test_slices_by_folders_and_cells_are_those_by_a_column(run, refused, countries):
    by_column = found(run, countries, *COLUMNS, "--time", "at", "--by", "country")
    by_folder = found(run, "by", *COLUMNS, "--by", "country")
    assert [one["periods"] for one in by_folder["slices"]] == [
        one["periods"] for one in by_column["slices"]
    ]
    for file in Path("by").rglob("*.parquet"):
        day = file.parent.name.removeprefix("day=")
        cells = Path("cells", file.parts[1], f"{day}.cells")
        cells.parent.mkdir(parents=True, exist_ok=True)
        assert run("cells", str(file), *COLUMNS, "-o", str(cells)).code == 0
    by_cells = found(run, "cells", "--by", "country")
    assert [one["periods"] for one in by_cells["slices"]] == [
        one["periods"] for one in by_column["slices"]
    ]
    refused(
        *("monitor", "cells", "--by", "site"),
        says=("--by site needs rows, or cells of one slice in folders site=...",),
    )


def test_slices_of_two_columns_and_of_whole_numbers(run, countries):
    told = found(run, countries, *COLUMNS, "--time", "at", "--by", "country,site")
    names = {one["slice"] for one in told["slices"]}
    assert names == {f"{c}, {s}" for c in ("fr", "de", "pl") for s in (7, 12)}
    numbers = found(run, "by", *COLUMNS, "--every", "day", "--by", "site")
    assert {one["slice"] for one in numbers["slices"]} == {"7", "12"}
    assert sum(one["rows"] for one in numbers["slices"]) == 34 * 300


def test_slices_in_words_in_csv_and_in_a_picture(run, countries):
    words = ("monitor", countries, *COLUMNS, "--time", "at", "--by", "country", *NONE)
    result = run(*words, "--plot", "m.svg")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "countries.parquet: 3 slices, 10,200 rows, probabilities; by country"
    title = ["slice", "days", "rows", "score", "frequency", "largest", "e", "needed", "alarm"]
    assert lines[2].split() == title
    assert [line.split()[0] for line in lines[4:7]] == ["fr", "de", "pl"]
    told = " ".join(result.out.split())
    assert "Alarm in 1 of 3 slices. fr: Calibration changed around 2026-11-07" in told
    assert "the probability that any slice ever raises an alarm is at most 0.05" in told
    drawn = Path("m.svg").read_text(encoding="utf-8")
    assert drawn.count('id="limit"') == 3
    assert "fr: 3,600 rows" in drawn
    out = run(*words, "--format", "csv").out
    table = list(csv.DictReader(io.StringIO(out)))
    assert len(table) == 34
    assert table[0]["slice"] == "fr"
    quiet = run("monitor", "by", *COLUMNS, *NONE, "--by", "country", "--since", "2026-11-07")
    assert quiet.code == 0
    assert "No alarm in 3 slices. The most evidence is in " in " ".join(quiet.out.split())


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ("nothing", "there is no column 'nothing'"),
        ("p", "holds numbers with fractions"),
        ("country,", "expected names of columns"),
    ],
)
def test_columns_that_are_no_slices_are_refused(refused, countries, by, says):
    refused("monitor", countries, *COLUMNS, "--time", "at", "--by", by, says=(says,))


def test_identifiers_are_no_slices(refused):
    columns = {"p": [0.5] * 201, "clicked": [0] * 201, "at": ["2026-11-01"] * 201}
    pq.write_table(pa.table({**columns, "user": np.arange(201)}), "users.parquet")
    refused(
        *("monitor", "users.parquet", *COLUMNS, "--time", "at", "--by", "user"),
        says=("at most 200 slices can be monitored",),
    )


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing-*",), "nothing-*: nothing matches"),
        (("nothing",), "nothing: no such file"),
        (("all.parquet", *COLUMNS), "no date such as 2026-11-01 in its name or its folders"),
        (("all.parquet", *COLUMNS, "--time", "p"), "float64 values are not times"),
        (("all.parquet", *COLUMNS, "--time", "seen"), "there is no column 'seen'"),
        (("all.parquet", *COLUMNS, "--every", "seen"), "there is no column 'seen'"),
        (("all.parquet", *COLUMNS, "--every", ""), "--every is empty"),
        (
            ("all.parquet", *COLUMNS, "--every", "file", "--time", "at"),
            "--time at needs --every day, week or month",
        ),
        (("all.parquet", "--score", "p", "--time", "at"), "labels"),
        (("scores/day=*", *COLUMNS, "--weights", "p"), "rows are weighted"),
        (("scores/day=*", *COLUMNS, "--alpha", "0"), "--alpha must lie between 0 and 1"),
        (("scores/day=*", *COLUMNS, "--bins", "0"), "--bins must lie between"),
        (("scores/day=*", *COLUMNS, "--since", "2027-01-01"), "there is no such period"),
        (("scores/day=*", *COLUMNS, "--plot", "m.gif"), "cannot draw .gif"),
        (("scores/day=*", *COLUMNS, "--resamples", "3"), "--resamples must be at least 20"),
    ],
)
def test_mistakes_are_told(refused, scores, arguments, says):
    refused("monitor", *arguments, says=(says,))


def test_files_that_differ_and_cells_among_rows_are_refused(run, refused, scores, data):
    np.savez("2026-11-01.npz", logits=data.logits, labels=data.labels)
    np.savez("2026-11-02.npz", logits=data.logits[:, :2], labels=np.minimum(data.labels, 1))
    refused("monitor", "2026-*.npz", says=("holds logits of 2 classes", "3 classes"))
    run("cells", "2026-11-01.npz", "-o", "c-2026-11-01.cells")
    np.savez("c-2026-11-02.npz", logits=data.logits, labels=data.labels)
    refused("monitor", "c-*", says=("files of cells and files of rows",))
    refused(
        "monitor", "*.cells", "--every", "user", says=("holds cells, but --every user needs rows",)
    )
    np.savez("2026-11-01_2026-11-02.npz", logits=data.logits, labels=data.labels)
    refused("monitor", "2026-11-01_*", says=("several dates",))


# ------------------------------------------------------------------ check


def test_check_fails_on_an_alarm_and_passes_without(run, scores):
    words = ("check", scores, *COLUMNS, "--every", "day", "--require")
    result = run(*words, "e(change) < 20")
    assert result.code == 1
    told = " ".join(result.out.split())
    assert "Calibration changed around 2026-11-07" in told
    assert "e(change) < 20 positive > 1e6 FAILED" in told
    assert "(margin < -1e6)" in told
    assert max(map(len, result.out.splitlines())) <= 80
    before = ("check", "scores/day=2026-11-0[1-6]", *COLUMNS, "--every", "day", "--require")
    assert run(*before, "e(change) < 20", "--require", "e(miscalibration) < 20").code == 0
    one = ("check", "scores/day=2026-11-01", *COLUMNS, "--every", "file", "--require")
    assert run(*one, "e(change) < 20").code == 3
    told = json.loads(run(*words, "e(change) < 20", "--format", "json").out)
    (requirement,) = told["requirements"]
    assert (requirement["subject"], requirement["verdict"]) == ("e(change)", "fail")
    assert requirement["measured"]["value"] > 20


def test_check_holds_evidence_beside_metrics_and_from_a_file(run, scores):
    words = ("check", "scores", *COLUMNS, "--every", "day", "--resamples", "50")
    result = run(*words, "--require", "ece <= 0.5", "--require", "e(change) < 20")
    assert result.code == 1
    assert "Failed: 1 of 2 requirements not met." in result.out
    Path("calibtool.toml").write_text(
        '[check]\nfile = "all.parquet"\nscore = "p"\nlabels = "clicked"\nevery = "week"\n'
        'time = "at"\nrequire = ["e(change) < 20"]\n',
        encoding="utf-8",
    )
    assert run("check").code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--require", "e(change) < 20"),
            "evidence over time needs files and periods; give --every",
        ),
        (("--every", "day", "--require", "ece <= 0.1"), "--every is for evidence over time"),
        (("--every", "day", "--require", "e(change) >= 20"), "require e(change) < 20"),
        (("--every", "day", "--require", "e(drift) < 20"), "there is no e(drift)"),
        (("--every", "day", "--require", "e(change) < 0.05"), "so it must be above 1"),
        (("--every", "day", "--require", "e(change) < 20 by p"), "cannot be combined with slices"),
        (
            ("--every", "day", "--by", "p", "--require", "e(change) < 20"),
            "evidence over time cannot be combined with --by",
        ),
    ],
)
def test_evidence_that_cannot_be_required_is_refused(refused, scores, arguments, says):
    refused("check", scores, *COLUMNS, *arguments, says=(says,))


def test_of_cells_only_the_view_that_is_monitored_is_unpacked(run, refused):
    for day in DAYS[:2]:
        rng = np.random.default_rng(0)
        p = rng.random(200)
        whole = io.BytesIO(to_bytes(ct.cells((p, (rng.random(200) < p).astype(int)))))
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(f"{day}.cells", "w") as new:
            for name in old.namelist():
                spoiled = name == "top/p/high.f8" and day == DAYS[1]
                new.writestr(name, bytes(8) if spoiled else old.read(name))
    assert run("monitor", "*.cells", *NONE).code == 0
    refused("monitor", "*.cells", "--view", "top", says=(f"{DAYS[1]}.cells", "top/p has 1 values"))
