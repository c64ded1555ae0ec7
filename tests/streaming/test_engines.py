"""Passes: one tree of sums whoever adds them, and runs that go on where they were killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import weakref
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Semaphore, Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_files import ROLES, damage, write

import calibtool as ct
from calibtool.cli.main import main
from calibtool.data.files.open import open_source
from calibtool.data.files.reader import Part
from calibtool.data.files.roles import Choice
from calibtool.errors import InputError, UsageError
from calibtool.streaming import compiled, passes
from calibtool.streaming.cells_file import from_bytes, to_bytes
from calibtool.streaming.engines import checkpoint, engine
from calibtool.streaming.engines.engine import PartResult, RunOptions, combine
from calibtool.streaming.engines.fold import Fold
from calibtool.streaming.engines.tree import WIDTH, nodes_from, tree
from calibtool.streaming.exact import MOST_ROWS
from calibtool.streaming.passes import SummaryTask, summarize
from calibtool.streaming.summary import Layout


@pytest.fixture
def scores(tmp_path, monkeypatch):
    """A folder of files, each of three parts."""
    monkeypatch.setattr("calibtool.data.files.parquet_file.PIECE_ROWS", 200)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores").mkdir()
    return write(tmp_path / "scores")


# ------------------------------------------------------------------ the tree


@dataclass(frozen=True)
class Sum:
    """A sum that shows in which order it was added up."""

    text: str

    def __add__(self, other):
        return Sum(f"({self.text}+{other.text})")


def found(node, bad):
    """What is found at a node, by whoever maps it: added up below it as the tree says."""
    if not node.children:
        if node.start in bad:
            return PartResult(bad=((0, f"file of {node.start}", "torn"),))
        return PartResult([Sum(str(node.start))])
    return combine([found(child, bad) for child in node.children], whole=node.whole)


@given(
    files=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    most=st.lists(st.sampled_from([1, 2, 8, 9, 64, 1000]), min_size=2, max_size=2),
    cut=st.integers(0, 2000),
    torn=st.sets(st.integers(0, 1000), max_size=3),
)
def test_the_sums_are_the_same_whatever_the_engine_and_wherever_it_was_cut(files, most, cut, torn):
    parts = [Part(f"{n}", n, k, 1) for n, count in enumerate(files) for k in range(count)]
    root = tree(parts)
    fold, other = Fold(root), Fold(root)
    for node in nodes_from(root, 0, 1):
        fold.add(node, found(node, torn))
    for node in nodes_from(root, 0, most[0]):
        if other.done > cut:
            break
        other.add(node, found(node, torn))
    other = Fold(root, other.pending, other.done)
    for node in nodes_from(root, other.done, most[1]):
        other.add(node, found(node, torn))
    assert other.total == fold.total or vars(other.total) == vars(fold.total)
    numbers = {part.number for i, part in enumerate(parts) if i in torn}
    assert len(fold.total.bad) == len(numbers)
    kept_parts = [i for i, part in enumerate(parts) if part.number not in numbers]
    text = fold.total.sums[0].text if fold.total.sums else ""
    added = [int(x) for x in text.replace("(", " ").replace(")", " ").replace("+", " ").split()]
    assert added == kept_parts


def test_no_node_has_more_children_than_width_and_a_file_is_a_node():
    root = tree([Part("a", n // 100, n, 1) for n in range(1000)])
    below, files = [root], []
    while below:
        node = below.pop()
        assert len(node.children) <= WIDTH
        files += [(node.start, node.stop)] if node.whole else []
        below += node.children
    assert sorted(files) == [(k, k + 100) for k in range(0, 1000, 100)]


@pytest.mark.parametrize("weights", [None, "w"])
def test_threads_change_no_bit_even_of_weighted_rows(scores, weights):
    source = open_source("scores", Choice(score="p", labels="clicked", weights=weights))
    bytes_ = {to_bytes(ct.cells(source, threads=threads)) for threads in (1, 2, 30)}
    assert len(bytes_) == 1


@pytest.fixture
def column(tmp_path):
    """One row group of scores and outcomes."""
    rng, rows = np.random.default_rng(0), 5 * MOST_ROWS
    p, y = rng.random(rows, np.float32), rng.integers(0, 2, rows)
    pq.write_table(
        pa.table({"score": p, "label": y}), tmp_path / "one.parquet", row_group_size=rows
    )
    return tmp_path / "one.parquet"


def test_threads_that_count_by_numpy_take_turns(column, monkeypatch):
    monkeypatch.setattr(compiled, "_in_use", None)
    monkeypatch.setattr(passes, "_COUNTING", Semaphore(1))
    source = open_source(str(column))
    (whole,) = source.part_blocks(source.parts()[0], 5 * MOST_ROWS)

    def ends_while_another_counts(layout, seconds):
        work = Thread(target=SummaryTask(layout).reduce, args=([whole],))
        with passes._COUNTING:
            work.start()
            work.join(seconds)
            ended = not work.is_alive()
        work.join()
        return ended

    assert not ends_while_another_counts(Layout(views=("positive",)), 0.3)
    # where more than that is done with rows, threads work at the same time
    assert ends_while_another_counts(Layout(views=("positive",), scores=("nll",)), 60)


# ------------------------------------------------------------------ states as bytes


def test_a_thread_holds_one_block_at_a_time(tmp_path, monkeypatch):
    z, y = np.random.default_rng(0).normal(size=(90, 3)), np.arange(90) % 3
    pq.write_table(pa.table({"logits": list(z), "labels": y}), tmp_path / "z.parquet")
    source = open_source(str(tmp_path / "z.parquet"))
    monkeypatch.setattr(engine, "block_rows", lambda classes: 20)
    real, read = source.table.part_blocks, []

    def part_blocks(*arguments):
        for block in real(*arguments):
            assert all(reference() is None for reference in read)
            read.append(weakref.ref(block["logits"]))
            yield block
            del block

    monkeypatch.setattr(source.table, "part_blocks", part_blocks)
    assert summarize(source, Layout(views=("top",)), threads=1)[0].rows == 90
    assert len(read) == 5


def test_a_state_goes_through_bytes_to_the_bit(scores):
    summary = ct.cells(open_source("scores", Choice(score="p", labels="clicked")))
    again = from_bytes(to_bytes(summary))
    assert to_bytes(again) == to_bytes(summary)
    for name, value in summary.sums.items():
        assert np.array_equal(again.sums[name].high, value.high)
        assert np.array_equal(again.sums[name].low, value.low)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x04K\x01."])
def test_bytes_that_are_no_state_are_an_error(data):
    with pytest.raises(InputError, match="not a whole file of cells"):
        from_bytes(data)


def test_the_map_step_of_the_page_gives_the_bits_of_one_thread(scores):
    """What docs/how-to/cluster.md shows for Spark and Ray, on record batches."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md"
    block = re.search(r'```python title="cells_of.py"\n(.*?)```', page.read_text(), re.DOTALL)
    made = {}
    exec(block[1], made)
    table = pq.read_table("scores")
    halves = [table.slice(0, 1500), table.slice(1500)]
    kept_ = [
        row
        for half in halves
        for out in made["cells_of"](iter(half.to_batches(max_chunksize=700)))
        for row in out["cells"].to_pylist()
    ]
    assert len(kept_) == 2
    assert list(made["cells_of"](iter([]))) == []
    total = from_bytes(kept_[0]) + from_bytes(kept_[1])
    alone = ct.cells(open_source("scores", Choice(score="p", labels="clicked")))
    assert to_bytes(total) == to_bytes(alone)


# ------------------------------------------------------------------ runs that are interrupted

KILLED = """
import os, signal, sys
from calibtool.streaming.engines import checkpoint
from calibtool.data.files import parquet_file
parquet_file.PIECE_ROWS = 200
checkpoint.EVERY, checkpoint.LEAST_SHARE = 0, 0
write_if_due = checkpoint.Checkpoint.write_if_due
def killing(self, fold):
    write_if_due(self, fold)
    if fold.done >= 0.6 * fold.root.stop:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.Checkpoint.write_if_due = killing
from calibtool.cli.main import main
main(sys.argv[1:])
"""


def killed(arguments):
    """A process that is killed with -9 when 60 % of the parts are in."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("more", "torn"),
    [([], []), (["--weights", "w"], []), (["--weights", "w", "--skip-bad-files"], [1, 4])],
    ids=["rows", "weighted", "weighted, two files damaged"],
)
def test_a_run_killed_at_60_percent_ends_with_the_same_digits(scores, capsys, more, torn):
    for k in torn:
        damage(scores / f"{k:03}.parquet")
    run = ["cells", "scores", *ROLES, *more]
    assert main([*run, "-o", "whole.cells"]) == 0
    killed([*run, "-o", "none.cells", "--state", "run.state"])
    assert not Path("none.cells").exists()
    capsys.readouterr()
    assert main([*run, "-o", "resumed.cells", "--state", "run.state"]) == 0
    printed = capsys.readouterr().err
    share = int(printed.partition("continues at ")[2].partition(" %")[0])
    assert 58 <= share <= 64
    assert printed.count("Skipped") == len(torn)
    assert Path("resumed.cells").read_bytes() == Path("whole.cells").read_bytes()


def test_a_finished_run_is_answered_from_its_state(scores, capsys, monkeypatch):
    run = ["evaluate", "scores", *ROLES, "--format", "json", "--resamples", "50"]
    assert main([*run, "--state", "run.state"]) == 0
    first = capsys.readouterr().out
    monkeypatch.setattr(
        "calibtool.data.files.source.Source.part_blocks", None
    )  # nothing can be read
    assert main([*run, "--state", "run.state"]) == 0
    again = capsys.readouterr()
    assert again.out == first
    assert again.err == "run.state: the whole run is in it; nothing is left to read\n"
    assert main([*run, "--state", "run.state", "--seed", "7"]) == 0  # draws come after the pass


def test_small_files_are_streamed_when_their_run_is_kept(scores, capsys):
    run = ["--metrics", "ece,nll", "--format", "json", "--resamples", "50"]
    assert main(["cells", "scores", *ROLES, "-o", "all.cells"]) == 0
    assert main(["evaluate", "all.cells", *run]) == 0
    cells = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert main(["evaluate", "scores", *ROLES, *run, "--state", "run.state"]) == 0
    document = json.loads(capsys.readouterr().out)
    values = [m["value"] for m in cells["metrics"]]
    assert [m["value"] for m in document["metrics"]] == pytest.approx(values, rel=1e-12)
    assert "draws:cells" in document["metrics"][0]["signature"]


def test_an_error_in_the_middle_keeps_what_was_read(scores, capsys):
    damage(scores / "004.parquet")
    run = ["cells", "scores", *ROLES, "-o", "all.cells", "--state", "run.state"]
    assert main(run) == 2
    assert "004.parquet" in capsys.readouterr().err
    with zipfile.ZipFile("run.state") as archive:
        header = json.loads(archive.read("header.json"))
    assert 12 <= header["done"] < 15
    write(scores, seed=1)  # the file is mended, and so are others
    assert main(run) == 2
    assert "other input files (6 files of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"done": 1}, "held must hold sums of the depths"),
        ({"done": 10**9}, "done must be a whole number"),
        ({"held": {}}, "held must hold sums of the depths"),
    ],
)
def test_a_state_whose_sums_are_not_those_of_its_parts_is_refused(scores, capsys, change, says):
    run = ["cells", "scores", *ROLES, "-o", "all.cells", "--state", "run.state"]
    assert main(run) == 0
    with zipfile.ZipFile("run.state") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(entries["header.json"]) | change
    with zipfile.ZipFile("run.state", "w") as archive:
        for name, data in (entries | {"header.json": json.dumps(header).encode()}).items():
            archive.writestr(name, data)
    assert main(run) == 2
    assert f"run.state: not the state of a run: {says}" in capsys.readouterr().err


CHANGES = {
    "metrics": ["--metrics", "ece(bins=17)"],
    "options of reading": ["--renormalize"],
    "roles of columns": ["--weights", "w"],
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_state_of_another_run_is_refused(scores, capsys, what):
    run = ["cells", "scores", *ROLES, "-o", "all.cells", "--state", "run.state"]
    assert main(run) == 0
    before = Path("run.state").read_bytes()
    assert main([*run, *CHANGES[what]]) == 2
    printed = capsys.readouterr().err
    assert "run.state: belongs to a run with other" in printed
    assert "delete it to start again" in printed
    assert Path("run.state").read_bytes() == before


def test_a_state_of_another_calibrator_is_refused(scores, capsys):
    assert main(["fit-platt", "scores/000.parquet", *ROLES, "-o", "a.json"]) == 0
    assert main(["fit-platt", "scores/001.parquet", *ROLES, "-o", "b.json"]) == 0
    run = ["evaluate", "scores", *ROLES, "--resamples", "50", "--state", "run.state"]
    assert main([*run, "--calibrator", "a.json"]) == 0
    assert main([*run, "--calibrator", "a.json"]) == 0
    assert main([*run, "--calibrator", "b.json"]) == 2
    assert "other calibrators" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["scores", "torn.state", "text.state", "nowhere/run.state"])
def test_what_cannot_be_a_state_is_said_and_left_alone(scores, capsys, name):
    run = ["cells", "scores", *ROLES, "-o", "all.cells", "--state"]
    if name == "torn.state":
        assert main([*run, name]) == 0
        whole = Path(name).read_bytes()
        Path(name).write_bytes(whole[: len(whole) // 2])
    if name == "text.state":
        Path(name).write_text("notes of mine")
    before = Path(name).read_bytes() if name.endswith(".state") and Path(name).exists() else b""
    assert main([*run, name]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"calibtool: {name}: ")
    assert "internal" not in printed
    if before:
        assert Path(name).read_bytes() == before


@pytest.mark.parametrize(
    "more", [["--by", "place"], ["--plot"], ["--cluster", "place"], ["--metrics", "skce"]]
)
def test_what_needs_more_than_one_pass_or_whole_rows_goes_without_a_state(scores, capsys, more):
    assert main(["evaluate", "scores", *ROLES, "--state", "run.state", *more]) == 2
    assert "--state" in capsys.readouterr().err
    assert not Path("run.state").exists()


def test_a_pass_over_groups_cannot_be_resumed(scores):
    source = open_source("scores", Choice(score="p", labels="clicked"))
    source = replace(source, run=RunOptions(state=scores.parent / "run.state"))
    with pytest.raises(UsageError, match="--state: cannot be combined with --by"):
        ct.evaluate_by(source, ["place"], ["ece"])
    assert not Path("run.state").exists()


def test_writes_cost_little(scores, monkeypatch):
    """However often there is time for it, a write waits a hundred times what the last one took."""
    clock = iter(np.arange(0, 1e6, 5.0))
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: float(next(clock)))
    written = []
    save = checkpoint._save
    monkeypatch.setattr(checkpoint, "_save", lambda *all_: (written.append(1), save(*all_)))
    source = open_source("scores", Choice(score="p", labels="clicked"))
    ct.cells(replace(source, run=RunOptions(state=scores.parent / "run.state")))
    assert len(written) == 1 + 1  # each takes five of these seconds; there are 18 parts
