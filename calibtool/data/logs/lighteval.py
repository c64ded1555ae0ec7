"""Details of lighteval: `details_TASK_DATE.parquet`, one row per document.

The columns `doc`, `metric` and `model_response` are structs of the fields of lighteval's classes. A
task of multiple choice has one log-probability per choice; a task of generation has none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calibtool.data.files.arrow_batches import validated
from calibtool.data.files.roles import Choice
from calibtool.data.logs.answers import (
    UNSCORED,
    Answer,
    answers_log,
    differing,
    outcome,
    outcomes_log,
)
from calibtool.data.logs.lm_eval_row import NORMS
from calibtool.data.logs.log import Log, LogFile, LogFormat
from calibtool.data.logs.records import Columns
from calibtool.data.logs.typed import names_score, scalars, typed_paths, typed_values
from calibtool.errors import UnreadableError, UsageError, echo, near

_FILE = re.compile(r"details_(.+)_\d{4}-\d{2}-\d{2}T[\d.:+-]+")
_PARTS = ("doc", "metric", "model_response")
_BLOCK = 1024  # rows that are Python's objects at a time
_NO_LABEL = (-1, -100)  # gold indices of test sets without labels
_LISTS = ("choices", "gold_index")  # fields of `doc` that are lists and are read


@dataclass
class _Rows:
    """The rows of all files.

    Attributes:
        columns: what rows can be grouped and filtered by.
        answers: one per row; None where there are no log-probabilities.
        accuracy: what lighteval says of each row without normalisation.
    """

    columns: Columns = field(default_factory=Columns)
    answers: list[Answer | None] = field(default_factory=list)
    accuracy: list[float | None] = field(default_factory=list)


def recognise(file: LogFile) -> bool:
    """Return whether a file is Parquet with lighteval's three columns."""
    if not file.head.startswith(b"PAR1"):
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file.path)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return False
    return all(
        name in schema.names and pa.types.is_struct(schema.field(name).type) for name in _PARTS
    )


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Return the answers of one or several tasks, one file each."""
    norm = choice.norm or "none"
    if norm not in NORMS:
        raise UsageError(f"--norm: there is no {echo(norm)}{near(norm, NORMS)}")
    rows = _Rows()
    for file in files:
        _add(file, choice, norm, rows)
    if not rows.answers:
        raise UnreadableError(files[0].shown, "holds no rows")
    named = rows.columns.result(typed_paths(choice))
    kept = [at for at, answer in enumerate(rows.answers) if answer is not None]
    if names_score(choice) or not kept:
        right = outcome(named, len(rows.answers), "metric.")
        correct = [
            found if answer is None else answer.correct
            for answer, found in zip(rows.answers, right, strict=True)
        ]
        why = "the rows have no log-probabilities"
        return outcomes_log(named, correct, choice, {}, rows.columns.notes, why)
    left_out = {UNSCORED: len(rows.answers) - len(kept)} if len(kept) < len(rows.answers) else {}
    answers = [answer for answer in rows.answers if answer is not None]
    notes = [*rows.columns.notes]
    if norm == "none":
        said = [rows.accuracy[at] for at in kept]
        shown = files[0].shown if len(files) == 1 else f"{len(files)} files"
        notes += differing(shown, "metric.acc", answers, said)
    columns = {name: [values[at] for at in kept] for name, values in named.items()}
    return answers_log(answers, columns, choice, left_out, notes)


def task_name(path: str) -> str:
    """Return the task of a file by its name.

    >>> task_name("a/details_leaderboard|arc|0_2026-11-28T18-00-00.0.parquet")
    'leaderboard|arc|0'
    """
    name = re.split(r"[/\\]", path)[-1]
    match = _FILE.match(name)
    return match[1] if match else name.removesuffix(".parquet")


def _add(file: LogFile, choice: Choice, norm: str, rows: _Rows) -> None:
    paths = typed_paths(choice)
    task = task_name(file.path)
    for number, record in enumerate(_records(file, everything=bool(paths)), start=1):
        doc, metric = record.get("doc") or {}, record.get("metric") or {}
        answer = _answer(file, number, doc, record.get("model_response") or {}, norm)
        value = metric.get("acc")
        rows.accuracy.append(value if isinstance(value, int | float) else None)
        rows.answers.append(answer)
        rows.columns.add(
            {
                "task": task,
                **({"options": len(answer.logits)} if answer else {}),
                **scalars(doc, "doc."),
                **scalars(metric, "metric."),
                **typed_values(record, paths),
            }
        )


def _records(file: LogFile, everything: bool) -> Iterator[Mapping[str, Any]]:
    """Yield rows, but without the fields that are not read, such as tokens."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = 0
    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as opened:
            promised = opened.metadata.num_rows
            columns = None if everything else _fields(opened.schema_arrow)
            for block in opened.iter_batches(_BLOCK, columns=columns):
                read += block.num_rows
                yield from validated(block).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(file.shown, f"not readable as Parquet: {error}") from error
    if read != promised:
        raise UnreadableError(
            file.shown, f"holds {read:,} rows where its metadata promise {promised:,}"
        )


def _fields(schema: Any) -> list[str]:
    """Return the paths of the fields to read."""
    import pyarrow as pa

    def single(kind: Any) -> bool:
        return not (pa.types.is_null(kind) or pa.types.is_nested(kind))

    found = [
        f"{part}.{child.name}"
        for part in _PARTS[:2]
        for child in schema.field(part).type
        if single(child.type) or pa.types.is_struct(child.type) or child.name in _LISTS
    ]
    responses = ("logprobs", "unconditioned_logprobs")
    here = {child.name for child in schema.field(_PARTS[2]).type}
    return [*found, *(f"{_PARTS[2]}.{name}" for name in responses if name in here)]


def _answer(
    file: LogFile, number: int, doc: Mapping[str, Any], response: Mapping[str, Any], norm: str
) -> Answer | None:
    """Return a row's answer; None if it has no log-probability per choice."""
    values = response.get("logprobs")
    choices = doc.get("choices") or []
    if not isinstance(values, list) or not isinstance(choices, list):
        return None
    if not values or len(choices) < 2:
        return None

    def fail(reason: str) -> UnreadableError:
        return UnreadableError(file.shown, f"row {number:,}: {reason}")

    if len(values) != len(choices):
        raise fail(f"model_response.logprobs has {len(values)} entries for {len(choices)} choices")
    for at, value in enumerate(values):
        if not isinstance(value, float) or not math.isfinite(value):
            raise fail(f"model_response.logprobs: entry {at} is no finite number ({echo(value)})")
    gold = doc.get("gold_index")
    right: list[int] = []
    each: list[Any] = gold if isinstance(gold, list) else [gold]
    for at in each:
        if at is not None and at not in range(len(choices)) and at not in _NO_LABEL:
            raise fail(f"doc.gold_index is {echo(at)}, but there are {len(choices)} choices")
        if at is not None and at not in _NO_LABEL:
            right.append(int(at))
    return Answer(_normalised(file, number, values, choices, response, norm), tuple(right))


def _normalised(
    file: LogFile,
    number: int,
    values: Sequence[float],
    choices: Sequence[str],
    response: Mapping[str, Any],
    norm: str,
) -> tuple[float, ...]:
    """Return one logit per choice; the space before a choice counts, as in lighteval."""
    if norm == "none":
        return tuple(values)
    if norm == "mutual-info":
        alone = response.get("unconditioned_logprobs")
        if not isinstance(alone, list) or len(alone) != len(values) or None in alone:
            raise UsageError(
                f"{file.shown}: row {number:,} has no model_response.unconditioned_logprobs, which "
                "--norm mutual-info needs; use --norm none, chars or bytes"
            )
        return tuple(a - b for a, b in zip(values, alone, strict=True))
    if not all(isinstance(text, str) for text in choices):
        raise UnreadableError(file.shown, f"row {number:,}: doc.choices are no texts")
    lengths = [len(text if norm == "chars" else text.encode()) for text in choices]
    if 0 in lengths:
        at = lengths.index(0)
        raise UnreadableError(
            file.shown, f"row {number:,}: choice {at} is empty: no length to divide by"
        )
    return tuple(a / length for a, length in zip(values, lengths, strict=True))


FORMAT = LogFormat(
    name="lighteval",
    title="details of lighteval",
    suffixes=(".parquet",),
    recognise=recognise,
    read=read,
    options=("norm",),
)
