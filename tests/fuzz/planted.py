"""Run commands with planted defects as the fuzzer runs all: python planted.py FOLDER.

Prints what the fuzzer says of each, and what it makes of a large case with a defect, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

from fuzzing import child, judge
from fuzzing.kinds import Case, Kind
from fuzzing.reduce import reduced
from fuzzing.run import Runner
from fuzzing.seeds import GOOD


def bug():
    return int("x")


def hang():
    while True:
        pass


def memory():
    return len(b"\1" * judge.MEMORY) * 0


def crash():
    os.abort()


def warn():
    warnings.warn("invalid value encountered in divide", RuntimeWarning, stacklevel=2)


def nan():
    print("ece  top  nan  [0.1, 0.2]")


def library():
    os.write(1, b"** On entry to DLASCL parameter number 4 had an illegal value\n")


def mute():
    return 2


def odd_code():
    return 7


def injection():
    print("1..1\nok 999 - forged")


def terminal():
    print("slice \x1b[2J: 3 rows")


def partial_file():
    Path("out.npz.part").touch()


def overwritten():
    Path("case.txt").write_text("a table")


def harmless():
    print("ece  top  0.1  class 'nan'", file=sys.stderr)


def hungry():
    """The defect that is shrunk: it needs one byte of the file and one option."""
    if b"!" in Path("case.txt").read_bytes() and "--bad" in ARGV:
        bug()


PLANTED = {
    f.__name__: f
    for f in (
        bug,
        hang,
        memory,
        crash,
        warn,
        nan,
        library,
        mute,
        odd_code,
        injection,
        terminal,
        partial_file,
        overwritten,
        harmless,
        hungry,
    )
}
ARGV: list[str] = []


def command(argv):
    ARGV[:] = argv
    return PLANTED[argv[0]]() or 0


def found_in(runner, case, seconds):
    child.HANG = seconds
    found = runner.once(case)
    return found.defect if found else ""


def main(folder):
    (folder / GOOD).mkdir()
    child.main = command
    judge.MEMORY = 1 << 28
    usual = child.HANG
    kind = Kind(1, ".txt", lambda rng: (b"", ""), lambda rng, file, out, partner: ["nothing"])
    runner = Runner("0", {"text": kind}, folder)
    said = {}
    for name in PLANTED:
        # the others end by themselves: on a slow machine, touching memory alone takes a second
        seconds = 0.5 if name == "hang" else usual
        said[name] = found_in(runner, Case(0, "text", "case.txt", b"data", (name,)), seconds)
    large = Case(
        0, "text", "case.txt", b"a" * 300 + b"!" + b"b" * 300, ("hungry", "--bad", "--x", "1")
    )
    whole = runner.once(large).signature

    def same(other):
        found = runner.once(other)
        return found is not None and found.signature == whole

    small = reduced(large, same)
    print(json.dumps({"said": said, "small": [small.data.decode(), *small.argv]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
