"""Helpers of the targets that are text: choosing functions of the runtime, and wrapping lines."""

from __future__ import annotations

import builtins
import keyword
import re
from importlib import resources

from calibtool.calibrators.calibrator import Calibrator
from calibtool.errors import UsageError

# Numbers that text may hold: some 80 MB, for which compilers need many times the memory.
MOST = 1 << 22
FUNCTION = r"^(?:def|static inline \w+) (\w+)\("
# what C99, C++ and <math.h> have as names
C_NAMES = """
auto bool break case catch char class const continue default delete do double else enum extern float
for friend goto if inline int long main namespace new operator private protected public register
restrict return short signed sizeof static struct switch template this throw try typedef union
unsigned using virtual void volatile while
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim
floor fma fmax fmin fmod frexp gamma hypot ilogb ldexp lgamma llrint llround log log10 log1p log2
logb lrint lround modf nan nearbyint nextafter pow remainder remquo rint round scalbn sin sinh sqrt
tan tanh tgamma trunc j0 j1 jn y0 y1 yn
"""


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
    functions: list[str] = []
    for function in reversed(re.split(r"\n{2,}(?=def |/\*)", _runtime(file))[1:]):
        name = re.search(FUNCTION, function, re.MULTILINE)
        if name and re.search(rf"\b{name[1]}\(", "\n".join([body, *functions])):
            functions.insert(0, function.strip())
    return functions


def require_name(name: str, to: str) -> None:
    """Raise UsageError for what cannot be the name of a function, or has a meaning already.

    >>> require_name("sentiment_v2", "c")
    """
    taken = set(C_NAMES.split()) if to == "c" else {*keyword.kwlist, *dir(builtins), "math"}
    own = re.findall(FUNCTION, _runtime("runtime.h" if to == "c" else "runtime.py"), re.MULTILINE)
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) or name in taken or name in own:
        raise UsageError(
            f"the function cannot be called {name!r}; give it another name by --name, of letters, "
            "digits and _"
        )


def renamed(code: str, old: str, new: str) -> str:
    """Return code with a name, and all that begin with it and "_", changed; likewise in capitals.

    >>> renamed("calibrate_exp(CALIBRATE_K); calibrated", "calibrate", "f")
    'f_exp(F_K); calibrated'
    """
    code = re.sub(rf"\b{old}(?=_|\b)", new, code)
    return re.sub(rf"\b{old.upper()}(?=_|\b)", new.upper(), code)


def _runtime(file: str) -> str:
    folder = resources.files("calibtool.calibrators.export")
    return folder.joinpath(file).read_text(encoding="utf-8")


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
