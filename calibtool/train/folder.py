"""The folder of a run: empty at the start, or taken up again; torch-free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calibtool.data.files.write import write_text
from calibtool.errors import InputError, UsageError
from calibtool.reports import table
from calibtool.train import config
from calibtool.train.settings import Settings, differences

CHECKPOINT = "checkpoint.safetensors"
HISTORY = "history.jsonl"
MODEL = "model.safetensors"
REPORT = "report.json"
SEARCH = "gamma_search.json"
PREFIX = "calibtool."  # of what model.safetensors holds besides the network's own weights


def require_empty(out: Path) -> None:
    """Whether a run can begin in a folder; UsageError where something is in it already."""
    try:
        taken = next(out.iterdir(), None) if out.exists() else None
    except OSError as error:
        raise UsageError(f"{out}: cannot be used: {error.strerror}") from error
    if taken is not None:
        advice = (
            "add --resume to go on with the run in it, or give another --out"
            if (out / config.NAME).exists()
            else "give an empty or a new folder"
        )
        raise UsageError(f"{out}: is not empty (it holds {taken.name}); {advice}")


def make(out: Path) -> None:
    """Make the folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be made: {error.strerror}") from error


def clear(out: Path) -> None:
    """Leave the folder empty again, if a run ended before there was anything to resume."""
    if not (out / CHECKPOINT).exists():
        for name in (config.NAME, SEARCH):
            (out / name).unlink(missing_ok=True)


def take_up(out: Path, settings: Settings) -> None:
    """Whether a run can be resumed with these settings."""
    if not (out / config.NAME).is_file():
        raise UsageError(f"{out}: holds no run to resume ({config.NAME} is missing)")
    before, _ = config.read(out / config.NAME)
    if changed := differences(settings, before):
        raise UsageError(
            f"{out}: --resume goes on with the run as it was started; asked for now: "
            f"{'; '.join(changed)}. Start another run in another --out"
        )


def require_same_data(out: Path, fingerprint: str) -> None:
    """Whether the data are those that the run was started on."""
    _, resolved = config.read(out / config.NAME)
    if resolved.get("data_fingerprint") not in (None, fingerprint):
        raise InputError(
            f"{out}: the data have changed since this run was started; it cannot go on"
        )


def write_table(path: Path, shown: table.Table, format_: str) -> None:
    """Write a table for people or programs; the width is fixed, since a file has no terminal."""
    write_text(path, table.render(shown, format_, width=80, colour=False))


def write_history(out: Path, history: list[dict[str, Any]]) -> None:
    """history.jsonl: a line an epoch."""
    write_text(out / HISTORY, "".join(json.dumps(row) + "\n" for row in history))
