"""Helpers of the targets that are text: choosing functions of the runtime, and wrapping lines."""

from __future__ import annotations

import re
from importlib import resources

from calibtool.calibrators.calibrator import Calibrator
from calibtool.errors import UsageError

# Numbers that text may hold: some 80 MB, for which compilers need many times the memory.
MOST = 1 << 22


def require_size(calibrator: Calibrator, source: str, title: str) -> None:
    """Raise UsageError for a calibrator that is too large to be text."""
    count = calibrator.map.count()
    if count > MOST:
        raise UsageError(
            f"{source}: holds {count:,} numbers; {title} may hold {MOST:,}. Export it to ONNX, or "
            "fit a smaller one, such as with --multiclass confidence"
        )


def needed(file: str, body: str) -> list[str]:
    """Return the functions of a runtime file that a text calls, and those that they call, in order.

    In a runtime file a function stands below those it calls, so that one walk upwards finds all.

    >>> [text.split("(")[0] for text in needed("runtime.py", "softmax(z)")]
    ['def normalised', 'def softmax']
    """
    text = (
        resources.files("calibtool.calibrators.export").joinpath(file).read_text(encoding="utf-8")
    )
    functions: list[str] = []
    for function in reversed(re.split(r"\n{2,}(?=def |/\*)", text)[1:]):
        name = re.search(r"^(?:def|static inline \w+) (\w+)\(", function, re.MULTILINE)
        if name and re.search(rf"\b{name[1]}\(", "\n".join([body, *functions])):
            functions.insert(0, function.strip())
    return functions


def wrapped(text: str, width: int = 92, indent: int = 4) -> str:
    """Return a long line broken at blanks, with the lines after the first indented.

    >>> print(wrapped("one two", width=5))
    one
        two
    """
    return re.sub(rf"(.{{1,{width}}})(?: |$)", r"\1\n" + indent * " ", text).rstrip()


def comment(text: str) -> str:
    """Return text that cannot end a comment or docstring, whatever a file is called."""
    plain = text.encode("unicode_escape").decode().replace("\\", "/").replace('"', "'")
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
