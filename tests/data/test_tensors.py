"""Files of tensors: safetensors, torch, HDF5; and the arrays of all of them by their paths."""

from __future__ import annotations

import argparse
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from array_truth import assert_true, source

import calibtool as ct
from calibtool.data.files.hdf5 import open_hdf5
from calibtool.data.files.npz import read_by_suffix
from calibtool.data.files.safetensors import open_safetensors
from calibtool.data.files.torch_file import open_torch
from calibtool.errors import InputError, UsageError

ROWS, CLASSES = 7, 3
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(ROWS, CLASSES)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, ROWS)
TYPES = {"f2": "F16", "f4": "F32", "f8": "F64", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8"}
TYPES |= {"u1": "U8", "u2": "U16", "u4": "U32", "u8": "U64", "b1": "BOOL"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def raw(header, data=b"", length=None):
    """Write a safetensors file by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = Path("t.safetensors")
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def tensors(metadata=None, **arrays):
    """Write arrays, or pairs of a type's name and an array, as safetensors."""
    header, data = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, array in arrays.items():
        kind, values = array if isinstance(array, tuple) else ("", array)
        begin, data = len(data), data + np.ascontiguousarray(values).tobytes()
        header[name] = {
            "dtype": kind or TYPES[values.dtype.str[1:]],
            "shape": list(values.shape),
            "data_offsets": [begin, len(data)],
        }
    return raw(header, data)


def bfloat16(values):
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


# ------------------------------------------------------------------ safetensors


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_safetensors_have_the_numbers_of_their_writer(published, kind):
    file = f"tensors/logits_{kind}.safetensors"
    assert_true(source(open_safetensors(published / "logs" / file)).load(), published, file)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floats_are_mapped_as_they_are(kind):
    path = tensors(labels=LABELS, logits=LOGITS.astype(kind), epoch=np.array(3.5))
    table = open_safetensors(path)
    read = source(table).load()
    assert read.values.dtype == kind
    assert isinstance(read.values, np.memmap)
    assert isinstance(read.labels, np.memmap)
    np.testing.assert_array_equal(read.values, LOGITS.astype(kind))
    np.testing.assert_array_equal(read.labels, LABELS)
    assert [column.mapped for column in table.columns.values()] == [True, True, True]
    assert table.columns["epoch"].type == "float64 scalar"


def test_brain_floats_are_widened_a_block_at_a_time():
    short = bfloat16(LOGITS)
    table = open_safetensors(tensors(logits=("BF16", short), labels=LABELS))
    expected = (short.astype(np.uint32) << 16).view(np.float32)
    assert table.columns["logits"].type == "bfloat16 7 x 3"
    blocks = list(table.blocks(["logits", "labels"], 3))
    assert [len(block["logits"]) for block in blocks] == [3, 3, 1]
    read = np.concatenate([block["logits"] for block in blocks])
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, expected)
    np.testing.assert_array_equal(table.first("logits"), expected[:1])


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_labels_may_be_of_any_type(kind):
    labels = (LABELS % 2).astype(kind)
    read = source(open_safetensors(tensors(logits=LOGITS, labels=labels))).load()
    np.testing.assert_array_equal(read.labels, LABELS % 2)
    column = source(open_safetensors(tensors(logits=LOGITS, labels=labels[:, None]))).load()
    np.testing.assert_array_equal(column.labels, LABELS % 2)


def test_a_boolean_of_any_byte_is_true():
    table = open_safetensors(tensors(flags=("BOOL", np.array([0, 1, 2, 255], np.uint8))))
    assert next(table.blocks(["flags"], 4))["flags"].tolist() == [False, True, True, True]


def test_types_that_are_not_read_may_stand_beside_the_others():
    table = open_safetensors(
        tensors(logits=LOGITS, labels=LABELS, scale=("F8_E4M3", np.zeros(ROWS, np.uint8)))
    )
    assert source(table).load().rows == ROWS
    with pytest.raises(InputError, match="scale: expected a number per row, found F8_E4M3 7"):
        source(table, weights="scale")


def test_a_table_is_pickled_by_its_path():
    table = open_safetensors(tensors(logits=LOGITS, labels=LABELS))
    again = pickle.loads(pickle.dumps(table))
    np.testing.assert_array_equal(source(again).load().values, LOGITS)


def test_arrays_without_rows_and_other_lengths_may_stand_beside_the_others():
    table = open_safetensors(
        tensors(
            {"note": "ignored"},
            logits=LOGITS,
            labels=LABELS,
            none=np.zeros((0, 4)),
            history=np.zeros(2 * ROWS),
        )
    )
    data = source(table)
    assert data.load().rows == ROWS
    assert [part.rows for part in data.parts()] == [ROWS]
    assert next(table.blocks(["none"], 5), None) is None


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD = {
    "short": (b"", b"", 9, "its header of 9 bytes runs past the end"),
    "long header": ({"a": ONE}, bytes(8), 1 << 62, "would have 4,611,686,018,427,387,904 bytes"),
    "past the end": ({"a": ONE}, bytes(8), 1000, "its header of 1,000 bytes runs past the end"),
    "no JSON": (b"{nope}", b"", None, "not valid JSON"),
    "twice": (b'{"a": 1, "a": 2}', b"", None, "'a' stands twice"),
    "deep": (b"[" * 100_000, b"", None, "deep"),
    "a list": (b"[]", b"", None, "it must be an object"),
    "no tensors": ({"__metadata__": {}}, b"", None, "holds no tensors"),
    "no dtype": ({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8), None, "a.dtype is miss"),
    "dtype": ({"a": {**ONE, "dtype": "F12"}}, bytes(8), None, "a.dtype must be one of F64"),
    "negative": ({"a": {**ONE, "shape": [-2]}}, bytes(8), None, r"a.shape\[0\] must be a whole"),
    "fraction": ({"a": {**ONE, "shape": [2.0]}}, bytes(8), None, r"a.shape\[0\] must be a whole"),
    "huge": ({"a": {**ONE, "shape": [1 << 60, 0]}}, b"", None, "impossible"),
    "size": ({"a": {**ONE, "shape": [3]}}, bytes(8), None, "a has 8 bytes, its shape .3,. of F32"),
    "backwards": ({"a": {**ONE, "data_offsets": [8, 0]}}, bytes(8), None, "a has -8 bytes"),
    "offsets": ({"a": {**ONE, "data_offsets": [0]}}, bytes(8), None, "a list of 2"),
    "truncated": ({"a": ONE}, bytes(7), None, "its tensors have 8 bytes, the file holds 7"),
    "rest": ({"a": ONE}, bytes(9), None, "its tensors have 8 bytes, the file holds 9"),
    "overlap": ({"a": ONE, "b": ONE}, bytes(8), None, "the tensor 'b' overlaps"),
    "gap": ({"a": {**ONE, "data_offsets": [8, 16]}}, bytes(16), None, "'a' leaves a gap"),
}


@pytest.mark.parametrize("case", BAD)
def test_damaged_and_hostile_safetensors_are_refused(case):
    header, data, length, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        open_safetensors(raw(header, data, length))
    assert "t.safetensors" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\1\2\3"])
def test_a_file_of_a_few_bytes_is_refused(content):
    Path("t.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"empty|it has 3 bytes"):
        open_safetensors(Path("t.safetensors"))


def test_a_file_that_shrank_after_it_was_opened_is_refused():
    path = tensors(logits=LOGITS, labels=LABELS)
    data = source(open_safetensors(path))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="cannot be mapped"):
        data.load()


# ------------------------------------------------------------------ torch


@pytest.mark.parametrize("file", ["tensors/dict.pt", "tensors/tuple.pt"])
def test_torch_files_have_the_numbers_of_their_writer(published, file):
    pytest.importorskip("torch")
    assert_true(source(open_torch(published / "logs" / file)).load(), published, file)


def saved(value, **options):
    torch = pytest.importorskip("torch")
    torch.save(value, "t.pt", **options)
    return Path("t.pt")


def pair():
    torch = pytest.importorskip("torch")
    return torch.from_numpy(LOGITS.copy()), torch.from_numpy(LABELS)


def below():
    logits, labels = pair()
    return {"model": "vit", "test": {"logits": logits, "labels": labels, "lr": 0.1}}


LAYOUTS = {
    "tuple": pair,
    "list": lambda: list(pair()),
    "dict": lambda: dict(zip(("logits", "labels"), pair(), strict=True)) | {"epoch": 3},
    "a level deeper": below,
    "a pair in a dict": lambda: {"test": pair()},
    "columns of labels": lambda: (pair()[0], pair()[1][:, None]),
    "a view": lambda: (pair()[0].T.contiguous().T, pair()[1].repeat_interleave(2)[::2]),
    "with a gradient": lambda: (pair()[0].requires_grad_(), pair()[1]),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors_are_read_from_layouts(layout, zipped):
    path = saved(LAYOUTS[layout](), _use_new_zipfile_serialization=zipped)
    read = source(open_torch(path)).load()
    np.testing.assert_array_equal(read.values, LOGITS)
    np.testing.assert_array_equal(read.labels, LABELS)


def test_torch_types_that_numpy_has_not_are_widened_or_not_read():
    torch = pytest.importorskip("torch")
    logits, labels = pair()
    path = saved(
        {
            "logits": logits.bfloat16(),
            "labels": labels > 0,
            "eight": torch.zeros(ROWS, dtype=torch.float8_e5m2),
            "sparse": torch.eye(ROWS).to_sparse(),
        }
    )
    table = open_torch(path)
    assert table.columns["logits"].type == "bfloat16 7 x 3"
    read = source(table).load()
    assert read.values.dtype == np.float32
    np.testing.assert_array_equal(read.values, logits.bfloat16().float().numpy())
    np.testing.assert_array_equal(read.labels, LABELS > 0)
    for name in ("eight", "sparse"):
        with pytest.raises(InputError, match="expected a number"):
            source(table, weights=name)


def test_a_single_tensor_is_called_after_its_file():
    assert list(open_torch(saved(pair()[0])).columns) == ["t"]


class Marks:
    """A class whose unpickling leaves a file."""

    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_nothing_but_tensors_is_unpickled():
    for value in (Marks(), {"logits": pair()[0], "args": argparse.Namespace(lr=1)}):
        with pytest.raises(InputError, match=r"it holds (getattr|pathlib|argparse|builtins)"):
            open_torch(saved(value))
    Path("t.pt").write_bytes(pickle.dumps(Marks()))
    with pytest.raises(InputError, match="pickles, which can run code and are never read"):
        open_torch(Path("t.pt"))
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (dict, "holds no tensors"),
        (lambda: {"epoch": 3}, "holds no tensors"),
        (lambda: [pair()[0]] * 3, r"a list of 3 \(Tensor, Tensor, Tensor\); expected two"),
        (lambda: {"a": {"b": pair()[0]}, "a.b": pair()[0]}, "two tensors are called 'a.b'"),
    ],
)
def test_other_documents_of_torch_are_refused(value, message):
    with pytest.raises(InputError, match=message):
        open_torch(saved(value()))


def test_damaged_torch_files_are_refused():
    for zipped in (True, False):
        whole = saved(pair(), _use_new_zipfile_serialization=zipped).read_bytes()
        for cut in (whole[:-1], whole[: len(whole) // 2], whole[:20], b"PK\3\4", b"x" * 100):
            Path("t.pt").write_bytes(cut)
            if len(cut) < len(whole) - 1 or zipped:
                with pytest.raises(InputError, match=r"t\.pt"):
                    open_torch(Path("t.pt"))


def test_packed_bytes_are_not_taken_for_values():
    path = saved(pair())
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data)
    with pytest.raises(InputError, match="is compressed, which torch does not write"):
        open_torch(path)


def test_without_torch_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(InputError, match=r"extra train.*np\.savez"):
        open_torch(Path("t.pt"))


# ------------------------------------------------------------------ paths


def paths(**arrays):
    """Write an npz file, whose keys may be paths too."""
    np.savez("p.npz", **{name.replace("__", "/"): array for name, array in arrays.items()})
    return read_by_suffix(Path("p.npz"))


def models():
    return paths(
        cifar__vit__logits_cal=LOGITS[:4],
        cifar__vit__labels_cal=LABELS[:4],
        cifar__vit__logits_test=LOGITS,
        cifar__vit__labels_test=LABELS,
    )


def test_a_pair_of_a_file_is_found_by_the_last_parts_of_paths():
    data = source(paths(cifar__vit__logits_test=LOGITS, cifar__vit__labels_test=LABELS))
    assert data.roles.values == ("cifar/vit/logits_test",)
    assert data.roles.labels == "cifar/vit/labels_test"


def test_several_pairs_are_an_error_that_lists_them():
    flags = "--logits cifar/vit/logits_cal --labels cifar/vit/labels_cal; --logits cifar/vit/logits"
    with pytest.raises(
        InputError, match=f"2 pairs of scores and labels; name one of them: {flags}"
    ):
        source(models())


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        ({"split": "test"}, ROWS),
        ({"split": "cal"}, 4),
        ({"logits": "cifar/vit/logits_test"}, ROWS),
        ({"logits": "cifar/vit/logits_cal"}, 4),
        ({"probs": "cifar/vit/logits_cal", "labels": "cifar/vit/labels_cal"}, 4),
    ],
)
def test_one_of_several_pairs_is_named(keys, rows):
    data = source(models(), **keys)
    assert (data.rows, data.roles.labels) == (
        rows,
        data.roles.values[0].replace("logits", "labels"),
    )
    assert sum(part.rows for part in data.parts()) == rows


def test_a_split_that_is_not_there_is_an_error():
    with pytest.raises(UsageError, match=r"--split val: p\.npz has cal, test"):
        source(models(), split="val")
    with pytest.raises(UsageError, match=r"--split val: p\.npz has no splits"):
        source(paths(logits=LOGITS, labels=LABELS), split="val")


def test_labels_may_stand_above_the_groups_of_scores():
    table = paths(a__logits=LOGITS, b__logits=LOGITS, b__y=1 - LABELS, labels=LABELS)
    assert source(table, logits="a/logits").roles.labels == "labels"
    assert source(table, logits="b/logits").roles.labels == "b/y"


def test_scores_beside_probabilities_and_other_names_of_labels_are_no_second_pair():
    data = source(paths(m__proba=LOGITS[:, 0], m__score=LOGITS[:, 0], m__y=LABELS, m__label=LABELS))
    assert (data.kind, data.roles.values, data.roles.labels) == ("probs", ("m/proba",), "m/label")


def test_confidences_have_partners_too():
    data = source(paths(m__confidence=np.full(ROWS, 0.5), m__correct=LABELS > 0, m__y=LABELS))
    assert (data.kind, data.roles.correct, data.load().rows) == ("confidence", "m/correct", ROWS)


def test_names_without_paths_are_read_as_before():
    data = source(paths(logits=LOGITS, labels=LABELS, val__logits=LOGITS, val__labels=LABELS))
    assert (data.roles.values, data.roles.labels) == (("logits",), "labels")


# ------------------------------------------------------------------ the Trainer


def test_the_trainers_predictions_are_logits(published):
    file = "hf/predictions.npz"
    assert_true(ct.load(published / "logs" / file), published, file)
    np.savez("p.npz", predictions=LOGITS, label_ids=LABELS)
    assert ct.load("p.npz").kind == "logits"


@pytest.mark.parametrize(
    "arrays",
    [
        {"predictions": LABELS, "label_ids": LABELS},
        {"predictions": LOGITS.astype(np.int64), "label_ids": LABELS},
        {"predictions": LOGITS, "labels": LABELS},
    ],
)
def test_other_predictions_are_no_logits(arrays):
    np.savez("p.npz", **arrays)
    with pytest.raises(InputError, match="found no logits"):
        ct.load("p.npz")


# ------------------------------------------------------------------ HDF5


def test_without_h5py_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(InputError, match=r"extra hdf5: pip install 'calibtool\[hdf5\]'"):
        open_hdf5(Path("t.h5"))


@pytest.mark.parametrize(
    ("keys", "view"),
    [
        ({"probs": "cifar/resnet/probas_cal"}, "cifar/resnet/cal"),
        ({"probs": "cifar/resnet/probas_test"}, "cifar/resnet/test"),
        ({"logits": "cifar/vit/logits_cal"}, "cifar/vit/cal"),
        ({"logits": "cifar/vit/logits_test"}, "cifar/vit/test"),
    ],
)
def test_hdf5_has_the_numbers_of_its_writer(published, keys, view):
    pytest.importorskip("h5py")
    table = open_hdf5(published / "logs" / "hdf5" / "models.h5")
    assert_true(source(table, **keys).load(), published, "hdf5/models.h5", view)
    with pytest.raises(
        InputError, match=r"4 pairs .*--logits cifar/vit/logits_cal --labels cifar/"
    ):
        source(table)


def test_datasets_of_all_layouts_are_read():
    h5py = pytest.importorskip("h5py")
    with h5py.File("t.h5", "w") as file:
        group = file.create_group("set/model")
        group.create_dataset("logits", data=LOGITS, chunks=(2, 2), compression="gzip", shuffle=True)
        group["labels"] = LABELS.astype("i1")
        group["names"] = ["á", "bb", "c", "d", "e", "f", "g"]
        group["fixed"] = np.array([b"x", b"yy"] * 3 + [b"z"])
        group["flag"] = LABELS > 0
        group["mixed"] = np.zeros(ROWS, [("a", "f4"), ("b", "i4")])
        group["nothing"] = h5py.Empty("f4")
        group["scalar"] = 3
        file["alias"] = h5py.SoftLink("/set/model/logits")
        file["outside"] = h5py.ExternalLink("other.h5", "/x")
    table = open_hdf5(Path("t.h5"))
    assert "outside" not in table.columns
    data = source(table)
    np.testing.assert_array_equal(data.load().values, LOGITS)
    read = np.concatenate([block.values for block in data.blocks(3)])
    np.testing.assert_array_equal(read, LOGITS)
    assert table.strings("set/model/names") == ("á", "bb", "c", "d", "e", "f", "g")
    first = next(data.also(["set/model/flag", "set/model/names"]).blocks(2))
    assert first.extra["set/model/names"].tolist() == ["á", "bb"]
    with pytest.raises(InputError, match="expected a number"):
        source(table, weights="set/model/mixed")
    again = pickle.loads(pickle.dumps(table))
    np.testing.assert_array_equal(source(again).load().values, LOGITS)


def test_one_column_of_hdf5_is_the_probability_of_class_1():
    h5py = pytest.importorskip("h5py")
    with h5py.File("t.h5", "w") as file:
        file["m/probas_test"] = np.linspace(0, 1, ROWS)
        file["m/labels_test"] = (LABELS > 0).astype("i4")
    data = source(open_hdf5(Path("t.h5")))
    assert (data.kind, data.classes, data.one_column) == ("probs", 2, True)


def test_damaged_and_hostile_hdf5_is_refused():
    h5py = pytest.importorskip("h5py")
    Path("x.h5").write_bytes(b"no HDF5 at all")
    with pytest.raises(InputError, match="is it HDF5"):
        open_hdf5(Path("x.h5"))
    with h5py.File("t.h5", "w") as file:
        # no chunk is written: a terabyte of zeros in a few hundred bytes
        file.create_dataset("logits", (1 << 35, 4), "f8", chunks=(1024, 4))
        file.create_dataset("labels", (1 << 35,), "i1", chunks=(1024,))
        file.create_dataset("far", (ROWS,), "f4", external=[("far.bin", 0, 4 * ROWS)])
    table = open_hdf5(Path("t.h5"))
    with pytest.raises(InputError, match="declares 1,099,511,627,776 bytes when unpacked"):
        next(table.blocks(["logits"], 10))
    with pytest.raises(InputError, match="in other files"):
        table.first("far")
    whole = Path("t.h5").read_bytes()
    Path("cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="may be damaged or truncated"):
        open_hdf5(Path("cut.h5"))
