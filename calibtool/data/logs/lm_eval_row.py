"""A line of lm-evaluation-harness's samples: loglikelihoods of choices, and the right one."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calibtool.data.logs.log import LogFile
from calibtool.errors import UsageError

# --norm -> the harness's metric that uses it
NORMS = {
    "none": "acc",
    "chars": "acc_norm",
    "bytes": "acc_bytes",
    "mutual-info": "acc_mutual_info",
}
_DIGITS = re.compile("0|[1-9][0-9]{0,8}")  # most targets: ten times as fast as literal_eval
_NO_LABEL = ("", "None", "-1", "-100")  # targets of test sets without labels


@dataclass(slots=True)
class Row:
    """A line as it is needed to make an answer.

    Attributes:
        line: where it stands.
        filter: the name of its filter.
        document: its id within the task.
        logits: one per choice, normalised; None if the task is no choice between texts.
        raw: the position of the largest loglikelihood.
        contexts: whether the choices are contexts of one continuation, as in winogrande; `target`
            is then the continuation.
        by_text, by_index: the right choices by each reading of `target`; None if it cannot be read
            so, empty if it says that there is no label.
        acc, normed: what the harness says of the answer, without and with `--norm`.
    """

    line: int
    filter: str
    document: Any
    logits: tuple[float, ...] | None = None
    raw: int = 0
    contexts: bool = False
    by_text: tuple[int, ...] | None = None
    by_index: tuple[int, ...] | None = None
    acc: float | None = None
    normed: float | None = None


def sample_row(file: LogFile, line: int, record: Mapping[str, Any], norm: str) -> Row:
    """Return a record as a row. Raises UnreadableError for numbers that cannot be read, UsageError
    for a norm that the record does not allow."""
    row = _described(line, record, norm)
    responses = record.get("filtered_resps", record.get("resps"))
    found = [_loglikelihood(each) for each in responses] if isinstance(responses, list) else []
    values = [value for value in found if value is not None]
    if not values:
        return row
    for at, value in enumerate(found):
        if value is None or not math.isfinite(value):
            raise file.fail(
                line,
                f"filtered_resps: the loglikelihood of choice {at} is no finite number; run the "
                "task again, or leave the line out",
            )
    contexts, texts = _requests(record.get("arguments"), len(values))
    size = _choice_count(contexts, record.get("metrics"), len(values))
    choices = _without_delimiter(texts[:size])
    row.contexts = size > 1 and len(set(choices)) == 1 and len(set(contexts[:size])) > 1
    if row.contexts:
        choices = []
    row.raw = values.index(max(values[:size]))
    row.logits = _normalised(file, line, values, size, choices, norm)
    row.by_text, row.by_index = _gold(record.get("target"), choices, size)
    return row


def _described(line: int, record: Mapping[str, Any], norm: str) -> Row:
    """Return a row without loglikelihoods."""
    name, document = record.get("filter"), record.get("doc_id")
    return Row(
        line,
        filter=name if isinstance(name, str) else "none",
        document=document if isinstance(document, str | int) else str(document),
        acc=_number(record.get(NORMS["none"])),
        normed=_number(record.get(NORMS[norm])),
    )


def _loglikelihood(response: Any) -> float | None:
    """Return the number of ["-6.38", "False"], or of a list of such pairs; None for anything else.

    NaN stands for a pair whose number cannot be read.
    """
    if isinstance(response, list) and len(response) == 1 and isinstance(response[0], list):
        response = response[0]
    if not isinstance(response, list) or len(response) != 2:
        return None
    value, greedy = response
    if str(greedy) not in ("True", "False") or isinstance(value, bool):
        return None
    number = _number(value)
    return math.nan if number is None else number


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _requests(arguments: Any, count: int) -> tuple[list[str], list[str]]:
    """Return contexts and continuations of all requests; empty lists if they are not there."""
    if isinstance(arguments, dict):
        each = [arguments.get(f"gen_args_{number}") for number in range(count)]
        pairs = [(e.get("arg_0"), e.get("arg_1")) for e in each if isinstance(e, dict)]
    elif isinstance(arguments, list):
        pairs = [(e[0], e[1]) for e in arguments if isinstance(e, list) and len(e) > 1]
    else:
        pairs = []
    texts = [(a, b) for a, b in pairs if isinstance(a, str) and isinstance(b, str)]
    if len(texts) != count:
        return [], []
    return [context for context, _ in texts], [text for _, text in texts]


def _choice_count(contexts: Sequence[str], metrics: Any, count: int) -> int:
    """Return the number of choices: half the requests if the second half has no context."""
    half = count // 2
    asked = isinstance(metrics, list) and NORMS["mutual-info"] in metrics
    if count % 2 or any(contexts[half:]):
        return count
    return half if asked or (contexts and all(contexts[:half])) else count


def _without_delimiter(texts: Sequence[str]) -> list[str]:
    """Return the choices without the one character of space that the harness puts before each."""
    first = {text[:1] for text in texts}
    return [text[1:] for text in texts] if len(first) == 1 and first.pop().isspace() else [*texts]


def _normalised(
    file: LogFile, line: int, values: Sequence[float], size: int, choices: Sequence[str], norm: str
) -> tuple[float, ...]:
    """Return one logit per choice. `choices` is empty if the texts are not known."""
    given = values[:size]
    if norm == "none" or len(values) == 1:
        return tuple(given)
    if norm == "mutual-info":
        if len(values) != 2 * size:
            raise UsageError(
                f"{file.shown}: line {line:,} has no loglikelihoods without context, which --norm "
                "mutual-info needs; use --norm none, chars or bytes, or run the task with the "
                "metric acc_mutual_info"
            )
        return tuple(a - b for a, b in zip(given, values[size:], strict=True))
    if not choices:
        raise UsageError(
            f"{file.shown}: line {line:,} does not tell the texts of its choices, whose length "
            f"--norm {norm} needs; use --norm none"
        )
    lengths = [len(text if norm == "chars" else text.encode()) for text in choices]
    if 0 in lengths:
        raise file.fail(
            line, f"choice {lengths.index(0)} is empty: no length to divide by; use --norm none"
        )
    return tuple(a / length for a, length in zip(given, lengths, strict=True))


def _gold(
    target: Any, choices: Sequence[str], size: int
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """Return the right choices if `target` is read as a text, and if it is read as a position."""
    missing = target is None or (str(target).strip() in _NO_LABEL)
    texts = [text.strip() for text in choices]
    whole = _position(target, texts)
    parts = _parts(target)
    by_text: tuple[int, ...] | None = None
    by_index: tuple[int, ...] | None = None
    if whole is not None:
        by_text = (whole,)
    elif parts and isinstance(target, list | str):
        found = [_position(part, texts) for part in parts]
        if None not in found:
            by_text = tuple(at for at in found if at is not None)
    if parts:
        ids = [int(part) if isinstance(part, int) else -1 for part in parts]
        by_index = tuple(ids) if all(0 <= at < size for at in ids) else None
    if missing:
        by_index = ()
        by_text = by_text if by_text is not None else ()
    return by_text, by_index


def _position(target: Any, texts: Sequence[str]) -> int | None:
    text = target.strip() if isinstance(target, str) else None
    return texts.index(text) if text is not None and text in texts else None


def _parts(target: Any) -> list[Any]:
    """Return the entries of a target: of "[0, 2]" two, of "3" one; none if it is a text."""
    value = target
    if isinstance(target, str) and _DIGITS.fullmatch(target):
        value = int(target)
    elif isinstance(target, str):
        try:
            value = ast.literal_eval(target.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return []
    if isinstance(value, list | tuple):
        return [*value]
    return [value] if isinstance(value, int) else []
