"""Documents of ours, nearly right: JSON (calibrators, reports, headers of cells) and TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from fuzzing.bytes import damage, set_bytes
from fuzzing.hostile import TEXTS

Path = tuple[Any, ...]
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 1.5, -0.0, 1e308, -1e308, 5e-324, 2**31, 2**63, 10**30),
    *(-(10**30), 10**400, float("nan"), float("inf"), -float("inf"), "", "x", "nan", "inf", "1"),
    *("\ud800", "x" * 20000, [], [[]], {}, [1], {"a": 1}, [None], [1, "a"], [[1, 2], [3]]),
    *([[[]]], [True], {"": ""}),
    *TEXTS,
)
# words that have a meaning somewhere in a document of ours
WORDS = (
    *("logits", "probs", "confidence", "log-probs", "temperature", "affine", "mixture", "curves"),
    *("monotone", "by-group", "shifted", "sigmoid", "steps", "line", "bend", "pair", "crossed"),
    *("one-vs-rest", "shared", "top-label", "platt", "isotonic", "ece", "top", "positive"),
)
ODD_NUMBERS = (
    *("1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 4000, "9" * 6000, "1e-400", "00"),
    *("0x10", "-", "1_000", "null", "true", "1" + "0" * 309),
)
DEPTHS = (500, 5000, 200_000)
DEEPEST = 100  # levels of a document whose values are changed


def damage_json(rng: Random, data: bytes) -> bytes:
    """Return the JSON document with other values, keys, nesting, numbers or encoding."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return set_bytes(rng, data)
    if rng.random() < 0.65:
        return json.dumps(_other_values(rng, value)).encode()
    return rng.choice(TEXT_WAYS)(rng, json.dumps(value))


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Yield the way to each value of a document; of lists, only to the first few."""
    yield at
    if len(at) == DEEPEST:
        return
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*at, key))
    elif isinstance(value, list):
        for k in range(min(len(value), 6)):
            yield from paths(value[k], (*at, k))


def found(value: Any, path: Path) -> Any:
    """Return the value at a path."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """Put a value at a path; return the document."""
    if not path:
        return new
    found(value, path[:-1])[path[-1]] = new
    return value


def without(value: Any, path: Path) -> Any:
    """Leave out what is at a path; return the document."""
    if path:
        del found(value, path[:-1])[path[-1]]
    return value


def _other_values(rng: Random, value: Any) -> Any:
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        path = rng.choice(list(paths(value)))
        draw = rng.random()
        if draw < 0.5:
            # a copy: what is put in may be changed by the next round
            value = replaced(value, path, deepcopy(rng.choice(ODD_VALUES)))
        elif draw < 0.7:
            value = without(value, path)
        else:
            value = replaced(value, path, _bent(rng, found(value, path)))
    return value


def _bent(rng: Random, value: Any) -> Any:
    """Return a value of the same type that is not the same."""
    if isinstance(value, list):
        return rng.choice(
            (value[:-1], value + value, value[::-1], [value], [*value, 0], value * 40)
        )
    if isinstance(value, dict) and value:
        key, other = rng.choice(list(value)), rng.choice(list(value))
        return {**value, key: value[other]}
    if isinstance(value, str):
        return rng.choice(WORDS)
    if isinstance(value, int | float) and abs(value) < 1e300:
        ways = (-value, value * 1e9, value + 1, value / 1e9, value * 1e300, value * 1e150)
        return rng.choice((*ways, str(value)))
    return value


def _nested(rng: Random, text: str) -> bytes:
    """Put brackets inside brackets, deeper than any parser recurses."""
    depth = rng.choice(DEPTHS)
    start, end = rng.choice((("[", "]"), ('{"a":', "}")))
    nest = start * depth + ("1" if start != "[" else "") + end * depth
    if rng.random() < 0.4:
        return nest.encode()
    pattern = r'"(parameters|fitted|metrics|data|cells|inner|keep|shape|run|held)": '
    return re.sub(pattern, lambda m: f'"{m[1]}": {nest}, "x": ', text, count=1).encode()


def _odd_number(rng: Random, text: str) -> bytes:
    numbers = list(re.finditer(r"-?\d+\.?\d*(?:e[-+]?\d+)?", text))
    if not numbers:
        return text.encode()
    at = rng.choice(numbers)
    return (text[: at.start()] + rng.choice(ODD_NUMBERS) + text[at.end() :]).encode()


def _repeated_key(rng: Random, text: str) -> bytes:
    keys = list(re.finditer(r'"(\w+)": ', text))
    if not keys:
        return text.encode()
    at = rng.choice(keys)
    value = json.dumps(rng.choice((0, None, [], "x", {})))
    if rng.random() < 0.5:
        return f'{text[: at.start()]}"{at[1]}": {value}, {text[at.start() :]}'.encode()
    return f'{text[:-1]}, "{at[1]}": {value}}}'.encode()


def _otherwise_written(rng: Random, text: str) -> bytes:
    raw = text.encode()
    return rng.choice(
        (
            *(text.encode("utf-16"), b"\xef\xbb\xbf" + raw, raw[: -rng.randrange(1, 30)]),
            *(b"\xff" + raw, raw * 2, b"null", b"[]", b"{}", b"", b"1", b'"x"'),
            text.replace('"', "'").encode(),
        )
    )


TEXT_WAYS: tuple[Callable[[Random, str], bytes], ...] = (
    *(_nested, _odd_number, _odd_number, _repeated_key, _otherwise_written, _otherwise_written),
)

# ------------------------------------------------------------------ TOML

KEYS = (
    *("require", "mode", "resamples", "level", "seed", "ci", "by", "cluster", "id", "every"),
    *("time", "file", "calibrator", "baseline", "inconclusive", "labels", "labels_file", "score"),
    *("logits", "probs", "weights", "classes", "renormalize", "zzz", "filter", "format"),
    *("correct", "predictions", "confidence"),
)
COSTS = (*"01223", "reject", "cost", "cost.0", "cost.1.0", "cost.2.1", "'1'", '""', "cat", "[cost]")
ODD_TOML = (
    *("1", "-1", "0", "1e400", "nan", "inf", "-5", "10000000000000000000000000", '""', "[]", "{}"),
    *("true", "[1]", '["x"]', "1979-05-27", r'"\u001b]0;x"', "0.5", "2.0", '"a.b"', "0.0", "1.0"),
    *(f'"{"x" * 9000}"', '["ece <= nan"]', '["ece <= 1e400"]', '["ece(bins=1e12) <= 1"]'),
    *('["' + "(" * 3000 + '"]', '["ece <= 0.1 by ' + ",".join("a" * 50) + '"]', r'"\u0000"'),
    *('"file:///etc/passwd"', '"none"', '"prove"', '"brier"', '["delta(ece) <= 0"]', "99999999999"),
    *('["e(change) < 20"]', '["worst(worst(ece by class) by class) <= 1"]', '["ece <= -5 %"]'),
    *('["p(ece) >= 0"]', '["ece(resamples=0) <= 1"]', '["ece <= 0.1 by country"]'),
)
WHOLE_TOML = (
    *(b"check = 1\n", b"check = []\n", b"[[check]]\nrequire=[]\n", b"[tool]\ncalibtool = 3\n"),
    *(b"", b"\xff\xfe", b"[check]\n", b"[tool.calibtool]\ncheck = 'x'\n"),
    b"tool.calibtool.check.require = ['ece <= 1']\n",
)
ENDLESS = ("[" * 20_000, "{a=" * 3000, '"""' * 3, "[" * 2000 + "]" * 2000)


def damage_costs(rng: Random, data: bytes) -> bytes:
    """Return the file of costs with other values, keys, nesting or bytes."""
    return damage_toml(rng, data, COSTS)


def damage_toml(rng: Random, data: bytes, keys: Sequence[str] = KEYS) -> bytes:
    """Return the configuration with other values, keys, nesting or bytes."""
    draw, text = rng.random(), data.decode()
    if draw < 0.6:
        for _ in range(rng.choice((1, 1, 2, 3))):
            key = rng.choice(keys)
            text = re.sub(rf"(?ms)^{key} = (\[.*?^\]|[^\n]*)\n", "", text)
            text += f"{key} = {rng.choice(ODD_TOML)}\n"
        return text.encode()
    if draw < 0.7:
        return f"{text}x = {rng.choice(ENDLESS)}\n".encode()
    if draw < 0.75:
        return ("[check]\n" * 2 + text).encode()
    return rng.choice(WHOLE_TOML) if draw < 0.85 else damage(rng, data)
