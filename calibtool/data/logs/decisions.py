"""Logs of decision models: OpenAI, Gemini, TypeSafe and servers like it, jev-eval, jevkit.

One line holds the answers to several questions, each a distribution over the options of that
question. One question gives K named classes; all together give confidences.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from calibtool.data.files.roles import Choice, has_role
from calibtool.data.logs import records
from calibtool.data.logs.decision_answers import (
    MISSING_ANSWER,
    Answer,
    DamagedAnswerError,
    parse,
    value_of,
)
from calibtool.data.logs.decision_labels import right_option
from calibtool.data.logs.decision_records import (
    FAILED,
    LABELS,
    MISSING,
    Entry,
    Questions,
    answers_of,
    entries,
    looks_like_decision,
    why_none,
)
from calibtool.data.logs.log import Log, LogFile, LogFormat
from calibtool.data.logs.typed import typed_paths, typed_roles
from calibtool.errors import InputError, UnreadableError, UsageError, echo, near

UNLABELLED = "unlabelled answers"
NO_CONFIDENCE = "answers without the confidence that was asked for"
SUPERSEDED = "lines that a later one of the same id replaces"
SPARE = "labels without an answer"
_LONGEST_LINE = 1 << 20  # bytes of a first line that is parsed to recognise a file, in about 10 ms
_SAME = 1e-3  # a field `confidence` that differs by more is not the rounded largest probability
_NO_LABELS = (
    "No answer has a label; --labels PATH says where in a line they are, --labels-file FILE and "
    "--id COLUMN in which other file."
)
_MOST_NAMED = 12  # questions that a note names
_IDS = ("custom_id", "id", "request_id")  # of a line, the first there is
_OWN = ("question", "type", "options", "line", "id")  # columns that every log has or may have
# parts of a line that are no properties of its answers, or are read elsewhere
_PARTS = frozenset(
    (
        *("answers", "answer", "response", "request", "body", "output", "question", "questions"),
        *("state", "input", "instructions", "criteria", "model", "error", *LABELS),
    )
)


@dataclass
class _Rows:
    """The rows of a log, gathered line by line: lists of one length, but for `answers`.

    Attributes:
        answers: the whole answers, only if one question is read.
        rights: the index of the right option, or what `--correct` names; None if not known.
        others: further columns.
        names: the questions, in the order in which they were seen.
        firsts: the first answer of each, whose order of options is that of the others.
        differing: how many answers' own `confidence` is not the largest probability.
    """

    choice: Choice
    answers: list[Answer] = field(default_factory=list)
    tops: list[int] = field(default_factory=list)
    top_names: list[str] = field(default_factory=list)
    confidences: list[Any] = field(default_factory=list)
    rights: list[Any] = field(default_factory=list)
    others: records.Columns = field(default_factory=records.Columns)
    left_out: Counter[str] = field(default_factory=Counter)
    names: dict[str, None] = field(default_factory=dict)
    firsts: dict[str, Answer] = field(default_factory=dict)
    questions: Questions = field(default_factory=Questions)
    differing: int = 0

    @cached_property
    def typed(self) -> list[str]:
        """The paths of further columns that the user named; others are read by their roles."""
        own = ("confidence", "labels", "correct")
        return [path for role, path in typed_roles(self.choice).items() if role not in own]

    def add(self, record: Mapping[str, Any], line: int | str) -> None:
        """Add the answers of a line. Raises DamagedAnswerError."""
        self.questions.learn(record)
        wanted = self.choice.question
        if "answer" not in record and answers_of(record) is None:
            reason = why_none(record)
            if not reason:
                raise DamagedAnswerError("holds no `answers`")
            self.left_out[reason] += 1
            return
        found, spare = entries(record, self.questions, self.choice.labels, wanted)
        self.left_out[SPARE] += len(spare) if wanted is None else spare.count(wanted)
        shared = _line_columns(record)
        for entry in found:
            self.names[entry.question] = None
            if wanted in (None, entry.question):
                try:
                    self._add(entry, record, {"line": line, **shared})
                except DamagedAnswerError as error:
                    raise DamagedAnswerError(f"question {echo(entry.question)}: {error}") from error

    def _add(self, entry: Entry, record: Mapping[str, Any], shared: dict[str, Any]) -> None:
        choice = self.choice
        answer = parse(entry.answer, entry.asked, renormalize=choice.renormalize)
        if isinstance(answer, str):
            failed = answer == MISSING_ANSWER and record.get("error")
            self.left_out[FAILED if failed else answer] += 1
            return
        first = self.firsts.setdefault(entry.question, answer)
        if set(answer.keys) == set(first.keys):
            answer = answer.ordered(first.keys)
        right = None
        if choice.correct is not None:
            right = _value(entry, record, choice.correct)
        elif not choice.labels_file and entry.label is not MISSING:
            right = right_option(entry.label, answer)
        top = answer.top
        confidence: Any = answer.probs[top]
        own = _value(entry, record, choice.confidence or "confidence")
        self.differing += isinstance(own, int | float) and not (
            confidence - _SAME <= own <= confidence + _SAME
        )
        if choice.confidence is not None:
            confidence = own
            if confidence is None:
                self.left_out[NO_CONFIDENCE] += 1
                return
        if choice.question is not None:
            self.answers.append(answer)
        self.tops.append(top)
        self.top_names.append(answer.names[top])
        self.confidences.append(confidence)
        self.rights.append(right)
        row = {"question": entry.question, "type": answer.type, "options": len(answer.keys)}
        paths = {path: _value(entry, record, path) for path in self.typed}
        self.others.add({**row, **shared, **paths})


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Read logs of decisions.

    With `choice.question`, its options are the classes, if they are the same in every line.
    Otherwise, and without it, each row is the largest probability of an answer and whether its
    option was right.

    Raises UnreadableError, which names the line, InputError if there is nothing to measure, and
    UsageError for an unknown question.
    """
    rows = _Rows(choice)
    for file in files:
        word, lines = _numbered(file)
        last = _last_lines(file)
        for number, record in lines:
            if not isinstance(record, dict):
                raise UnreadableError(file.shown, f"{word} {number:,}: expected an object")
            if last and last.get(str(record.get("id")), number) != number:
                rows.left_out[SUPERSEDED] += 1
                continue
            try:
                rows.add(record, f"{file.shown}:{number}" if len(files) > 1 else number)
            except DamagedAnswerError as error:
                raise UnreadableError(file.shown, f"{word} {number:,}: {error}") from error
    shown = files[0].shown if len(files) == 1 else f"{len(files)} files"
    return _log(rows, choice, shown)


def recognise(file: LogFile) -> bool:
    """Return whether a file is a log of decisions, by its first lines."""
    if file.head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
        return looks_like_decision(_first_of_list(file.head)) is True
    lines = file.head.splitlines(keepends=True)
    if len(lines) == 1 and not lines[0].endswith(b"\n"):
        with file.stream() as stream:
            lines = [stream.readline(_LONGEST_LINE)]
    for line in lines:
        if line.strip():
            record = records.first_line(line)
            told = looks_like_decision(record)
            if record is None or told is not None:
                return bool(told)
    return False


def _first_of_list(head: bytes) -> Any:
    """Return the first item of a JSON list; None if it is not whole in these bytes."""
    text = head.decode("utf-8", "ignore").lstrip("\ufeff \r\n\t")[1:].lstrip()
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (RecursionError, ValueError):
        return None


def _numbered(file: LogFile) -> tuple[str, Iterator[tuple[int, Any]]]:
    """Return what the records of a file are called, and the records with their numbers."""
    if file.suffix != ".json" or isinstance(file.first, dict):
        return "line", file.records()
    document = file.document
    listed = document if isinstance(document, list) else [document]
    return "record", iter(enumerate(listed, start=1))


def _last_lines(file: LogFile) -> dict[str, int]:
    """Return the last line of each id of a `.jevl` file; {} for any other file.

    Such a file is appended to, and read as a cassette: of equal ids the last line counts.
    """
    first = file.first
    jevl = isinstance(first, dict) and "v" in first and "answers" in first and "id" in first
    if file.suffix != ".jevl" and not jevl:
        return {}
    return {
        str(record["id"]): number
        for number, record in file.records()
        if isinstance(record, dict) and record.get("id") is not None
    }


def _line_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a line: its id, model and other values that are no parts of it."""
    cached = "answer" in record and isinstance(record.get("question"), dict)
    found: dict[str, Any] = {}
    identity = None if cached else next((key for key in _IDS if _scalar(record.get(key))), None)
    if identity:
        found["id"] = record[identity]
    models = (records.at(record, path) for path in ("model", "response.model", "request.model"))
    model = next((value for value in models if isinstance(value, str)), None)
    if model is not None:
        found["model"] = model
    skipped = {"id", "type"} if cached else {"id"} if identity == "id" else set()
    rest = {key: value for key, value in record.items() if key not in _PARTS | skipped}
    for path, value in records.flat(rest):
        name = f"line.{path}" if path in _OWN or has_role(path) else path
        if _scalar(value):
            found[name] = value
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            found[name] = ", ".join(value)
    return found


def _scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)  # a bool is an int


def _value(entry: Entry, record: Mapping[str, Any], path: str) -> Any:
    """Return what a path leads to in an answer, else in its line; None for no single value."""
    found = (records.at(part, path) for part in (entry.answer, record))
    return next((value for value in found if _scalar(value)), None)


def _log(rows: _Rows, choice: Choice, shown: str) -> Log:
    """Return the log of all rows, but those without a label where others have one.

    Raises InputError and UsageError.
    """
    if choice.question is not None and rows.names and choice.question not in rows.names:
        raise UsageError(
            f"{shown}: there is no question {echo(choice.question)}"
            f"{near(choice.question, rows.names)}"
        )
    kept = [i for i, right in enumerate(rows.rights) if right is not None]
    labelled = bool(kept)
    if labelled:
        rows.left_out[UNLABELLED] += len(rows.rights) - len(kept)
    else:
        kept = list(range(len(rows.rights)))
    left_out = {reason: count for reason, count in rows.left_out.items() if count}
    if not kept:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        said = f" ({counts})" if counts else ""
        raise InputError(f"{shown}: holds no answers to measure{said}")
    named = rows.others.result(typed_paths(choice))
    others = {name: [values[i] for i in kept] for name, values in named.items()}
    notes = [*rows.others.notes, *([] if labelled or choice.labels_file else [_NO_LABELS])]
    if choice.question is not None and choice.confidence is None and choice.correct is None:
        classes = _classes(rows, kept)
        if classes is not None:
            columns = {**_by_class(rows, kept, choice), **others}
            return Log(columns, classes, left_out, tuple(notes))
        notes.append(_varying(choice.question, others["options"]))
    columns = {**_pooled(rows, kept, choice, labelled=labelled), **others}
    return Log(columns, None, left_out, (*notes, *_notes(rows, choice)))


def _classes(rows: _Rows, kept: Sequence[int]) -> tuple[str, ...] | None:
    """Return the names of the options of one question; None if they are not always the same."""
    answers = [rows.answers[i] for i in kept]
    first = answers[0]
    known = set(first.keys)
    fixed = all(
        answer.keys is first.keys or (answer.type == first.type and set(answer.keys) == known)
        for answer in answers
    )
    if not fixed or len(known) < 2:
        return None
    if len(set(first.names)) == len(known):
        return first.names
    return tuple(json.dumps(value_of(key), ensure_ascii=False) for key in first.keys)


def _by_class(rows: _Rows, kept: Sequence[int], choice: Choice) -> dict[str, Any]:
    """Return the probabilities and labels of one question whose options are always the same."""
    order = rows.answers[kept[0]].keys
    labels = [
        None if (right := rows.rights[i]) is None else order.index(rows.answers[i].keys[right])
        for i in kept
    ]
    probs = np.array([rows.answers[i].ordered(order).probs for i in kept])
    return {"probs": probs, choice.labels or "labels": labels}


def _pooled(
    rows: _Rows, kept: Sequence[int], choice: Choice, *, labelled: bool
) -> dict[str, list[Any]]:
    """Return a confidence per answer, and whether it was right."""
    columns = {choice.confidence or "confidence": [rows.confidences[i] for i in kept]}
    if choice.correct is not None:
        columns[choice.correct] = [rows.rights[i] for i in kept]
    elif labelled:
        columns["correct"] = [int(rows.rights[i] == rows.tops[i]) for i in kept]
    else:
        columns["correct"] = [None] * len(kept)
        columns["predictions"] = [rows.top_names[i] for i in kept]
    return columns


def _varying(question: str, options: Sequence[int]) -> str:
    low, high = min(options), max(options)
    count = f"{low}" if low == high else f"{low} to {high}"
    return (
        f"The options of {echo(question)} differ by line ({count} options); each answer is read as "
        "its largest probability and whether it was right."
    )


def _notes(rows: _Rows, choice: Choice) -> Iterator[str]:
    """Yield what to know about pooled answers."""
    if choice.question is None and len(rows.names) > 1:
        listed = ", ".join(map(echo, list(rows.names)[:_MOST_NAMED]))
        more = ", ..." if len(rows.names) > _MOST_NAMED else ""
        yield (
            f"{len(rows.names):,} questions are pooled; --question NAME reads one of them: "
            f"{listed}{more}."
        )
    if choice.confidence is not None:
        yield (
            f"Read from each answer: {echo(choice.confidence)}, which differs from the largest "
            f"probability in {rows.differing:,} of {len(rows.tops):,} answers."
        )
    elif rows.differing:
        yield (
            f"In {rows.differing:,} of {len(rows.tops):,} answers the field `confidence` is not "
            "the largest probability; it is not read (--confidence confidence reads it)."
        )


FORMAT = LogFormat(
    "decisions",
    "log of decisions",
    (".jsonl", ".ndjson", ".jevl", ".json"),
    recognise,
    read,
    ("question",),
)
