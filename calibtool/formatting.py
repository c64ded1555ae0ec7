"""Numbers, shares, p-values and lists as text. Nothing is rounded to 0 or 1 unless it is exactly
that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

DEFAULT_LEVEL = 0.95  # of intervals, as everywhere in this package


def number(value: float | None) -> str:
    """Return a number with four decimals; with more, or an exponent, where four would read 0 or 1.

    >>> number(0.03896), number(0.00001), number(0.0), number(0.99999), number(None)
    ('0.0390', '1.0e-05', '0.0000', '0.99999', '')
    """
    if value is None:
        return ""
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if value != 0 and abs(value) < 5e-5:
        return f"{value:.1e}"
    if value < 1 and f"{value:.4f}" == "1.0000":
        return f"1 - {1 - value:.1e}" if value > 1 - 5e-7 else f"{value:.7f}".rstrip("0")
    if abs(value) >= 1e5:
        return f"{value:.4g}"
    return f"{value:.4f}"


def signed(value: float | None) -> str:
    """Return a number with its sign, for differences."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text


def interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Return "[low, high]", or "" without an interval; `sign` shows plus signs."""
    if low is None or high is None:
        return ""
    show = signed if sign else number
    return f"[{show(low)}, {show(high)}]"


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
