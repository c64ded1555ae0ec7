"""Functions of scipy.special are loaded without the rest of the package, which stays as it is."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    *("bdtr", "bdtrc", "betainc", "betaincinv", "betaln", "chdtrc", "expit", "gammaln"),
    *("log_expit", "ndtr", "ndtri", "stdtrit"),
)
# What importing scipy.special would load.
REST = ("scipy.special", "numpy.testing", "numpy.f2py")
FIRST = f"""
import sys
from calibtool.intervals import special
found = [getattr(special, name) for name in {NAMES!r}]
assert not set(sys.modules) & set({REST!r})
"""
# While the compiled functions are imported, another thread imports the package.
MEANWHILE = """
import sys, threading, time
from calibtool.intervals import scipy_parts, special

def other():
    from scipy.special import logsumexp
    import scipy.optimize
    answers.append(logsumexp([0.0, 0.0]))

def slow(name):
    if name == "scipy.special._ufuncs":
        thread.start()
        time.sleep(0.2)
    return load(name)

answers, thread = [], threading.Thread(target=other)
load, scipy_parts.import_module = scipy_parts.import_module, slow
assert special.ndtr(0.0) == 0.5
thread.join(60)
assert round(answers[0], 6) == 0.693147
"""


def test_functions_are_those_of_scipy_which_can_be_imported_afterwards() -> None:
    _run(
        FIRST
        + "import scipy.special, scipy.optimize, scipy.stats\n"
        + f"assert all(a is getattr(scipy.special, n) for a, n in zip(found, {NAMES!r}))\n"
        + "assert scipy.stats.norm.cdf(0) == 0.5\n"
    )


def test_a_package_that_is_loaded_is_taken() -> None:
    _run(
        "import scipy.special\nfrom calibtool.intervals.special import ndtr\n"
        "assert ndtr is scipy.special.ndtr"
    )


def test_another_thread_that_imports_scipy_meanwhile_gets_all_of_it() -> None:
    _run(MEANWHILE)


def test_a_scipy_with_its_functions_elsewhere_is_loaded_whole() -> None:
    _run(
        "import sys\nsys.modules['scipy.special._ufuncs'] = None\n"
        "from calibtool.intervals import special\n"
        "try:\n    special.ndtr\n"
        "except ImportError as error:\n    assert 'scipy.special' in str(error)\n"
        "del sys.modules['scipy.special._ufuncs']\n"
        "special._functions.cache_clear()\nassert special.ndtr(0.0) == 0.5"
    )


def _run(code: str) -> None:
    """Run the code in a process that has imported nothing."""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
