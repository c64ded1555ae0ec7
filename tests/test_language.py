"""The language of code, messages and pages: constructions that read as translated are kept out."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "calibtool"
# all but those made of the package, whose texts are checked themselves
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.name not in ("commands.md", "metrics.md")]
PAGES = [page for page in PAGES if page.parent.name != "metrics"]
FILES = sorted(PACKAGE.rglob("*.py"))
THINGS = (
    "batch|bin|block|cell|class|column|day|epoch|file|group|level|line|metric|node|part|period"
    "|replicate|row|slice|step|test"
)
VALUES = "bias|block|cell|column|curve|line|number|row|score|sum|value|weight"
# construction -> what to write
CONSTRUCTIONS = {
    rf"\b(?:{VALUES}) an? (?:{THINGS})\b": "one value per row",
    r"\bhangs? together\b": "are correlated",
    r"\bunless (?:said|told|asked)\b": "by default",
    r"\banew\b": "again",
    r"\b\d+ (?:is|are) the (?:least|most)\b": "at least 10 are needed",
    r"\} (?:is|are) the (?:least|most)\b": "at least 10 are needed",
    r"\bgo(?:es)? without\b": "cannot be combined with",
    r"\b(?:has|have) no say\b": "has no effect",
    r"\bfor want of\b": "for lack of",
    r": there (?:is|are) \{": "must be one of",
    r"\b(?:is|are) to be had\b|\b(?:can|may) be had\b": "is available",
    r"\bwhat is made of\b": "the result of",
    r"\bmet for sure\b|\bnot unlucky\b": "met: the whole interval is within the threshold",
    r"\bof so many\b": "that many",
}
# those of pages alone
OF_PAGES = {
    r"\ball the same\b|\bnone the less\b": "nevertheless",
    r"\bat hand\b": "available",
    r"\bby more than chance\b": "beyond chance",
    r"\b(?:cry|cries|crying) wolf\b": "a false alarm",
    r"\bdark ground\b": "dark background",
    r"\b(?:hold|holds|held) of\b": "is true for",
    r"\bin letters\b": "as text",
    r"\blest\b": "so that it does not",
    r"\bof itself\b": "by itself",
    r"\bsays? otherwise\b": "changes this",
    r"\bsure(?:r|st)\b": "more certain, most confident",
    r"\btaken for\b": "treated as",
}
# what a page quotes or is made of: blocks, code, tables of benchmarks, output
NOT_PROSE = re.compile(
    r"^( *)(?:```|~~~).*?^\1(?:```|~~~)|<!-- made by .*?<!-- end -->|`[^`\n]+`",
    re.MULTILINE | re.DOTALL,
)
# first words of a function's docstring, which is a sentence in the imperative
NOT_IMPERATIVE = {"What", "Whether", "Where", "Who", "How", "Of", "The", "A", "An"}


def texts(path):
    """Return (line, text) of every comment and string of a file, without line breaks."""
    return [(line, " ".join(text.split())) for line, text in _texts(path)]


def _texts(path):
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, ast.unparse(node)


def test_no_text_reads_as_translated():
    patterns = {re.compile(pattern): advice for pattern, advice in CONSTRUCTIONS.items()}
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {match[0]} (write: {advice})"
        for path in FILES
        for line, text in texts(path)
        for pattern, advice in patterns.items()
        if (match := pattern.search(text))
    ]
    assert found == []


def test_docstrings_of_functions_are_imperative():
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or (doc := ast.get_docstring(node)) is None:
                continue
            if any("property" in ast.unparse(decorator) for decorator in node.decorator_list):
                continue  # a noun phrase, like an attribute
            if doc.split()[0] in NOT_IMPERATIVE:
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}: {doc[:50]!r}")
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_reads_as_translated(page):
    """The blocks of a page become as many empty lines, so that lines keep their numbers."""
    text = NOT_PROSE.sub(lambda block: "\n" * block[0].count("\n"), page.read_text("utf-8"))
    found = [
        f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: "
        f"{' '.join(match[0].split())} (write: {advice})"
        for pattern, advice in (CONSTRUCTIONS | OF_PAGES).items()
        for match in re.finditer(pattern.replace(" ", r"\s+"), text)
    ]
    assert found == []
