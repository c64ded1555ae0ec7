"""What the targets that are text share: choosing from the runtime, and long lines."""

from __future__ import annotations

import re
from importlib import resources

from calibtool.calibrators.calibrator import Calibrator
from calibtool.errors import UsageError

MOST = 1 << 22  # numbers that text may hold


def require_size(calibrator: Calibrator, source: str, title: str) -> None:
    """Whether a calibrator is small enough to be text."""
    count = calibrator.map.count()
    if count > MOST:
        raise UsageError(
            f"{source}: holds {count:,} numbers; {title} may hold {MOST:,}. Export it to ONNX, or "
            "fit a smaller one, such as with --multiclass confidence"
        )


def needed(file: str, body: str) -> list[str]:
    """The functions of a runtime file that a text calls, and those that they call, in order.

    >>> [text.split("(")[0] for text in needed("runtime.py", "softmax(z)")]
    ['def normalised', 'def softmax']
    """
    text = (
        resources.files("calibtool.calibrators.export").joinpath(file).read_text(encoding="utf-8")
    )
    kept: list[str] = []
    for function in reversed(re.split(r"\n{2,}(?=def |/\*)", text)[1:]):
        name = re.search(r"^(?:def|static inline \w+) (\w+)\(", function, re.MULTILINE)
        if name and re.search(rf"\b{name[1]}\(", "\n".join([body, *kept])):
            kept.insert(0, function.strip())
    return kept


def wrapped(text: str, width: int = 92, indent: int = 4) -> str:
    """A long line broken at blanks, what follows set in.

    >>> print(wrapped("one two", width=5))
    one
        two
    """
    return re.sub(rf"(.{{1,{width}}})(?: |$)", r"\1\n" + indent * " ", text).rstrip()


def comment(text: str) -> str:
    """Words that can end no comment or docstring, whatever a file is called."""
    plain = text.encode("unicode_escape").decode().replace("\\", "/").replace('"', "'")
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
