"""Folders of Hugging Face's datasets, and Arrow's streams, which their shards are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from array_truth import assert_true, source

import calibtool as ct
from calibtool.data.files.arrow_file import StreamFile, is_stream
from calibtool.data.files.hugging_face import METADATA, class_names, is_dataset, open_dataset
from calibtool.data.files.open import open_table
from calibtool.data.files.roles import Choice
from calibtool.errors import InputError, UnreadableError, UsageError

LOGITS = np.arange(12, dtype=np.float32).reshape(6, 2) % 5
LABELS = np.array([0, 1, 1, 0, 1, 0])
FEATURES = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shard(path, rows=slice(None), batch=2, **columns):
    values = LOGITS[rows]
    lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 2)
    table = pa.table({"label": LABELS[rows], "logits": lists, **columns})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=batch)
    return path


def dataset(path="d", shards=2, features=FEATURES, **state):
    """Write a data set as save_to_disk does."""
    folder = Path(path)
    folder.mkdir(parents=True)
    names = [f"data-{k:05}-of-{shards:05}.arrow" for k in range(shards)]
    for k, name in enumerate(names):
        shard(folder / name, slice(k * 6 // shards, (k + 1) * 6 // shards))
    content = {"_data_files": [{"filename": name} for name in names], "_split": None} | state
    (folder / "state.json").write_text(json.dumps(content))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return path


def splits(*names):
    for name in names:
        dataset(f"dict/{name}")
    Path("dict").mkdir(exist_ok=True)
    Path("dict/dataset_dict.json").write_text(json.dumps({"splits": names}))
    return "dict"


def table_of(path, split=None):
    return open_table(path, Choice(split=split))


@pytest.mark.parametrize(
    ("file", "split", "classes"),
    [
        ("hf/animals", None, {"label": ("cat", "dog", "fox", "owl", "hen")}),
        ("hf/dict_abc", "validation", {"labels": ("a", "b", "c")}),
        ("hf/dict_abc", "test", {"labels": ("a", "b", "c")}),
    ],
)
def test_folders_have_the_numbers_of_their_writer(published, file, split, classes):
    path = published / "logs" / file
    assert is_dataset(path)
    assert open_dataset(path, split).classes == classes
    assert_true(source(table_of(path, split)).load(), published, file, split)


def test_names_of_classes_stand_in_the_metadata_of_parquet(published):
    file = "hf/validation.parquet"
    metadata = pq.read_schema(published / "logs" / file).metadata[METADATA]
    assert class_names(metadata) == {"labels": ("a", "b", "c")}
    assert_true(ct.load(published / "logs" / file), published, file)


def test_shards_are_read_in_the_order_of_the_list():
    path = Path(dataset(shards=3))
    state = json.loads((path / "state.json").read_text())
    state["_data_files"].reverse()
    (path / "state.json").write_text(json.dumps(state))
    shard(path / "data-00009-of-00009.arrow")  # left from an older data set
    read = source(table_of(path))
    np.testing.assert_array_equal(read.load().labels, LABELS[[4, 5, 2, 3, 0, 1]])
    assert read.table.locate(0).endswith("data-00002-of-00003.arrow")


def test_a_split_must_be_named_if_there_are_several():
    path = splits("validation", "test")
    assert is_dataset(path)
    with pytest.raises(UsageError, match="dict: has the splits validation, test; name one of them"):
        open_dataset(path)
    with pytest.raises(UsageError, match="--split dev: dict has the splits validation, test"):
        open_dataset(path, "dev")
    assert open_dataset(path, "test").files.paths[0].startswith("dict/test/")


def test_a_single_split_need_not_be_named():
    assert len(open_dataset(splits("test")).files.paths) == 2


def test_a_data_set_without_splits_has_none_to_name():
    with pytest.raises(UsageError, match="--split test: d is a data set without splits"):
        open_dataset(dataset(), "test")
    assert open_dataset(dataset("e", _split="test"), "test")
    with pytest.raises(UsageError, match="--split dev: e is the split test"):
        open_dataset("e", "dev")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_data_files": [{"filename": "../x.arrow"}]}, "'../x.arrow' is no file of this folder"),
        ({"_data_files": [{"filename": "/etc/passwd"}]}, "'/etc/passwd' is no file of this folder"),
        ({"_data_files": [{"filename": ""}]}, "'' is no file of this folder"),
        ({"_data_files": [{"filename": "gone.arrow"}]}, r"gone\.arrow: no such file, which"),
        ({"_data_files": [{"file": 1}]}, r"_data_files\[0\]\.filename is missing"),
        ({"_data_files": []}, "_data_files names no files"),
        ({"_data_files": 3}, "_data_files must be a list"),
        ({"_indices_data_files": [{"filename": "i.arrow"}]}, "call flatten_indices"),
    ],
)
def test_damaged_and_hostile_states_are_refused(state, message):
    path = dataset(**state)
    with pytest.raises(InputError, match=message):
        open_dataset(path)


@pytest.mark.parametrize("file", ["state.json", "dataset_info.json"])
def test_documents_that_are_no_json_are_refused(file):
    path = Path(dataset())
    (path / file).write_text('{"_data_files": [')
    with pytest.raises(InputError, match=f"{file}: .*not valid JSON.*save_to_disk"):
        open_dataset(path)


def test_other_folders_are_no_data_sets():
    Path("e").mkdir()
    (Path("e") / "state.json").write_text("{}")
    assert not is_dataset("e")
    assert not is_dataset("missing")
    assert not is_dataset("s3://bucket/e")
    assert not is_dataset("a\0b")


@pytest.mark.parametrize(
    ("metadata", "info", "expected"),
    [
        (None, None, {}),
        (b"nope", None, {}),
        (b"[" * 100_000, None, {}),
        (b'{"info": 3}', {"features": None}, {}),
        (b'{"info": {"features": [1]}}', {"features": {"y": 3}}, {}),
        (None, {"features": {"y": {"_type": "ClassLabel", "names": None}}}, {}),
        (None, {"features": {"y": {"_type": "ClassLabel", "names": ["a", 1]}}}, {}),
        (None, {"features": {"y": {"_type": "List", "feature": FEATURES["label"]}}}, {}),
        (json.dumps({"info": {"features": FEATURES}}).encode(), None, {"label": ("no", "yes")}),
        (
            json.dumps({"info": {"features": FEATURES}}).encode(),
            {"features": {"label": {"_type": "ClassLabel", "names": ["n", "y"]}}},
            {"label": ("n", "y")},
        ),
    ],
)
def test_names_of_classes(metadata, info, expected):
    assert class_names(metadata, info) == expected


# ------------------------------------------------------------------ streams


def test_a_stream_is_read_like_a_file():
    assert is_stream(shard("s.arrow", batch=4, note=list("abcdef")))
    table = open_table("s.arrow")
    assert isinstance(table._files[0], StreamFile)
    assert (table.rows, list(table.columns)) == (6, ["label", "logits", "note"])
    blocks = list(table.blocks(["logits", "label"], 5))
    assert [len(block["label"]) for block in blocks] == [5, 1]
    np.testing.assert_array_equal(np.concatenate([b["logits"] for b in blocks]), LOGITS)
    assert table.first("note").tolist() == ["a"]
    (part,) = table.parts()
    assert (part.rows, table.path_of(part)) == (6, str(Path("s.arrow").absolute()))
    assert table.stamps()[0][1] == Path("s.arrow").stat().st_size
    kept = open_table("s.arrow", Choice(filter="note in ('b', 'e')"))
    assert kept.count(["label"]) == 2


def test_a_stream_without_rows_has_columns():
    shard("s.arrow", slice(0, 0))
    table = open_table("s.arrow")
    assert (table.rows, table.first("label")) == (0, None)


def test_files_of_the_other_format_are_still_read():
    table = pa.table({"label": LABELS})
    with pa.OSFile("f.arrow", "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    assert not is_stream("f.arrow")
    assert not is_stream("missing.arrow")
    assert open_table("f.arrow").rows == 6


def test_a_stream_that_was_cut_is_refused_and_can_be_skipped():
    path = Path(dataset(shards=3))
    cut = path / "data-00001-of-00003.arrow"
    whole = cut.read_bytes()
    # between two messages, where pyarrow sees a shorter stream; and within one
    for end in (-8, -100):
        cut.write_bytes(whole[:end])
        with pytest.raises(UnreadableError, match=r"00001.*ends before the end of its stream"):
            table_of(path).count(["label"])
    table = open_table(path, Choice(skip_bad_files=True))
    assert (table.rows, len(table.skipped)) == (4, 1)


def test_damaged_offsets_and_codes_of_a_stream_are_refused():
    note = pa.array(["aa", "bb", "cc", "dd", "ee", "ff"])
    data = bytearray(Path(shard("s.arrow", batch=6, note=note)).read_bytes())
    offsets = np.arange(0, 14, 2, dtype=np.int32).tobytes()
    at = data.index(offsets) + 8
    data[at : at + 4] = (1 << 30).to_bytes(4, "little")
    Path("s.arrow").write_bytes(data)
    with pytest.raises(UnreadableError, match=r"s\.arrow: cannot be read"):
        list(open_table("s.arrow").blocks(["note"], 6))


def test_two_columns_of_one_name_are_refused():
    schema = pa.schema([("a", pa.int64()), ("a", pa.int64())])
    with pa.OSFile("s.arrow", "wb") as file, pa.ipc.new_stream(file, schema):
        pass
    with pytest.raises(UnreadableError, match="two columns are called 'a'"):
        open_table("s.arrow")


@pytest.mark.parametrize("name", ["d", "dict", "dict/test"])
def test_a_folder_on_a_server_is_refused(name):
    fsspec = pytest.importorskip("fsspec")
    dataset(), splits("validation", "test")
    memory = fsspec.filesystem("memory")
    memory.put(name, f"/bucket/{name}", recursive=True)
    with pytest.raises(InputError, match="datasets, which can only be read from this machine"):
        open_table(f"memory://bucket/{name}")


def test_a_table_in_memory_keeps_the_names_of_its_classes():
    metadata = {METADATA: json.dumps({"info": {"features": FEATURES}})}
    table = pa.table({"label": [0, 1, -1], "score": [0.2, 0.7, 0.5]}).replace_schema_metadata(
        metadata
    )
    read = ct.read(table)
    assert (read.class_names, read.rows, read.load().labels.tolist()) == (("no", "yes"), 2, [0, 1])


def test_what_is_left_out_is_counted_by_the_labels_alone(monkeypatch):
    metadata = {METADATA: json.dumps({"info": {"features": FEATURES}})}
    table = pa.table({"label": [0, 1, -1], "score": [0.2, 0.7, 0.5]}).replace_schema_metadata(
        metadata
    )
    read, seen = ct.read(table), []
    blocks = read.table.blocks
    monkeypatch.setattr(read.table, "blocks", lambda n, size: seen.append(n) or blocks(n, size))
    assert read.rows == 2
    assert seen == [["label"]]
    assert read.notes == ("left out: 1 row with the label -1",)


def test_a_folder_by_its_address_on_this_machine(folder):
    read = ct.load(f"file://{folder}/{dataset()}")
    assert read.class_names == ("no", "yes")
