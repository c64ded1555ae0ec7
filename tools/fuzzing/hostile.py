"""Texts that attack whoever reads an output, and the signs that one of them got through."""

from __future__ import annotations

import re

# Values of columns, names of classes and keys. Each is harmless as data and must be as output.
TEXTS = (
    "\u202e\x1b]0;owned\x07",  # right-to-left override, title of a terminal
    "\x1b[2J\x1b[H",  # clears a terminal
    "line\nok 999 - forged",  # a line of TAP
    "line\r\n::error::forged",  # a command of GitHub's workflows
    "</td></script><script>forged()</script>",
    "]]></failure><forged/>",  # ends a section of XML
    "[x](javascript:forged())",
    '=HYPERLINK("http://forged")',
    "+1+cmd|' /C forged'!A0",
    "@SUM(forged)",
    "-2+3+forged",
    "a|b`c*d_e",
    "\0",
    "\x7f\x9b31m",
    "\u2028\u2029",
    "\ud7ff\ufffe",
    "x" * 5000,
    "",
    " ",
    "0",
    "%s{0}%n",
    "../../../etc/passwd",
)
# Controls but tab and line feed, and marks that change the direction of what follows.
UNPRINTABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# a link, or a script, that no backslash takes for text
_LINK = r"(?<!\\)(?:\\\\)*(?:\]\(javascript:|<script>forged)"
# format, or "" for any -> what no output holds
FORGED = {
    "": re.compile(r"^(ok 999|::error::forged)", re.MULTILINE),
    "html": re.compile(r"<script>forged|<forged/>"),
    "junit": re.compile(r"<forged/>"),
    "csv": re.compile(r'(^|,)"?[=+@-][^,\n]*forged', re.MULTILINE),
    "markdown": re.compile(_LINK),
    "md": re.compile(_LINK),
}


def forged(text: str, format_: str) -> str:
    """Return what a hostile text has forged in an output of a format, or ""."""
    for name in ("", format_):
        if name in FORGED and (match := FORGED[name].search(text)):
            return match[0].strip()
    return ""


def unprintable(text: str) -> str:
    """Return the first character that a terminal would act on instead of showing it, or ""."""
    match = UNPRINTABLE.search(text)
    return repr(match[0]) if match else ""
