"""Documents: files of our own formats (JSON, TOML, zips of them), read within limits.

Every such file comes from outside: it can be cut, edited by hand, or made to do harm. `Document`
reads it and refuses what no writer makes: other encodings, keys that stand twice, NaN, nesting
without end. `Entry` is a value of it that knows by which keys it was found: it hands out what a
format expects there, or refuses with file, keys and expectation. What a format holds stands beside
the format, in small functions that take entries.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from calibtool.data.files.store import open_checked
from calibtool.errors import InputError, UnreadableError
from calibtool.types import Array

# Most bytes of a JSON document, unless a format says less. The largest is a Venn-Abers calibrator:
# 2**25 scores of four numbers, some 20 characters each, are 2.7 GB. More is a device or a mistake.
LARGEST_JSON = 1 << 32
# Most bytes of a TOML file, which is written by hand: a hundred times a long pyproject.toml. Keys
# of many parts take tomllib quadratic time, so that they have a limit too.
LARGEST_TOML = 1 << 20
_MANY_PARTS = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")
# Most levels of lists and objects; the formats need up to a dozen. Python's parsers give up at
# about a thousand, and functions that follow a document down must not get near that.
DEEPEST = 64
# Largest size of a number, unless a format says otherwise: its products with logits, and the
# squares of those, stay far below the largest float64 (1.8e308).
LARGE = 1e100
MOST = (1 << 63) - 1  # largest whole number: that of int64
# Digits of a whole number that are taken at their word; int64 has 19. Longer ones are read as
# floats: Python refuses to read thousands of digits.
_DIGITS = 40
_WIDEST = 60  # characters of a value that a message shows: about a line, with file and keys


@dataclass(frozen=True)
class Document:
    """A document to be read.

    Attributes:
        file: what to call it, the path in most cases.
        what: what it should be, such as "a calibrator file".
        advice: what to do if it is not that, or "".
    """

    file: str
    what: str
    advice: str = ""

    def refuse(self, reason: str) -> NoReturn:
        """Raise InputError: the file is not what it should be, for this reason."""
        advice = f"; {self.advice}" if self.advice else ""
        raise InputError(f"{self.file}: not {self.what}: {reason}{advice}")

    def open(self) -> IO[bytes]:
        """Open the file. Raises InputError if it cannot be opened, or is empty."""
        try:
            return open_checked(Path(self.file), self.file)
        except UnreadableError as error:
            if error.__cause__ is not None:  # of the system: there may be no such file
                raise
            self.refuse(error.reason)

    def read_json(self, largest: int = LARGEST_JSON) -> Entry:
        """Return the content of a JSON file. Raises InputError for anything else."""
        return self.parse_json(self._bytes(largest))

    def parse_json(self, data: bytes) -> Entry:
        """Return the content of JSON. Raises InputError for anything else."""
        constants: list[str] = []

        def constant(name: str) -> float:
            constants.append(name)
            return float(name)

        try:
            content = json.loads(
                self._text(data),
                object_pairs_hook=_object,
                parse_int=_whole,
                parse_constant=constant,
            )
        except RecursionError:
            self._too_deep()
        except ValueError as error:
            self.refuse(f"not valid JSON, it may be truncated: {error}")
        root = Entry(content, self)
        if data.count(b"[") + data.count(b"{") > DEEPEST:  # or they cannot stand that deep
            self._require_shallow(content)
        if constants:
            root.plain()  # finds where it stands
        return root

    def read_toml(self) -> tuple[Entry, str]:
        """Return the content of a TOML file, and its text. Raises InputError for anything else."""
        text = self._text(self._bytes(LARGEST_TOML))
        import tomllib  # most documents are JSON

        if _MANY_PARTS.search(text):
            self.refuse("not valid TOML: a key has 64 parts or more")
        try:
            content = tomllib.loads(text)
        except RecursionError:
            self._too_deep()
        except tomllib.TOMLDecodeError as error:
            self.refuse(f"not valid TOML: {error}")
        except ValueError:  # of int(), which advises to change an option of Python
            self.refuse("not valid TOML: a whole number has thousands of digits")
        self._require_shallow(content)
        return Entry(content, self), text

    def _bytes(self, largest: int) -> bytes:
        with self.open() as file:
            try:
                # no more than it has: Python makes room for all that is asked for
                data = file.read(min(largest, os.fstat(file.fileno()).st_size) + 1)
            except OSError as error:
                raise InputError(f"{self.file}: {error.strerror or error}") from error
        if len(data) > largest:
            self.refuse(f"it has more than {largest:,} bytes")
        return data

    def _text(self, data: bytes) -> str:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.refuse("its text is UTF-16; save it as UTF-8")
        if data.startswith(codecs.BOM_UTF8):
            self.refuse("its text begins with a byte order mark; save it as UTF-8 without one")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            self.refuse(f"its text is not UTF-8 (byte {error.start:,} is {data[error.start]:#x})")

    def _require_shallow(self, content: Any) -> None:
        if deeper(content, DEEPEST):
            self._too_deep()

    def _too_deep(self) -> NoReturn:
        self.refuse(f"lists and tables stand in one another more than {DEEPEST} deep")


@dataclass(frozen=True)
class Entry:
    """A value of a document. Methods return what is expected of it, or raise InputError.

    Attributes:
        value: as the parser gave it.
        document: where it is from.
        keys: the keys that lead to it, such as "metrics[2].value"; "" for the whole document.
    """

    value: Any
    document: Document
    keys: str = ""

    def fail(self, expected: str) -> NoReturn:
        """Raise InputError: something else is expected here."""
        self.document.refuse(f"{self.keys or 'it'} must be {expected}, not {shown(self.value)}")

    def refuse(self, reason: str) -> NoReturn:
        """Raise InputError that names the keys, and a reason."""
        self.document.refuse(f"{self.keys or 'it'} {reason}")

    def __getitem__(self, key: str) -> Entry:
        """Return the value of a key, which must be there."""
        if key not in self._object():
            self.document.refuse(f"{self._below(key)} is missing")
        return Entry(self.value[key], self.document, self._below(key))

    def get(self, key: str) -> Entry | None:
        """Return the value of a key; None if it is not there, or null."""
        value = self._object().get(key)
        return None if value is None else Entry(value, self.document, self._below(key))

    def entries(self) -> dict[str, Entry]:
        """Return the entries of an object by key."""
        return {
            Entry(key, self.document, self.keys).text(): Entry(
                value, self.document, self._below(key)
            )
            for key, value in self._object().items()
        }

    def items(self, length: int | None = None) -> list[Entry]:
        """Return the entries of a list, of this length."""
        wanted = "a list" if length is None else f"a list of {length:,}"
        if not isinstance(self.value, list) or length not in (None, len(self.value)):
            self.fail(wanted)
        return [self._item(k) for k in range(len(self.value))]

    def text(self, choices: Iterable[str] | None = None) -> str:
        """Return a text, one of `choices` if they are given."""
        if not isinstance(self.value, str):
            self.fail("a text" if choices is None else f"one of {', '.join(choices)}")
        if choices is not None and self.value not in choices:
            self.fail(f"one of {', '.join(choices)}")
        try:
            self.value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which no output can show
            self.fail("a text of whole characters")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(item.text() for item in self.items())

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.fail("true or false")
        return self.value

    def whole(self, least: int = 0, most: int = MOST) -> int:
        """Return a whole number in [least, most]."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.fail("a whole number")
        if not least <= self.value <= most:
            self.fail(f"a whole number {_range(least, most)}")
        return self.value

    def number(self, least: float = -LARGE, most: float = LARGE, *, inside: bool = False) -> float:
        """Return a number in [least, most], or in (least, most) with `inside`."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            self.fail("a number")
        value = _as_float(self.value)
        if not math.isfinite(value):
            self.fail("a finite number")
        if not least <= value <= most or (inside and value in (least, most)):
            self.fail(f"a number {_range(least, most, inside=inside)}")
        return value

    def numbers(
        self, length: int | None = None, *, least: float = -LARGE, most: float = LARGE
    ) -> Array:
        """Return a list of numbers in [least, most]: (length,) float64."""
        wanted = "a list of numbers" if length is None else f"a list of {length:,} numbers"
        if not isinstance(self.value, list) or length not in (None, len(self.value)):
            self.fail(wanted)
        if set(map(type, self.value)) <= {int, float}:
            values = _as_array(self.value)
            wrong = ~((values >= least) & (values <= most))
            if not wrong.any():
                return values
        return np.array([item.number(least, most) for item in self.items()])

    def plain(self) -> Any:
        """Return the value as it is, if all texts and numbers in it are whole and finite."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.entries().items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.items()]
        if isinstance(self.value, str):
            return self.text()
        if isinstance(self.value, (int, float)) and not isinstance(self.value, bool):
            self.number(-math.inf, math.inf)
        return self.value

    def _object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            self.fail("an object of names and values")
        return self.value

    def _below(self, key: str) -> str:
        named = _named(key)
        return f"{self.keys}{'.' if self.keys and named == key else ''}{named}"

    def _item(self, k: int) -> Entry:
        return Entry(self.value[k], self.document, f"{self.keys}[{k}]")


@lru_cache(maxsize=256)  # files of one kind have the same keys
def _named(key: str) -> str:
    """Return a key as it stands in `keys`."""
    return key if re.fullmatch(r"[\w-]{1,60}", key) else f"[{shown(key)}]"


def deeper(content: Any, levels: int) -> bool:
    """Return whether lists and tables stand in one another more than so many levels deep.

    >>> deeper([{"a": []}], 3), deeper([{"a": []}], 2), deeper(1, 0)
    (False, True, False)
    """
    level = [content] if isinstance(content, (dict, list)) else []
    for _ in range(levels):
        groups = [parent.values() if isinstance(parent, dict) else parent for parent in level]
        # most lists are of numbers alone, which need no look at each
        some = [group for group in groups if not {dict, list}.isdisjoint(map(type, group))]
        level = [child for group in some for child in group if isinstance(child, (dict, list))]
        if not level:
            return False
    return bool(level)


def require_format(content: Entry, name: str, newest: int) -> int:
    """Return the version of a document of our own, as its `format` and `version` say.

    Raises InputError for another format, and for a version above `newest`.
    """
    if content["format"].value != name:
        content["format"].fail(repr(name))
    version = content["version"].whole(1)
    if version > newest:
        raise InputError(
            f"{content.document.file}: has version {version}, this calibtool reads versions up to "
            f"{newest}; update calibtool"
        )
    return version


def shown(value: Any) -> str:
    """Return a value as a message shows it: as JSON writes it, and cut.

    >>> shown(None), shown([1, 2]), shown("x" * 99)[:4]
    ('null', 'a list of 2', "'xxx")
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and abs(value) > MOST:  # repr refuses thousands of digits
        return f"a whole number of {value.bit_length():,} bits"
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs; raise ValueError if a key stands twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(twice)} stands twice in an object")
    return made


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def _as_float(value: float) -> float:
    """Return a number as a float; a whole number beyond the largest float as infinity."""
    if isinstance(value, int) and value.bit_length() > 1023:  # the largest exponent of float64
        return math.copysign(math.inf, value)
    return float(value)


def _as_array(values: list[float]) -> Array:
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:  # a whole number beyond the largest float
        return np.array([*map(_as_float, values)])


def _range(least: float, most: float, *, inside: bool = False) -> str:
    if inside:
        return f"between {least:g} and {most:g}"
    if most in (MOST, LARGE, math.inf):
        return f"of at most {LARGE:g} in size" if least == -most else f"of at least {least:g}"
    return f"from {least:g} to {most:g}"
