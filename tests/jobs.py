"""Jobs that other processes can be asked to do: they import this file."""

from __future__ import annotations

import os
import time
from pathlib import Path

from calibtool.errors import FitError


def place(name, tell):
    """Return the name and the number of the process."""
    time.sleep(0.2)  # so that all take part
    tell(f"doing {name}", 0.5)
    return name, os.getpid()


def refuse(name, tell):
    raise FitError(f"{name} cannot be fitted")


def leave(name, tell, *, but):
    """End every process but one, as the system does that is out of memory."""
    if os.getpid() != but:
        os._exit(9)
    return name


def unsendable(name, tell):
    """Return what no process can send."""
    return lambda: name


def last_long(name, tell, *, file):
    with Path(file).open("a") as out:
        out.write(f"{os.getpid()}\n")
    time.sleep(60)
