"""Arrays of odd dtypes, shapes and values, alone and as predictions; headers of npy files."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from fuzzing.bytes import set_bytes
from fuzzing.hostile import TEXTS

Array = np.ndarray[Any, Any]
MAGIC = b"\x93NUMPY"
NO_LABEL = 255  # of a pixel, as most data sets of images write it
DTYPES = (
    *("?", "i1", "i2", "u2", "i8", "u8", "f2", "f4", "f8", "g", "c8", "c16", "U5", "S5", "U0"),
    *("M8[s]", "m8[s]", ">f4", ">i2", "V8", "f4,i4", "(3,)f4,i4", "S0"),
)
SPECIAL = (
    *(0, 1, 2, -1, 0.3, 0.5, 0.7, 255, 2**31, -0.0, 5e-324, 1e-300, 1e19, 1e155, 1e308, -1e308),
    *(float("nan"), float("inf"), -float("inf")),
)
FINITE = tuple(value for value in SPECIAL if value - value == 0)


def generator(rng: Random) -> np.random.Generator:
    """Return a generator of numpy that follows from the state of `rng`."""
    return np.random.default_rng(rng.getrandbits(64))


def odd_array(rng: Random) -> Array:
    """Return an array of any dtype and shape."""
    rows, columns = rng.choice((0, 1, 2, 3, 5, 20, 60)), rng.choice((0, 1, 2, 3, 7))
    shape: tuple[int, ...] = rng.choice(
        ((), (rows,), *((rows, columns),) * 2, (rows, 1), (rows, columns, 2), (columns, rows))
    )
    kind = rng.choice(DTYPES)
    if kind[0] in "VMm(" or "," in kind or kind.endswith("0"):
        return np.zeros(shape, kind[0] if kind.endswith("0") else kind)
    draws = generator(rng)
    values = draws.choice(SPECIAL, shape) if rng.random() < 0.5 else draws.random(shape)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = np.asarray(values).astype(kind)
    return np.asfortranarray(array) if rng.random() < 0.2 else array


def _extreme(draws: np.random.Generator, values: Array) -> Array:
    """Set some values to finite ones at the edge of what a float holds."""
    out = values.astype(float)
    out[draws.random(out.shape) < draws.choice((0.02, 0.5, 1))] = draws.choice(FINITE)
    return out


def _special(draws: np.random.Generator, values: Array) -> Array:
    """Set one value to any special one."""
    out = values.astype(float)
    if out.size:
        out.flat[draws.integers(out.size)] = draws.choice(SPECIAL)
    return out


def _scaled(draws: np.random.Generator, values: Array) -> Array:
    """Scale all values, by up to what overflows when squared."""
    with np.errstate(all="ignore"):
        scale = float(draws.choice((0, 1e-300, 1e-9, 1e3, 1e12, 1e30, 1e155)))
        scaled: Array = values.astype(float) * scale
    return scaled


def _certain(draws: np.random.Generator, values: Array) -> Array:
    """Replace probabilities by 0 and 1, under which a wrong class is impossible."""
    if values.ndim != 2 or not values.size:
        return np.asarray(values.astype(float) > 0.5).astype(float)
    return np.eye(values.shape[1])[values.argmax(axis=1)]


def _constant(draws: np.random.Generator, values: Array) -> Array:
    """Make all rows equal."""
    return np.asarray(values[np.zeros(len(values), int)])


def _whole(draws: np.random.Generator, values: Array) -> Array:
    """Round, so that there are ties and exact zeros and ones."""
    return np.asarray(np.rint(values.astype(float)))


def _other_type(draws: np.random.Generator, values: Array) -> Array:
    """Return the values in another type of numbers."""
    kind = str(draws.choice(("f2", "f4", ">f8", "g", "i1", "u8", "?", "U5", "c16")))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return values.astype(kind)


def _fewer(draws: np.random.Generator, values: Array) -> Array:
    """Leave out the last row."""
    return values[:-1]


def _deeper(draws: np.random.Generator, values: Array) -> Array:
    """Add an axis of length 1."""
    return values[..., None]


ODDITIES: tuple[Callable[[np.random.Generator, Array], Array], ...] = (
    *(_extreme, _extreme, _special, _scaled, _scaled, _constant, _whole, _other_type, _fewer),
    *(_deeper, _certain),
)


def _plausible(draws: np.random.Generator, rows: int, classes: int) -> dict[str, Array]:
    """Return one plausible array per role, of which a file needs two or three."""
    logits = 2 * draws.normal(size=(rows, classes))
    powers = np.exp(logits)
    with np.errstate(all="ignore"):
        probs = powers / powers.sum(axis=1, keepdims=True)
    labels = draws.integers(0, max(classes, 1), rows)
    if classes and draws.random() < 0.7:  # right as often as not, as of a network
        labels = np.where(draws.random(rows) < 0.5, logits.argmax(axis=1), labels)
    score = draws.random(rows)
    hits = draws.random(rows) < score
    return {
        "logits": logits.astype(np.float32) if draws.random() < 0.5 else logits,
        "probs": probs,
        "score": score,
        "confidence": score,
        "labels": labels,
        "binary": hits.astype(np.int64),
        "correct": hits,
        "predictions": draws.integers(0, max(classes, 1), rows),
        "targets": (draws.random(logits.shape) < 0.5).astype(np.int8),
        "votes": draws.integers(0, 4, logits.shape),
        "planes": draws.normal(size=(rows, classes, 2, 3)),
        "masks": draws.choice([*range(max(classes, 1)), NO_LABEL], (rows, 2, 3)),
        "weights": draws.random(rows),
        "classes": np.array([TEXTS[k % len(TEXTS)] or "c" for k in range(classes)]),
        "user": draws.integers(0, 5, rows),
        "age": draws.integers(18, 90, rows),
        "country": np.array(TEXTS)[draws.integers(0, 9, rows)],
    }


# arrays are called by their roles, but for these
NAMES = {"binary": "labels", "planes": "logits", "masks": "labels"}
# kind of rows that hold several predictions, levels or soft labels -> the arrays of a file, and the
# options by which a command is told what they are, where their names and shapes do not tell
SEVERAL: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "multi-label": (("probs", "targets"), ("", "--multilabel")),
    "dense": (
        ("planes", "masks"),
        (f"--ignore {NO_LABEL}", f"--ignore {NO_LABEL} --layout channels-first", ""),
    ),
    "levels": (("probs", "labels"), ("--ordinal", "--cut-points", "--ordinal --cut-points")),
    "soft": (("probs", "votes"), ("--soft-labels votes", "--soft-labels votes --ordinal")),
}
LAYOUTS = (
    *(("logits", "labels"),) * 3,
    *(("probs", "labels"),) * 2,
    *(("score", "binary"),) * 3,
    ("confidence", "correct"),
    ("score", "binary", "weights", "country"),
    ("score", "binary", "user", "age", "country"),
    ("logits", "labels", "weights", "user", "country"),
    ("logits", "labels", "classes"),
    ("confidence", "predictions", "labels"),
    ("confidence", "correct", "weights"),
    *(roles for roles, _ in SEVERAL.values()),
)


def odd_predictions(rng: Random, layouts: Sequence[tuple[str, ...]] = LAYOUTS) -> dict[str, Array]:
    """Return arrays with the names of predictions, of which one or more are odd."""
    draws = generator(rng)
    rows = rng.choice((0, 1, 2, 3, 9, 10, 11, 30, 30, 60, 60))
    classes = rng.choice((0, 1, 2, 2, 3, 3, 3, 7))
    layout = rng.choice(layouts)
    known = _plausible(draws, rows, classes)
    arrays = {NAMES.get(name, name): known[name] for name in layout}
    if "logits" in arrays and rng.random() < 0.3:  # of any size, and nothing else is odd
        with np.errstate(all="ignore"):
            arrays["logits"] = arrays["logits"] * 10.0 ** rng.uniform(-320, 308)
        return arrays
    if "probs" in arrays and rng.random() < 0.2:
        return {**arrays, "probs": _certain(draws, arrays["probs"])}
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        name = rng.choice(list(arrays))
        whole = arrays[name]
        if not whole.ndim or whole.dtype.kind == "U" or rng.random() < 0.15:
            arrays[name] = odd_array(rng)
        elif whole.dtype.kind in "iufb":
            arrays[name] = rng.choice(ODDITIES)(draws, whole)
    return arrays


def npy(array: Array) -> bytes:
    """Return an array as the bytes of an npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(arrays: Mapping[str, Array], *, compressed: bool = False) -> bytes:
    """Return arrays as the bytes of an npz file."""
    file = io.BytesIO()
    save: Any = np.savez_compressed if compressed else np.savez
    save(file, **arrays)
    return file.getvalue()


# what a header of an npy file can claim
DESCRIPTIONS = (
    *("|O", "<f4", "<f8", ">i8", "<U3", "|S4", "<M8[ns]", "<c16", "<f16", "|V3", "|b1", "<i4"),
    *("O", "|u1", "<U999999999", "<f3", "object", "__import__('os')", "<M8", "<m8[7D]"),
    *("<f4,<f4", "[('a','<f4')]", "[('a','|O')]", "('<f4',(3,))", "[]", "None"),
)
SHAPES = (
    *("()", "(0,)", "(60,)", "(60, 3)", "(-1,)", "(2**60,)", "(99999999999999999999,)", "None"),
    *("(60, 3, 0)", "(1.5,)", "('a',)", "(60,3", "(281474976710655,)", "(True, 3)", "(60, -3)"),
    *("(0, 1000000000000)", "(0, 99999999)", "(3, 60)", "(180,)", "(" + "1," * 40 + "180)"),
    "(" * 40 + "1" + ",)" * 40,
)
HEADERS = (
    *("{}", "[]", "1", "", "{'descr': 1}", "lambda: 0"),
    "{'descr': '<f4', 'fortran_order': False, 'shape': " + "9" * 5000 + "}",
)


def edit_header(rng: Random, data: bytes) -> bytes:
    """Return an npy file, or a file that holds one, with another header."""
    start = data.find(MAGIC)
    if start < 0 or len(data) < start + 10:
        return set_bytes(rng, data)
    (length,) = struct.unpack("<H", data[start + 8 : start + 10])
    text = _other_header(rng, data[start + 10 : start + 10 + length].decode("latin1"))
    header = text.encode("latin1", "replace")
    if rng.random() < 0.7:  # of the old length, so that the data stay where they are
        header = header + b" " * max(0, length - len(header) - 1) + b"\n"
    version = rng.choice((b"\x01\0", b"\x01\0", b"\x02\0", b"\x03\0", b"\0\0", b"\xff\xff"))
    size = len(header)
    packed = struct.pack("<H", min(size, 65535)) if version[0] == 1 else struct.pack("<I", size)
    return data[:start] + MAGIC + version + packed + header + data[start + 10 + length :]


def _other_header(rng: Random, text: str) -> str:
    way = rng.randrange(8)
    if way == 0:
        return rng.choice(HEADERS)
    if way == 1:
        return text.replace("False", rng.choice(("True", "None", "1", "'x'", "[]")))
    if way == 2:
        return set_bytes(rng, text.encode("latin1")).decode("latin1")
    if way == 3:
        return "(" * rng.choice((100, 5000)) + text
    if way == 4:
        return text.replace("}", rng.choice(("'x': 1}", "}}", "", "} #", "'shape': (1,)}")))
    if way != 5:
        kind = rng.choice(DESCRIPTIONS)
        quoted = kind if kind[0] in "[N(" else repr(kind)
        text = re.sub(r"'descr': '[^']*'", lambda _: f"'descr': {quoted}", text)
    if way != 6:
        text = re.sub(r"'shape': \([^)]*\)", f"'shape': {rng.choice(SHAPES)}", text)
    return text
