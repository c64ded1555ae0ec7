"""The folder of a run, empty at the start or with a run to resume; torch-free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calibtool.data.files.document import Entry
from calibtool.data.files.write import write_text
from calibtool.errors import InputError, UsageError
from calibtool.reports.render import render
from calibtool.reports.table import Table
from calibtool.train import config
from calibtool.train.settings import Settings, differences

CHECKPOINT = "checkpoint.safetensors"
HISTORY = "history.jsonl"
MODEL = "model.safetensors"
REPORT = "report.json"
HF = "hf"  # folder of the configuration and the tokenizer of a model of transformers
SEARCH = "gamma_search.json"
PREFIX = "calibtool."  # names what model.safetensors holds besides the weights of the network


def require_empty(out: Path) -> None:
    """Check that the folder is empty or does not exist; raise UsageError otherwise."""
    try:
        entry = next(out.iterdir(), None) if out.exists() else None
    except OSError as error:
        raise UsageError(f"{out}: cannot be used: {error.strerror}") from error
    if entry is not None:
        advice = (
            "add --resume to continue the run in it, or choose another --out"
            if (out / config.NAME).exists()
            else "choose an empty or a new folder"
        )
        raise UsageError(f"{out}: is not empty (it holds {entry.name}); {advice}")


def make(out: Path) -> None:
    """Create the folder; raise UsageError if that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be created: {error.strerror}") from error


def clear(out: Path) -> None:
    """Empty the folder again, if a run failed before its first checkpoint."""
    if not (out / CHECKPOINT).exists():
        for name in (config.NAME, SEARCH):
            (out / name).unlink(missing_ok=True)


def require_resumable(out: Path, settings: Settings) -> None:
    """Check that the folder holds a run that can be resumed with these settings.

    Raises UsageError if there is none, or if its settings differ.
    """
    if not (out / config.NAME).is_file():
        raise UsageError(f"{out}: holds no run to resume ({config.NAME} is missing)")
    original, _ = config.read(out / config.NAME)
    if settings.epochs < original.epochs:
        raise UsageError(
            f"{out}: --epochs: a run of {original.epochs} can be resumed with more only"
        )
    if changed := differences(settings, original):
        raise UsageError(
            f"{out}: --resume continues a run with its original settings; changed: "
            f"{'; '.join(changed)}. Start a new run with another --out"
        )


def require_more_to_do(out: Path, settings: Settings, trained: int, *, over: bool) -> None:
    """Check that a run can train on to more epochs than it was started with.

    Raises UsageError if its checkpoint is gone, or if its patience (`over`) has ended it.
    """
    if not (out / CHECKPOINT).is_file() and (out / MODEL).is_file():
        raise UsageError(
            f"{out}: holds no {CHECKPOINT} to train on from; start a new run with --checkpoint "
            f"{out / MODEL}"
        )
    if over:
        raise UsageError(
            f"{out}: --patience {settings.patience} ended this run after {trained} epochs; to "
            "train on, give a larger one too"
        )


def require_same_data(out: Path, resolved: Entry, fingerprint: str) -> None:
    """Check that the data are those that the run was started on; raise InputError otherwise.

    A run without a recorded fingerprint is accepted.
    """
    before = resolved.get("data_fingerprint")
    if before is not None and before.text() != fingerprint:
        raise InputError(
            f"{out}: cannot be resumed: the data have changed since this run was started"
        )


def write_table(path: Path, table: Table, format_: str) -> None:
    """Write a table for people or programs; the width is fixed, since a file has no terminal."""
    write_text(path, render(table, format_, width=80, colour=False))


def write_tables(out: Path, name: str, table: Table) -> None:
    """Write a table as NAME.txt, NAME.md and, last, NAME.json."""
    for suffix, format_ in (("txt", "table"), ("md", "markdown"), ("json", "json")):
        write_table(out / f"{name}.{suffix}", table, format_)


def write_history(out: Path, history: list[dict[str, Any]]) -> None:
    """Write history.jsonl: one line per epoch."""
    write_text(out / HISTORY, "".join(json.dumps(row) + "\n" for row in history))
