"""LaTeX: a table with the rules of booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from calibtool import formatting

DAGGER = "$^{\\dagger}$"
_SPECIAL = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A tabular: words to the left in the first column, numbers to the right. Titles and cells are
    LaTeX already; notes become comments above it."""
    lines = [f"% {' '.join(note.split())}" for note in notes]
    lines += ["% \\usepackage{booktabs}", f"\\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}"]
    lines += ["\\toprule", _row(titles), "\\midrule"]
    lines += [*map(_row, rows), "\\bottomrule", "\\end{tabular}"]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it is.

    >>> print(escape("a_b 5 %"))
    a\\_b 5 \\%
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


def number(value: float | None) -> str:
    """A number, with a real minus.

    >>> print(number(-0.25), number(0.00001), number(None))
    $-$0.2500 $1.0 \\times 10^{-5}$ --
    """
    text = formatting.number(value)
    if not text:
        return "--"
    if "e" in text and "inf" not in text:
        digits, power = text.split("e")
        return f"${digits} \\times 10^{{{int(power)}}}$"
    return text.replace("-", "$-$").replace("inf", "$\\infty$")


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + " \\\\"
