"""Samples of lm-evaluation-harness: `samples_TASK_DATE.jsonl`, written by `--log_samples`.

One line per document and filter. A task of multiple choice has the loglikelihood of each choice, a
task of generation has nothing that could serve as a confidence. Files of versions before 0.4.3 hold
one list of the same records, with numbers where later ones have texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from calibtool.data.files.roles import Choice, has_role
from calibtool.data.logs.answers import (
    UNSCORED,
    Answer,
    answers_log,
    differing,
    outcome,
    outcomes_log,
)
from calibtool.data.logs.lm_eval_row import NORMS, Row, sample_row
from calibtool.data.logs.log import Log, LogFile, LogFormat
from calibtool.data.logs.records import Columns
from calibtool.data.logs.typed import names_outcome, names_score, scalars, typed_paths, typed_values
from calibtool.errors import UnreadableError, UsageError, echo, near

_FILE = re.compile(r"samples_(.+)_\d{4}-\d{2}-\d{2}T[\d.:+-]+")
_AGGREGATES = (b'"n-samples"', b'"higher_is_better"')  # keys of results_DATE.json


@dataclass
class _Task:
    """The lines of one file.

    Attributes:
        name: the task.
        file: the file.
        first: how many lines come before it in the log.
        rows: its lines; of several filters, the chosen ones.
        kept: their positions in the log.
    """

    name: str
    file: LogFile
    first: int
    rows: list[Row] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)

    @property
    def chooses(self) -> bool:
        """Whether it is a choice between texts."""
        return any(row.logits is not None and len(row.logits) > 1 for row in self.rows)


def recognise(file: LogFile) -> bool:
    """Return whether a file holds samples, or the aggregates beside them, which `read` explains."""
    first = file.first
    if isinstance(first, dict) and "doc_id" in first:
        return "filtered_resps" in first or "resps" in first
    head = file.head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(b'{"doc_id": '):  # a first line that is longer than the head
        return b'"doc": ' in head[:200]
    if head.startswith(b"["):
        return b'"doc_id"' in head and b'"doc"' in head
    return head.startswith(b"{") and all(key in head for key in _AGGREGATES)


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Return the answers of one or several tasks, one file each."""
    norm = choice.norm or "none"
    if norm not in NORMS:
        raise UsageError(f"--norm: there is no {echo(norm)}{near(norm, NORMS)}")
    columns = Columns()
    paths = typed_paths(choice)
    tasks = [_task(file, norm, paths, columns) for file in files]
    if not any(task.rows for task in tasks):
        raise UnreadableError(files[0].shown, "holds no samples; is the file whole?")
    named = columns.result(paths)
    notes = [*columns.notes, *(note for task in tasks for note in _one_filter(task, choice))]
    if names_score(choice) or not any(task.chooses for task in tasks):
        return _outcomes(tasks, named, choice, notes)
    return _choices(tasks, named, choice, norm, notes)


def task_name(path: str) -> str:
    """Return the task of a file by its name.

    >>> task_name("a/samples_mmlu_law_2026-11-28T18-00-00.0.jsonl.gz"), task_name("a/b.jsonl")
    ('mmlu_law', 'b')
    """
    name = re.split(r"[/\\]", path)[-1]
    match = _FILE.match(name)
    return match[1] if match else name.partition(".json")[0]


def _task(file: LogFile, norm: str, paths: Sequence[str], columns: Columns) -> _Task:
    task = _Task(task_name(file.path), file, first=columns.rows)
    for line, record in _records(file):
        if not isinstance(record, dict) or "doc_id" not in record:
            raise file.fail(line, "no sample of lm-evaluation-harness: it has no 'doc_id'")
        row = sample_row(file, line, record, norm)
        task.kept.append(columns.rows)
        task.rows.append(row)
        columns.add(
            {
                "doc_id": row.document,
                "task": task.name,
                "filter": row.filter,
                **({"options": len(row.logits)} if row.logits is not None else {}),
                **_metrics(record),
                **scalars(record["doc"] if isinstance(record.get("doc"), dict) else {}, "doc."),
                **typed_values(record, paths),
            }
        )
    return task


def _records(file: LogFile) -> Iterator[tuple[int, Any]]:
    """Yield the records and their lines; of a list, their positions from 1."""
    head = file.head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(b"["):
        yield from enumerate(file.document, start=1)
    elif all(key in head for key in _AGGREGATES) and not isinstance(file.first, dict):
        raise UnreadableError(
            file.shown,
            "holds results of whole tasks, no samples; run lm_eval with --log_samples and read "
            "the files samples_*.jsonl that stand beside it",
        )
    else:
        yield from file.records()


def _metrics(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that are one number per line, under names that are no role."""
    names = record.get("metrics")
    found = {}
    for name in names if isinstance(names, list) else ():
        value = record.get(name) if isinstance(name, str) else None
        if isinstance(value, int | float):
            found[_column(name)] = value
    return found


@cache
def _column(metric: str) -> str:
    return f"metrics.{metric}" if has_role(metric) else metric


def _one_filter(task: _Task, choice: Choice) -> list[str]:
    """Keep the rows of one filter where they are the same under all; return what the user has to
    know. Raises UsageError if they are not the same and the user did not choose."""
    filters = list(dict.fromkeys(row.filter for row in task.rows))
    if re.search(r"(?<![\w.'])filter(?![\w.'])", choice.filter or ""):
        return []
    notes = []
    if len(filters) > 1:
        if not _alike(task.rows):
            one = filters[0].replace("'", "''")
            raise UsageError(
                f"{task.file.shown}: each document stands under {len(filters)} filters "
                f"({', '.join(filters)}), whose answers differ; choose one, such as "
                f"--filter \"filter = '{one}'\""
            )
        pairs = zip(task.rows, task.kept, strict=True)
        chosen = [(row, at) for row, at in pairs if row.filter == filters[0]]
        task.rows, task.kept = [row for row, _ in chosen], [at for _, at in chosen]
        notes.append(
            f"{task.file.shown}: {len(filters)} filters ({', '.join(filters)}) of the same "
            f"loglikelihoods: read those of {filters[0]}"
        )
    again = len(task.rows) - len({row.document for row in task.rows})
    if again:
        notes.append(
            f"{task.file.shown}: {again:,} of {len(task.rows):,} lines repeat a document: the "
            "harness appends to existing files, so that this one may hold two runs; remove one, "
            "or group rows with --cluster doc_id"
        )
    return notes


def _alike(rows: Sequence[Row]) -> bool:
    """Return whether the loglikelihoods of a document are those of its other filters."""
    known: dict[Any, tuple[float, ...]] = {}
    for row in rows:
        if row.logits is None or known.setdefault(row.document, row.logits) != row.logits:
            return False
    each = Counter(row.document for row in rows)
    return set(each.values()) == {len({row.filter for row in rows})}


def _choices(
    tasks: Sequence[_Task],
    named: Mapping[str, Sequence[Any]],
    choice: Choice,
    norm: str,
    notes: list[str],
) -> Log:
    """Return the tasks that choose between texts; rows of others are counted."""
    chosen = [task for task in tasks if task.chooses]
    others = [task for task in tasks if not task.chooses]
    answers = [answer for task in chosen for answer in _answers(task, choice, norm, notes)]
    kept = [at for task in chosen for at in task.kept]
    left_out = {}
    if others:
        left_out[UNSCORED] = sum(len(t.rows) for t in others)
        listed = ", ".join(task.name for task in others)
        notes.append(f"no choice between texts, hence no confidence: {listed}")
    columns = {name: [values[at] for at in kept] for name, values in named.items()}
    return answers_log(answers, columns, choice, left_out, notes)


def _answers(task: _Task, choice: Choice, norm: str, notes: list[str]) -> list[Answer]:
    """Return the answers of a task, right ones by the one reading of `target` that fits all."""
    lone = next((row for row in task.rows if row.logits is None), None)
    if lone:
        raise task.file.fail(lone.line, "filtered_resps holds no loglikelihoods, as others do")
    named = names_outcome(choice)
    if not named and all(row.by_text is None and row.by_index is None for row in task.rows):
        return _harness_says(task, norm, notes)
    gold = [row.by_text for row in task.rows]
    by_index = [row.by_index for row in task.rows]
    if None in gold or (None not in by_index and _agreed(task, by_index) > _agreed(task, gold)):
        gold = by_index
    if None in gold and not named:
        row = next(
            (row for row in task.rows if row.by_index is None and row.by_text is None),
            task.rows[gold.index(None)],
        )
        raise task.file.fail(
            row.line,
            "target is neither the text of one of the choices nor a position below "
            f"{len(row.logits or ())}, as other lines have it",
        )
    rights = [found or () for found in gold]
    answers = [
        Answer(row.logits or (), right) for row, right in zip(task.rows, rights, strict=True)
    ]
    notes += differing(task.file.shown, NORMS[norm], answers, [row.normed for row in task.rows])
    return answers


def _agreed(task: _Task, gold: Sequence[tuple[int, ...] | None]) -> int:
    """Return in how many rows `acc` of the log is the one that follows from these right choices."""
    return sum(
        bool(right) and row.acc == float(row.raw in (right or ()))
        for row, right in zip(task.rows, gold, strict=True)
    )


def _harness_says(task: _Task, norm: str, notes: list[str]) -> list[Answer]:
    """Return answers that are right where the harness says so: `target` names no choice."""
    answers = []
    for row in task.rows:
        if row.normed not in (0.0, 1.0):
            raise task.file.fail(
                row.line,
                f"target names none of the choices, and the line has no {NORMS[norm]} of 0 or 1",
            )
        answers.append(Answer(row.logits or (), right=row.normed == 1))
    notes.append(
        f"{task.file.shown}: target names none of the choices: correct is {NORMS[norm]} of the log"
    )
    return answers


def _outcomes(
    tasks: Sequence[_Task],
    named: Mapping[str, Sequence[Any]],
    choice: Choice,
    notes: list[str],
) -> Log:
    """Return rows without scores of their own, with "correct" where the log tells it."""
    kept = [at for task in tasks for at in task.kept]
    columns: dict[str, Any] = {n: [values[at] for at in kept] for n, values in named.items()}
    correct: list[Any] = []
    for task in tasks:
        if task.chooses:
            correct += [answer.correct for answer in _answers(task, choice, "none", notes)]
        else:
            found = {name: [values[at] for at in task.kept] for name, values in named.items()}
            correct += outcome(found, len(task.rows))
    why = f"no loglikelihoods of choices in {', '.join(dict.fromkeys(t.name for t in tasks))}"
    return outcomes_log(columns, correct, choice, {}, notes, why)


FORMAT = LogFormat(
    name="lm-eval",
    title="samples of lm-evaluation-harness",
    suffixes=(".jsonl", ".json"),
    recognise=recognise,
    read=read,
    options=("norm",),
)
