"""Logs of Inspect, `.eval` and `.json`: whether samples were right, and how sure the model was.

The confidence stands where the task put it, in the metadata or the value of a score; or the
probabilities of letters are those of the token by which the model answered (`--options`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from calibtool.data.clusters import ADVICE
from calibtool.data.files.roles import SCORES, Choice
from calibtool.data.logs import records, tokens
from calibtool.data.logs.inspect_samples import (
    Run,
    Sample,
    beside,
    content,
    is_thinned,
    is_zip,
    numbers,
    open_run,
    targets,
    where,
)
from calibtool.data.logs.log import Log, LogFile, LogFormat
from calibtool.data.logs.typed import complete, is_missing, own_columns, require_found
from calibtool.errors import UnreadableError, UsageError, echo, near
from calibtool.formatting import counted

ERRORED = "samples with an error"
UNSCORED = "unscored samples"
PARTIAL = "partially correct samples (P)"
NO_ANSWER = "samples without an answer (N)"
NO_OUTPUT = "samples without an output"
NO_LOGPROBS = "answers without logprobs"
NO_TOP = "answers without top_logprobs"
NO_OPTION = "answers that hold none of the options"
NO_TARGET = "samples without a target"
SEVERAL_TARGETS = "samples with several targets"

# the values by which Inspect itself tells right from wrong, and the two that are neither
_OUTCOMES: dict[str, int | str] = {
    "c": 1,
    "correct": 1,
    "yes": 1,
    "true": 1,
    "i": 0,
    "incorrect": 0,
    "no": 0,
    "false": 0,
    "p": PARTIAL,
    "n": NO_ANSWER,
}
_LISTED = 12  # paths that a message lists
_PEEKED = 20  # full samples in which a confidence or logprobs are looked for
_ACCURACY_ONLY = (
    "no score or metadata holds a number that could be a confidence, and there are no logprobs: "
    "only accuracy can be told; let the scorer write a confidence into its metadata"
)
_EVAL = re.compile(rb'"eval"\s*:\s*\{')


def recognise(file: LogFile) -> bool:
    """Return whether a file is a log of Inspect."""
    if file.suffix == ".eval" or (is_zip(file) and b"_journal/start.json" in file.head[:64]):
        return True
    head = file.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return (
        file.suffix == ".json"
        and head.startswith(b"{")
        and bool(_EVAL.search(head))
        and all(key in head for key in (b'"task"', b'"model"', b'"version"'))
    )


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Return the samples of logs: confidence and correct, or the options' probabilities.

    Raises UsageError where the scorer, the confidence or the options have to be chosen,
    InputError for damage.
    """
    reading = _Reading(
        [open_run(file, choice.max_unpacked) for file in files],
        choice,
        own_columns(choice, "emitted."),
    )
    if choice.options:
        return reading.of_options(tokens.Answers(tokens.require_options(choice.options)))
    return reading.of_scores()


@dataclass
class _Reading:
    """The state of reading logs.

    Attributes:
        runs: the logs.
        choice: the options of reading.
        named: the paths that the user named, by role.
    """

    runs: list[Run]
    choice: Choice
    named: dict[str, str]
    left_out: Counter[str] = field(default_factory=Counter)
    columns: records.Columns = field(default_factory=records.Columns)
    scored_errors: int = 0  # rows whose sample ended in an error, and was scored nevertheless

    @property
    def shown(self) -> str:
        return self.runs[0].shown

    def short(self) -> Iterator[Sample]:
        """Yield the summaries of all samples."""
        for run in self.runs:
            yield from run.short

    def of_options(self, answers: tokens.Answers) -> Log:
        """Return the probabilities of the options, with the targets as labels."""
        for run in self.runs:
            if run.full is None:
                raise UnreadableError(
                    run.shown, "holds summaries alone, which have no logprobs; log samples"
                )
            for sample in run.full():
                reason = _answer(sample, answers, run.shown)
                if reason:
                    self.left_out[reason] += 1
                else:
                    own = {path: records.at(sample, path) for path in self.named.values()}
                    self._add(run, sample, own)
        self._require_rows()
        columns = self.columns.result(self.named.values())
        require_found(self.shown, columns, self.named)
        keep = answers.labelled()
        self.left_out[NO_TARGET] += len(keep) - sum(keep)
        kept = {name: list(compress(values, keep)) for name, values in columns.items()}
        notes = [*answers.notes(keep), *self._notes(kept.get("id", ()))]
        return self._log(kept | answers.columns(keep), answers.options, notes)

    def of_scores(self) -> Log:
        """Return whether samples were right, with a confidence if there is one."""
        scorer = self._scorer()
        found = None
        if not any(role in SCORES for role in self.named):
            found = self._confidence(scorer)
        paths = [*self.named.values(), *([found] if found else [])]
        in_full = self._in_full(paths)
        for run in self.runs:
            samples = run.full() if in_full and run.full else iter(run.short)
            for sample in samples:
                self._add_scored(run, sample, scorer, paths)
        self._require_rows()
        columns = self.columns.result(paths)
        require_found(self.shown, columns, self.named)
        kept = complete(columns, paths, self.left_out)
        notes = self._notes(kept.get("id", ()))
        if found:
            kept["confidence"] = kept[found]
            notes.insert(0, f"the confidence is {found}")
        elif not any(role in SCORES for role in self.named):
            notes.insert(0, _ACCURACY_ONLY)
        return self._log(kept, None, notes)

    def _log(
        self, columns: Mapping[str, Any], classes: tuple[str, ...] | None, notes: Iterable[str]
    ) -> Log:
        left_out = {reason: n for reason, n in self.left_out.items() if n}
        return Log(columns, classes, left_out, tuple(notes))

    def _notes(self, ids: Sequence[Any]) -> list[str]:
        """Return what has to be said of the runs, and of ids that stand in several rows."""
        notes = [*self.columns.notes]
        for run in self.runs:
            if note := run.note():
                notes.append(note if len(self.runs) == 1 else f"{run.shown}: {note}")
            if run.header.get("invalidated"):
                notes.append(f"{run.shown} is marked as invalidated")
        if self.scored_errors:
            scored = counted(self.scored_errors, "row")
            notes.append(f"{scored}: the sample ended in an error, and was scored nevertheless")
        repeated = sum(n > 1 for n in Counter(map(str, ids)).values())
        if repeated:
            notes.append(
                f"{counted(repeated, 'id')} with several rows (epochs), which are correlated"
                + ADVICE.format("id")
            )
        return notes

    def _require_rows(self) -> None:
        if not self.columns.rows:
            counts = ", ".join(f"{n:,} {reason}" for reason, n in self.left_out.items())
            raise UnreadableError(self.shown, f"no sample can be read ({counts})")

    def _scorer(self) -> str | None:
        """Return the scorer that tells right from wrong; None if the user named a field for it."""
        names = list(dict.fromkeys(s for sample in self.short() for s in sample["scores"]))
        if self.choice.scorer is not None:
            if self.choice.scorer not in names:
                raise UsageError(
                    f"--scorer: {self.shown} has no scorer {echo(self.choice.scorer)}"
                    f"{near(self.choice.scorer, names) if names else ': no sample has a score'}"
                )
            return self.choice.scorer
        if "correct" in self.named or "labels" in self.named:
            return None
        if len(names) > 1:
            raise UsageError(
                f"{self.shown}: has the scorers {', '.join(names)}; choose one with --scorer"
            )
        if not names:
            errors = sum(bool(sample.get("error")) for sample in self.short())
            raise UnreadableError(self.shown, f"no sample has a score ({errors:,} {ERRORED})")
        return names[0]

    def _confidence(self, scorer: str | None) -> str | None:
        """Return the path of the confidence, if there is one by this name; None if there is
        nothing that could be one. Raises UsageError if the user has to choose."""
        paths = numbers(self.short())
        hits = _confidences(paths, scorer)
        peeked: list[Sample] = []
        if not hits:
            peeked = list(self._peek())
            paths = list(dict.fromkeys([*paths, *numbers(peeked)]))
            hits = _confidences(paths, scorer)
        if len(hits) == 1:
            return hits[0]
        ways = []
        candidates = hits or [path for path in paths if path != f"scores.{scorer}.value"]
        if candidates:
            more = ", ..." if len(candidates) > _LISTED else ""
            listed = f"{', '.join(candidates[:_LISTED])}{more}"
            ways.append(f"--confidence with one of {listed}")
        if any(content(sample) for sample in peeked or self._peek()):
            known = [t for s in self.short() for t in targets(s) if isinstance(t, str)]
            ways.append(tokens.suggestion((), known))
        if not ways:
            return None
        raise UsageError(f"{self.shown}: which confidence? pass {' or '.join(ways)}")

    def _peek(self) -> Iterator[Sample]:
        """Yield some full samples that ended without an error."""
        left = _PEEKED
        for run in self.runs:
            for sample in run.full() if run.full else ():
                if not sample.get("error"):
                    yield sample
                left -= 1
                if not left:
                    return

    def _in_full(self, paths: Sequence[str]) -> bool:
        """Return whether some of these paths lead to values that summaries do not have."""
        found: Counter[str] = Counter()
        for sample in self.short():
            missing = [path for path in paths if is_missing(records.at(sample, path))]
            if missing and is_thinned(sample):
                return True
            found.update(set(paths) - set(missing))
        return any(not found[path] for path in paths)

    def _add_scored(
        self, run: Run, sample: Sample, scorer: str | None, paths: Sequence[str]
    ) -> None:
        row = {path: records.at(sample, path) for path in paths}
        told = self._told(run, sample, scorer)
        if isinstance(told, str):
            errored = told == UNSCORED and sample.get("error")
            self.left_out[ERRORED if errored else told] += 1
            return
        self.scored_errors += bool(sample.get("error"))
        if told is not None:
            row[self.named.get("correct", "correct")] = told
        self._add(run, sample, row)

    def _told(self, run: Run, sample: Sample, scorer: str | None) -> int | str | None:
        """Return whether a sample was right, or why it is no row; None if labels tell it."""
        path = self.named.get("correct")
        if path is None and scorer is None:
            return ERRORED if sample.get("error") else None
        value = records.at(sample, path) if path else sample["scores"].get(scorer, {}).get("value")
        if isinstance(value, Mapping) and "correct" in value:
            value = value["correct"]
        told = _outcome(value)
        if told is None:
            what = path or f"the value of the scorer {echo(scorer)}"
            raise UnreadableError(
                run.shown,
                f"{where(sample)}: {what} is {echo(value)}, neither right nor wrong (C or I, 1 or "
                "0); name a field that is with --correct, such as scores.NAME.value.KEY, or "
                "another scorer with --scorer",
            )
        return told

    def _add(self, run: Run, sample: Sample, row: dict[str, Any]) -> None:
        self.columns.add(beside(run, sample) | row)


def _outcome(value: Any) -> int | str | None:
    """Return 1 or 0, or why a sample is left out; None for what is none of these."""
    if is_missing(value):
        return UNSCORED
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _OUTCOMES:
            return _OUTCOMES[text]
        return int(float(text)) if re.fullmatch(r"[01](\.0*)?", text) else None
    return int(value) if isinstance(value, int | float) and value in (0, 1) else None


def _confidences(paths: Iterable[str], scorer: str | None) -> list[str]:
    """Return the paths that are called so, under a scorer if there is one."""
    begin = f"scores.{scorer}." if scorer else "scores."
    return [p for p in paths if p.startswith(begin) and p.lower().endswith(".confidence")]


def _answer(sample: Sample, answers: tokens.Answers, shown: str) -> str | None:
    """Add the options' probabilities of a sample; return why there are none."""

    def fail(reason: str) -> UnreadableError:
        return UnreadableError(shown, f"{where(sample)}: {reason}")

    if not records.at(sample, "output.choices.0"):
        return ERRORED if sample.get("error") else NO_OUTPUT
    listed = content(sample)
    if not listed:
        return ERRORED if sample.get("error") else NO_LOGPROBS
    if len(targets(sample)) > 1:
        return SEVERAL_TARGETS
    texts = tokens.chat_texts(listed, fail)
    tokens.require_whole(texts, answers.options, fail)
    position = tokens.last_option(texts, answers.options)
    if position is None:
        return NO_OPTION
    token = tokens.chat_token(listed[position], fail)
    if not token.top:
        return NO_TOP
    answer = tokens.read(token, 0, answers.options)  # the answer comes at the end as a rule
    if answer is None:
        return NO_OPTION
    answers.add(answer, tokens.label_of(targets(sample), answers.options, fail))
    return None


FORMAT = LogFormat(
    "inspect",
    "a log of Inspect",
    (".eval", ".json"),
    recognise,
    read,
    ("scorer", "options"),
)
