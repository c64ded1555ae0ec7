"""Defects that fuzzing found: each ends in a message that says what was wrong, and where."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import subprocess
import sys
import threading
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import calibtool as ct
from calibtool.evaluation.cell_scores import of_moments
from calibtool.intervals.bootstrap import skewness
from calibtool.intervals.inversion import concentrated
from calibtool.streaming.exact import Exact

QUICK = ("--ci", "none")


def scores(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    p = rng.random(n)
    return p, (rng.random(n) < p).astype(np.int64)


def test_offsets_beyond_an_arrow_file(refused, folder):
    p, y = scores()
    table = pa.table({"score": p, "label": y, "country": [f"name {k % 3}" for k in range(60)]})
    with pa.ipc.new_file("x.arrow", table.schema) as writer:
        writer.write_table(table)
    data = bytearray(Path("x.arrow").read_bytes())
    at = data.index(np.arange(0, 42, 6, dtype="<i4").tobytes())  # offsets of texts of 6 characters
    data[at + 4 : at + 8] = (1 << 30).to_bytes(4, "little")
    Path("x.arrow").write_bytes(data)
    refused("evaluate", "x.arrow", "--by", "country", *QUICK, says=("x.arrow", "out of bounds"))


def test_a_flipped_byte_of_a_compressed_npz(refused, folder):
    logits = np.random.default_rng(0).normal(size=(500, 3))
    np.savez_compressed("x.npz", logits=logits, labels=np.arange(500) % 3)
    data = bytearray(Path("x.npz").read_bytes())
    data[300] ^= 255
    Path("x.npz").write_bytes(data)
    refused("evaluate", "x.npz", *QUICK, says=("x.npz: logits", "damaged"))


def test_logits_beyond_the_stated_range(refused, folder):
    logits = np.zeros((60, 2))
    logits[7, 1] = 1e155
    np.savez("x.npz", logits=logits, labels=np.arange(60) % 2)
    refused("fit-beta", "x.npz", "-o", "b.json", says=("x.npz: logits", "row 7", "1e+155"))


@pytest.mark.parametrize("command", ["evaluate good.npz -o", "fit-temperature good.npz -o"])
def test_an_output_never_replaces_what_is_read(command, refused, good, folder):
    before = Path(good).read_bytes()
    os.link(good, "hard.npz")
    Path("soft.npz").symlink_to(good)
    for name in (good, "hard.npz", "soft.npz", "../" + folder.name + "/good.npz"):
        refused(*command.split(), name, says=(f"-o {name}: would replace", "which is read"))
    assert Path(good).read_bytes() == before


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIA:SEC%2FRET1/x@b/x.parquet",
        "http://u:SEC/RET1@127.0.0.1:9/x.parquet",
        "simplecache::http://u:SECRET1@127.0.0.1:9/x.parquet",
        "odd+scheme://u:SECRET1@h/x.parquet",
    ],
)
def test_no_message_shows_credentials(address, run, folder):
    said = run("evaluate", address, *QUICK)
    assert said.code == 2
    for secret in ("SEC", "RET1", "AKIA:"):
        assert secret not in said.out + said.err


@pytest.mark.parametrize("format_", ["tap", "github", "table", "markdown", "junit"])
def test_values_of_columns_forge_no_lines(format_, run, folder):
    p = np.full(200, 0.9)
    y = np.where(np.arange(200) % 2, 0, np.arange(200) % 20 != 0)  # the odd rows are all wrong
    names = np.where(np.arange(200) % 2, "ok\nok 9 - fine\n::error::pwn\x1b[2J\x07", "fine")
    np.savez("x.npz", score=p, labels=y, country=names)
    said = run(
        *("check", "x.npz", "--require", "ece <= 0.01 by country", "--format", format_),
        *("--resamples", "50"),
    )
    assert said.code == 1
    assert "pwn" in said.out
    lines = said.out.split("\n")
    assert not any(line.startswith(("ok 9", "::error::pwn")) for line in lines)
    assert not set(said.out) & set("\x1b\x07\x00")


def test_names_of_columns_forge_no_lines_of_an_inspection(run, folder):
    p, y = scores()
    np.savez("x.npz", **{"score": p, "labels": y, "a\nNo problems found.\x1b[2J": p})
    out = run("inspect", "x.npz").out
    assert r"a\nNo problems found.\x1b[2J" in out
    assert not any(line.startswith("No problems found.") for line in out.split("\n"))


def test_spreadsheets_run_nothing(run, folder):
    p, y = scores(200)
    np.savez("x.npz", score=p, labels=y, country=np.where(np.arange(200) % 2, "=cmd()", "-1"))
    out = run("evaluate", "x.npz", "--by", "country", "--format", "csv", *QUICK).out
    assert "=cmd()" in out
    assert not any(field.startswith("=") for line in out.splitlines() for field in line.split(","))


def test_rows_are_compared_before_anything_is_unpacked(refused, folder):
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("logits.npy", "w") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (1_000_000, 10)}
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(40):
                file.write(bytes(1_000_000))
        with archive.open("labels.npy", "w") as file:
            np.save(file, np.zeros(2, np.int64))
    refused("evaluate", "bomb.npz", *QUICK, says=("bomb.npz", "1,000,000", "labels 2"))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        '{"format": "calibtool-calibrator", "version": 1e400}',
        '{"format": "calibtool-calibrator", "version": ' + "9" * 5000 + "}",
        '{"format": "calibtool-calibrator", "format": "calibtool-calibrator"}',
        "\ufeff{}",
    ],
    ids=["brackets", "objects", "overflow", "digits", "twice", "mark"],
)
def test_documents_are_read_within_limits(text, refused, good, folder):
    Path("c.json").write_text(text)
    refused("apply", "c.json", good, "-o", "o.npz", says=("c.json: not a calibrator file",))


def test_a_pipe_is_not_waited_for(refused, folder):
    os.mkfifo("pipe.npz")
    refused("evaluate", "pipe.npz", says=("pipe.npz: is a pipe",))


def test_overwriting_keeps_the_mode(run, good, folder):
    Path("out.json").write_text("old")
    Path("out.json").chmod(0o600)
    assert run("evaluate", good, "--format", "json", *QUICK, "-o", "out.json").code == 0
    assert stat.S_IMODE(Path("out.json").stat().st_mode) == 0o600
    assert json.loads(Path("out.json").read_text())["format"] == "calibtool-report"


def test_part_files_of_dead_processes_are_removed(run, good, folder):
    dead, living = (Path(f".out.json.{name}.part") for name in ("0123abcd", "4567cdef"))
    dead.write_text("half")
    with living.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run("evaluate", good, "--format", "json", *QUICK, "-o", "out.json").code == 0
    assert not dead.exists()
    assert living.exists()


def test_columns_of_lists_of_lists(refused, folder):
    import pyarrow.parquet as pq

    _, y = scores(3)
    table = pa.table({"probs": [[[0.5], [0.5]]] * 3, "labels": y})
    pq.write_table(table, "nest.parquet")
    refused("evaluate", "nest.parquet", *QUICK, says=("nest.parquet: probs", "list"))


def test_room_is_made_for_no_more_than_a_parquet_file_holds(refused, folder):
    import pyarrow.parquet as pq

    table = pa.table({"score": np.linspace(0, 1, 30), "label": np.arange(30) % 2})
    pq.write_table(table, "page.parquet", compression="none", use_dictionary=False)
    data = Path("page.parquet").read_bytes()
    # a page's header begins with its type, its size, and its size as stored: numbers of Thrift, in
    # groups of seven bits
    head = data[4 : data.index(b"\x15", 7)]
    stored = len(head) + 4 + 1
    assert data[4:6] == b"\x15\x00"
    end = next(k for k in range(stored, stored + 9) if data[k] < 0x80) + 1
    declared = b"\xfe\xff\xff\xff\x0e"  # 2 * 2,013,265,919 of zigzag coding
    Path("page.parquet").write_bytes(data[:stored] + declared + data[end:])
    before = pa.default_memory_pool().max_memory()
    refused("evaluate", "page.parquet", *QUICK, says=("page.parquet: cannot be read",))
    assert pa.default_memory_pool().max_memory() - before < 1 << 24


def test_bytes_that_csv_cannot_hold(refused, run, folder):
    ct.fit("histogram", ct.Predictions.from_probs([0.2, 0.8] * 20, [0, 1] * 20)).save("c.json")
    Path("bytes.csv").write_bytes(b"score,label,country\n" + b"0.2,0,PL\n0.8,1,S\xff\n" * 20)
    says = ("column 'country' holds bytes that are not UTF-8",)
    refused("apply", "c.json", "bytes.csv", "-o", "out.csv", says=says)
    assert run("apply", "c.json", "bytes.csv", "-o", "out.parquet").code == 0


def test_labels_that_are_empty_lists(refused, folder):
    import pyarrow.parquet as pq

    labels = pa.array([None] * 4, pa.list_(pa.float64(), 2))
    pq.write_table(pa.table({"score": [0.1, 0.2, 0.3, 0.4], "label": labels}), "x.parquet")
    refused("evaluate", "x.parquet", "--drop-missing", *QUICK, says=("x.parquet",))


@pytest.mark.parametrize(("limit", "file"), [(700_000, "x.csv: "), (100_000, "")])
def test_too_little_memory_is_said(limit, file, folder):
    Path("x.csv").write_bytes(b"score,label\n" + b"0.2,0\n0.8,1\n" * 20)
    command = f"ulimit -v {limit}; exec {sys.executable} -m calibtool evaluate x.csv"
    ended = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={key: text for key, text in os.environ.items() if key != "OPENBLAS_NUM_THREADS"},
    )
    assert ended.returncode == 2
    assert f"{file}`ulimit -v` allows {limit:,} kB of memory" in ended.stderr
    assert "BLAS" not in ended.stderr


def test_a_thread_that_cannot_start_is_said(run, good, monkeypatch, folder):
    def no_thread(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    table = pa.table({"score": [0.2, 0.8] * 20, "label": [0, 1] * 20})
    pa.csv.write_csv(table, "x.csv")
    result = run("evaluate", "x.csv", *QUICK)
    assert result.code == 2
    assert "out of memory or threads" in result.err


def test_clusters_of_no_rows(refused, folder):
    np.savez("none.npz", score=np.zeros(0), labels=np.zeros(0, int), age=np.zeros(0))
    says = ("none.npz: there are no rows; nothing can be measured",)
    refused("evaluate", "none.npz", "--cluster", "age", "--resamples", "20", says=says)


def test_the_next_command_is_printable_whatever_was_typed(run, good):
    result = run("evaluate", good, "--resamples", "20", "--options", "\u202e\x1b]0;owned")
    assert "Next: calibtool select VALIDATION_FILE --options" in result.out
    assert not {"\u202e", "\x1b"} & {*result.out}
    assert r"\u202e\x1b]0;owned" in result.out


def test_select_among_losses_beside_which_rows_do_not_count(run, folder):
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(11, 3)) * 1e20
    np.savez("huge.npz", logits=logits, labels=np.array([0, 1, 2, 2, 1, 1, 0, 0, 2, 1, 0]))
    result = run("select", "huge.npz", "--resamples", "20")
    assert result.code == 0, result.err
    assert "nan" not in result.out


def test_init_writes_toml_whatever_was_typed(run, folder):
    draws = np.random.default_rng(0)
    score = draws.random(200)
    name = 'a\nok 999 \\ "b\u202e.npz'
    np.savez(name, score=score, labels=(draws.random(200) < score).astype(int))
    typed = ("--options", 'x\ny"\x1b', "--init", "check.toml", "--resamples", "20")
    result = run("check", name, *typed)
    assert result.code == 0, result.err
    text = Path("check.toml").read_text()
    assert not re.search("^ok 999|[\x1b\u202e]", text, re.MULTILINE)
    held = tomllib.loads(text)["check"]
    assert (held["file"], held["options"]) == (name, 'x\ny"\x1b')


def test_init_refuses_what_toml_cannot_hold(run, good, folder):
    result = run("check", good, "--options", "\udce9", "--init", "check.toml", "--resamples", "20")
    assert result.code == 2
    assert "TOML" in result.err
    assert not Path("check.toml").exists()


def test_scores_next_to_nothing_have_no_skewness():
    tiny = np.array([0.0, 1e-120, 3e-120])  # the spread to the power of 1.5 is 0
    assert skewness(tiny) == 0
    sums = Exact(np.array([3, 0, 1e-240, 1e-320, 3, 0, 1e-240]), np.zeros(7))
    assert of_moments(sums, weighted=False)[2] == 0
    assert concentrated(np.array([1e-303, 1.0]), 0.5).tolist() == [0, 0.75]


def test_scales_and_scores_that_are_no_numbers(refused, folder):
    import pyarrow.parquet as pq

    np.savez("large.npz", confidence=np.full(30, 1e308), correct=np.arange(30) % 2)
    says = ("large.npz: confidence", "30 values", "row 0")
    refused("evaluate", "large.npz", "--scale", "0.5", *QUICK, says=says)
    nan = pa.array([float("nan")] * 30)
    pq.write_table(pa.table({"score": nan, "label": [0, 1] * 15}), "nan.parquet")
    refused("evaluate", "nan.parquet", *QUICK, says=("nan.parquet: score", "NaN", "row 0"))


def test_names_of_hdf5_that_are_not_utf8(run, folder):
    h5py = pytest.importorskip("h5py")
    space = h5py.h5s.create_simple((30,))
    with h5py.File("x.h5", "w") as file:
        h5py.h5d.create(file.id, b"a\xff", h5py.h5t.NATIVE_DOUBLE, space)
        file["score"], file["labels"] = np.linspace(0, 1, 30), np.arange(30) % 2
    assert r"a\udcff" in run("inspect", "x.h5").out
    assert run("evaluate", "x.h5", *QUICK).code == 0
