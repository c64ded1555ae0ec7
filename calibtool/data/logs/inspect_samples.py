"""Samples of an Inspect log: the summaries of all, and each in full with what the model said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calibtool.data.logs import records
from calibtool.data.logs.inspect_zip import Members, open_members
from calibtool.data.logs.log import LogFile
from calibtool.data.logs.typed import is_missing
from calibtool.errors import UnreadableError, echo
from calibtool.formatting import counted

_JOURNAL = re.compile(r"_journal/summaries/(\d+)\.json")
# what Inspect writes into a summary for a value of more than 1 kB
_REMOVED = "Key removed from summary"
# parts of a score that are long texts or lists, and no values to group rows by
_LONG = ("explanation", "history")
# parts of a sample that are read, if they are at all, from one sample at a time
_TEXTS = (
    *("input", "choices", "messages", "output", "store", "events", "events_data"),
    *("attachments", "model_usage", "role_usage"),
)
_ZIP = b"PK\x03\x04"

Sample = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One log.

    Attributes:
        shown: what messages call its file.
        header: its keys but the samples: eval, status, results.
        finished: whether the header was written at the end of a run.
        short: the samples as far as their summaries tell; all that a `.json` log has.
        full: yields the samples in full; None if the file has no more than summaries.
    """

    shown: str
    header: Mapping[str, Any]
    finished: bool
    short: list[Sample]
    full: Callable[[], Iterator[Sample]] | None

    def note(self) -> str | None:
        """Return what has to be said of a run that did not reach its end."""
        status = self.header.get("status")
        if self.finished and status in ("success", None):
            return None
        total = records.at(self.header, "eval.dataset.samples")
        epochs = records.at(self.header, "eval.config.epochs") or 1
        held = f"the file holds {counted(len(self.short), 'sample')}"
        if isinstance(total, int) and isinstance(epochs, int):
            held = f"{len(self.short):,} of {total * epochs:,} samples are in the file"
        if self.finished and status != "started":
            return f"the run ended with status {echo(status)}: {held}"
        return f"the run was not finished: {held}"


def is_zip(file: LogFile) -> bool:
    """Return whether a file begins as a zip does."""
    return file.head.startswith(_ZIP)


def open_run(file: LogFile, max_unpacked: float | None) -> Run:
    """Read the header and the summaries of a log. Raises InputError."""
    if file.suffix != ".json" or is_zip(file):
        return _zipped(file, max_unpacked)
    document = file.document
    if not isinstance(document, Mapping):
        raise UnreadableError(file.shown, "not an Inspect log, which is one JSON object")
    header = {key: value for key, value in document.items() if key != "samples"}
    samples = _checked(document.get("samples") or [], file.shown)
    _require_samples(file.shown, samples)
    return Run(file.shown, header, True, samples, lambda: iter(samples))


def where(sample: Sample) -> str:
    """Return what messages call a sample."""
    return f"sample {echo(sample.get('id'))}, epoch {sample.get('epoch', 1)}"


def is_thinned(sample: Sample) -> bool:
    """Return whether a summary lacks values because they are long."""
    scores = sample["scores"].values()
    parts = [sample.get("metadata"), *(score.get("metadata") for score in scores)]
    return any(
        isinstance(value, str) and value.startswith(_REMOVED)
        for part in parts
        if isinstance(part, Mapping)
        for value in part.values()
    )


def numbers(samples: Iterable[Sample]) -> list[str]:
    """Return the paths of numbers in scores and metadata."""
    found: dict[str, None] = {}
    for sample in samples:
        for name, score in sample["scores"].items():
            parts = {key: score.get(key) for key in ("value", "metadata")}
            _numbers_in(parts, f"scores.{name}.", found)
        if isinstance(sample.get("metadata"), Mapping):
            _numbers_in(sample["metadata"], "metadata.", found)
    return list(found)


def _numbers_in(record: Mapping[str, Any], prefix: str, found: dict[str, None]) -> None:
    for path, value in records.flat(record, prefix):
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[path] = None


def content(sample: Sample) -> Any:
    """Return the tokens of what the model said, with their logprobs; None without them."""
    return records.at(sample, "output.choices.0.logprobs.content")


def targets(sample: Sample) -> list[Any]:
    """Return the right answers of a sample."""
    target = sample.get("target")
    return target if isinstance(target, list) else [target]


def beside(run: Run, sample: Sample) -> dict[str, Any]:
    """Return the values of a sample that rows can be grouped by."""
    row = {
        "id": sample.get("id"),
        "epoch": sample.get("epoch", 1),
        "task": records.at(run.header, "eval.task"),
        "model": records.at(run.header, "eval.model"),
    }
    for name, score in sample["scores"].items():
        kept = {key: value for key, value in score.items() if key not in _LONG}
        row |= dict(records.flat(kept, f"scores.{name}."))
    if isinstance(sample.get("metadata"), Mapping):
        row |= dict(records.flat(sample["metadata"], "metadata."))
    if len(targets(sample)) == 1:
        row["sample.target"] = targets(sample)[0]
    return {
        name: None if is_missing(value) else value  # NaN stands for none, in a column of texts too
        for name, value in row.items()
        if not isinstance(value, list | Mapping)
    }


def _zipped(file: LogFile, max_unpacked: float | None) -> Run:
    with open_members(file, max_unpacked) as members:
        finished = "header.json" in members.names
        begin = "header.json" if finished else "_journal/start.json"
        if begin not in members.names:
            raise UnreadableError(
                file.shown,
                "has neither header.json nor _journal/start.json, as the zip of an Inspect log has",
            )
        header = members.document(begin)
        if not isinstance(header, Mapping):
            raise UnreadableError(file.shown, f"{begin}: expected an object")
        names = [name for name in members.names if _is_sample(name)]
        short = _summaries(members)
        # the last samples can have been written without a summary when a run was killed
        if names and len(short) != len(names):
            members.require_room(names)
            short = [_shortened(_sample(members, name)) for name in names]
    _require_samples(file.shown, short)

    def full() -> Iterator[Sample]:
        with open_members(file, max_unpacked) as members:
            members.require_room(names)
            for name in names:
                yield _sample(members, name)

    return Run(file.shown, header, finished, short, full if names else None)


def _is_sample(name: str) -> bool:
    return name.startswith("samples/") and name.endswith(".json")


def _sample(members: Members, name: str) -> Sample:
    return _checked([members.document(name)], f"{members.shown}: {name}")[0]


def _summaries(members: Members) -> list[Sample]:
    """Return the summaries of all samples, which a run gathers in its journal until it ends."""
    parts = ["summaries.json"]
    if "summaries.json" not in members.names:
        numbered = [match for name in members.names if (match := _JOURNAL.fullmatch(name))]
        parts = [match[0] for match in sorted(numbered, key=lambda match: int(match[1]))]
    members.require_room(parts)
    return [
        _shortened(sample)
        for part in parts
        for sample in _checked(members.document(part), f"{members.shown}: {part}")
    ]


def _shortened(sample: Sample) -> Sample:
    """Return a sample without what is long: a log can hold many, and all are kept."""
    return {key: value for key, value in sample.items() if key not in _TEXTS}


def _checked(samples: Any, shown: str) -> list[Sample]:
    """Return a list of samples, each with an object of scores. Raises UnreadableError."""
    if not isinstance(samples, list):
        raise UnreadableError(shown, "expected a list of samples")
    for number, sample in enumerate(samples, start=1):
        if not isinstance(sample, Mapping):
            raise UnreadableError(shown, f"sample {number:,}: expected an object")
        scores = sample.get("scores")
        whole = isinstance(scores or {}, Mapping)
        if not whole or not all(isinstance(s or {}, Mapping) for s in (scores or {}).values()):
            raise UnreadableError(shown, f"{where(sample)}: expected an object of scores by scorer")
    return [_with_scores(sample) for sample in samples]


def _with_scores(sample: Sample) -> Sample:
    """Return a sample with `scores`, an object of objects; a log of version 1 has one scorer,
    without a name."""
    scores = sample.get("scores") or {}
    if not scores and isinstance(sample.get("score"), Mapping):
        scores = {"score": sample["score"]}
    return {**sample, "scores": {name: score or {} for name, score in scores.items()}}


def _require_samples(shown: str, samples: list[Sample]) -> None:
    if not samples:
        raise UnreadableError(
            shown, "holds no samples; was the run made with log_samples, and has it begun?"
        )
