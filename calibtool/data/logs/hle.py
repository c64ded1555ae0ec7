"""Judged answers of Humanity's Last Exam and its descendants: `judged_MODEL.json`.

An object of records by the question's id. The judge writes whether an answer is right, and the
confidence from 0 to 100 that the answer states: 100 if it states none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from calibtool.data.files.roles import Choice
from calibtool.data.logs.log import HEAD, Log, LogFile, LogFormat
from calibtool.data.logs.records import Columns
from calibtool.data.logs.typed import names_score, scalars, typed_paths, typed_values
from calibtool.errors import UnreadableError, echo

CERTAIN = 100  # the confidence of an answer that states none, and of one that states 100 %
_JUDGED = b'"judge_response"'
_LOOKED = 256  # blocks of HEAD bytes in which a record is looked for: 16 MB, read in some 10 ms
_OUTCOMES = {"yes": True, "no": False}
_LONG = {"response", "judge_response", "reasoning"}  # texts of pages, by which nothing is grouped


def recognise(file: LogFile) -> bool:
    """Return whether a file is an object of judged answers, the first of which may be long."""
    head = file.head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not head.startswith(b"{") or b'"response"' not in head:
        return False
    if _JUDGED in head:
        return isinstance(file.first, dict) is False or _judged(file.first)
    if len(file.head) < HEAD:
        return False
    with file.stream() as opened:
        last = b""
        for _ in range(_LOOKED):
            block = opened.read(HEAD)
            if _JUDGED in last + block:
                return True
            if not block:
                return False
            last = block[-len(_JUDGED) :]
    return False


def _judged(document: Mapping[str, Any]) -> bool:
    return any(isinstance(each, dict) and "judge_response" in each for each in document.values())


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Return confidences and whether the judge said yes."""
    columns, left_out = Columns(), Counter[str]()
    paths = typed_paths(choice)
    for file in files:
        document = file.document
        if not isinstance(document, dict):
            raise UnreadableError(file.shown, "expected an object of judged answers by their ids")
        for key, record in document.items():
            row = _row(file, key, record, named=names_score(choice))
            if isinstance(row, str):
                left_out[row] += 1
            else:
                columns.add({**row, **typed_values(record, paths)})
    if not columns.rows:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise UnreadableError(
            files[0].shown, f"holds no answers to read: {counts or 'it is empty'}"
        )
    named: dict[str, Any] = columns.result(paths)
    certain = sum(value * CERTAIN == CERTAIN for value in named.get("confidence", ()))
    notes = [*columns.notes]
    if certain:
        notes.append(
            f"{certain:,} of {columns.rows:,} rows have a confidence of exactly {CERTAIN}, which "
            "the judge also writes where an answer states none"
        )
    return Log(named, left_out=left_out, notes=tuple(notes))


def _row(file: LogFile, key: str, record: Any, *, named: bool) -> dict[str, Any] | str:
    """Return a row, or why it is left out; `named` if the user named another confidence."""

    def fail(reason: str) -> UnreadableError:
        return UnreadableError(file.shown, f"{echo(key)}: {reason}")

    if not isinstance(record, dict):
        raise fail("expected a record with judge_response")
    judged = record.get("judge_response")
    if judged is None:
        return "answers that were not judged"
    if not isinstance(judged, dict):
        raise fail("judge_response: expected an object with correct and confidence")
    said = judged.get("correct")
    if said is None:
        return "answers that were not judged"
    right = said if isinstance(said, bool) else _OUTCOMES.get(str(said).strip().lower())
    if right is None:
        raise fail(f"judge_response.correct is {echo(said)}; expected yes or no")
    known = {name: value for name, value in record.items() if name not in _LONG}
    known["judge_response"] = {n: v for n, v in judged.items() if n not in {*_LONG, "confidence"}}
    row = {"id": key, "correct": right}
    row |= {path: value for path, value in scalars(known).items() if path not in row}
    if named:
        return row
    value = judged.get("confidence")
    if value is None:
        return "answers without a confidence"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= CERTAIN:
        raise fail(
            f"judge_response.confidence is {echo(value)}; expected a number from 0 to {CERTAIN}"
        )
    return {**row, "confidence": value / CERTAIN}


FORMAT = LogFormat(
    name="hle",
    title="judged answers of Humanity's Last Exam",
    suffixes=(".json",),
    recognise=recognise,
    read=read,
)
