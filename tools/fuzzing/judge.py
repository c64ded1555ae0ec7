"""What counts as a defect of a command that met absurd input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NoReturn

from calibtool.cli.main import BAD, FAILED, INCONCLUSIVE, OK
from fuzzing.child import HANG, Outcome
from fuzzing.hostile import forged, unprintable
from fuzzing.kinds import Case

MEMORY = 1 << 30  # bytes that a command on a file of kilobytes may take
LONGEST = 5000  # characters of a message
# names of formats that a suffix stands for
FORMATS = {".html": "html", ".md": "md", ".csv": "csv", ".json": "json"}
WARNING = re.compile(r"\b\w+Warning\b: [^\n]*")
# a number that is none; names of that word stand in quotes or have letters beside them
NAN = re.compile(r"(?<![\w\"'`=(<>/.-])-?nan(?![\w\"'`(.-])")
CODES = {OK, FAILED, BAD, INCONCLUSIVE}

Check = Callable[[Case, Outcome], str]


def defect(case: Case, outcome: Outcome) -> str:
    """Return what is wrong with what a command did, or ""."""
    return next((found for check in CHECKS if (found := check(case, outcome))), "")


def signature(text: str) -> str:
    """Return what two occurrences of one defect share: the text without its numbers."""
    head = text.partition("\n")[0][:160]
    if head.startswith(("exception", "warning")):
        head = head[:100].partition(": '")[0]
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?|0x[0-9a-f]+", "#", head)


def shown_format(case: Case) -> str:
    """Return the format in which a command prints."""
    for flag, value in zip(case.argv, case.argv[1:], strict=False):
        if flag == "--format":
            return value
    return "table"


def _raised(case: Case, outcome: Outcome) -> str:
    if outcome.raised == "hang":
        return f"hang: more than {HANG:.0f} s"
    if outcome.raised:
        return f"exception {outcome.raised}"
    if "internal error" in outcome.err or "Traceback (most" in outcome.out + outcome.err:
        return f"exception printed: {outcome.err.strip()[-300:]}"
    return ""


def _warned(case: Case, outcome: Outcome) -> str:
    match = WARNING.search(outcome.err)
    return f"warning {match[0]}" if match else ""


def _printed_by_a_library(case: Case, outcome: Outcome) -> str:
    return f"output of a library: {outcome.native[:200]!r}" if outcome.native else ""


def _exit_code(case: Case, outcome: Outcome) -> str:
    return "" if outcome.code in CODES else f"exit code {outcome.code}"


def _message(case: Case, outcome: Outcome) -> str:
    if outcome.code != BAD:
        return ""
    if not outcome.err.strip() and case.argv[:1] != ("inspect",):
        return "no message"
    if len(outcome.err) > LONGEST:
        return f"a message of {len(outcome.err)} characters: {outcome.err[:80]!r}"
    return ""


def _memory(case: Case, outcome: Outcome) -> str:
    if outcome.peak > MEMORY:
        return f"memory: {outcome.peak >> 20} MB"
    return "memory: there was not enough" if "out of memory" in outcome.err else ""


def _time(case: Case, outcome: Outcome) -> str:
    return f"hang: {outcome.seconds:.0f} s" if outcome.seconds > HANG else ""


def _left(case: Case, outcome: Outcome) -> str:
    return f"left: {outcome.left[0]}" if outcome.left else ""


def _texts(case: Case, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """Yield name, format and content of everything that a person or a program will read.

    What `apply` and `split` write is data, in which names stay as they are.
    """
    yield "standard error", "", outcome.err
    yield "standard output", shown_format(case), outcome.out
    for name, text in outcome.wrote.items() if case.argv[0] not in ("apply", "split") else ():
        yield name, FORMATS.get(name[name.rfind(".") :], shown_format(case)), text


def _json(case: Case, outcome: Outcome) -> str:
    texts = {n: t for n, t in outcome.wrote.items() if n.endswith(".json")}
    if shown_format(case) == "json" and outcome.code != BAD:
        texts |= {n: t for n, t in outcome.wrote.items() if n.endswith(".txt")}
        texts |= {"standard output": outcome.out} if outcome.out else {}
    for name, text in texts.items():
        try:
            json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError) as error:
            return f"{name} is no JSON: {error}"
    return ""


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _nan(case: Case, outcome: Outcome) -> str:
    """A value called nan, by which rows are grouped, is a name."""
    if outcome.code == BAD or {"--by", "--every", "--cluster"} & {*case.argv}:
        return ""
    for name, _, text in _texts(case, outcome):
        if not name.endswith((".csv", ".html")) and (match := NAN.search(text)):
            return f"nan in {name}: {text[max(0, match.start() - 60) : match.end() + 20]!r}"
    return ""


def _hostile(case: Case, outcome: Outcome) -> str:
    for name, format_, text in _texts(case, outcome):
        if made := forged(text, format_):
            return f"forged {made[:40]!r} in {name} ({format_})"
        if format_ != "json" and not name.endswith(".json") and (sign := unprintable(text)):
            return f"unprintable {sign} in {name} ({format_})"
    return ""


CHECKS: tuple[Check, ...] = (
    *(_raised, _warned, _printed_by_a_library, _exit_code, _message, _memory, _time, _left),
    *(_json, _nan, _hostile),
)
