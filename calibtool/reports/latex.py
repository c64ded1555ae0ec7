"""LaTeX: a table with the rules of booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from calibtool.reports.siunitx import column
from calibtool.reports.table import Table

DAGGER = "$^{\\dagger}$"
_POWER = re.compile(r"([-+\d. ]*\d)e([-+]\d+)")
_INTERVAL = re.compile(r"\[([^,\]]+), ([^,\]]+)\]")
_NUMBERS = re.compile(r"([-+\d., \[\]]|inf|nan)*")  # and intervals
_SPECIAL = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{character: f"${character}$" for character in "<>|"},  # other signs in many fonts
    "†": DAGGER,
    "↓": "$\\downarrow$",
    "→": "$\\to$",
    "↑": "$\\uparrow$",
}


def render(whole: Table) -> str:
    """Return a tabular: words to the left in the first column, numbers to the right in the others.
    Head and notes become comments above it."""
    part = whole.paper or whole
    notes = [part.head, *(note.text for note in part.paragraphs())]
    lines = [f"% {' '.join(line.split())}" for note in notes for line in _comments(note)]
    lines.append(f"% \\usepackage{{booktabs{', siunitx' * part.decimals}}}")
    heads = [escape(title) for title in part.titles]
    if part.decimals:
        texts = [[row[k] for row in part.cells] for k in range(1, len(heads))]
        columns = [
            column(head, cells, number) for head, cells in zip(heads[1:], texts, strict=True)
        ]
        types = " ".join(["l", *(kind for kind, _, _ in columns)])
        heads = [heads[0], *(head for _, head, _ in columns)]
        rows = [[cells[k] for _, _, cells in columns] for k in range(len(part.cells))]
    else:
        types = f"l{'r' * (len(heads) - 1)}"
        rows = [_numbers(part, row, cells[1:]) for row, cells in enumerate(part.cells)]
    lines.append(f"\\begin{{tabular}}{{{types}}}")
    lines += ["\\toprule", _row(heads), "\\midrule"]
    lines += [_row([escape(cells[0]), *row]) for cells, row in zip(part.cells, rows, strict=True)]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _comments(note: str) -> list[str]:
    return [line.replace("†", DAGGER) for line in note.split("\n")]


def _numbers(part: Table, row: int, texts: Sequence[str]) -> list[str]:
    return [
        _cell(text, best=part.tones.get((row, column)) == "best")
        for column, text in enumerate(texts, start=1)
    ]


def _cell(text: str, *, best: bool) -> str:
    """Return a number, in bold if it is the best; a dagger stays behind it."""
    shown = number(text.removesuffix("†"))
    shown = f"\\textbf{{{shown}}}" if best else shown
    return shown + DAGGER if text.endswith("†") else shown


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is.

    >>> print(escape("a_b 5 %"))
    a\\_b 5 \\%
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


def number(text: str) -> str:
    """Return a number of `calibtool.formatting` with a real minus and a real power of ten; words
    as they are.

    >>> print(number("-0.2500"), number("1.0e-05"), number(""), number("yes & no"))
    $-$0.2500 $1.0 \\times 10^{-5}$ -- yes \\& no
    >>> print(number("[-0.5, 2e+08]"), number("± 0.01"))
    [$-$0.5, $2 \\times 10^{8}$] $\\pm$ 0.01
    """
    if not text:
        return "--"
    if ends := _INTERVAL.fullmatch(text):
        return f"[{number(ends[1])}, {number(ends[2])}]"
    if text.startswith("± "):
        return f"$\\pm$ {number(text[2:])}"
    if power := _POWER.fullmatch(text):
        return f"${power[1]} \\times 10^{{{int(power[2])}}}$"
    if not _NUMBERS.fullmatch(text):
        return escape(text)
    return text.replace("-", "$-$").replace("inf", "$\\infty$")


def _row(cells: Sequence[str]) -> str:
    # a bracket or a star would belong to the rule or to the end of the line before
    start = "{}" if cells[0].lstrip().startswith(("[", "*")) else ""
    return start + " & ".join(cells) + " \\\\"
