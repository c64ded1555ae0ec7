"""Bad input gets a clear error, exit code 2, and nothing is lost: issue 2's list and more."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import signal
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

QUICK = ("--ci", "none", "--metrics", "ece,nll,brier,accuracy,classwise-ece")


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def measured(run, *arguments):
    """The estimates of a run that must succeed, by name."""
    result = run("evaluate", *arguments, "--format", "json")
    assert result.code == 0, result.err
    return {e["name"]: e["value"] for e in json.loads(result.out)["metrics"]}


# ------------------------------------------------------------------ files that are no files


@pytest.mark.parametrize("command", ["evaluate", "inspect", "fit-temperature", "check"])
def test_a_file_that_does_not_exist(command, refused):
    more = ["--require", "ece <= 0.9"] if command == "check" else []
    refused(command, "missing.npz", *more, says=("missing.npz", "no such file"))


@pytest.mark.parametrize("suffix", ["npz", "npy", "parquet", "feather", "arrow", "csv", "tsv"])
def test_an_empty_file(suffix, refused):
    name = f"empty.{suffix}"
    Path(name).touch()
    refused("evaluate", name, says=(name, "empty"))


@pytest.mark.parametrize("part", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("suffix", ["npz", "compressed.npz", "npy", "parquet", "feather"])
def test_a_truncated_file(suffix, part, refused, data):
    name = f"cut.{suffix}"
    table = pa.table({"score": data.probs[:, 0], "label": data.labels % 2})
    if suffix == "compressed.npz":
        np.savez_compressed(name, logits=data.logits, labels=data.labels)
    elif suffix == "npz":
        np.savez(name, logits=data.logits, labels=data.labels)
    elif suffix == "npy":
        np.save(name, data.logits)
    elif suffix == "parquet":
        pq.write_table(table, name)
    else:
        feather.write_feather(table, name)
    whole = Path(name).read_bytes()
    Path(name).write_bytes(whole[: int(part * len(whole))])
    refused("evaluate", name, says=(name,))


def test_damaged_bytes_in_an_npz(refused, data):
    np.savez_compressed("damaged.npz", logits=data.logits, labels=data.labels)
    content = bytearray(Path("damaged.npz").read_bytes())
    content[400] ^= 0xFF
    Path("damaged.npz").write_bytes(content)
    refused("evaluate", "damaged.npz", says=("damaged.npz",))


@pytest.mark.parametrize("name", ["notes.txt", "noextension", "picture.png"])
def test_a_suffix_that_nothing_reads(name, refused):
    Path(name).write_text("hello")
    refused("evaluate", name, says=(name, "suffix", ".npz", ".parquet"))


def test_a_folder_called_like_an_npz(refused):
    Path("x.npz").mkdir()
    refused("evaluate", "x.npz", says=("x.npz", "folder"))


def test_an_empty_folder_and_a_glob_without_a_match(refused):
    Path("nothing").mkdir()
    refused("evaluate", "nothing", says=("nothing", "folder"))
    refused("evaluate", "none*.parquet", says=("none*.parquet", "no file matches"))


def test_several_npz_are_not_one(refused, data):
    for name in ("a1.npz", "a2.npz"):
        write(name, logits=data.logits, labels=data.labels)
    refused("evaluate", "a*.npz", says=("a*.npz", "2"))


@pytest.mark.parametrize("name", ["", "x" * 300 + ".npz"])
def test_names_that_no_file_can_have(name, refused):
    Path("stray.csv").write_text("score,label\n0.5,1\n")
    refused("evaluate", name)


def test_a_link_that_leads_nowhere_or_to_itself(refused):
    Path("loop.npz").symlink_to("loop.npz")
    Path("gone.npz").symlink_to("elsewhere.npz")
    refused("evaluate", "loop.npz", says=("loop.npz",))
    refused("evaluate", "gone.npz", says=("gone.npz",))


# ------------------------------------------------------------------ files that would run code


class Payload:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch PWNED",)


@pytest.mark.parametrize("name", ["p.npz", "p.npy", "p.pkl", "p.pt", "p.pickle", "p.joblib"])
def test_a_pickle_is_refused_whatever_its_name(name, refused):
    Path(name).write_bytes(pickle.dumps(Payload()))
    refused("evaluate", name, says=(name,))
    refused("inspect", name, says=(name,))
    assert not Path("PWNED").exists()


@pytest.mark.parametrize("key", ["logits", "labels", "classes", "weights", "unrelated"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_object_arrays_are_never_unpickled(key, save, run, data):
    arrays = {"logits": data.logits, "labels": data.labels}
    arrays[key] = np.array([Payload()] * 240, dtype=object)
    save("objects.npz", **arrays)
    result = run("evaluate", "objects.npz", *QUICK)
    assert not Path("PWNED").exists()
    if key != "unrelated":
        assert result.code == 2
        assert "objects.npz" in result.err
        assert key in result.err
        assert "pickle" in result.err
        assert "save" in result.err


def test_an_object_array_that_nobody_asked_for_may_be_left_alone_but_not_loaded(run, data):
    write(
        "objects.npz",
        logits=data.logits,
        labels=data.labels,
        paths=np.array([Payload()] * 240, dtype=object),
    )
    run("inspect", "objects.npz")
    assert not Path("PWNED").exists()


def test_labels_file_of_objects_is_refused(refused, data):
    np.save("z.npy", data.logits)
    np.save("y.npy", np.array([Payload()] * 240, dtype=object), allow_pickle=True)
    refused(
        "evaluate", "z.npy", "--logits", "z", "--labels-file", "y.npy", says=("y.npy", "pickle")
    )
    assert not Path("PWNED").exists()


# ------------------------------------------------------------------ headers that lie


def npy(shape, content, descr="<f4"):
    out = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue() + content


def crafted(path, labels, compression, **members):
    plain = io.BytesIO()
    np.save(plain, labels)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {"labels": plain.getvalue(), **members}.items():
            archive.writestr(f"{name}.npy", content)


def test_the_declared_size_of_a_zip_bomb_is_not_believed(refused, data):
    bomb = npy((10**9, 1), b"\0" * 1000)
    crafted("bomb.npz", data.labels, zipfile.ZIP_DEFLATED, logits=bomb)
    content = bytearray(Path("bomb.npz").read_bytes())
    entry = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[entry + 24 : entry + 28] = struct.pack("<I", 0xFFFFFFF0)
    Path("bomb.npz").write_bytes(content)
    began = time.process_time()
    refused("evaluate", "bomb.npz", says=("bomb.npz", "logits", "declares"))
    assert time.process_time() - began < 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "shape",
    [(10**9, 1000), (2**70, 3), (-240, -3), (-1, 3), (0, 2**62)],
    ids=["large", "beyond-int64", "negative", "minus-one", "zero-by-huge"],
)
def test_a_shape_that_the_bytes_do_not_bear_out(shape, compression, refused, data):
    content = b"" if 0 in shape else data.logits.tobytes()
    crafted("lies.npz", data.labels, compression, logits=npy(shape, content))
    refused("evaluate", "lies.npz", says=("lies.npz", "logits"))


@pytest.mark.parametrize(
    "header",
    [
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4' ",
        b"\x93NUMPY\x01\x00\x28\x00" + b"__import__('os').system('touch PWNED')".ljust(40),
        b"\x93NUMPY\x01\x00\x28\x23" + b"(" * 9000,
        b"\x93NUMPY\x02\x00\x40\x0d\x03\x00" + b"(" * 200_000,
        b"\x93NUMPY\x09\x00\x10\x00" + b" " * 16,
        b"\x93NUMPY",
        b"",
        b"hello",
    ],
    ids=["cut", "code", "nested", "long", "version-9", "magic", "nothing", "text"],
)
def test_an_npy_header_that_cannot_be_read(header, refused, data):
    crafted("header.npz", data.labels, zipfile.ZIP_STORED, logits=header)
    err = refused("evaluate", "header.npz", says=("header.npz", "logits"))
    assert "allow_pickle" not in err  # never advise what must not be done
    assert not Path("PWNED").exists()


def test_strings_without_a_character_are_no_labels(refused, data):
    np.savez("u0.npz", logits=data.logits, labels=np.zeros(240, "<U0"))
    refused("evaluate", "u0.npz", says=("u0.npz", "labels"))


def test_an_npz_without_arrays(refused):
    with zipfile.ZipFile("none.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused("evaluate", "none.npz", says=("none.npz", "no arrays"))


# ------------------------------------------------------------------ columns that are not there


def test_a_parquet_file_without_the_column(refused, data):
    pq.write_table(pa.table({"z": data.probs[:, 0], "label": data.labels % 2}), "t.parquet")
    refused("evaluate", "t.parquet", says=("t.parquet", "--score", "z (double)"))
    refused("evaluate", "t.parquet", "--score", "zz", says=("t.parquet", "'zz'", "z (double)"))
    refused(
        "evaluate", "t.parquet", "--score", "z", "--labels", "y", says=("t.parquet", "'y'", "label")
    )


def test_no_labels(refused, data):
    write("z.npz", logits=data.logits)
    refused("evaluate", "z.npz", says=("z.npz", "labels", "--labels", "--labels-file"))
    refused("fit-temperature", "z.npz", "-o", "c.json", says=("z.npz", "labels"))


def test_both_logits_and_probs(refused, run, data):
    write("both.npz", logits=data.logits, probs=data.probs, labels=data.labels)
    refused("evaluate", "both.npz", says=("both.npz", "--logits", "--probs"))
    assert run("evaluate", "both.npz", "--probs", "probs", *QUICK).code == 0
    assert run("evaluate", "both.npz", "--logits", "logits", *QUICK).code == 0
    refused(
        *("evaluate", "both.npz", "--probs", "probs", "--logits", "logits"),
        says=("--logits", "--probs", "exclude"),
    )


def test_columns_of_classes_with_a_gap_name_the_file(refused, data):
    columns = {"logit_0": data.logits[:, 0], "logit_2": data.logits[:, 1], "label": data.labels % 2}
    pq.write_table(pa.table(columns), "gap.parquet")
    refused("evaluate", "gap.parquet", says=("gap.parquet", "logit_0", "logit_2", "--logits"))


def test_two_columns_of_one_name(refused, data):
    table = pa.Table.from_arrays(
        [pa.array(data.probs[:, 0]), pa.array(data.labels % 2), pa.array(data.labels % 2)],
        names=["score", "label", "label"],
    )
    pq.write_table(table, "twice.parquet")
    err = refused("evaluate", "twice.parquet", says=("twice.parquet", "two columns"))
    assert "label" in err


def test_an_empty_key_is_not_the_same_as_no_key(refused, data):
    write("e.npz", logits=data.logits, labels=data.labels)
    refused("evaluate", "e.npz", "--labels", "", says=("e.npz", "''"))
    refused("evaluate", "e.npz", "--logits", "", says=("e.npz", "''"))


def test_confidences_need_to_know_what_was_right(refused, data):
    write("c.npz", confidence=data.probs.max(axis=1), labels=data.labels)
    refused("evaluate", "c.npz", says=("c.npz", "correct", "predictions"))


def test_predictions_and_labels_of_different_kinds(refused, data):
    columns = {
        "confidence": data.probs.max(axis=1),
        "predictions": np.array(["a", "b", "c"])[data.labels],
        "labels": data.labels,
    }
    pq.write_table(pa.table(columns), "mixed.parquet")
    refused("evaluate", "mixed.parquet", says=("mixed.parquet", "predictions"))


# ------------------------------------------------------------------ shapes


def test_arrays_of_different_length(refused, data):
    write("n.npz", logits=data.logits, labels=data.labels[:-1])
    refused("evaluate", "n.npz", says=("n.npz", "logits 240", "labels 239"))
    write("w.npz", logits=data.logits, labels=data.labels, weights=np.ones(3))
    refused("evaluate", "w.npz", says=("w.npz", "weights 3"))
    np.save("y.npy", data.labels[:100])
    refused("evaluate", "n.npz", "--labels-file", "y.npy", says=("y.npy", "100", "240"))


@pytest.mark.parametrize(
    "logits",
    [np.zeros((0, 3)), np.zeros(0)],
    ids=["0 x 3", "0"],
)
@pytest.mark.parametrize(
    "command",
    [
        ("evaluate",),
        ("fit-temperature", "-o", "c.json"),
        ("plot", "reliability"),
        ("check", "--require", "ece <= 0.9"),
    ],
    ids=lambda words: words[0],
)
def test_zero_rows(command, logits, refused):
    write("zero.npz", logits=logits, labels=np.zeros(0, int))
    refused(*command, "zero.npz", says=("zero.npz", "no rows"))


def test_zero_rows_of_parquet_and_csv(refused):
    pq.write_table(pa.table({"score": pa.array([], pa.float64()), "label": [0][:0]}), "z.parquet")
    refused("evaluate", "z.parquet", says=("z.parquet", "no rows"))
    Path("z.csv").write_text("score,label\n")
    refused("evaluate", "z.csv", says=("z.csv", "no rows"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logits", np.float32(3)),
        ("logits", np.zeros((240, 3, 1))),
        ("logits", np.zeros((240, 0))),
        ("logits", np.zeros((240, 3), complex)),
        ("logits", np.zeros(240, [("a", "f4"), ("b", "i4")])),
        ("logits", np.full((240, 3), "0.5")),
        ("labels", np.int64(3)),
        ("labels", np.zeros((240, 2), int)),
        ("labels", np.zeros((240, 3, 1))),
        ("labels", np.zeros(240, [("a", "f4"), ("b", "i4")])),
        ("labels", np.zeros(240, "M8[s]")),
        ("labels", np.zeros(240, complex)),
        ("weights", np.ones((240, 2))),
        ("weights", np.full(240, "1")),
        ("weights", np.float64(1)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype}{value.shape}",
)
def test_arrays_that_are_no_predictions(key, value, refused, data):
    arrays = {"logits": data.logits, "labels": data.labels, key: value}
    write("odd.npz", **arrays)
    refused("evaluate", "odd.npz", says=("odd.npz", key))


def test_lists_of_ragged_length(refused, data):
    rows = data.logits.tolist()
    rows[9] = rows[9][:2]
    pq.write_table(pa.table({"logits": rows, "label": data.labels}), "ragged.parquet")
    refused("evaluate", "ragged.parquet", says=("ragged.parquet", "logits", "row 9", "2"))


@pytest.mark.parametrize("where", ["row", "value"])
def test_a_missing_value_in_a_list_is_told_by_its_row(where, refused, data):
    rows = data.logits.tolist()
    if where == "row":
        rows[9] = None
    else:
        rows[9][1] = None
    pq.write_table(pa.table({"logits": rows, "label": data.labels}), "null.parquet")
    refused("evaluate", "null.parquet", says=("null.parquet", "logits", "row 9 ", "null"))


@pytest.mark.parametrize("column", ["score", "label", "weight"])
def test_a_missing_value_in_a_column_is_told_by_its_row(column, refused, data):
    columns = {
        "score": data.probs[:, 0].tolist(),
        "label": (data.labels % 2).tolist(),
        "weight": [1.0] * 240,
    }
    columns[column][5] = None
    pq.write_table(pa.table(columns), "null.parquet")
    refused("evaluate", "null.parquet", says=("null.parquet", column, "row 5 ", "null"))


# ------------------------------------------------------------------ csv


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("score,label\n0.5,1\n,0\n", ("score", "row 1 ")),
        ("score,label\n0.5,1\n0.3,\n", ("label", "row 1 ")),
        ("score,label\n0.5,1\nNA,0\n", ("score", "row 1 ")),
        ("score,label\n0.5,1\nabc,0\n", ("score", "numbers")),
        ("score,label\n0.5,1\n0.3\n", ("Expected 2 columns",)),
        ("score;label\n0.5;1\n0.3;0\n", ("score;label",)),
        ("0.5,1\n0.3,0\n", ("--score",)),
        ("score,score,label\n0.5,0.1,1\n", ("score",)),
        ("score,label\n" + "0.5,1\n" * 100_000 + "x,0\n", ("score", "row 100000")),
        ("score,label\n" + "0.5,1\n" * 200_000 + "x,0\n", ("score", "'x' in row 200000")),
    ],
    ids=[
        "hole",
        "label-hole",
        "NA",
        "text",
        "short",
        "semicolon",
        "no-header",
        "twice",
        "late",
        "later",
    ],
)
def test_csv_that_cannot_be_read(text, says, refused):
    Path("t.csv").write_text(text)
    refused("evaluate", "t.csv", says=("t.csv", *says))


@pytest.mark.parametrize(
    "content",
    [
        "score,label,näme\n0.5,1,a\n0.3,0,b\n".encode("latin-1"),
        "score,label,name\n0.5,1,é\n0.3,0,é\n".encode("utf-16"),
        bytes(range(256)) * 4,
    ],
    ids=["latin-1", "utf-16", "binary"],
)
def test_csv_that_is_not_utf8(content, refused):
    Path("t.csv").write_bytes(content)
    refused("evaluate", "t.csv", says=("t.csv",))


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfscore,label\n0.5,1\n0.3,0\n",
        b"score,label\r\n0.5,1\r\n0.3,0\r\n",
        b'"score","label"\n"0.5","1"\n"0.3","0"\n',
        b"score,label\n\n0.5,1\n\n0.3,0\n\n",
        b"score,label\n0.5,1\n0.3,0",
    ],
    ids=["byte-order-mark", "crlf", "quoted", "blank-lines", "no-last-newline"],
)
def test_csv_of_other_habits_is_read(content, run):
    Path("t.csv").write_bytes(content)
    assert measured(run, "t.csv", *QUICK)["brier"] == pytest.approx(0.17)


# ------------------------------------------------------------------ values


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", ["logits", "probs", "confidence", "weights"])
def test_values_that_are_not_finite(key, value, dtype, refused, data):
    arrays = {"logits": data.logits, "labels": data.labels}
    if key == "probs":
        arrays = {"probs": data.probs.astype(dtype), "labels": data.labels}
    elif key == "confidence":
        arrays = {"confidence": data.probs.max(axis=1), "correct": data.labels == 0}
    elif key == "weights":
        arrays["weights"] = np.ones(240)
    arrays[key] = arrays[key].astype(dtype)
    arrays[key].reshape(240, -1)[[7, 11], 0] = value
    write("bad.npz", **arrays)
    err = refused("evaluate", "bad.npz", says=("bad.npz", key, "2 values", "row 7 "))
    assert ("2 NaN" if np.isnan(value) else "2 infinite") in err


def test_logits_whose_sum_overflows_are_fine(run, data):
    half = np.clip(data.logits * 1e4, -6e4, 6e4).astype(np.float16)
    write("large.npz", logits=half, labels=data.labels)
    write("larger.npz", logits=data.logits * 1e37, labels=data.labels)
    for name in ("large.npz", "larger.npz"):
        assert run("evaluate", name, "--resamples", "20").code == 0


@pytest.mark.parametrize("more", [(), ("--renormalize",)])
def test_negative_probabilities(more, refused, data):
    probs = data.probs.copy()
    probs[7, 1] = -0.1
    write("bad.npz", probs=probs, labels=data.labels)
    refused("evaluate", "bad.npz", *more, says=("bad.npz", "probs", "row 7 ", "-0.1"))


def test_rows_that_do_not_sum_to_1(refused, run, data):
    probs = data.probs.copy()
    probs[7] *= 0.98
    probs[200] *= 0.9
    write("off.npz", probs=probs, labels=data.labels)
    refused(
        "evaluate",
        "off.npz",
        says=("off.npz", "probs", "2 rows", "row 7 ", "0.98", "--renormalize"),
    )
    write("whole.npz", probs=data.probs, labels=data.labels)
    after = measured(run, "off.npz", "--renormalize", *QUICK)
    assert after == pytest.approx(measured(run, "whole.npz", *QUICK), abs=1e-12)


def test_renormalize_takes_percentages_and_counts(run, data):
    write("percent.npz", probs=data.probs * 100, labels=data.labels)
    write("whole.npz", probs=data.probs, labels=data.labels)
    after = measured(run, "percent.npz", "--renormalize", *QUICK)
    assert after == pytest.approx(measured(run, "whole.npz", *QUICK), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounding_of_the_type_is_renormalised(dtype, run, data):
    probs = data.probs.astype(dtype)
    probs[3] = probs[3] * dtype(1 + 2 * np.finfo(dtype).eps)
    write("rounded.npz", probs=probs, labels=data.labels)
    write("whole.npz", probs=data.probs, labels=data.labels)
    rounding = 4 * float(np.finfo(dtype).eps) * 10
    nll = measured(run, "rounded.npz", "--ci", "none", "--metrics", "nll")["nll"]
    assert nll == pytest.approx(measured(run, "whole.npz", *QUICK)["nll"], abs=rounding)


@pytest.mark.parametrize("more", [(), ("--renormalize",)])
def test_a_row_of_zeros_is_no_distribution(more, refused, data):
    probs = data.probs.copy()
    probs[5] = 0
    write("zero.npz", probs=probs, labels=data.labels)
    err = refused("evaluate", "zero.npz", *more, says=("zero.npz", "probs", "row 5 "))
    assert ("nothing to renormalise" in err) == bool(more)


def test_logits_given_as_probabilities(refused, data):
    write("l.npz", logits=data.logits, labels=data.labels)
    refused("evaluate", "l.npz", "--probs", "logits", says=("l.npz", "logits", "--logits"))


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda y: np.where(np.arange(240) == 8, 3, y), ("1 label", "row 8 ", "0 to 2", ": 3")),
        (
            lambda y: np.where(np.arange(240) == 8, -1, y),
            ("1 label", "row 8 ", "-1", "--ignore -1"),
        ),
        (lambda y: np.where(np.arange(240) == 8, -100, y), ("row 8 ", "-100")),
        (lambda y: y + 1, ("1-based", "subtract 1")),
        (lambda y: (y + 1).astype(float), ("1-based", "subtract 1")),
        (lambda y: (y + 1).astype(np.uint8), ("1-based", "subtract 1")),
        (lambda y: np.where(np.arange(240) == 8, 0.5, y), ("row 8 ", "0.5", "whole")),
        (lambda y: np.where(np.arange(240) == 8, np.nan, y), ("row 8 ", "nan")),
        (lambda y: np.where(np.arange(240) == 8, np.inf, y), ("row 8 ", "inf")),
        (lambda y: y.astype(np.uint64) + np.uint64(2**63), ("row 0 ", "0 to 2")),
        (lambda y: y.astype(float) * 1e300, ("0 to 2",)),
    ],
    ids=[
        "3",
        "-1",
        "-100",
        "1-based",
        "1-based-float",
        "1-based-uint8",
        "half",
        "nan",
        "inf",
        "uint64",
        "1e300",
    ],
)
def test_labels_that_are_no_class_ids(change, says, refused, data):
    write("y.npz", logits=data.logits, labels=change(data.labels))
    refused("evaluate", "y.npz", says=("y.npz", "labels", *says))


@pytest.mark.parametrize("kind", ["u1", "i8", "f8", "U3"])
def test_labels_of_any_type_are_ignored(kind, run, data):
    labels = data.labels.copy()
    labels[:3] = 255
    write("y.npz", logits=data.logits, labels=labels.astype(kind))
    result = run("evaluate", "y.npz", *QUICK, "--ignore", "255")
    assert result.code == 0, result.err
    assert "left out: 3 rows with the label 255" in result.out


def test_labels_joined_from_another_file_are_ignored(run):
    Path("y.csv").write_text("id,score\n1,0.2\n2,0.3\n3,0.9\n")
    Path("labels.csv").write_text("id,label\n1,0\n2,255\n3,1\n")
    by = ("--labels-file", "labels.csv", "--id", "id", "--ignore", "255")
    result = run("evaluate", "y.csv", *QUICK, *by)
    assert result.code == 0, result.err
    assert "left out: 1 row with the label 255" in result.out


def test_ignoring_needs_labels_beside_the_scores(refused, data):
    np.save("labels.npy", data.labels)
    np.save("outputs.npy", data.logits)
    write("c.npz", confidence=np.full(4, 0.5), correct=np.ones(4))
    write("v.npz", probs=np.eye(3), votes=np.eye(3))
    beside = ("outputs.npy", "--logits", "outputs", "--labels-file", "labels.npy")
    for words, says in (
        (("c.npz",), "no labels beside the scores"),
        (beside, "no labels beside the scores"),
        (("v.npz", "--soft-labels", "votes"), "soft labels are several"),
    ):
        refused("evaluate", *words, "--ignore", "0", says=("--ignore", says))


def test_lists_beside_numbers_are_no_columns_of_classes(refused):
    lists, ones = [[0.5, 0.5]] * 3, [0.5] * 3
    table = {"prob_a": ones, "prob_b": ones, "label_a": lists, "label_b": [0, 1, 1]}
    pq.write_table(pa.table(table), "pairs.parquet")
    pq.write_table(pa.table({**table, "label_a": [0, 1, 1], "prob_b": lists}), "scores.parquet")
    refused("evaluate", "pairs.parquet", says=("pairs.parquet", "found no labels"))
    refused("evaluate", "scores.parquet", says=("scores.parquet", "found no labels"))
    for file, column in (("pairs", "label_a"), ("scores", "prob_b")):
        soft = (f"{file}.parquet", "--soft-labels", "label_a,label_b")
        refused("evaluate", *soft, says=(f"{column}: expected a number per row",))


def test_labels_out_of_range_are_told_by_their_row_in_a_later_block(refused):
    rng = np.random.default_rng(0)
    rows = 60_000
    labels = rng.integers(0, 3, rows)
    labels[50_007] = 7
    write("long.npz", logits=rng.normal(size=(rows, 3)).astype("f4"), labels=labels)
    refused("evaluate", "long.npz", *QUICK, says=("long.npz", "labels", "row 50007 ", "7"))


def test_one_hot_labels_that_are_not(refused, data):
    hot = np.eye(3)[data.labels]
    hot[6] = [0.2, 0.8, 0]
    write("soft.npz", logits=data.logits, labels=hot)
    refused("evaluate", "soft.npz", says=("soft.npz", "labels", "row 6 ", "one-hot"))
    write("wide.npz", logits=data.logits, labels=np.eye(4)[data.labels])
    refused("evaluate", "wide.npz", says=("wide.npz", "labels", "4", "3"))


def test_names_of_classes_that_are_not_known(refused, data):
    names = np.array(["cat", "dog", "fish"])[data.labels]
    write("names.npz", logits=data.logits, labels=names)
    err = refused("evaluate", "names.npz", says=("names.npz", "labels", "--classes", names[0]))
    assert "np.str_" not in err
    row = int(np.flatnonzero(names == "fish")[0])
    refused(
        *("evaluate", "names.npz", "--classes", "cat,dog,bird"),
        says=("names.npz", "labels", "'fish'", f"row {row} "),
    )
    refused("evaluate", "names.npz", "--classes", "cat,dog", says=("names.npz", "2", "3"))


def test_a_class_name_given_twice_is_refused(refused, data):
    write("two.npz", logits=data.logits, labels=np.array(["a", "b", "b"])[data.labels])
    refused("evaluate", "two.npz", "--classes", "a,b,b", says=("'b'",))


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (np.where(np.arange(240) == 4, -1.0, 1.0), ("negative", "row 4 ", "-1")),
        (np.zeros(240), ("zero",)),
        (np.full(240, np.nan), ("NaN", "row 0 ")),
    ],
    ids=["negative", "zero", "nan"],
)
@pytest.mark.parametrize("command", [("evaluate",), ("fit-temperature", "-o", "c.json")])
def test_weights_that_weigh_nothing(command, weights, says, refused, data):
    write("w.npz", logits=data.logits, labels=data.labels, weights=weights)
    refused(*command, "w.npz", says=("w.npz", "weights", *says))


def test_all_zero_weights_of_a_long_file(refused):
    rng = np.random.default_rng(0)
    rows = 60_000
    write(
        "long.npz",
        logits=rng.normal(size=(rows, 3)).astype("f4"),
        labels=rng.integers(0, 3, rows),
        weights=np.zeros(rows),
    )
    refused("evaluate", "long.npz", *QUICK, says=("long.npz", "weights", "zero"))


def test_rows_of_zero_weight_do_not_count(run, data):
    half = np.arange(240) < 120
    write("w.npz", logits=data.logits, labels=data.labels, weights=half.astype(float))
    write("half.npz", logits=data.logits[half], labels=data.labels[half])
    assert measured(run, "w.npz", *QUICK) == pytest.approx(
        measured(run, "half.npz", *QUICK), abs=1e-6
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1e39, 1e300])
def test_weights_beyond_float32_are_refused(scale, refused, data):
    weights = (1 + np.arange(240) % 3) * scale
    write("w.npz", logits=data.logits, labels=data.labels, weights=weights)
    refused("evaluate", "w.npz", says=("w.npz", "weights", "rescale"))


@pytest.mark.parametrize("scale", [1e-25, 1e-6, 1e6, 1e25])
def test_the_scale_of_weights_does_not_matter(scale, run, data):
    weights = 1 + np.arange(240) % 3
    write("w.npz", logits=data.logits, labels=data.labels, weights=weights)
    write("s.npz", logits=data.logits, labels=data.labels, weights=weights * scale)
    options = ("--metrics", "ece,nll,classwise-ece", "--resamples", "20")
    assert measured(run, "s.npz", *options) == pytest.approx(
        measured(run, "w.npz", *options), abs=1e-6
    )


# ------------------------------------------------------------------ odd, but fine


def numbers(run, *arguments):
    """All numbers of a report that must be made without complaint, and none of them nan."""
    result = run("evaluate", *arguments)
    assert result.code == 0, result.err
    assert "nan" not in result.out
    return result.out


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_a_handful_of_rows(rows, run, data):
    write("few.npz", logits=data.logits[:rows], labels=data.labels[:rows])
    out = numbers(run, "few.npz")
    assert "p < 0.001" not in out  # so few rows show nothing
    assert run("plot", "reliability", "few.npz", "-o", "few.png").code == 0


def test_one_row_that_is_wrong_is_not_called_underconfident(run):
    write("one.npz", probs=np.array([[0.9, 0.1]]), labels=np.array([1]))
    out = numbers(run, "one.npz")
    assert "Underconfident" not in out


@pytest.mark.parametrize(("probs", "label"), [([0.9, 0.1], 0), ([0.4, 0.6], 0)])
def test_one_row_has_no_narrow_interval(probs, label, run):
    write("one.npz", probs=np.array([probs]), labels=np.array([label]))
    result = run("evaluate", "one.npz", "--metrics", "ece", "--format", "json")
    assert result.code == 0
    (ece,) = json.loads(result.out)["metrics"]
    assert ece["low"] is None or ece["high"] - ece["low"] > 0.3


def test_one_class_only(run, data):
    write("same.npz", logits=data.logits, labels=np.full(240, 1))
    numbers(run, "same.npz")
    write("binary.npz", probs=data.probs[:, 0], labels=np.zeros(240, int))
    numbers(run, "binary.npz")


def test_a_class_that_never_occurs_is_fine(run, data):
    write("absent.npz", logits=data.logits, labels=np.minimum(data.labels, 1))
    numbers(run, "absent.npz")
    assert "classes never occur as a label: 2" in run("inspect", "absent.npz").out


def test_two_classes_in_one_column_or_in_two_agree(run, data):
    p, y = data.probs[:, 0], (data.labels == 0).astype(int)
    write("one.npz", probs=p, labels=y)
    write("column.npz", probs=p[:, None], labels=y)
    write("two.npz", probs=np.stack([1 - p, p], axis=1), labels=y)
    metrics = "accuracy,nll,brier,mean-confidence,ece(view=top),ece(view=positive),classwise-ece"
    expected = measured(run, "two.npz", "--ci", "none", "--metrics", metrics)
    for name in ("one.npz", "column.npz"):
        found = measured(run, name, "--ci", "none", "--metrics", metrics)
        assert found == pytest.approx(expected, abs=1e-12)


def test_two_classes_as_one_logit_or_two_agree(run, data):
    z, y = data.logits[:, 0], (data.labels == 0).astype(int)
    write("one.npz", logits=z, labels=y)
    write("two.npz", logits=np.stack([np.zeros_like(z), z], axis=1), labels=y)
    metrics = "accuracy,nll,brier,ece(view=top),ece(view=positive),classwise-ece"
    expected = measured(run, "two.npz", "--ci", "none", "--metrics", metrics)
    found = measured(run, "one.npz", "--ci", "none", "--metrics", metrics)
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_output_names_the_view_of_two_classes(run, data):
    p, y = data.probs[:, 0], (data.labels == 0).astype(int)
    write("one.npz", probs=p, labels=y)
    write("two.npz", probs=np.stack([1 - p, p], axis=1), labels=y)
    assert "positive" in numbers(run, "one.npz", "--metrics", "ece")
    assert "top" in numbers(run, "two.npz", "--metrics", "ece")


def test_all_predictions_equal(run, data):
    write("equal.npz", logits=np.zeros((240, 3)), labels=data.labels)
    numbers(run, "equal.npz")
    write("half.npz", probs=np.full(240, 0.5), labels=data.labels % 2)
    numbers(run, "half.npz")


def test_scores_of_exactly_0_and_1(run, data):
    write("sure.npz", probs=np.eye(3)[data.labels], labels=data.labels)
    assert measured(run, "sure.npz", *QUICK) == pytest.approx(
        {"ece": 0, "nll": 0, "brier": 0, "accuracy": 1, "classwise-ece": 0}
    )
    out = numbers(run, "sure.npz")
    assert "up to 0 would" not in out  # 240 rows do not show that no error is possible
    write("wrong.npz", probs=np.eye(3)[(data.labels + 1) % 3], labels=data.labels)
    out = numbers(run, "wrong.npz")
    assert "inf" in out
    assert "240 rows give their label a probability of 0" in out
    write("column.npz", probs=(data.labels == 0).astype(float), labels=data.labels == 0)
    numbers(run, "column.npz")


def test_more_bins_than_rows(run, data):
    write("few.npz", logits=data.logits[:20], labels=data.labels[:20])
    metrics = "ece(bins=500),ada-ece(bins=500),classwise-ece(bins=100),mce(bins=500)"
    numbers(run, "few.npz", "--metrics", metrics, "--resamples", "50")
    assert run("plot", "reliability", "few.npz", "--bins", "200", "--resamples", "50").code == 0


def test_small_integers_as_logits(run, data):
    write("int8.npz", logits=data.logits.astype(np.int8), labels=data.labels)
    write("float.npz", logits=np.trunc(data.logits), labels=data.labels)
    assert measured(run, "int8.npz", *QUICK) == pytest.approx(
        measured(run, "float.npz", *QUICK), abs=1e-6
    )


def test_a_hundred_thousand_classes(run):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20, 100_000)).astype(np.float32)
    write("many.npz", logits=logits, labels=rng.integers(0, 100_000, 20))
    assert measured(run, "many.npz", *QUICK)["accuracy"] <= 1
    assert run("evaluate", "many.npz", "--metrics", "ece,nll", "--resamples", "20").code == 0


def test_paths_of_any_letters(run, data):
    for name in ("日本語 é.npz", "with space.npz", "[bold]x[].npz", "a%s{}.npz", "$x$_^.npz"):
        write(name, logits=data.logits, labels=data.labels)
        assert name in numbers(run, name, "--metrics", "ece", "--ci", "none")
        assert run("plot", "reliability", name, "-o", "x.png", "--resamples", "20").code == 0


# ------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--metrics", "nonsense"], "nonsense"),
        (["--metrics", "eec"], "did you mean ece"),
        (["--metrics", ""], "no metrics"),
        (["--metrics", "ece("], "ece("),
        (["--metrics", "ece(bins=0)"], "bins"),
        (["--metrics", "ece(bins=-1)"], "bins"),
        (["--metrics", "ece(bins=1.5)"], "whole number"),
        (["--metrics", "ece(bins=99999999999)"], "bins"),
        (["--metrics", "ece(bin=3)"], "did you mean bins"),
        (["--metrics", "ece(bins=3,bins=4)"], "twice"),
        (["--metrics", "ece(norm=l3)"], "l3"),
        (["--metrics", "ece(view=positive)"], "two classes"),
        (["--metrics", "nll(bins=3)"], "no options"),
        (["--metrics", "foo,bar"], "bar"),
        (["--resamples", "-5"], "--resamples"),
        (["--resamples", "many"], "--resamples"),
        (["--level", "2"], "--level"),
        (["--level", "0"], "--level"),
        (["--level", "nan"], "--level"),
        (["--seed", "-1"], "--seed"),
        (["--ci", "exact"], "--ci"),
        (["--format", "xml"], "--format"),
        (["--labels", "nope"], "nope"),
        (["--score", "logits"], "several values"),
        (["--weights", "logits"], "logits"),
        (["--labels-file", "nope.npy"], "nope.npy"),
        (["--labels-file", "good.npz"], "good.npz"),
        (["--calibrator", "nope.json"], "nope.json"),
        (["--bogus"], "--bogus"),
        (["--classes", "a,b"], "2 class names"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_make_no_sense(options, says, refused, good):
    refused("evaluate", good, *options, says=(says,))


@pytest.mark.parametrize(
    "options",
    [
        ["--metrics", "ece", "--resamples", "2000000000"],
        ["--metrics", "ece(bins=100000)", "--resamples", "1000000"],
        ["--metrics", "classwise-ece", "--resamples", "1000000000"],
    ],
    ids=" ".join,
)
def test_more_resamples_than_memory_is_said_at_once(options, process, good):
    limit = 6 << 30
    result = process(
        ["evaluate", str(good), *options],
        timeout=60,  # they would take hours
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert result.returncode == 2
    assert "--resamples" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_view_that_is_not_there_names_the_file(refused, good):
    refused("evaluate", good, "--metrics", "ece(view=positive)", says=("good.npz",))


def test_a_command_that_does_not_exist(refused):
    refused("evalute", says=("evalute", "did you mean evaluate"))


@pytest.mark.parametrize("width", ["nan", "0", "1000"])
def test_a_width_that_no_picture_has(width, refused, good):
    refused("plot", "reliability", good, "--width", width, says=("--width",))


# ------------------------------------------------------------------ calibrators


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 4}, "update calibtool"),
        ({"version": "1"}, "version"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"format": "other"}, "not a calibrator"),
        ({"method": "magic"}, "magic"),
        ({"method": ["temperature"]}, "method"),
        ({"method": None}, "method"),
        ({"classes": "3"}, "classes"),
        ({"classes": 1}, "classes"),
        ({"classes": 4}, "4"),
        ({"class_names": ["a"]}, "class_names"),
        ({"parameters": None}, "parameters"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {}}, "temperature"),
        ({"parameters": {"temperature": -1}}, "from 1e-06 to 1e+06, not -1"),
        ({"parameters": {"temperature": 0}}, "parameters.temperature"),
        ({"parameters": {"temperature": float("nan")}}, "finite"),
        ({"parameters": {"temperature": float("inf")}}, "finite"),
        ({"parameters": {"temperature": 10**400}}, ""),
        ({"parameters": {"temperature": None}}, "temperature"),
        ({"parameters": {"temperature": "2"}}, "temperature"),
        ({"parameters": {"temperature": True}}, "temperature"),
        ({"fitted": None}, "fitted"),
        ({"fitted": []}, "fitted"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_calibrator_files_that_are_none(change, says, refused, good, calibrator):
    document = json.loads(calibrator.read_text())
    document.update(change)
    Path("x.json").write_text(json.dumps(document))
    options = ("--calibrator", "x.json")
    refused("evaluate", good, *options, says=("x.json", says))
    refused("apply", "x.json", good, "-o", "out.npz", says=("x.json", says))


@pytest.mark.parametrize("temperature", [1e-320, 1e-39, 1e-30, 1e30, 1e308])
def test_extreme_temperatures_give_numbers(temperature, run, good, calibrator):
    document = json.loads(calibrator.read_text())
    document["parameters"]["temperature"] = temperature
    Path("x.json").write_text(json.dumps(document))
    result = run("evaluate", good, "--calibrator", "x.json", "--ci", "none")
    assert result.code == 2 or (
        result.code == 0
        and "nan" not in result.out
        and "T = 0.0000" not in result.out
        and "0000000000" not in result.out
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1, 2]",
        b"[" * 100_000,
        b'{"format": "calibtool-calibrator", "version": ' + b"9" * 5000 + b"}",
        b"\x80\x04\x95",
        b"null",
    ],
    ids=["empty", "cut", "list", "nested", "long-number", "pickle", "null"],
)
def test_calibrator_files_that_are_no_calibrators(content, refused, good):
    Path("x.json").write_bytes(content)
    refused("evaluate", good, "--calibrator", "x.json", says=("x.json", "calibrator"))


def test_a_truncated_calibrator(refused, good, calibrator):
    text = calibrator.read_text()
    for part in (0.1, 0.5, 0.9):
        Path("x.json").write_text(text[: int(part * len(text))])
        refused("apply", "x.json", good, "-o", "o.npz", says=("x.json", "calibrator"))


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (lambda z: z.argmax(axis=1), ("every row is right",)),
        (lambda z: z.argmin(axis=1), ("no better than",)),
    ],
    ids=["all-right", "all-wrong"],
)
def test_no_finite_temperature(labels, says, refused, data):
    write("sep.npz", logits=data.logits, labels=labels(data.logits))
    refused("fit-temperature", "sep.npz", "-o", "c.json", says=("sep.npz", *says))


def test_a_temperature_of_constant_logits_is_not_put_down_to_being_right(refused, data):
    write("flat.npz", logits=np.ones((240, 3)), labels=data.labels)
    err = refused("fit-temperature", "flat.npz", "-o", "c.json", says=("flat.npz",))
    assert "every row is right" not in err


def test_a_label_of_probability_0_has_no_temperature(refused, data):
    probs = data.probs.copy()
    probs[4] = np.eye(3)[(data.labels[4] + 1) % 3]
    write("never.npz", probs=probs, labels=data.labels)
    refused("fit-temperature", "never.npz", "-o", "c.json", says=("never.npz", "exactly 0"))


def test_too_few_rows_to_cross_fit(refused, run, data, good):
    write("few.npz", logits=data.logits[:9], labels=data.labels[:9])
    refused("fit-temperature", "few.npz", "-o", "c.json", says=("few.npz", "--test"))
    assert run("fit-temperature", "few.npz", "--test", good, "-o", "c.json").code == 0


def test_a_test_file_of_another_width_leaves_no_calibrator(refused, good):
    rng = np.random.default_rng(0)
    write("four.npz", logits=rng.normal(size=(50, 4)), labels=rng.integers(0, 4, 50))
    refused(
        "fit-temperature", good, "--test", "four.npz", "-o", "c.json", says=("four.npz", "4", "3")
    )


def test_probabilities_have_no_logits_to_write(refused, calibrator, data):
    write("p.npz", probs=data.probs, labels=data.labels)
    refused("apply", calibrator, "p.npz", "-o", "o.npz", "--write", "logits", says=("p.npz",))


@pytest.mark.parametrize("suffix", ["npz", "parquet", "feather", "csv"])
def test_further_columns_of_any_shape_do_not_stop_apply(suffix, run, calibrator, data):
    write(
        "extra.npz",
        logits=data.logits,
        labels=data.labels,
        images=np.zeros((240, 2, 2)),
        when=np.zeros(240, "M8[s]"),
    )
    result = run("apply", calibrator, "extra.npz", "-o", f"o.{suffix}")
    if result.code == 2:
        assert "images" in result.err
        assert not Path(f"o.{suffix}").exists()
    else:
        assert run("evaluate", f"o.{suffix}", *QUICK).code == 0


def test_a_further_column_named_like_the_result_is_not_lost_in_silence(run, calibrator, data):
    write("clash.npz", logits=data.logits, labels=data.labels, probs=np.zeros(240))
    result = run("apply", calibrator, "clash.npz", "--logits", "logits", "-o", "o.npz")
    assert "probs" in result.err


def test_what_apply_wrote_can_be_evaluated_again(run, calibrator, data):
    write("clash.npz", z=data.logits, labels=data.labels, logits=data.logits * 3)
    result = run("apply", calibrator, "clash.npz", "--logits", "z", "-o", "o.npz")
    assert result.code == 2 or run("evaluate", "o.npz", *QUICK).code == 0


# ------------------------------------------------------------------ the gate


@pytest.mark.parametrize(
    ("require", "says"),
    [
        ("ece", "METRIC <= NUMBER"),
        ("ece == 1", "METRIC <= NUMBER"),
        ("ece <= x", "not a number"),
        ("ece <= nan", "finite"),
        ("ece <= inf", "finite"),
        ("eec <= 1", "did you mean ece"),
        ("ece(bins=0) <= 1", "bins"),
        ("", "METRIC <= NUMBER"),
        ("0.1 < ece < 0.2", "0.1 < ece"),
    ],
)
def test_requirements_that_cannot_be_read(require, says, refused, good):
    refused("check", good, "--require", require, says=(says,))


def test_nothing_required_is_never_a_pass(refused, good):
    refused("check", good, says=("--require",))
    Path("pyproject.toml").write_text("[tool.other]\n")
    refused("check", good, says=("[tool.calibtool.check]",))
    Path("pyproject.toml").write_text("[tool.calibtool.check]\n")
    refused("check", good, says=("--require",))


def test_a_metric_that_is_not_available_is_never_a_pass(refused, data):
    write("c.npz", confidence=data.probs.max(axis=1), correct=data.labels == 0)
    refused("check", "c.npz", "--require", "nll <= 100", says=("c.npz", "nll", "cannot pass"))
    refused("check", "c.npz", "--require", "nll <= 100", "--require", "ece <= 0", says=("nll",))


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[tool", "TOML"),
        ('tool = "x"\n', "[tool.calibtool.check]"),
        ('tool.calibtool = "x"\n', "[tool.calibtool.check]"),
        ("tool.calibtool.check = 3\n", "[tool.calibtool.check]"),
        ('[tool.calibtool.check]\nrequier = ["ece <= 0.9"]\n', "requier"),
        ("[tool.calibtool.check]\nrequire = [1]\n", "require"),
        ('[tool.calibtool.check]\nrequire = ["ece <= 0.9"]\nlevel = 2\n', "level"),
        ('[tool.calibtool.check]\nrequire = ["ece <= 0.9"]\nci = "foo"\n', "foo"),
        ('[tool.calibtool.check]\nrequire = ["ece <= 0.9"]\nresamples = true\n', "resamples"),
        ('[tool.calibtool.check]\nrequire = ["ece <= 0.9"]\nfile = 3\n', "file"),
    ],
)
def test_configurations_that_cannot_be_read(toml, says, refused, good):
    Path("pyproject.toml").write_text(toml)
    refused("check", good, says=(says,))
    Path("other.toml").write_text(toml)
    refused("check", good, "--config", "other.toml", says=(says,))


def test_a_configuration_that_is_not_there(refused, good):
    refused("check", good, "--config", "none.toml", says=("none.toml",))
    refused("check", "--require", "ece <= 0.9", says=("FILE",))
    Path("latin.toml").write_bytes(b'x = "\xe9"\n')
    refused("check", good, "--config", "latin.toml", says=("latin.toml",))


# ------------------------------------------------------------------ output


def commands_that_write(good, calibrator):
    return {
        "txt": ["evaluate", good, *QUICK, "-o"],
        "json": ["evaluate", good, *QUICK, "--format", "json", "-o"],
        "npz": ["apply", calibrator, good, "-o"],
        "parquet": ["apply", calibrator, good, "-o"],
        "feather": ["apply", calibrator, good, "-o"],
        "csv": ["apply", calibrator, good, "-o"],
        "png": ["plot", "reliability", good, "--resamples", "20", "-o"],
        "svg": ["plot", "reliability", good, "--resamples", "20", "-o"],
        "cal": ["fit-temperature", good, "--ci", "none", "-o"],
    }


WRITTEN = ["txt", "json", "npz", "parquet", "feather", "csv", "png", "svg", "cal"]


@pytest.mark.parametrize("suffix", WRITTEN)
def test_an_output_that_exists_is_replaced_whole(suffix, run, good, calibrator, folder):
    target = Path(f"out.{suffix}")
    target.write_bytes(b"old" * 100_000)
    command = commands_that_write(good, calibrator)[suffix]
    assert run(*command, target).code == 0
    assert b"oldold" not in target.read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["cal.json", "good.npz", target.name]


@pytest.mark.parametrize("suffix", ["json", "npz", "png", "cal"])
@pytest.mark.parametrize("why", ["folder", "missing", "below-a-file", "long", "null-byte"])
def test_an_output_that_cannot_be(why, suffix, refused, run, good, calibrator):
    if why == "folder":
        Path(f"out.{suffix}").mkdir()
    target = {
        "folder": f"out.{suffix}",
        "missing": f"no/such/out.{suffix}",
        "below-a-file": f"good.npz/out.{suffix}",
        "long": "x" * 300 + f".{suffix}",
        "null-byte": f"a\0b.{suffix}",
    }[why]
    command = commands_that_write(good, calibrator)[suffix]
    refused(*command, target, says=(f".{suffix}",) if why != "null-byte" else ())


@pytest.mark.parametrize("suffix", WRITTEN)
def test_a_read_only_file_or_folder(suffix, refused, good, calibrator, without_privileges):
    command = commands_that_write(good, calibrator)[suffix]
    target = Path(f"out.{suffix}")
    target.write_text("old")
    target.chmod(0o444)
    without_privileges(lambda: refused(*command, target, says=(target.name,)))
    assert target.read_text() == "old"
    Path("locked").mkdir()
    Path("locked").chmod(0o555)
    locked = f"locked/out.{suffix}"
    without_privileges(lambda: refused(*command, locked, says=(locked,)))
    Path("locked").chmod(0o755)


def test_a_read_only_folder_is_an_error_also_where_nobody_checks_permissions(
    refused, good, monkeypatch
):
    real = os.open

    def deny(path, flags, *rest, **options):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", deny)
    refused("evaluate", good, *QUICK, "-o", "out.txt", says=("out.txt", "Permission denied"))


@pytest.mark.parametrize("suffix", ["json", "npz", "parquet", "csv", "png"])
def test_a_full_disk_leaves_the_old_file(suffix, process, good, calibrator, folder):
    target = Path(f"out.{suffix}")
    target.write_text("old")
    before = sorted(p.name for p in folder.iterdir())
    command = [str(part) for part in commands_that_write(good, calibrator)[suffix]]
    result = process(
        [*command, str(target)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert result.returncode == 2
    assert target.name in result.stderr
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert target.read_text() == "old"
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_full_disk_behind_a_link(refused, good, calibrator):
    for suffix in ("npz", "parquet", "feather", "csv"):
        Path(f"full.{suffix}").symlink_to("/dev/full")
        refused(
            *("apply", calibrator, good, "-o", f"full.{suffix}"),
            says=(f"full.{suffix}", "No space left"),
        )


def test_example_below_a_file(refused):
    Path("file").touch()
    refused("example", "file", says=("file",))
    refused("example", "file/below", says=("file/below",))


def test_a_link_to_an_output_is_written_through(run, good):
    Path("real").mkdir()
    Path("link.txt").symlink_to("real/target.txt")
    assert run("evaluate", good, *QUICK, "-o", "link.txt").code == 0
    assert Path("link.txt").is_symlink()
    assert "ece" in Path("real/target.txt").read_text()


def test_a_device_as_output_is_written_to_and_stays(run, good):
    assert run("evaluate", good, *QUICK, "-o", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_applying_a_calibrator_to_a_file_in_place(run, good, calibrator):
    after = measured(run, good, *QUICK)
    assert "--overwrite" in run("apply", calibrator, good, "-o", good).err
    assert measured(run, good, *QUICK) == after
    assert run("apply", calibrator, good, "-o", good, "--overwrite").code == 0
    assert measured(run, good, *QUICK) != after
    assert run("inspect", good).out.count("probabilities") >= 1


# ------------------------------------------------------------------ interrupted, and not read


@pytest.mark.parametrize("suffix", WRITTEN)
def test_ctrl_c_while_writing_leaves_the_old_file(
    suffix, run, good, calibrator, folder, monkeypatch
):
    target = Path(f"out.{suffix}")
    target.write_text("old")
    before = sorted(p.name for p in folder.iterdir())
    command = commands_that_write(good, calibrator)[suffix]

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    result = run(*command, target)
    assert result.code == 130
    assert "interrupted" in result.err
    assert target.read_text() == "old"
    assert sorted(p.name for p in folder.iterdir()) == before


def busy(pid):
    """Seconds of work that a process has done: long past its imports, or not."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_ctrl_c_in_the_middle_of_the_work(good, folder):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(120_000, 3)).astype(np.float32)  # few enough not to be streamed
    write("long.npz", logits=logits, labels=rng.integers(0, 3, 120_000))
    before = sorted(p.name for p in folder.iterdir())
    command = [sys.executable, "-m", "calibtool", "evaluate", "long.npz", "--resamples", "8000"]
    command += ["--metrics", "ece,nll", "-o", "out.json", "--format", "json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and busy(child.pid) < 1.2:
        time.sleep(0.02)
    assert child.poll() is None, "it was done before it could be interrupted"
    child.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert "interrupted" in err
    assert out == ""
    assert time.monotonic() - began < 5
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.parametrize(
    "line",
    [
        "calibtool metrics | head -1",
        "calibtool metrics | true",
        "calibtool --help | true",
        "calibtool evaluate good.npz --ci none --format csv | true",
        "calibtool check good.npz --mode point --ci none --require 'ece <= 0.9' | true",
        "calibtool inspect good.npz | true",
        "calibtool fit-temperature good.npz --ci none | true",
    ],
)
def test_stdout_closed_by_a_reader_is_no_error_and_no_failed_gate(line, process, good):
    result = process(line)
    assert result.stderr == ""
    assert result.returncode in (0, 141)


def test_a_calibrator_is_kept_though_nobody_reads_the_report(process, good):
    process(f"calibtool fit-temperature {good} -o kept.json --ci none | true")
    assert json.loads(Path("kept.json").read_text())["method"] == "temperature"


@pytest.mark.parametrize("command", ["metrics", "evaluate good.npz --ci none", "--help"])
@pytest.mark.parametrize("where", ["> /dev/full", ">&-"])
def test_stdout_that_cannot_be_written_to(where, command, process, good):
    result = process(f"calibtool {command} {where}")
    assert result.returncode == 2
    assert "internal error" not in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("calibtool: ")


def test_a_closed_stderr_does_not_change_the_exit_code(process, good):
    assert process("calibtool evaluate missing.npz 2>&-").returncode == 2
    assert process("calibtool evaluate missing.npz 2>/dev/full").returncode == 2
    assert process(f"calibtool evaluate {good} --ci none 2>&-").returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_few_letters(encoding, process, good):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    result = process(["evaluate", str(good), "--ci", "none"], env=environment)
    assert result.returncode == 0, result.stderr
    assert "ece" in result.stdout
