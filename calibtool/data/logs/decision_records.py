"""Where answers, questions and labels stand in a line of a log of decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calibtool.data.logs.decision_answers import Asked, DamagedAnswerError, asked_of, is_answer
from calibtool.data.logs.records import at

BLOCKED = "blocked inputs"
FAILED = "requests with an error"
REFUSED_REQUEST = "refused requests"
NO_ANSWERS = "lines without answers"
# where services, batch files and people's own logs keep the answers, and the request's questions
_ANSWERS = (
    "answers",
    "response.answers",
    "response.body.answers",
    "body.answers",
    "output.answers",
)
_QUESTIONS = ("questions", "request.questions", "request.body.questions", "body.questions")
LABELS = ("labels", "label", "gold", "golds", "expected", "targets", "target")
_FIRST_ERROR = 400  # status codes from here on are errors (RFC 9110, section 15)


class _Missing:
    """The label of an answer that has none."""


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer of a line.

    Attributes:
        question: the name of its question; its position, from 0, if it has none.
        answer: as it is written.
        asked: what is known of the question.
        label: as it is written; MISSING if there is none.
    """

    question: str
    answer: Any
    asked: Asked
    label: Any


@dataclass
class Questions:
    """The questions of a log, which often stand only in its first line.

    Attributes:
        by_name: what was asked last, by name.
        by_place: what was asked last, by position.
    """

    by_name: dict[str, Asked] = field(default_factory=dict)
    by_place: list[Asked] = field(default_factory=list)

    def learn(self, record: Mapping[str, Any]) -> None:
        """Take in the questions of a line, if it has any."""
        found = next((value for path in _QUESTIONS if (value := at(record, path))), None)
        if isinstance(found, dict):
            self.by_name.update((name, asked_of(question)) for name, question in found.items())
            self.by_place = [self.by_name[name] for name in found]
        elif isinstance(found, list):
            self.by_place = [asked_of(question) for question in found]
            self.by_name.update((q.name, q) for q in self.by_place if q.name is not None)

    def of(self, name: str | None, place: int) -> tuple[str, Asked]:
        """Return the name, or else the position, of an answer's question, and the question."""
        if name is not None:
            return name, self.by_name.get(name, Asked(name))
        asked = self.by_place[place] if place < len(self.by_place) else Asked()
        return asked.name or str(place), asked


def looks_like_decision(record: Any) -> bool | None:
    """Return whether a record is a line of such a log; None if it cannot be told by this one."""
    if not isinstance(record, dict):
        return False
    if "answer" in record:
        asked = record.get("question")
        if record["answer"] is None and isinstance(asked, dict) and "type" in asked:
            return None
        return is_answer(record["answer"])
    answers = answers_of(record)
    if answers is None:
        return None if why_none(record) in (BLOCKED, FAILED, NO_ANSWERS) else False
    values = list(answers.values() if isinstance(answers, dict) else answers)
    if not all(value is None or isinstance(value, dict) for value in values):
        return False
    return any(map(is_answer, values)) or None


def answers_of(record: Mapping[str, Any]) -> dict[str, Any] | list[Any] | None:
    """Return the answers of a line: by question or as a list; None if it has none."""
    for path in _ANSWERS:
        found = at(record, path)
        if isinstance(found, dict | list) and found:
            return found
    return None


def why_none(record: Mapping[str, Any]) -> str:
    """Return the reason why a line has no answers; "" if it is no line of such a log."""
    parts = [record, *(at(record, path) for path in ("response", "response.body", "body"))]
    parts = [part for part in parts if isinstance(part, dict)]
    if any(at(part, "prompt_feedback.block_reason") for part in parts):
        return BLOCKED
    status = at(record, "response.status_code")
    if any(part.get("error") for part in parts) or (
        isinstance(status, int) and status >= _FIRST_ERROR
    ):
        return FAILED
    if any(part.get("refusal") for part in parts):
        return REFUSED_REQUEST
    known = any("answers" in part for part in parts) or "answer" in record
    return NO_ANSWERS if known or "response" in record else ""


def entries(
    record: Mapping[str, Any],
    questions: Questions,
    labels: str | None = None,
    wanted: str | None = None,
) -> tuple[list[Entry], list[str]]:
    """Return the answers of a line with their labels, and the questions of labels without one.

    `labels` is the path of the labels, if the user typed one: in the line, or in each answer. A
    line's only label belongs to the question that is `wanted`. Raises DamagedAnswerError.
    """
    found = _labels(record, labels)
    if "answer" in record:
        return [_single(record, found)], []
    answers = answers_of(record)
    if isinstance(answers, dict):
        named = [questions.of(name, i) for i, name in enumerate(answers)]
        values = list(answers.values())
    else:
        values = answers or []
        named = [questions.of(_name(answer), i) for i, answer in enumerate(values)]
    names = [name for name, _ in named]
    spare: list[str] = []
    if found is MISSING and labels is not None:
        within = [at(answer, labels) for answer in values]
        tied = [MISSING if label is None else label for label in within]
    elif wanted in names and isinstance(found, str | int | float):
        tied = [found if name == wanted else MISSING for name in names]
    else:
        tied, spare = _tie(found, names, in_order=isinstance(answers, list))
    return [
        Entry(name, answer, asked, label)
        for (name, asked), answer, label in zip(named, values, tied, strict=True)
    ], spare


def _single(record: Mapping[str, Any], label: Any) -> Entry:
    """Return the answer of a line that has one: of jev-eval's cache, where `id` is the question."""
    question = record.get("question")
    asked = asked_of(question if isinstance(question, dict) else record)
    cached = isinstance(question, dict) and isinstance(record.get("id"), str)
    name = record["id"] if cached else question if isinstance(question, str) else asked.name
    return Entry(name or _name(record["answer"]) or "0", record["answer"], asked, label)


def _name(answer: Any) -> str | None:
    name = answer.get("name") if isinstance(answer, dict) else None
    if name is None or isinstance(name, str):
        return name
    raise DamagedAnswerError("the name of a question must be a text")


def _labels(record: Mapping[str, Any], path: str | None) -> Any:
    """Return the labels of a line as they are written; MISSING if there are none."""
    if path is not None:
        found = at(record, path)
        return MISSING if found is None else found
    keys = (key for key in LABELS if record.get(key) is not None)
    return next((record[key] for key in keys), MISSING)


def _tie(labels: Any, names: Sequence[str], *, in_order: bool) -> tuple[list[Any], list[str]]:
    """Return the label of each question, and the questions of labels without an answer.

    Labels of an object are tied by name, those of a list by position.
    """
    if labels is MISSING or labels in ({}, []):
        return [MISSING] * len(names), []
    if isinstance(labels, list):
        by_name = dict(_by_name(labels))
        if len(by_name) < len(labels):
            if len(labels) != len(names) or not (in_order or len(names) == 1):
                raise DamagedAnswerError(
                    f"{len(labels)} labels in a list cannot be tied to {len(names)} answers; "
                    "give them by question name"
                )
            return labels, []
        labels = by_name
    if isinstance(labels, dict):
        spare = [name for name in labels if name not in names and labels[name] is not None]
        if len(spare) == len(labels) and names == [str(i) for i in range(len(names))]:
            raise DamagedAnswerError(
                "answers without names need their labels in a list, in the order of the answers"
            )
        return [labels.get(name, MISSING) for name in names], spare
    if len(names) == 1:
        return [labels], []
    raise DamagedAnswerError(
        f"one label cannot be tied to {len(names)} answers; give them by question name, or say "
        "where they are with --labels PATH"
    )


def _by_name(labels: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the labels of a list that carry the names of their questions."""
    for label in labels:
        if isinstance(label, dict) and isinstance(label.get("name"), str):
            value = next((label[key] for key in ("label", "gold") if key in label), label)
            yield label["name"], value
