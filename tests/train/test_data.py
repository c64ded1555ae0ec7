"""Every way that data come in, and what is wrong with them said in words."""

from __future__ import annotations

import gc
import gzip
import multiprocessing
import os
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small import blobs, pictures

from calibtool.errors import InputError, UsageError
from calibtool.train.data.read import read
from calibtool.train.data.text import Texts, tokens
from calibtool.train.settings import Settings


def opened(data, **options):
    return read(Settings(data=str(data), out="run", **options))


def everything(rows):
    return rows.inputs.take(np.arange(len(rows)))


# ------------------------------------------------------------------ arrays and tables


def test_npz_parquet_and_csv_hold_the_same_rows(folder):
    x, y = blobs(50, columns=3)
    columns = {f"c{i}": x[:, i] for i in range(3)}
    np.savez("a.npz", x=x, y=y)
    pq.write_table(pa.table({**columns, "label": y}), "b.parquet")
    pa.csv.write_csv(pa.table({**columns, "label": y}), "c.csv")
    pq.write_table(pa.table({"x": x.tolist(), "y": y}), "d.parquet")
    for name in ("a.npz", "b.parquet", "c.csv", "d.parquet"):
        data = opened(name)
        assert (data.kind, data.shape, data.classes) == ("features", (3,), 3), name
        np.testing.assert_allclose(everything(data.parts["train"]), x, rtol=1e-6)
        np.testing.assert_array_equal(data.parts["train"].labels, y)


def test_keys_are_chosen_and_ids_and_a_split_are_read(folder):
    x, y = blobs(9)
    part = ["train"] * 5 + ["valid"] * 2 + ["test"] * 2
    names = np.array([f"row-{i}" for i in range(9)])
    np.savez("a.npz", emb=x, other=x, cls=y, name=names, fold=np.array(part))
    data = opened("a.npz", inputs="emb", labels="cls", ids="name", split="fold")
    assert {name: len(rows) for name, rows in data.parts.items()} == {
        "train": 5,
        "val": 2,
        "test": 2,
    }
    assert data.parts["test"].ids.tolist() == ["row-7", "row-8"]
    np.testing.assert_array_equal(everything(data.parts["val"]), x[5:7])


def test_an_npz_may_come_with_its_parts_by_name(folder):
    x, y = blobs(30)
    np.savez("a.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])
    data = opened("a.npz")
    assert set(data.parts) == {"train", "test"}
    np.testing.assert_array_equal(everything(data.parts["test"]), x[20:])


def test_validation_and_test_rows_from_files_of_their_own(folder):
    x, y = blobs(60)
    for name, rows in (("a", slice(0, 40)), ("b", slice(40, 50)), ("c", slice(50, 60))):
        np.savez(f"{name}.npz", x=x[rows], y=y[rows])
    data = opened("a.npz", val_data="b.npz", test_data="c.npz")
    assert [len(data.parts[name]) for name in ("train", "val", "test")] == [40, 10, 10]
    np.savez("d.npz", x=x[:, :3], y=y)
    with pytest.raises(
        InputError, match=r"inputs for test have shape \(3,\), those for train \(8,\)"
    ):
        opened("a.npz", test_data="d.npz")


def test_a_part_of_its_own_may_lack_classes_but_have_no_other(folder):
    x, y = blobs(60)
    np.savez("a.npz", x=x, y=y)
    np.savez("b.npz", x=x, y=np.where(y == 1, 2, y))
    rows = opened("a.npz", val_data="b.npz").parts["val"]
    np.testing.assert_array_equal(rows.labels, np.where(y == 1, 2, y))
    np.savez("c.npz", x=x, y=y + 1)
    with pytest.raises(InputError, match=r"its class .3. is not a class of a\.npz"):
        opened("a.npz", val_data="c.npz")


@pytest.mark.parametrize("kind", [">f4", "f2", "f8", "?", "u2", "i1", ">i8"])
def test_numbers_of_any_type_are_trained_on(train, folder, kind):
    x, y = blobs(80)
    np.savez("a.npz", x=x.clip(0, 9).astype(kind), y=y.astype(">i4"))
    options = ("--data", "a.npz", "--model", "linear", "--epochs", "1", "--out", "run")
    assert train(*options).code == 0


@pytest.mark.parametrize("layout", ["nhwc", "nchw", "grey"])
def test_images_become_nchw(folder, layout):
    x = np.random.default_rng(0).integers(0, 255, (20, 8, 6, 3)).astype(np.uint8)
    stored = {"nhwc": x, "nchw": x.transpose(0, 3, 1, 2), "grey": x[..., 0]}[layout]
    np.savez("a.npz", x=stored, y=np.arange(20) % 2)
    data = opened("a.npz")
    expected = x.transpose(0, 3, 1, 2)[:, : data.shape[0]]
    assert data.kind == "images"
    np.testing.assert_array_equal(everything(data.parts["train"]), expected)


def test_channels_that_could_be_first_or_last_must_be_named(folder):
    np.savez("a.npz", x=np.zeros((20, 3, 8, 3), np.uint8), y=np.arange(20) % 2)
    with pytest.raises(InputError, match="--layout nchw"):
        opened("a.npz")
    assert opened("a.npz", layout="nhwc").shape == (3, 3, 8)


def test_labels_with_gaps_and_text_are_classes_in_order(folder):
    x, _ = blobs(6)
    np.savez("a.npz", x=x, y=np.array([7, 3, 7, 12, 3, 12]))
    data = opened("a.npz")
    assert data.class_names == ("3", "7", "12")
    assert data.parts["train"].labels.tolist() == [1, 0, 1, 2, 0, 2]
    np.savez("b.npz", x=x, y=np.array([1, 0, 1, 0, 1, 0], np.float32), classes=["no", "yes", "?"])
    assert opened("b.npz").classes == 3


BAD = {
    "labels missing": ({"x": np.ones((4, 2))}, "found no labels; name them with --labels KEY"),
    "inputs missing": ({"y": np.arange(4)}, "found no inputs"),
    "one class": ({"x": np.ones((4, 2)), "y": np.ones(4, int)}, "all 4 labels are 1"),
    "a label is NaN": (
        {"x": np.ones((3, 2)), "y": [0, np.nan, 1]},
        "labels are missing (NaN), the f",
    ),
    "no class id": ({"x": np.ones((3, 2)), "y": [0, 0.5, 1]}, "label 0.5 in row 1"),
    "an input is NaN": (
        {"x": [[1, 2], [np.nan, 1], [0, 0.0]], "y": [0, 1, 0]},
        "the first is row 1",
    ),
    "an input is beyond float32": (
        {"x": [[1, 2], [0, 0.0], [1e155, 1]], "y": [0, 1, 0]},
        "1 rows have values that are beyond -1e+38 and 1e+38, the first is row 2",
    ),
    "one-hot labels": ({"x": np.ones((3, 2)), "y": np.eye(3)}, "one-hot labels: store y.argmax(1)"),
    "multi-label targets": (
        {"x": np.ones((3, 2)), "y": [[1, 1, 0], [0, 0, 0], [0, 1, 0]]},
        "multi-label targets, several classes per row: train in your own loop",
    ),
    "soft labels": ({"x": np.ones((2, 2)), "y": [[0.9, 0.1], [0.3, 0.7]]}, "these are soft labels"),
    "several numbers per row": (
        {"x": np.ones((2, 2)), "y": [[2, 3], [4, 5]]},
        "found shape (2, 2); store one class id",
    ),
    "a negative label": (
        {"x": np.ones((4, 2)), "y": [0, 1, -1, 2]},
        "label -1 in row 2 (counting from 0) is no class",
    ),
    "a negative label as a float": ({"x": np.ones((3, 2)), "y": [0.0, -1, 1]}, "label -1 in row 1"),
    "unequal lengths": ({"x": np.ones((3, 2)), "y": [0, 1]}, "3 rows of x, but 2 of y"),
    "an empty name": (
        {"x": np.ones((3, 2)), "y": ["a", "", "b"]},
        "labels are missing, the first in r",
    ),
    "no rows": ({"x": np.ones((0, 2)), "y": np.zeros(0, int)}, "there are no rows for train"),
    "no columns": (
        {"x": np.ones((4, 0)), "y": [0, 1, 0, 1]},
        "x: shape (4, 0): there are no numbers in a row",
    ),
    "a part without rows": (
        {
            "x_train": np.ones((4, 2)),
            "y_train": [0, 1, 0, 1],
            "x_test": np.ones((0, 2)),
            "y_test": np.zeros(0, int),
        },
        "there are no rows for test",
    ),
    "an odd split": (
        {"x": np.ones((3, 2)), "y": [0, 1, 0], "split": ["train", "dev", "test"]},
        "dev in row 1",
    ),
}


def test_rows_on_both_sides_of_the_split_are_noticed(train, folder):
    x, y = blobs(60)
    x[40], x[41], x[50] = x[3], x[4], x[3]
    split = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    np.savez("a.npz", x=x, y=y, split=split)
    words = np.array(["a", "b", "c d", "e"])
    pa.csv.write_csv(pa.table({"text": words[np.arange(60) % 4], "label": y % 2}), "t.csv")
    for i, name in enumerate(["train", *(["val"] * 2), "test"]):
        for k in range(2):
            Path(name, f"c{k}").mkdir(parents=True, exist_ok=True)
            for j in range(2):
                pixels = np.full((8, 8), 100 * k + 9 * j + i * (j == 1), np.uint8)
                Image.fromarray(pixels).save(Path(name, f"c{k}", f"{j}.png"))
    fast = ("--epochs", "1", "--threads", "1")
    for data, model, says in (
        ("a.npz", "mlp", "2 of 10 validation rows and 1 of 10 test rows have exactly the inputs"),
        ("a.npz", "linear", "a training row (the first: validation row 40 is training row 3)"),
        ("t.csv", "text-bag", "validation rows and 13 of 13 test rows have exactly the inputs"),
        (".", "mlp", "2 of 4 validation rows and 2 of 4 test rows have exactly the inputs"),
    ):
        result = train("--data", data, "--model", model, *fast, "--out", f"{model}-{data}")
        assert result.code == 0, result.err
        assert says in " ".join(result.out.split())
    x, y = blobs(60)
    np.savez("b.npz", x=x, y=y, split=split)
    assert "exactly" not in train("--data", "b.npz", *fast, "--out", "clean").out


def test_groups_stay_on_one_side(train, refused, folder):
    x, y = blobs(200)
    patient = np.array([f"p{i}" for i in np.arange(200) // 8])
    x[1::8] = x[::8]  # a copy within each group
    np.savez("a.npz", x=x, y=y, patient=patient)
    search = ("--loss", "focal", "--gamma-search", "1,2", "--gamma-folds", "2")
    options = ("--epochs", "1", "--group", "patient", *search, "--out", "run")
    result = train("--data", "a.npz", *options)
    assert result.code == 0, result.err
    assert "exactly" not in result.out
    seen = [set(patient[np.load(f"run/{name}_logits.npz")["ids"]]) for name in ("val", "test")]
    assert not seen[0] & seen[1]
    sizes = [len(np.load(f"run/{name}_logits.npz")["ids"]) for name in ("val", "test")]
    assert sizes == [40, 40]
    Path("own.py").write_text(
        "import numpy as np\n"
        "def load(): return dict(np.load('a.npz'))\n"
        "def bare(): return np.load('a.npz')['x'], np.load('a.npz')['y']\n"
    )
    data = opened("own.py:load", group="patient")
    np.testing.assert_array_equal(data.parts["train"].groups, patient)
    says = ("--group patient: own.py:bare has no columns",)
    refused("--data", "own.py:bare", "--group", "patient", "--out", "b", says=says)
    refused("--data", "a.npz", "--group", "p", "--out", "c", says=("--group: there is no 'p'",))
    split = np.where(np.arange(200) < 100, "train", np.where(np.arange(200) < 150, "val", "test"))
    np.savez("split.npz", x=x, y=y, patient=patient, split=split)
    says = ("--group: 'p12' has rows for train and for val",)
    refused("--data", "split.npz", "--group", "patient", "--out", "d", says=says)


def test_half_precision_is_compared_with_its_own_range(folder):
    labels = (np.arange(4) % 2).astype(np.float16)
    np.savez("half.npz", x=np.full((4, 2), 65504, np.float16), y=labels)
    assert len(opened("half.npz").parts["train"]) > 0


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_trained_on_are_refused_in_words(refused, folder, name):
    arrays, says = BAD[name]
    np.savez("bad.npz", **arrays)
    refused("--data", "bad.npz", "--out", "run", says=("bad.npz", says))
    assert not list(Path("run").glob("*"))


@pytest.mark.parametrize(
    ("column", "says"),
    [([0, 1e155, 1], ("bad.parquet: b", "beyond", "row 1")), (["x", "y", "z"], ("b: holds text",))],
)
def test_every_one_of_several_inputs_is_looked_at(refused, folder, column, says):
    pq.write_table(pa.table({"a": [1.0, 2, 3], "b": column, "label": [0, 1, 0]}), "bad.parquet")
    refused("--data", "bad.parquet", "--inputs", "a,b", "--out", "run", says=says)


def test_what_is_no_data_is_refused(refused, folder):
    Path("model.pkl").write_bytes(b"x")
    refused("--data", "model.pkl", "--out", "a", says=("pickles can run code",))
    refused("--data", "nowhere.npz", "--out", "b", says=("nowhere.npz: no such file",))
    refused("--data", "what?", "--out", "c", says=("FILE.npz", "module:function"))
    pq.write_table(pa.table({"x": [1.0, None], "y": [0, 1]}), "null.parquet")
    refused("--data", "null.parquet", "--out", "d", says=("row 1", "null"))


# ------------------------------------------------------------------ published formats

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "image_files.py"


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    raw = header + array.astype(np.uint8).tobytes()
    Path(path).write_bytes(gzip.compress(raw) if str(path).endswith(".gz") else raw)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_idx_files(folder, end):
    x, y = pictures(40)
    for part, rows in (("train", slice(0, 30)), ("t10k", slice(30, 40))):
        write_idx(f"{part}-images-idx3-ubyte{end}", x[rows])
        write_idx(f"{part}-labels-idx1-ubyte{end}", y[rows])
    data = opened(f"{EXAMPLE}:idx(folder='.')")
    assert (data.kind, data.shape, set(data.parts)) == ("images", (1, 8, 8), {"train", "test"})
    np.testing.assert_array_equal(everything(data.parts["test"])[:, 0], x[30:])
    np.testing.assert_array_equal(data.parts["train"].labels, y[:30])


def test_a_truncated_idx_file_is_refused(folder):
    x, y = pictures(10)
    write_idx("train-images-idx3-ubyte", x)
    write_idx("train-labels-idx1-ubyte", y)
    raw = Path("train-images-idx3-ubyte").read_bytes()
    Path("train-images-idx3-ubyte").write_bytes(raw[:-5])
    with pytest.raises(UsageError, match="promises 640 bytes, the file holds 635"):
        opened(f"{EXAMPLE}:idx(folder='.')")


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar_binary_batches(folder, refused, classes):
    rng = np.random.default_rng(0)
    marks = 1 if classes == 10 else 2
    files = [f"data_batch_{i}.bin" for i in range(1, 6)] if classes == 10 else ["train.bin"]
    x = rng.integers(0, 255, (classes, 3, 32, 32)).astype(np.uint8)
    y = np.arange(classes).astype(np.uint8)
    record = np.c_[np.zeros((classes, marks - 1), np.uint8), y, x.reshape(classes, -1)]
    for name in (*files, "test_batch.bin" if classes == 10 else "test.bin"):
        Path(name).write_bytes(record.tobytes())
    data = opened(f"{EXAMPLE}:cifar(folder='.')")
    assert (data.classes, len(data.parts["train"])) == (classes, classes * len(files))
    np.testing.assert_array_equal(everything(data.parts["test"]), x)
    np.testing.assert_array_equal(data.parts["test"].labels, y)
    Path(files[0]).write_bytes(record.tobytes()[:-1])
    says = ("bytes are not whole records",)
    refused("--data", f"{EXAMPLE}:cifar(folder='.')", "--out", "run", says=says)


def test_the_old_names_of_published_formats_point_to_the_example(refused, folder):
    for name in ("idx:folder", "cifar10:folder", "cifar100:folder"):
        says = ("docs/examples/image_files.py", "image_files.py:")
        refused("--data", name, "--out", "run", says=says)


# ------------------------------------------------------------------ folders of images


def write_images(root, sizes=(8, 8), mode="RGB"):
    for k, name in enumerate(("cat", "dog")):
        Path(root, name).mkdir(parents=True)
        for i, size in enumerate((sizes, sizes, sizes)):
            pixels = np.full((size[1], size[0], 3), 40 * k + i, np.uint8)
            Image.fromarray(pixels).convert(mode).save(Path(root, name, f"{i}.png"))


def test_a_folder_of_images(folder):
    write_images("pets")
    data = opened("pets")
    assert (data.class_names, data.shape) == (("cat", "dog"), (3, 8, 8))
    rows = data.parts["train"]
    assert rows.ids.tolist()[:2] == ["cat/0.png", "cat/1.png"]
    assert everything(rows)[:, 0, 0, 0].tolist() == [0, 1, 2, 40, 41, 42]


def test_a_folder_with_its_parts_and_grey_images(folder):
    for part in ("train", "val", "test"):
        write_images(f"pets/{part}", mode="L")
    data = opened("pets")
    assert data.shape == (1, 8, 8)
    assert data.parts["test"].ids[0] == "test/cat/0.png"


def test_images_of_several_sizes_need_a_size(folder):
    write_images("pets")
    Image.new("RGB", (20, 10)).save("pets/dog/3.png")
    with pytest.raises(UsageError, match="--image-size N"):
        opened("pets")
    assert everything(opened("pets", image_size=6).parts["train"]).shape == (7, 3, 6, 6)


def test_a_broken_image_is_named(folder, refused):
    write_images("pets")
    Path("pets/dog/1.png").write_bytes(b"no image")
    refused(
        "--data",
        "pets",
        "--out",
        "run",
        says=("pets/dog/1.png", "is not an image that Pillow can read"),
    )
    whole = Path("pets/dog/0.png").read_bytes()
    Path("pets/dog/1.png").write_bytes(whole[: len(whole) // 2])
    refused("--data", "pets", "--out", "run", says=("pets/dog/1.png",))


# ------------------------------------------------------------------ text


def test_text_is_hashed_words_and_pairs_padded_with_0():
    texts = Texts(["a cat", "A CAT", "", "the cat sat"])
    ids = texts.take(np.array([0, 1, 2]))
    assert ids.shape == (3, 3)
    np.testing.assert_array_equal(ids[0], ids[1])
    assert (ids[2] == 0).all()
    assert (ids[0] > 0).all()
    assert set(tokens("cat")) < set(tokens("the cat sat"))


def test_text_from_csv_and_parquet(folder):
    table = pa.table({"text": ["good film", "bad film, sadly"] * 4, "label": ["pos", "neg"] * 4})
    pa.csv.write_csv(table, "a.csv")
    pq.write_table(table, "b.parquet")
    for name in ("a.csv", "b.parquet"):
        data = opened(name)
        assert (data.kind, data.class_names) == ("text", ("neg", "pos"))
        assert data.parts["train"].labels.tolist() == [1, 0] * 4


def test_training_on_text_learns_what_words_say(train, folder):
    rng = np.random.default_rng(0)
    words = [["cat", "dog", "fur"], ["car", "road", "wheel"]]
    y = rng.integers(0, 2, 300)
    text = [" ".join(rng.choice([*words[k], "the", "and", "of"], 6)) for k in y]
    pa.csv.write_csv(pa.table({"text": text, "label": y}), "text.csv")
    options = ("--model", "text-bag(buckets=512)", "--data", "text.csv", "--lr", "0.05")
    assert train(*options, "--epochs", "10", "--out", "run").code == 0
    logits = np.load("run/test_logits.npz")
    assert (logits["logits"].argmax(1) == logits["labels"]).mean() > 0.9


# ------------------------------------------------------------------ one's own functions

OWN = """
import numpy as np
import torch

rng = np.random.default_rng(0)
x = rng.normal(size=(90, 4)).astype(np.float32)
y = np.arange(90) % 3

def pair():
    return x, y

def tensors():
    return torch.from_numpy(x), torch.from_numpy(y)

def parts(rows=60):
    return {"train": (x[:rows], y[:rows]), "test": {"x": x[rows:], "y": y[rows:], "ids": y[rows:]}}

class Set(torch.utils.data.Dataset):
    def __len__(self):
        return 90

    def __getitem__(self, i):
        return torch.from_numpy(x[i]), int(y[i])

def empty(part="test", dataset=False):
    none = torch.utils.data.Subset(Set(), []) if dataset else (x[:0], y[:0])
    return {"train": (x, y), "val": (x, y), part: none}

def wrong():
    return 3

def breaks():
    raise KeyError("no such table")
"""


@pytest.mark.parametrize("name", ["pair", "tensors", "Set"])
def test_a_function_gives_arrays_tensors_or_a_dataset(folder, name):
    Path("own.py").write_text(OWN)
    data = opened(f"own.py:{name}")
    assert (data.kind, data.shape, data.classes) == ("features", (4,), 3)
    np.testing.assert_array_equal(data.parts["train"].labels, np.arange(90) % 3)
    assert everything(data.parts["train"]).shape == (90, 4)


def test_a_function_gives_parts_and_takes_options(folder):
    Path("own.py").write_text(OWN)
    data = opened("own.py:parts(rows=45)")
    assert {name: len(rows) for name, rows in data.parts.items()} == {"train": 45, "test": 45}


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("options", ["", ", dataset=True"])
def test_a_part_without_rows_is_named(refused, folder, part, options):
    Path("own.py").write_text(OWN)
    data = f"own.py:empty(part='{part}'{options})"
    refused("--data", data, "--out", "run", says=(f"there are no rows for {part}",))


def test_workers_that_fail_or_are_gone_are_said(refused, folder):
    Path("own.py").write_text(
        OWN + "import os\n\nclass Bad(Set):\n    targets = (np.arange(90) % 3).tolist()\n\n"
        "    def __getitem__(self, i):\n"
        "        if torch.utils.data.get_worker_info() is None or i != 50:\n"
        "            return super().__getitem__(i)\n"
        "        raise KeyError('no such item')\n\n"
        "class Gone(Bad):\n    def __getitem__(self, i):\n"
        "        if torch.utils.data.get_worker_info() is not None:\n"
        "            os._exit(1)\n        return super().__getitem__(i)\n"
    )
    fast = ("--model", "linear", "--epochs", "1", "--workers", "2")
    says = ("item 50 of the dataset", "KeyError: 'no such item'", "own.py, line")
    refused("--data", "own.py:Bad", *fast, "--out", "a", says=says)
    says = ("a worker that reads the data was stopped; try a smaller --workers, or 0",)
    refused("--data", "own.py:Gone", *fast, "--out", "b", says=says)


class Stops:
    """Inputs whose worker is gone at the third batch, while the second waits to be taken."""

    draws = False

    def __len__(self) -> int:
        return 6

    def take(self, index):
        import torch

        if torch.utils.data.get_worker_info() is not None and 4 in index:
            time.sleep(0.3)  # the thread that hands over the second batch takes a moment
            os._exit(1)
        return np.zeros((len(index), 2), np.float32)


def test_a_worker_that_is_gone_is_said_when_the_next_batch_is_read(folder, capfd):
    import torch

    from calibtool.train.data.dataset import Rows
    from calibtool.train.feed import Feed, watched

    rows = Rows(Stops(), np.zeros(6, np.int64), np.arange(6))
    batches = Feed(rows, torch.device("cpu"), 1).load(np.split(np.arange(6), 3), 0)
    others = set(multiprocessing.active_children())  # of tests before this one
    with watched():
        next(batches)
        (worker,) = set(multiprocessing.active_children()) - others
        while worker.is_alive():
            time.sleep(0.01)  # where torch's handler of signals would raise its own error

    @watched()
    def rest():
        list(batches)

    with pytest.raises(UsageError, match="a worker that reads the data was stopped"):
        rest()
    gc.collect()
    assert "Traceback" not in capfd.readouterr().err


class Complains(Stops):
    """Inputs whose worker has a thread that fails, such as one that hands over a batch."""

    def take(self, index):
        import torch

        if torch.utils.data.get_worker_info() is not None:
            sys.excepthook(ValueError, ValueError("in a worker"), None)
        return np.zeros((len(index), 2), np.float32)


def test_workers_print_no_tracebacks(folder, capfd):
    import torch

    from calibtool.train.data.dataset import Rows
    from calibtool.train.feed import Feed, quiet_context

    rows = Rows(Complains(), np.zeros(6, np.int64), np.arange(6))
    list(Feed(rows, torch.device("cpu"), 1).load([np.arange(6)], 0))
    queue = quiet_context().Queue()
    queue._reader.close()
    queue.put("for a worker that is gone")
    queue.close()
    queue.join_thread()
    assert capfd.readouterr().err == ""


def test_a_function_that_fails_is_said_with_its_line(refused, folder):
    Path("own.py").write_text(OWN)
    refused("--data", "own.py:wrong", "--out", "a", says=("found int",))
    refused("--data", "own.py:breaks", "--out", "b", says=("KeyError", "own.py, line"))
    refused("--data", "own.py:nothing", "--out", "c", says=("has no 'nothing'",))
    refused("--data", "no_such_module:f", "--out", "d", says=("there is no module",))


LOADERS = """
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

class Dicts(Set):
    def __getitem__(self, i):
        return {"label": int(y[i]), "input_ids": torch.arange(i % 3 + 1), "features": x[i]}

def loader():
    return DataLoader(Set(), batch_size=7, shuffle=True)

def dicts():
    return Dicts()

def padded(items):
    longest = max(len(item["input_ids"]) for item in items)
    ids = torch.zeros(len(items), longest, dtype=torch.long)
    for row, item in zip(ids, items):
        row[: len(item["input_ids"])] = item["input_ids"]
    return {"input_ids": ids, "label": None}

def collated():
    return DataLoader(Dicts(), batch_size=7, collate_fn=padded)

class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter([])

def stream():
    return DataLoader(Stream())

class Names:
    names = ["no", "yes", "perhaps"]

class Hub:
    \"\"\"As much of a data set of Hugging Face as is used.\"\"\"

    def __init__(self, **columns):
        self.columns, self.column_names = columns, list(columns)
        self.features = {name: Names() if name == "label" else None for name in columns}

    def __len__(self):
        return len(self.columns["label"])

    def __getitem__(self, key):
        if isinstance(key, str):
            return self.columns[key]
        return {name: column[key] for name, column in self.columns.items()}

def texts():
    part = Hub(idx=list(range(90)), sentence=["a film"] * 90, label=y.tolist())
    return {"train": part, "validation": part}

def pictures():
    shown = [Image.new("RGB", (8 + k % 2, 9), (k, 2 * k, 0)) for k in range(90)]
    return Hub(image=shown, label=y.tolist(), patient=[f"p{k // 3}" for k in range(90)])

def lists():
    return Hub(x=x.tolist(), label=y.tolist())

class Objects(Set):
    def __init__(self, kind=None):
        self.features, self.kind = x, kind

    def __getitem__(self, i):
        return "a film" if self.kind == "text" else None, int(y[i])

def empty_hub():
    return {"train": Hub(x=x.tolist(), label=y.tolist()), "test": Hub(x=[], label=[])}

def ragged():
    return {"x": [[1.0], [1.0, 2.0]], "y": [0, 1]}
"""


@pytest.fixture
def loaders(folder):
    Path("more.py").write_text(OWN + LOADERS)
    return folder


@pytest.mark.parametrize(
    ("name", "options", "kind", "shape"),
    [
        ("loader", {}, "features", (4,)),
        ("dicts", {"inputs": "features"}, "features", (4,)),
        ("collated", {"inputs": "input_ids"}, "tokens", (1,)),
        ("texts", {"ids": "idx"}, "text", ()),
        ("pictures", {"image_size": 8, "group": "patient"}, "images", (3, 8, 8)),
        ("lists", {}, "features", (4,)),
        ("Objects(kind='text')", {}, "text", ()),
    ],
)
def test_a_function_gives_loaders_dicts_and_data_sets_of_hugging_face(
    loaders, name, options, kind, shape
):
    data = opened(f"more.py:{name}", **options)
    assert (data.kind, data.shape, data.classes) == (kind, shape, 3)
    rows = data.parts["train"]
    np.testing.assert_array_equal(rows.labels, np.arange(90) % 3)
    assert len(rows.inputs.take(np.arange(5))) == 5
    hub = name in ("texts", "pictures", "lists")
    assert data.class_names == (("no", "yes", "perhaps") if hub else None)
    assert set(data.parts) == ({"train", "val"} if name == "texts" else {"train"})
    if name == "collated":
        np.testing.assert_array_equal(rows.inputs.take(np.array([1, 2])), [[0, 1, 0], [0, 1, 2]])
    if name == "pictures":
        assert rows.groups[:4].tolist() == ["p0", "p0", "p0", "p1"]
        assert rows.inputs.take(np.array([5]))[0, :, 0, 0].tolist() == [5, 10, 0]


def test_what_a_loader_or_a_data_set_lacks_is_said(train, refused, loaders):
    for name, options, says in (
        ("stream", (), "expected (x, y), a dict with x and y, a dataset with a length"),
        ("pictures", (), "items of the dataset have shapes"),
        ("dicts", ("--inputs", "z"), "found no inputs among label, input_ids, features"),
        ("dicts", ("--inputs", "input_ids"), "use a transform, a collate function"),
        ("Objects", (), "items are NoneType; they must be tensors, arrays, images or texts"),
        ("empty_hub", (), "there are no rows for test"),
        ("ragged", (), "inputs differ in length; pad them to one"),
    ):
        refused("--data", f"more.py:{name}", *options, "--model", "mlp", "--out", "a", says=(says,))
    fast = ("--epochs", "1", "--workers", "2", "--model", "linear")
    options = ("--data", "more.py:pictures", "--image-size", "8", "--group", "patient")
    result = train(*options, *fast, "--out", "run")
    assert result.code == 0, result.err
