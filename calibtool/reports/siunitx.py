"""Columns of LaTeX whose numbers the package siunitx aligns at their decimal points."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_PLAIN = re.compile(r"-?(\d+)(?:\.(\d+))?")  # with its digits; others are centred
_CELL = re.compile(r"(?P<value>.*?)(?: (?P<interval>\[.*)| ± (?P<width>.*))?")


def column(
    title: str, texts: Sequence[str], words: Callable[[str], str]
) -> tuple[str, str, list[str]]:
    """Return type, head and cells of a column of "0.25", "0.25 [0.20, 0.30]" or "0.25 ± 0.05".

    Intervals become a column of their own.

    Args:
        title: the head, in LaTeX.
        texts: the cells, as they are printed elsewhere.
        words: the function that turns what siunitx does not align into LaTeX.

    >>> column("ece", ["0.25 [0.20, 0.30]", "-12.5", ""], str)  # doctest: +NORMALIZE_WHITESPACE
    ('S[table-format=-2.2]@{\\\\ }l', '\\\\multicolumn{2}{c}{ece}',
     ['0.25 & [0.20, 0.30]', '-12.5 & ', '{} & '])
    >>> column("ece", ["0.25 ± 0.05", "1.0e-05 ± 0.05"], str)  # doctest: +NORMALIZE_WHITESPACE
    ('S[table-format=1.2(1), separate-uncertainty]', '{ece}',
     ['0.25 \\\\pm 0.05', '{1.0e-05 $\\\\pm$ 0.05}'])
    """
    parts = [match for match in map(_CELL.fullmatch, texts) if match]
    numbers = [number for part in parts if (number := _PLAIN.fullmatch(part["value"]))]
    sign = "-" * any(number[0].startswith("-") for number in numbers)
    whole = max((len(number[1]) for number in numbers), default=1)
    decimals = max((len(number[2] or "") for number in numbers), default=0)
    form = f"table-format={sign}{whole}.{decimals}"
    values = [_value(part["value"], part["width"], words) for part in parts]
    if any(part["interval"] for part in parts):
        ends = [words(part["interval"]) if part["interval"] else "" for part in parts]
        cells = [f"{value} & {end}" for value, end in zip(values, ends, strict=True)]
        return f"S[{form}]@{{\\ }}l", f"\\multicolumn{{2}}{{c}}{{{title}}}", cells
    widths = [part["width"] for part in parts if part["width"]]
    if widths:
        digits = max(len(re.sub(r"\D", "", width).lstrip("0")) for width in widths)
        form += f"({max(digits, 1)}), separate-uncertainty"
    return f"S[{form}]", f"{{{title}}}", values


def _value(value: str, width: str | None, words: Callable[[str], str]) -> str:
    """Return a number that siunitx aligns, or in braces what it does not."""
    aligned = all(_PLAIN.fullmatch(text) for text in (value, width or "0"))
    if width is None:
        return value if aligned else f"{{{words(value)}}}"
    return f"{value} \\pm {width}" if aligned else f"{{{words(value)} $\\pm$ {words(width)}}}"
