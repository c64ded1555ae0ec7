"""Columns of LaTeX whose numbers the package siunitx aligns at their decimal points."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_PLAIN = re.compile(r"-?(\d+)(?:\.(\d+))?")  # with its digits; others are centred
_CELL = re.compile(r"(.*?)(?: ([\[±].*))?")


def column(
    title: str, texts: Sequence[str], words: Callable[[str], str]
) -> tuple[str, str, list[str]]:
    """Return type, head and cells of a column of "0.25", "0.25 [0.20, 0.30]" or "0.25 ± 0.05".

    What stands behind the numbers becomes a column of its own: the versions of siunitx differ in
    how they align it.

    Args:
        title: the head, in LaTeX.
        texts: the cells, as they are printed elsewhere.
        words: the function that turns what siunitx does not align into LaTeX.

    >>> for part in column("ece", ["0.25 [0.20, 0.30]", "-12.5", "1e-05"], str): print(part)
    S[table-format=-2.2]@{\\ }l
    \\multicolumn{2}{c}{ece}
    ['0.25 & [0.20, 0.30]', '-12.5 & ', '{1e-05} & ']
    >>> column("ece", ["0.25", ""], str)
    ('S[table-format=1.2]', '{ece}', ['0.25', '{}'])
    """
    parts = [match.groups("") for match in map(_CELL.fullmatch, texts) if match]
    numbers = [number for value, _ in parts if (number := _PLAIN.fullmatch(value))]
    sign = "-" * any(number[0].startswith("-") for number in numbers)
    whole = max((len(number[1]) for number in numbers), default=1)
    decimals = max((len(number[2] or "") for number in numbers), default=0)
    form = f"S[table-format={sign}{whole}.{decimals}]"
    values = [value if _PLAIN.fullmatch(value) else f"{{{words(value)}}}" for value, _ in parts]
    if not any(behind for _, behind in parts):
        return form, f"{{{title}}}", values
    behind = [words(text) if text else "" for _, text in parts]
    cells = [f"{value} & {text}" for value, text in zip(values, behind, strict=True)]
    return f"{form}@{{\\ }}l", f"\\multicolumn{{2}}{{c}}{{{title}}}", cells
