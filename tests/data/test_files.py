"""Reading: whatever format and layout holds them, the same predictions come out."""

from __future__ import annotations

import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

import calibtool as ct
from calibtool.data.files import arrow, parquet_file, reader
from calibtool.data.files.open import open_source
from calibtool.data.files.recut import recut
from calibtool.data.files.roles import Choice
from calibtool.data.files.write import write_predictions
from calibtool.errors import CalibtoolError, InputError, UsageError

ROWS, CLASSES = 40, 3
NAMES = ("cat", "dog", "fish")
RNG = np.random.default_rng(0)
LOGITS = (2 * RNG.normal(size=(ROWS, CLASSES))).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, ROWS)
PROBS = np.exp(LOGITS.astype(np.float64))
PROBS = np.rint(PROBS / PROBS.sum(axis=1, keepdims=True) * 2**20) / 2**20
PROBS[:, 2] = 1 - PROBS[:, 0] - PROBS[:, 1]  # rows that sum to 1 to the bit are left as they are
SCORE, BINARY = PROBS[:, 1], (LABELS == 1).astype(np.int64)
CONFIDENCE, CORRECT = PROBS.max(axis=1), PROBS.argmax(axis=1) == LABELS
WEIGHTS = RNG.integers(0, 4, ROWS).astype(np.float64)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fixed(values):
    """A fixed-size-list column."""
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def dictionary(labels, names=NAMES):
    codes = pa.array(np.asarray(labels, np.int32))
    return pa.DictionaryArray.from_arrays(codes, list(names))


def columns(values, stem, names=range(CLASSES)):
    return {f"{stem}_{name}": values[:, k] for k, name in enumerate(names)}


def parquet(path="p.parquet", **data):
    pq.write_table(pa.table(data), path)
    return path


def npz(path="p.npz", **data):
    np.savez(path, **data)
    return path


def same(loaded, kind, values, labels, *, weights=None, exact=True):
    """The predictions are these arrays, and reading them in blocks measures the same."""
    assert loaded.kind == kind
    compare = np.testing.assert_array_equal if exact else np.testing.assert_allclose
    compare(loaded.values, values)
    truth = loaded.correct if kind == "confidence" else loaded.labels
    np.testing.assert_array_equal(truth, labels)
    if weights is None:
        assert loaded.weights is None
    else:
        np.testing.assert_array_equal(loaded.weights, weights)


def blockwise(path, **keys):
    """Evaluating a file equals evaluating what was loaded of it; so do its blocks, put together."""
    loaded = ct.load(path, **keys)
    source = open_source(path, Choice(**keys))
    parts = list(source.blocks(16))
    assert [part.rows for part in parts] == [16] * (loaded.rows // 16) + [loaded.rows % 16][
        : loaded.rows % 16
    ]
    joined = np.concatenate([part.values for part in parts])
    np.testing.assert_array_equal(joined, loaded.values)
    if loaded.labels is not None:
        np.testing.assert_array_equal(np.concatenate([p.labels for p in parts]), loaded.labels)
    if loaded.correct is not None:
        np.testing.assert_array_equal(np.concatenate([p.correct for p in parts]), loaded.correct)
    metrics = "ece,nll,classwise-ece" if loaded.classes else "ece"
    options = {"resamples": 20, "ci": "percentile", "metrics": metrics}
    streamed, whole = ct.evaluate(source, **options), ct.evaluate(loaded, **options)
    assert [(e.name, e.value, e.low, e.high) for e in streamed] == [
        (e.name, e.value, e.low, e.high) for e in whole
    ]


# what is written, with what flags it is read, and what must come out: (kind, values, labels)
LAYOUTS = {
    "npz": (lambda: npz(logits=LOGITS, labels=LABELS), {}, ("logits", LOGITS, LABELS)),
    "npz probs": (lambda: npz(probs=PROBS, labels=LABELS), {}, ("probs", PROBS, LABELS)),
    "columns of logits": (
        lambda: parquet(**columns(LOGITS, "logit"), label=LABELS),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "columns of logits in another order": (
        lambda: parquet(**dict(reversed(columns(LOGITS, "logit").items())), label=LABELS),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "columns of probs by class name": (
        lambda: parquet(**columns(PROBS, "prob", NAMES), label=np.array(NAMES)[LABELS]),
        {},
        ("probs", PROBS, LABELS),
    ),
    "columns named by the user": (
        lambda: parquet(a=LOGITS[:, 0], b=LOGITS[:, 1], c=LOGITS[:, 2], label=LABELS),
        {"logits": "c,a,b"},
        ("logits", LOGITS[:, [2, 0, 1]], LABELS),
    ),
    "columns by the user's prefix": (
        lambda: parquet(**columns(LOGITS, "out"), label=LABELS),
        {"logits": "out"},
        ("logits", LOGITS, LABELS),
    ),
    "a list column": (
        lambda: parquet(logits=LOGITS.tolist(), label=LABELS),
        {},
        ("logits", LOGITS.astype(float), LABELS),
    ),
    "a large list column": (
        lambda: parquet(
            logits=pa.array(LOGITS.tolist(), pa.large_list(pa.float32())), label=LABELS
        ),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "a fixed-size-list column": (
        lambda: parquet(logits=fixed(LOGITS), label=LABELS),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "dictionary labels": (
        lambda: parquet(logits=fixed(LOGITS), label=dictionary(LABELS)),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "dictionary labels in another order than the columns' names": (
        lambda: parquet(
            **columns(LOGITS, "logit", NAMES), label=dictionary(2 - LABELS, NAMES[::-1])
        ),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "string labels and --classes": (
        lambda: parquet(logits=fixed(LOGITS), label=np.array(NAMES)[LABELS]),
        {"classes": NAMES},
        ("logits", LOGITS, LABELS),
    ),
    "string labels and classes in the npz": (
        lambda: npz(logits=LOGITS, labels=np.array(NAMES)[LABELS], classes=np.array(NAMES)),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "byte-string labels": (
        lambda: npz(logits=LOGITS, labels=np.array(NAMES, "S")[LABELS], classes=np.array(NAMES)),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "one-hot labels": (
        lambda: npz(logits=LOGITS, labels=np.eye(CLASSES)[LABELS]),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "one-hot labels of bool": (
        lambda: npz(logits=LOGITS, labels=np.eye(CLASSES, dtype=bool)[LABELS]),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "a one-hot list column": (
        lambda: parquet(logits=fixed(LOGITS), labels=np.eye(CLASSES, dtype=int)[LABELS].tolist()),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "labels in a column of their own": (
        lambda: npz(logits=LOGITS, labels=LABELS[:, None]),
        {},
        ("logits", LOGITS, LABELS),
    ),
    "a score": (
        lambda: parquet(score=SCORE, label=BINARY),
        {},
        ("probs", SCORE[:, None], BINARY),
    ),
    "a score with bool labels": (
        lambda: npz(score=SCORE, label=BINARY.astype(bool)),
        {},
        ("probs", SCORE[:, None], BINARY),
    ),
    "a score with one-hot labels": (
        lambda: npz(score=SCORE, label=np.eye(2)[BINARY]),
        {},
        ("probs", SCORE[:, None], BINARY),
    ),
    "a score by any name": (
        lambda: parquet(p=SCORE, clicked=BINARY),
        {"score": "p", "labels": "clicked"},
        ("probs", SCORE[:, None], BINARY),
    ),
    "one logit": (
        lambda: npz(logit=LOGITS[:, 0], y=BINARY),
        {},
        ("logits", LOGITS[:, :1], BINARY),
    ),
    "confidence and correct": (
        lambda: parquet(confidence=CONFIDENCE, correct=CORRECT),
        {},
        ("confidence", CONFIDENCE, CORRECT),
    ),
    "confidence and correct as numbers": (
        lambda: npz(confidence=CONFIDENCE, correct=CORRECT.astype(float)),
        {},
        ("confidence", CONFIDENCE, CORRECT),
    ),
    "confidence, predictions and labels": (
        lambda: parquet(confidence=CONFIDENCE, predictions=PROBS.argmax(1), labels=LABELS),
        {},
        ("confidence", CONFIDENCE, CORRECT),
    ),
    "confidence, predictions and labels by name": (
        lambda: parquet(
            confidence=CONFIDENCE,
            prediction=np.array(NAMES)[PROBS.argmax(1)],
            label=dictionary(LABELS),
        ),
        {},
        ("confidence", CONFIDENCE, CORRECT),
    ),
    "further columns are left alone": (
        lambda: parquet(
            id=np.arange(ROWS), text=["x"] * ROWS, when=np.zeros(ROWS, "M8[s]"),
            score=SCORE, label=BINARY,
        ),
        {},
        ("probs", SCORE[:, None], BINARY),
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_as_the_arrays_that_were_written(layout):
    write, keys, expected = LAYOUTS[layout]
    path = write()
    same(ct.load(path, **keys), *expected)
    blockwise(path, **keys)


def table_of(suffix, data):
    """The same columns in a format."""
    path = f"t.{suffix}"
    table = pa.table(data)
    if suffix in ("parquet", "pq"):
        pq.write_table(table, path, row_group_size=7)
    elif suffix in ("feather", "arrow", "ipc"):
        feather.write_feather(table, path, compression="uncompressed")
    elif suffix == "csv":
        csv.write_csv(table, path)
    else:
        options = csv.WriteOptions(delimiter="\t")
        csv.write_csv(table, path, options)
    return path


@pytest.mark.parametrize("suffix", ["parquet", "pq", "feather", "arrow", "ipc", "csv", "tsv"])
def test_every_format_of_arrow_gives_the_same(suffix):
    path = table_of(suffix, {**columns(LOGITS, "logit"), "label": LABELS})
    loaded = ct.load(path)
    same(loaded, "logits", LOGITS, LABELS, exact=suffix not in ("csv", "tsv"))
    blockwise(path)


def test_compressed_feather():
    feather.write_feather(
        pa.table({"logits": fixed(LOGITS), "label": LABELS}), "z.feather", compression="lz4"
    )
    same(ct.load("z.feather"), "logits", LOGITS, LABELS)


def test_suffixes_in_capitals():
    np.savez("p.npz", logits=LOGITS, labels=LABELS)
    Path("p.npz").rename("P.NPZ")
    same(ct.load("P.NPZ"), "logits", LOGITS, LABELS)


def test_an_uncompressed_npz_is_mapped_and_a_compressed_one_is_read():
    np.savez("plain.npz", logits=LOGITS, labels=LABELS)
    np.savez_compressed("small.npz", logits=LOGITS, labels=LABELS)
    plain, small = ct.load("plain.npz"), ct.load("small.npz")
    assert isinstance(plain.values, np.memmap)
    assert not isinstance(small.values, np.memmap)
    same(plain, "logits", LOGITS, LABELS)
    same(small, "logits", LOGITS, LABELS)
    blockwise("small.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_in_fortran_order(save):
    save("f.npz", logits=np.asfortranarray(LOGITS), labels=LABELS)
    same(ct.load("f.npz"), "logits", LOGITS, LABELS)
    blockwise("f.npz")


def test_npy_with_a_labels_file_is_mapped():
    np.save("logits.npy", LOGITS)
    np.save("y.npy", LABELS)
    loaded = ct.load("logits.npy", labels_file="y.npy")
    assert isinstance(loaded.values, np.memmap)
    same(loaded, "logits", LOGITS, LABELS)
    blockwise("logits.npy", labels_file="y.npy")
    np.save("z.npy", PROBS)
    same(ct.load("z.npy", probs="z", labels_file="y.npy"), "probs", PROBS, LABELS)


def test_a_labels_file_beside_parquet_and_instead_of_its_own_labels():
    parquet(logits=fixed(LOGITS), label=(LABELS + 1) % CLASSES)
    np.save("y.npy", LABELS)
    same(ct.load("p.parquet", labels_file="y.npy"), "logits", LOGITS, LABELS)
    blockwise("p.parquet", labels_file="y.npy")


def test_a_labels_file_beside_confidences_and_predictions():
    parquet(confidence=CONFIDENCE, predictions=PROBS.argmax(1))
    np.save("y.npy", LABELS)
    same(ct.load("p.parquet", labels_file="y.npy"), "confidence", CONFIDENCE, CORRECT)
    blockwise("p.parquet", labels_file="y.npy")


@pytest.mark.parametrize("what", ["parts", "parts/*.parquet", "parts/**/*.parquet"])
def test_a_folder_or_a_glob_is_read_in_the_order_of_names(what):
    Path("parts").mkdir()
    cuts = {"b": slice(9, 20), "a": slice(0, 9), "d": slice(33, 40), "c": slice(20, 33)}
    for name, at in cuts.items():
        parquet(f"parts/{name}.parquet", logits=fixed(LOGITS[at]), label=LABELS[at])
    Path("parts/_SUCCESS").touch()
    Path("parts/.hidden.parquet").touch()
    same(ct.load(what), "logits", LOGITS, LABELS)
    blockwise(what)


def test_numbered_parts_beyond_nine_keep_the_order_of_their_names():
    Path("parts").mkdir()
    for part in range(12):
        at = slice(part * 3, part * 3 + 3)
        parquet(f"parts/part-{part:05}.parquet", logits=fixed(LOGITS[at]), label=LABELS[at])
    same(ct.load("parts"), "logits", LOGITS[:36], LABELS[:36])


def test_a_folder_of_csv_and_a_glob_of_feather():
    Path("parts").mkdir()
    for name, at in {"a": slice(0, 25), "b": slice(25, 40)}.items():
        table = pa.table({"score": SCORE[at], "label": BINARY[at]})
        csv.write_csv(table, f"parts/{name}.csv")
        feather.write_feather(table, f"{name}.feather")
    same(ct.load("parts"), "probs", SCORE[:, None], BINARY, exact=False)
    same(ct.load("*.feather"), "probs", SCORE[:, None], BINARY)


def test_parts_whose_columns_stand_in_another_order():
    Path("parts").mkdir()
    parquet("parts/a.parquet", score=SCORE[:20], label=BINARY[:20])
    parquet("parts/b.parquet", label=BINARY[20:], score=SCORE[20:])
    same(ct.load("parts"), "probs", SCORE[:, None], BINARY)


def test_parts_with_dictionaries_of_their_own():
    Path("parts").mkdir()
    table = {"logits": fixed(LOGITS[:20]), "label": dictionary(LABELS[:20])}
    parquet("parts/a.parquet", **table)
    other = dictionary(2 - LABELS[20:], NAMES[::-1])
    parquet("parts/b.parquet", logits=fixed(LOGITS[20:]), label=other)
    loaded = ct.load("parts", classes=NAMES)
    same(loaded, "logits", LOGITS, LABELS)


@pytest.mark.parametrize("names", [("0", "1"), ("1", "0")])
def test_a_dictionary_of_numbers_is_in_their_order(names):
    """Polars, and Arrow's encoding of a column, list values as the rows have them."""
    labels = np.array([1, 0, 0, 1, 0] * 8)
    codes = labels if names == ("0", "1") else 1 - labels
    parquet(score=np.where(labels, 0.9, 0.2), label=dictionary(codes, names))
    assert ct.evaluate("p.parquet", ["accuracy"], ci="none")["accuracy"].value == 1


def test_row_groups_whose_dictionaries_hold_only_their_own_names():
    order = np.argsort(LABELS, kind="stable")
    table = pa.table({"logits": fixed(LOGITS[order]), "label": dictionary(LABELS[order])})
    pq.write_table(table, "groups.parquet", row_group_size=8)
    same(ct.load("groups.parquet"), "logits", LOGITS[order], LABELS[order])
    assert ct.load("groups.parquet").class_names == NAMES


@pytest.mark.parametrize("count", [2, 8, 9, 40])
def test_names_of_few_and_of_many_classes_become_their_places(count):
    names = tuple(f"name{k}" for k in RNG.permutation(count))
    labels = RNG.integers(0, count, ROWS)
    values = RNG.normal(size=(ROWS, count)).astype(np.float32)
    parquet(logits=fixed(values), label=dictionary(labels, names))
    same(ct.load("p.parquet"), "logits", values, labels)
    wrong = np.array(names)[labels]
    wrong[[7, 9]] = "zzz", "other"
    parquet(logits=fixed(values), label=wrong)
    with pytest.raises(InputError, match=r"'other' in row 9 \(counting from 0\) is not among"):
        ct.load("p.parquet", classes=names)


def test_a_folder_of_two_formats_or_a_part_without_the_column_is_refused():
    Path("parts").mkdir()
    parquet("parts/a.parquet", score=SCORE, label=BINARY)
    csv.write_csv(pa.table({"score": SCORE, "label": BINARY}), "parts/b.csv")
    with pytest.raises(InputError, match=r"\.parquet and \.csv|\.csv and \.parquet"):
        ct.load("parts")
    Path("parts/b.csv").unlink()
    parquet("parts/b.parquet", score=SCORE)
    with pytest.raises(InputError, match="label"):
        ct.load("parts")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("width", [2, 4, 8])
def test_floats_of_any_width_and_byte_order(width, order):
    values = LOGITS.astype(f"{order}f{width}")
    npz(logits=values, labels=LABELS)
    loaded = ct.load("p.npz")
    same(loaded, "logits", values, LABELS)
    assert loaded.values.dtype == np.dtype(f"f{width}")
    blockwise("p.npz")


@pytest.mark.parametrize("width", [2, 4, 8])
def test_floats_of_any_width_in_parquet(width):
    values = LOGITS.astype(f"f{width}")
    parquet(logits=fixed(values), label=LABELS)
    loaded = ct.load("p.parquet")
    same(loaded, "logits", values, LABELS)
    assert loaded.values.dtype == values.dtype


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"])
def test_labels_of_any_width_and_byte_order(code, order):
    npz(logits=LOGITS, labels=LABELS.astype(order + code))
    loaded = ct.load("p.npz")
    same(loaded, "logits", LOGITS, LABELS)
    assert loaded.labels.dtype == np.int64
    if order == "<":
        parquet(logits=fixed(LOGITS), label=LABELS.astype(code))
        same(ct.load("p.parquet"), "logits", LOGITS, LABELS)


@pytest.mark.parametrize("code", ["i1", "u1", "i4", "?"])
def test_integers_as_logits(code):
    values = LOGITS.astype(code)
    npz(logits=values, labels=LABELS)
    same(ct.load("p.npz"), "logits", values, LABELS)


@pytest.mark.parametrize("code", ["f4", "f8", "i4", "u1", "?"])
@pytest.mark.parametrize("name", ["weights", "weight", "sample_weight"])
def test_weights_are_found_and_kept(name, code):
    weights = WEIGHTS.astype(code)
    npz(logits=LOGITS, labels=LABELS, **{name: weights})
    same(ct.load("p.npz"), "logits", LOGITS, LABELS, weights=weights.astype(float))
    blockwise("p.npz")


def test_weights_by_any_name_and_beside_confidences():
    parquet(confidence=CONFIDENCE, correct=CORRECT, w=WEIGHTS)
    loaded = ct.load("p.parquet", weights="w")
    same(loaded, "confidence", CONFIDENCE, CORRECT, weights=WEIGHTS)
    assert ct.load("p.parquet").weights is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, "logits") for name in ("logits", "Logits", "log_probs", "logprobs", "logit")]
    + [
        (name, "probs")
        for name in ("probs", "prob", "probabilities", "proba", "y_prob", "softmax", "PROBS")
    ],
)
def test_names_of_values_say_what_they_are(name, kind):
    values = LOGITS if kind == "logits" else PROBS
    npz(**{name: values, "labels": LABELS})
    same(ct.load("p.npz"), kind, values, LABELS)


@pytest.mark.parametrize(
    "name", ["labels", "label", "y", "y_true", "targets", "target", "true_labels", "LABEL"]
)
def test_names_of_labels(name):
    npz(logits=LOGITS, **{name: LABELS})
    same(ct.load("p.npz"), "logits", LOGITS, LABELS)


@pytest.mark.parametrize("stem", ["logit_", "logits_", "logit.", "log_prob_", "Logit_"])
def test_names_of_a_column_a_class(stem):
    parquet(**{f"{stem}{k}": LOGITS[:, k] for k in range(CLASSES)}, y=LABELS)
    same(ct.load("p.parquet"), "logits", LOGITS, LABELS)


def test_eleven_columns_are_in_the_order_of_their_numbers():
    values = RNG.normal(size=(ROWS, 11))
    labels = RNG.integers(0, 11, ROWS)
    names = sorted(f"prob_{k}" for k in range(11))  # prob_1, prob_10, prob_2, ...
    probs = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    parquet(**{name: probs[:, int(name[5:])] for name in names}, label=labels)
    same(ct.load("p.parquet"), "probs", probs, labels, exact=False)


@pytest.mark.parametrize("odd", ["²", "9" * 5000, "line\nbreak"])
def test_classes_are_numbered_by_digits_and_named_by_any_text(odd):
    parquet(
        **{"prob_1": PROBS[:, 0], f"prob_{odd}": 1 - PROBS[:, 0]}, label=["1", odd] * (ROWS // 2)
    )
    assert ct.load("p.parquet").class_names == ("1", odd)


def test_whether_these_are_logits_is_decided_by_the_name_and_never_by_the_values():
    npz(logits=PROBS, labels=LABELS)
    same(ct.load("p.npz"), "logits", PROBS, LABELS)
    npz(logits=PROBS, labels=LABELS)
    same(ct.load("p.npz", probs="logits"), "probs", PROBS, LABELS)
    npz(probs=LOGITS, labels=LABELS)
    same(ct.load("p.npz", logits="probs"), "logits", LOGITS, LABELS)


def test_flags_win_over_names():
    npz(
        logits=LOGITS,
        probs=PROBS,
        labels=np.zeros(ROWS, int),
        truth=LABELS,
        weights=np.ones(ROWS),
        w=WEIGHTS,
    )
    loaded = ct.load("p.npz", probs="probs", labels="truth", weights="w")
    same(loaded, "probs", PROBS, LABELS, weights=WEIGHTS)
    loaded = ct.load("p.npz", logits="logits", labels="truth")
    same(loaded, "logits", LOGITS, LABELS, weights=np.ones(ROWS))


def test_confidences_are_read_before_nothing_but_by_a_flag_before_all():
    npz(confidence=CONFIDENCE, correct=CORRECT, probs=PROBS, labels=LABELS)
    same(ct.load("p.npz"), "probs", PROBS, LABELS)
    same(ct.load("p.npz", confidence="confidence"), "confidence", CONFIDENCE, CORRECT)


@pytest.mark.parametrize(
    ("keys", "error", "says"),
    [
        ({}, InputError, "both logits"),
        ({"logits": "logits", "probs": "probs"}, UsageError, "exclude each other"),
        ({"score": "probs", "confidence": "probs"}, UsageError, "exclude each other"),
        ({"logits": "nope"}, InputError, "'nope'"),
        ({"probs": "probs", "labels": "nope"}, InputError, "'nope'"),
        ({"probs": "probs", "weights": "nope"}, InputError, "'nope'"),
        ({"score": "probs"}, InputError, "several values"),
        ({"probs": "logits"}, InputError, r"outside \[0, 1\]"),
        ({"logit": "logits"}, UsageError, "logit"),
        ({"probs": "probs", "labels": "logits"}, InputError, "one-hot"),
        ({"probs": "probs", "labels_file": "nope.npy"}, InputError, "nope.npy"),
        ({"probs": "probs", "classes": ("a", "b")}, InputError, "2 class names"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, dict) else "",
)
def test_what_cannot_be_settled_is_an_error_that_says_so(keys, error, says):
    npz(logits=LOGITS, probs=PROBS, labels=LABELS)
    with pytest.raises(error, match=says) as caught:
        ct.load("p.npz", **keys)
    assert isinstance(caught.value, CalibtoolError)


def test_class_names_come_from_the_user_the_file_or_its_columns():
    npz(logits=LOGITS, labels=LABELS, classes=np.array(NAMES))
    assert ct.load("p.npz").class_names == NAMES
    assert ct.load("p.npz", classes=("a", "b", "c")).class_names == ("a", "b", "c")
    parquet(**columns(LOGITS, "logit", NAMES), label=LABELS)
    assert ct.load("p.parquet").class_names == NAMES
    parquet(logits=fixed(LOGITS), label=dictionary(LABELS))
    assert ct.load("p.parquet").class_names == NAMES


def test_as_many_rows_as_classes_does_not_hide_the_class_names():
    npz(logits=LOGITS[:3], labels=LABELS[:3], classes=np.array(NAMES))
    assert ct.load("p.npz").class_names == NAMES


def test_other_arrays_of_other_lengths_are_left_alone():
    npz(logits=LOGITS, labels=LABELS, epoch=np.int64(3), history=np.zeros(100))
    same(ct.load("p.npz"), "logits", LOGITS, LABELS)
    npz(logits=LOGITS, labels=np.array(NAMES)[LABELS], classes=np.array(NAMES), mean=np.zeros(9))
    same(ct.load("p.npz"), "logits", LOGITS, LABELS)


def test_renormalize_is_a_key_of_load():
    npz(probs=PROBS * 0.9, labels=LABELS)
    with pytest.raises(InputError, match="renormalize"):
        ct.load("p.npz")
    same(ct.load("p.npz", renormalize=True), "probs", PROBS, LABELS, exact=False)


def test_renormalize_takes_half_precision():
    """Its slack is beyond what float16 holds."""
    halves = np.array([[0.61, 0.3901], [0.25, 0.5]], np.float16)
    read = ct.read((halves, [0, 1]), kind="probs", renormalize=True)
    np.testing.assert_allclose(read.values.sum(axis=1), 1, rtol=1e-3)
    with pytest.raises(InputError, match="outside"):
        ct.read((-halves, [0, 1]), kind="probs", renormalize=True)


def test_extra_columns_are_carried_along():
    parquet(score=SCORE, label=BINARY, id=np.arange(ROWS), text=[str(k) for k in range(ROWS)])
    loaded = ct.load("p.parquet", extra=["id", "text"])
    np.testing.assert_array_equal(loaded.extra["id"], np.arange(ROWS))
    assert loaded.extra["text"][3] == "3"
    with pytest.raises(InputError, match="nope"):
        ct.load("p.parquet", extra=["nope"])


def test_a_column_of_ones_in_the_first_block_of_a_csv_may_turn_to_fractions():
    rows = 300_000
    score = np.ones(rows)
    score[-1] = 0.5
    text = "score,label\n" + "1,1\n" * (rows - 1) + "0.5,0\n"
    Path("long.csv").write_text(text)
    loaded = ct.load("long.csv")
    assert loaded.rows == rows
    np.testing.assert_array_equal(loaded.values[:, 0], score)


@pytest.mark.parametrize("suffix", ["npz", "parquet", "feather", "arrow", "csv"])
@pytest.mark.parametrize("layout", ["logits", "probs", "one column", "confidence", "names"])
def test_what_is_written_is_read_back(layout, suffix):
    original = {
        "logits": lambda: ct.Predictions.from_logits(LOGITS, LABELS, weights=WEIGHTS),
        "probs": lambda: ct.Predictions.from_probs(PROBS, LABELS),
        "one column": lambda: ct.Predictions.from_probs(SCORE, BINARY),
        "confidence": lambda: ct.Predictions.from_confidence(CONFIDENCE, CORRECT),
        "names": lambda: ct.Predictions.from_logits(LOGITS, LABELS, class_names=NAMES),
    }[layout]()
    write_predictions(original, f"out.{suffix}")
    loaded = ct.load(f"out.{suffix}")
    truth = original.correct if original.kind == "confidence" else original.labels
    same(
        loaded,
        original.kind,
        original.values,
        truth,
        weights=original.weights,
        exact=suffix != "csv",
    )
    assert loaded.class_names == original.class_names


@pytest.mark.parametrize("names", [("a,b", "c", "d"), ("é", "日本", "c"), ("10", "20", "30")])
@pytest.mark.parametrize("suffix", ["npz", "parquet", "csv"])
def test_class_names_of_any_letters_survive(suffix, names):
    original = ct.Predictions.from_logits(LOGITS, LABELS, class_names=names)
    write_predictions(original, f"out.{suffix}")
    loaded = ct.load(f"out.{suffix}")
    np.testing.assert_array_equal(loaded.labels, LABELS)
    np.testing.assert_allclose(loaded.values, LOGITS)
    # in csv a column named logit_10 would be that of class 10: such names are not kept
    assert loaded.class_names == (None if suffix == "csv" and "10" in names else names)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "npz"])
def test_float16_survives_being_written(suffix):
    original = ct.Predictions.from_logits(LOGITS.astype(np.float16), LABELS)
    write_predictions(original, f"out.{suffix}")
    np.testing.assert_array_equal(ct.load(f"out.{suffix}").values, original.values)


def test_blocks_do_not_depend_on_row_groups_or_files():
    Path("parts").mkdir()
    table = pa.table({"logits": fixed(LOGITS), "label": LABELS})
    pq.write_table(table, "one.parquet", row_group_size=3)
    for k in range(4):
        pq.write_table(table.slice(10 * k, 10), f"parts/{k}.parquet", row_group_size=7)
    one, parts = (open_source(path).blocks(16) for path in ("one.parquet", "parts"))
    for a, b in zip(one, parts, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_lists_are_decoded_in_shares_of_a_block(monkeypatch):
    """pyarrow works in several times the memory of the values of a batch."""
    z = np.random.default_rng(0).standard_normal((1000, 5)).astype(np.float32)
    pq.write_table(pa.table({"logits": z.tolist(), "label": [0] * 1000}), "z.parquet")
    decoded = []
    real = parquet_file.validated
    monkeypatch.setattr(
        parquet_file, "validated", lambda batch: decoded.append(batch.num_rows) or real(batch)
    )
    blocks = [b.values for b in open_source("z.parquet").blocks(400)]
    assert [len(block) for block in blocks] == [400, 400, 200]
    np.testing.assert_array_equal(np.concatenate(blocks), z)
    assert max(decoded) == 50


def test_pieces_are_not_kept_beside_the_block_that_joins_them():
    references = []

    def pieces():
        for k in range(4):
            piece = np.full(3, k)
            references.append(weakref.ref(piece))
            yield {"x": piece}

    blocks = recut(pieces(), ["x"], 5, "x")
    assert next(blocks)["x"].tolist() == [0, 0, 0, 1, 1]
    assert references[0]() is None


def test_a_piece_without_values_becomes_as_wide_as_the_others():
    pieces = [
        {"x": np.zeros((2, 0)), "word": np.zeros((2, 0), "<U1")},
        {"x": np.ones((1, 3)), "word": np.array([["ab", "c"]])},
    ]
    (block,) = recut(iter(pieces), ["x", "word"], 5, "x")
    np.testing.assert_array_equal(block["x"], [[np.nan] * 3, [np.nan] * 3, [1.0] * 3])
    assert block["word"].tolist() == [["", ""], ["", ""], ["ab", "c"]]
    pieces = [{"x": np.zeros((2, 2))}, {"x": np.ones((1, 3))}]
    with pytest.raises(InputError, match="differ in their number"):
        list(recut(iter(pieces), ["x"], 5, "x"))


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_a_file_longer_than_a_block_measures_the_same_streamed_and_loaded(suffix):
    rng = np.random.default_rng(1)
    rows = 20_000
    logits = rng.normal(size=(rows, 4)).astype(np.float32)
    labels = rng.integers(0, 4, rows)
    if suffix == "npz":
        npz("long.npz", logits=logits, labels=labels)
    else:
        parquet("long.parquet", logits=fixed(logits), label=labels)
    options = {"resamples": 20, "metrics": "ece,nll,classwise-ece,ada-ece"}
    source = open_source(f"long.{suffix}")
    streamed, whole = ct.evaluate(source, **options), ct.evaluate(source.load(), **options)
    assert [(e.value, e.low, e.high) for e in streamed] == [(e.value, e.low, e.high) for e in whole]


# ------------------------------------------------------------------ what reading costs


def test_one_file_is_opened_without_threads(tmp_path, monkeypatch):
    for name in "ab":
        pq.write_table(
            pa.table({"score": [0.2, 0.9], "label": [0, 1]}), tmp_path / f"{name}.parquet"
        )
    begun = []
    real = arrow.ThreadPoolExecutor.map
    monkeypatch.setattr(arrow.ThreadPoolExecutor, "map", lambda *a: begun.append(1) or real(*a))
    assert ct.load(tmp_path / "a.parquet").rows == 2
    assert not begun
    assert ct.load(tmp_path).rows == 4
    assert begun


@pytest.mark.parametrize(("peak", "given"), [(reader.KEPT, 0), (reader.KEPT + 1, 1)])
def test_little_memory_that_was_decoded_in_is_kept(peak, given, monkeypatch):
    calls = []
    pool = SimpleNamespace(max_memory=lambda: peak, release_unused=lambda: calls.append(1))
    monkeypatch.setattr(pa, "default_memory_pool", lambda: pool)
    reader.give_back()
    assert len(calls) == given
