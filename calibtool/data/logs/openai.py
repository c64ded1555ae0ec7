"""Logs of chat, completion and other responses with logprobs, as OpenAI's API and others give.

A line holds a response at its top level, under `response`, under `response.body` (batch output),
or under any other key (`modelOutput` of Bedrock). Answers are letters or words of one token.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, NamedTuple

from calibtool.data.files.roles import ALIASES, SCORES, Choice, has_role
from calibtool.data.logs import records, responses, tokens
from calibtool.data.logs.log import Log, LogFile, LogFormat
from calibtool.data.logs.typed import complete, own_columns, require_found, typed_paths
from calibtool.errors import UnreadableError, UsageError
from calibtool.formatting import counted

ERRORS = "requests with an error"
REFUSALS = "refusals"
NO_ANSWER = "responses without an answer"
NO_LOGPROBS = "answers without logprobs"
NO_TOP = "answers without top_logprobs"
NO_OPTION = "answers where none of the options is listed"
UNLABELLED = "unlabelled answers"

_LINES = (".jsonl", ".ndjson")
_TRIED = 20  # lines of the head by which a file is recognised: the first can be errors
_BEGIN = re.compile(rb'"choices"\s*:\s*\[\s*\{|"type"\s*:\s*"output_text"')
_FEW = 50  # emitted tokens that are looked at when the options are asked for
_HTTP_OK = 200
# keys of a response that are no values to group rows by
_PARTS = ("choices", "output", "usage", "object", "error")


class Found(NamedTuple):
    """A response in a record: the top-level key it stands under ("" for none), and its body."""

    key: str
    body: Any


def recognise(file: LogFile) -> bool:
    """Return whether a file holds responses with logprobs."""
    if file.suffix not in (*_LINES, ".json"):
        return False
    for line in file.head.splitlines()[:_TRIED]:
        record = records.first_line(line)
        found = _response(record) if isinstance(record, Mapping) else None
        if found and isinstance(_first(found.body).get("logprobs"), Mapping):
            return True
    # the first record can be longer than the head; a document of one object is another format's
    whole = isinstance(file.first, Mapping) or (file.suffix == ".json" and not _is_list(file))
    return not whole and b'"logprobs"' in file.head and bool(_BEGIN.search(file.head))


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Return the options' probabilities of each response, with labels where the log has them.

    Raises UsageError if the options are not given, InputError for what is no response.
    """
    reading = _Reading(choice, own_columns(choice, "emitted."))
    if choice.options:
        return reading.result(files, tokens.Answers(tokens.require_options(choice.options)))
    if any(role in SCORES for role in reading.named):
        return reading.result(files, None)
    raise _without_options(files, choice)


def _is_list(file: LogFile) -> bool:
    return file.head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _records(file: LogFile) -> Iterator[tuple[Mapping[str, Any], tokens.Fail]]:
    """Yield records and, for each, how its errors are made."""
    listed = file.suffix == ".json" and _is_list(file)
    pairs = enumerate(file.document, start=1) if listed else file.records()
    for number, record in pairs:

        def fail(reason: str, number: int = number) -> UnreadableError:
            if listed:
                return UnreadableError(file.shown, f"record {number:,}: {reason}")
            return file.fail(number, reason)

        if not isinstance(record, Mapping):
            raise fail("expected an object that holds a response")
        yield record, fail


def _response(record: Mapping[str, Any]) -> Found | None:
    """Return where a record holds a response: anything with a list of choices, or of output."""
    if (body := _body(record)) is not None:
        return Found("", body)
    for key in ("response", *record):
        value = record.get(key)
        for inner in (value, value.get("body") if isinstance(value, Mapping) else None):
            if (body := _body(inner)) is not None:
                return Found(key, body)
    return None


def _body(value: Any) -> Mapping[str, Any] | None:
    """Return the body of a response, with choices; None for any other value."""
    if responses.is_body(value):
        return responses.as_chat(value)
    if isinstance(value, Mapping) and isinstance(value.get("choices"), list):
        return value
    return None


def _first(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first choice of a response; an empty one if there is none."""
    choices = body["choices"]
    return choices[0] if choices and isinstance(choices[0], Mapping) else {}


def _failed(record: Mapping[str, Any]) -> bool:
    """Return whether a request ended in an error: of its own, of HTTP, or without a response."""
    if record.get("error"):
        return True
    if "response" not in record:
        return False
    response = record["response"]
    if not isinstance(response, Mapping):
        return response is None
    status = response.get("status_code", _HTTP_OK)
    return status != _HTTP_OK or bool(response.get("error") or records.at(response, "body.error"))


@dataclass
class _Reading:
    """The state of reading a log.

    Attributes:
        choice: the options of reading.
        named: the paths that the user named, by role.
    """

    choice: Choice
    named: Mapping[str, str]
    left_out: Counter[str] = field(default_factory=Counter)
    columns: records.Columns = field(default_factory=records.Columns)
    further: int = 0  # responses with more choices than the first, which is read

    def result(self, files: Sequence[LogFile], answers: tokens.Answers | None) -> Log:
        """Read all files: answers of the options, or None for the paths that the user named."""
        for file in files:
            for record, fail in _records(file):
                self._add(record, fail, answers)
        shown = files[0].shown
        if not self.columns.rows:
            counts = ", ".join(f"{n:,} {reason}" for reason, n in self.left_out.items())
            raise UnreadableError(
                shown,
                f"no answer can be read ({counts or 'no records'}); ask the model for logprobs "
                "and, with them, top_logprobs",
            )
        columns = self.columns.result(typed_paths(self.choice))
        require_found(shown, columns, self.named)
        several = f"{counted(self.further, 'response')} with several choices: the first is read"
        notes = [*self.columns.notes, *([several] if self.further else [])]
        if answers is None:
            kept = complete(columns, self.named.values(), self.left_out)
            return Log(kept, None, dict(self.left_out), tuple(notes))
        keep = answers.labelled()
        if not all(keep):
            self.left_out[UNLABELLED] += len(keep) - sum(keep)
        kept = {name: list(compress(values, keep)) for name, values in columns.items()}
        read_here = answers.columns(keep)
        if (path := self.choice.labels) and not self.choice.labels_file:
            require_found(shown, {path: read_here["labels"]}, {"labels": path})
        notes = [*answers.notes(keep), *notes]
        return Log(kept | read_here, answers.options, dict(self.left_out), tuple(notes))

    def _add(
        self, record: Mapping[str, Any], fail: tokens.Fail, answers: tokens.Answers | None
    ) -> None:
        if _failed(record):
            self.left_out[ERRORS] += 1
            return
        found = _response(record)
        if found is None:
            raise fail(
                "holds no response with choices or output, at its top level or under a key; is it "
                "a log of chat or completion responses?"
            )
        if answers is None:
            reason = REFUSALS if _refused(_first(found.body)) else None
        else:
            reason = self._answer(record, found.body, fail, answers)
        if reason:
            self.left_out[reason] += 1
            return
        self.further += len(found.body["choices"]) > 1
        self.columns.add(self._values(record, found, hide_roles=answers is not None))

    def _answer(
        self,
        record: Mapping[str, Any],
        body: Mapping[str, Any],
        fail: tokens.Fail,
        answers: tokens.Answers,
    ) -> str | None:
        """Add the answer of a response; return why there is none."""
        emitted = _emitted(body, answers.options, fail)
        if isinstance(emitted, str):
            return emitted
        token, position = emitted
        if not token.top:
            return NO_TOP
        answer = tokens.read(token, position, answers.options)
        if answer is None:
            return NO_OPTION
        label = None
        if self.choice.labels_file is None:
            label = tokens.label_of(_label(record, self.choice), answers.options, fail)
        answers.add(answer, label)
        return None

    def _values(
        self, record: Mapping[str, Any], found: Found, *, hide_roles: bool
    ) -> dict[str, Any]:
        """Return the values that rows can be grouped by, and those that the user named."""
        beside = {k: v for k, v in record.items() if k not in (found.key, *_PARTS)}
        row = {
            f"record.{name}" if hide_roles and has_role(name) else name: value
            for name, value in records.flat(beside)
            if not isinstance(value, list | Mapping)
        }
        if found.key and isinstance(found.body.get("model"), str):
            row.setdefault("model", found.body["model"])
        return row | {path: records.at(record, path) for path in self.named.values()}


def _label(record: Mapping[str, Any], choice: Choice) -> Any:
    """Return the label of a record, by the path that the user named or by its key."""
    if choice.labels:
        return records.at(record, choice.labels)
    return next((record[name] for name in ALIASES["labels"] if name in record), None)


def _emitted(
    body: Mapping[str, Any], options: Sequence[str], fail: tokens.Fail
) -> tuple[tokens.Token, int] | str:
    """Return the token at which a response is read, and its position; or why there is none."""
    first = _first(body)
    if not first:
        return NO_ANSWER
    logprobs = first.get("logprobs")
    if _refused(first):
        return REFUSALS
    if not isinstance(logprobs, Mapping):
        return NO_LOGPROBS
    if "tokens" in logprobs:
        texts = logprobs["tokens"]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise fail("logprobs.tokens is no list of texts")
        if not texts:
            return NO_LOGPROBS
        tokens.require_whole(texts, options, fail)
        position = tokens.first_option(texts, options) or 0
        return tokens.completion_token(logprobs, position, fail), position
    content = logprobs.get("content")
    if not content:
        return NO_LOGPROBS
    texts = tokens.chat_texts(content, fail)
    tokens.require_whole(texts, options, fail)
    position = tokens.first_option(texts, options) or 0
    return tokens.chat_token(content[position], fail), position


def _refused(first: Mapping[str, Any]) -> bool:
    return bool(
        records.at(first, "message.refusal")
        or (not records.at(first, "logprobs.content") and records.at(first, "logprobs.refusal"))
    )


def _without_options(files: Sequence[LogFile], choice: Choice) -> UsageError:
    """Return the error that asks for the options, with those that the log speaks for."""
    seen: list[str] = []
    labels: list[str] = []
    for file in files:
        for record, fail in _records(file):
            found = None if _failed(record) else _response(record)
            emitted = _emitted(found.body, (), fail) if found else NO_ANSWER
            if not isinstance(emitted, str):
                seen.append(tokens.bare(emitted[0].text))
            label = _label(record, choice)
            if isinstance(label, str) and label.strip():
                labels.append(label.strip())
            if len(seen) >= _FEW:
                break
    return UsageError(
        f"{files[0].shown}: which answers can the model give? {tokens.suggestion(seen, labels)}"
    )


FORMAT = LogFormat(
    "openai",
    "chat or completion responses with logprobs",
    (*_LINES, ".json"),
    recognise,
    read,
    ("options",),
)
