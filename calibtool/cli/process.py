"""The process of a command: what Ctrl-C and SIGTERM do, from the first import to the exit.

Nothing is imported at the top but what Python has loaded already: importing takes most of the time
of a short command, and Ctrl-C must not show where it was.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # known to type checkers by its name; typing takes a while to import
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from typing import Any, NoReturn

_BAD, _INTERRUPTED = 2, 130  # BAD and INTERRUPTED of main.py, which may not be imported yet
# Least `ulimit -v` with which NumPy was seen to load: OpenBLAS ends the process at 100 MB, with a
# message of its own, and at 150 MB there is nothing left for data.
_LEAST_ADDRESSES = 192 << 20
# New objects after which Python looks for cycles of garbage; a short command, with all that it
# imports, makes 65,000. Python's own 700 takes a tenth of its time, and finds next to nothing.
_GARBAGE_AFTER = 100_000


def run() -> NoReturn:
    """Run the command line and exit: the console script, and `python -m calibtool`."""
    sys.unraisablehook = _raise_again
    gc.set_threshold(_GARBAGE_AFTER)
    # Commands use threads of their own, and those of BLAS would compete with them for the cores.
    # OpenBLAS reads this variable once, when NumPy is loaded, which has not happened yet.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _heed_limit()
    try:
        import signal

        from calibtool.cli.main import main
        from calibtool.errors import Terminated

        def terminate(*_: Any) -> NoReturn:
            raise Terminated

        # One that is ignored, as `nohup` and shells arrange, stays ignored.
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, terminate)
            # a child would print a traceback rather than end
            os.register_at_fork(
                after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
            )
        code = main()
        _settle()
        gc.freeze()  # or the end looks for garbage several times, in memory that is given back
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(number)):  # what follows needs no tidying up
                signal.signal(number, signal.SIG_DFL)
    except KeyboardInterrupt:  # while modules were imported, or once more while the first was told
        _leave()
    sys.exit(code)


def _heed_limit() -> None:
    """End with a message where `ulimit -v` is too low."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESSES:
        text = f"`ulimit -v` allows {limit >> 10:,} kB of memory; allow at least"
        sys.stderr.write(f"calibtool: {text} {_LEAST_ADDRESSES >> 10:,}\n")
        sys.exit(_BAD)


def _settle() -> None:
    """Send to nowhere what standard error does not take: from 3.13 on, Python keeps it, fails when
    it flushes at exit, and ends with a code of its own."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _leave() -> NoReturn:
    """End at once."""
    try:
        os.write(2, b"calibtool: interrupted\n")
    finally:
        os._exit(_INTERRUPTED)


def _raise_again(unraisable: UnraisableHookArgs) -> None:
    """Repeat an interruption where Python cannot pass it on, such as in a destructor: it would
    print a traceback and go on."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        import _thread

        _thread.interrupt_main()
    else:
        sys.__unraisablehook__(unraisable)
