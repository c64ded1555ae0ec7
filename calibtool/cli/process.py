"""The process of a command: what Ctrl-C and SIGTERM do, from the first import to the exit.

Nothing is imported at the top but what Python has loaded already: importing takes most of the time
of a short command, and Ctrl-C must not show where it was.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # known to type checkers by its name; typing takes a while to import
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from typing import Any, NoReturn

_INTERRUPTED = 130  # INTERRUPTED of main.py, which may not be imported yet


def run() -> NoReturn:
    """Run the command line and exit: the console script, and `python -m calibtool`."""
    sys.unraisablehook = _raise_again
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
        for number in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(number)):  # what follows needs no tidying up
                signal.signal(number, signal.SIG_DFL)
    except KeyboardInterrupt:  # while modules were imported, or once more while the first was told
        _leave()
    sys.exit(code)


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
