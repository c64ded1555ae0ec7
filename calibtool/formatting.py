"""Numbers, shares, p-values, lists, and names from files, as text. Nothing is rounded to 0 or 1
unless it is exactly that."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

DEFAULT_LEVEL = 0.95  # of intervals, as everywhere in this package
DIGITS = 4  # decimals: of a calibration error, more are noise below millions of rows
MOST_DIGITS = 8  # decimals that are tried to show a small change; more do not fit in 80 columns
ROUNDING = 1e-12  # differences of sums over many rows differ so much by the order of the sum
LARGE = 1e5  # from here on, four decimals say nothing
# What no line of text shows: control characters, separators of lines, what reorders the text after
# it (Unicode's bidirectional controls), byte order marks, annotations, halves of surrogate pairs,
# and code points that are no characters, which XML forbids.
_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\ufdd0-\ufdef" + "".join(f"{chr(k)}{chr(k + 1)}" for k in range(0xFFFE, 0x110000, 0x10000))
)
# What the log of a CI job obeys: "::error" at the start of a line, which wrapping puts anywhere, by
# the names that GitHub's runner knows, and "##[" and "##vso[" (Azure) anywhere.
_COMMANDS = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|internal-set-repo-path|notice|"
    "remove-matcher|save-state|set-env|set-output|stop-commands|warning"
)
_UNSAFE = re.compile(
    rf"[{_HIDDEN}]|:(?=:(?:{_COMMANDS})[: ])|#(?=#(?:vso|teamcity)?\[)", re.IGNORECASE
)
# Fields that a spreadsheet runs begin so, the last four in East Asian forms; but for numbers,
# ranges of numbers, as slices are named, and a sign alone.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_NUMBERS = re.compile(rf"{_NUMBER}(?: ?%)?(?: to {_NUMBER})?|[-+]?(?:inf|nan)?", re.IGNORECASE)


def number(value: float | None, digits: int = DIGITS) -> str:
    """Return a number with `digits` decimals; with more, or an exponent, where these would read 0
    or 1.

    A larger number never reads smaller: what lies in an interval lies in it as printed.

    >>> number(0.03896), number(0.00001), number(0.0), number(0.99999), number(None)
    ('0.0390', '1.0e-05', '0.0000', '0.99999', '')
    >>> number(0.03896, 3), number(0.00001, 5)
    ('0.039', '0.00001')
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        return f"{value:.1e}"
    if value < 1 and f"{value:.{digits}f}" == f"{1:.{digits}f}":
        more = max(digits, 6) + 1
        close = value > 1 - 0.5 * 10 ** (1 - more)
        return f"1 - {1 - value:.1e}" if close else f"{value:.{more}f}".rstrip("0")
    if abs(value) >= LARGE and digits:
        return f"{value:.4g}"
    return f"{value + 0.0:.{digits}f}"  # + 0.0: no "-0.0000"


def signed(value: float | None, digits: int = DIGITS) -> str:
    """Return a number with its sign, for differences."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def interval(
    low: float | None, high: float | None, *, sign: bool = False, digits: int = DIGITS
) -> str:
    """Return "[low, high]", or "" without an interval; `sign` shows plus signs."""
    if low is None or high is None:
        return ""
    show = signed if sign else number
    return f"[{show(low, digits)}, {show(high, digits)}]"


class Change(NamedTuple):
    """A change as text: the numbers before and after it, their difference, and its interval."""

    before: str
    after: str
    change: str
    interval: str

    @property
    def digits(self) -> int:
        """The decimals of the change, with which numbers beside it are printed."""
        return len(self.change.partition(".")[2]) or DIGITS


def changed(
    before: float | None,
    after: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    digits: int = DIGITS,
) -> Change:
    """Return a change as text; see `changes`.

    >>> changed(0.0646, 0.0031, -0.0703, -0.0528)
    Change(before='0.0646', after='0.0031', change='-0.0615', interval='[-0.0703, -0.0528]')
    >>> changed(0.00112, 0.00114, 0.00001, 0.00003).change
    '+0.00002'
    """
    return changes(before, [(after, low, high)], digits=digits)[0]


def changes(
    before: float | None,
    after: Sequence[tuple[float | None, float | None, float | None]],
    *,
    digits: int = DIGITS,
) -> list[Change]:
    """Return changes from the same number as text. The printed change is the difference of the two
    printed numbers.

    All have the same decimals: `digits`, and more where a printed change would lie outside its
    printed interval, or two numbers would read the same although the interval excludes 0. Where no
    number of decimals helps, the printed interval reaches to the printed change.

    Args:
        before: the number that the others are compared with; None where it is not known.
        after: the other numbers, each with the ends of the interval of its difference, or None.
        digits: the fewest decimals.

    >>> [row.change for row in changes(0.50004, [(0.49996, None, None), (0.5003, None, None)])]
    ['0.0000', '+0.0003']
    """
    after = [(x, _exact(low), _exact(high)) for x, low, high in after]
    known = [x for x in (before, *(row[0] for row in after)) if x is not None and math.isfinite(x)]
    if max(map(abs, known), default=0.0) >= LARGE:
        digits = 0
    possible = range(digits, max(digits, MOST_DIGITS) + 1)
    agree = (k for k in possible if all(_agrees(before, *row, digits=k) for row in after))
    digits = next(agree, digits)
    return [_changed(before, *row, digits=digits) for row in after]


def _exact(end: float | None) -> float | None:
    """Return an end of an interval; 0 where it differs from 0 by rounding errors alone."""
    return 0.0 if end is not None and abs(end) < ROUNDING else end


def margin_of(value: float, limit: float, *, upper: bool) -> tuple[int, str]:
    """Return the decimals with which a number reads on its side of a limit, and how far it is
    within the limit, as both are printed; a negative distance is beyond it.

    >>> margin_of(0.0648, 0.03, upper=True), margin_of(0.030012, 0.03, upper=True)
    ((4, '-0.0348'), (5, '-0.00001'))
    >>> margin_of(0.8886, 0.88, upper=False)
    (4, '+0.0086')
    """
    if not math.isfinite(value) or abs(value) >= LARGE:
        return DIGITS, signed(limit - value if upper else value - limit)
    exact = Decimal(repr(float(limit)))
    fewest = max(DIGITS, -int(exact.as_tuple().exponent))
    possible = range(fewest, max(fewest, MOST_DIGITS) + 1)
    apart = (k for k in possible if value == limit or _rounded(value, k) != exact)
    digits = next(apart, fewest)
    within = (exact - _rounded(value, digits)) * (1 if upper else -1) + 0
    return digits, f"{'+' if within > 0 else ''}{within:.{digits}f}"


def _agrees(
    before: float | None,
    after: float | None,
    low: float | None,
    high: float | None,
    *,
    digits: int,
) -> bool:
    """Return whether the difference of two numbers, as printed, lies in the printed interval, and
    reads 0 only where the interval includes 0 and neither number needs an exponent."""
    difference = _difference(before, after, digits)
    if difference is None:
        return True
    if _tiny(before, digits) and _tiny(after, digits) and before != after:
        return False
    if low is None or high is None:
        return True
    inside = _rounded(low, digits) <= difference <= _rounded(high, digits)
    return inside and (difference != 0 or low <= 0 <= high)


def _changed(
    before: float | None,
    after: float | None,
    low: float | None,
    high: float | None,
    *,
    digits: int,
) -> Change:
    texts = (number(before, digits), number(after, digits))
    difference = _difference(before, after, digits)
    if difference is None:
        unknown = before is None or after is None or before == after  # inf - inf
        change = "" if unknown else signed(float(after or 0.0) - float(before or 0.0))
        return Change(*texts, change, interval(low, high, sign=True, digits=digits))
    if _tiny(before, digits) and _tiny(after, digits):  # of the numbers with their exponents
        difference = Decimal(texts[1]) - Decimal(texts[0])
        change = signed(float(difference), digits)
    else:
        change = f"{'+' if difference > 0 else ''}{difference:.{digits}f}"
    if (
        low is not None
        and high is not None
        and not _agrees(before, after, low, high, digits=digits)
    ):
        low, high = min(low, float(difference)), max(high, float(difference))
    return Change(*texts, change, interval(low, high, sign=True, digits=digits))


def _difference(before: float | None, after: float | None, digits: int) -> Decimal | None:
    """Return the difference of two numbers as they are printed; None unless both are finite."""
    if before is None or after is None or not (math.isfinite(before) and math.isfinite(after)):
        return None
    return _rounded(after, digits) - _rounded(before, digits) + 0  # + 0: no "-0.0000"


def _tiny(value: float | None, digits: int) -> bool:
    """Return whether a number is 0, or would read 0."""
    return value is not None and abs(value) < 0.5 * 10**-digits


def _rounded(value: float, digits: int) -> Decimal:
    return Decimal(f"{value:.{digits}f}")


def percent(value: float | None, digits: int | None = None) -> str:
    """Return a share as a percentage; with `digits`, rounded to that many decimals.

    A rounded share reads "0 %" or "100 %" only if it is exactly that. Without `digits` the number
    is a level that the user chose, and all its digits are printed. None, the level of a report
    without intervals, reads as 95 %, the default.

    >>> percent(0.95), percent(0.999), percent(None)
    ('95 %', '99.9 %', '95 %')
    >>> percent(0.9531, 1), percent(0.625, 0), percent(0.99999, 1), percent(0.0, 1)
    ('95.3 %', '62 %', '>99.9 %', '0 %')
    """
    if digits is None or value is None:
        return f"{100 * (value or DEFAULT_LEVEL):g} %"
    if value in (0, 1):
        return f"{100 * value:.0f} %"
    smallest = 0.5 * 10 ** (-digits - 2)  # a smaller share would be rounded to 0 %
    if abs(value) < smallest:
        return f"<{10**-digits:g} %"
    if 1 - smallest < value < 1:
        return f">{100 - 10**-digits:g} %"
    return f"{100 * value:.{digits}f} %"


def share(value: float | None) -> str:
    """Return the cell of a share in a table: one decimal, a plain 0 for none, "" for None.

    >>> share(0.0), share(0.0004), share(0.126), share(None)
    ('0', '<0.1 %', '12.6 %', '')
    """
    if value is None:
        return ""
    return "0" if value == 0 else percent(value, 1)


def joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    >>> joined(["a"]), joined(["a", "b"]), joined(["a", "b", "3 more"])
    ('a', 'a and b', 'a, b and 3 more')
    """
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1.

    >>> counted(1, "test"), counted(1200, "row")
    ('1 test', '1,200 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def capitalized(text: str) -> str:
    """Return text as the beginning of a sentence; unlike `str.capitalize`, the rest is kept.

    >>> capitalized("of ECE"), capitalized("")
    ('Of ECE', '')
    """
    return text[:1].upper() + text[1:]


def names_of(sources: Sequence[str], *, suffix: bool = False) -> list[str]:
    """Return the shortest names that tell files apart: without their folders and, unless `suffix`,
    without their suffixes. A file that is given several times is numbered.

    >>> names_of(["a/x.npz", "b/y.npz"]), names_of(["a/x.npz", "b/x.npz"])
    (['x', 'y'], ['a/x.npz', 'b/x.npz'])
    >>> names_of(["a/x.npz", "y.npz"], suffix=True), names_of(["x.npz", "x.npz"])
    (['x.npz', 'y.npz'], ['x.npz', 'x.npz (2)'])
    """
    paths = [Path(source) for source in sources]
    stems = [path.stem or source for path, source in zip(paths, sources, strict=True)]
    files = [path.name or source for path, source in zip(paths, sources, strict=True)]
    for names in [files] if suffix else [stems, files]:
        if len(set(names)) == len(names):
            return names
    names = []
    for k, source in enumerate(sources):
        copy = sources[:k].count(source) + 1
        names.append(source if copy == 1 else f"{source} ({copy})")
    return names


def seconds(value: float | None) -> str:
    """Return a time in seconds, with two digits below 10 s; "" for None."""
    if value is None:
        return ""
    return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def p_value(value: float | None) -> str:
    """Return a p-value with three decimals; with more if it would be rounded to 0.050 exactly.

    >>> p_value(0.0312), p_value(1e-9), p_value(0.0499996), p_value(1.0), p_value(None)
    ('0.031', '<0.001', '0.0499996', '1.000', '')
    """
    if value is None:
        return ""
    if value < 1e-3:
        return "<0.001"
    return f"{value:.3f}" if f"{value:.3f}" != "0.050" else f"{value:.7g}"


class Lines(str):
    """Text of several printable lines, whose breaks are the only ones that `printable` keeps."""

    __slots__ = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Lines:
        """Return texts as lines, one below the other."""
        return cls("\n".join(map(printable, texts)))


def printable(text: str) -> str:
    r"""Return text on one line that moves no cursor, reorders nothing and gives no command to the
    log of a CI job: what would is shown as its escape. Every format of text calls this at its edge.

    >>> print(printable("a\nb\x1b[2J"), printable("::error::x"), printable("std::vector 🏳️‍🌈 名前"))
    a\nb\x1b[2J \x3a:error::x std::vector 🏳️‍🌈 名前
    """
    return text if isinstance(text, Lines) else _UNSAFE.sub(_escaped, text)


def csv_field(value: object) -> object:
    """Return the value of a csv field: text is printable, and begins with an apostrophe where a
    spreadsheet would run it; numbers stay numbers.

    >>> csv_field("=cmd()"), csv_field("-1"), csv_field("-3.5 to 1"), csv_field(-0.5)
    ("'=cmd()", '-1', '-3.5 to 1', -0.5)
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBERS.fullmatch(text) else text


def json_text(value: Any, indent: int | None = None) -> str:
    r"""Return a value as JSON that escapes what `printable` escapes: read again, it is the same.

    >>> print(json_text(["naïve", "\x1b\u202e\ud800"]))
    ["naïve", "\u001b\u202e\ud800"]
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    # what is ASCII is no part of a string (a line break between items), or begins a command
    return _UNSAFE.sub(lambda m: m[0] if m[0] == "\n" else _json_escape(m[0]), text)


def _json_escape(letter: str) -> str:
    return json.dumps(letter)[1:-1] if ord(letter) > 0x7F else f"\\u{ord(letter):04x}"


def _escaped(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1] if not match[0].isprintable() else f"\\x{ord(match[0]):02x}"
