"""Statistics of HELM: `per_instance_stats.json`, a list of instances and their metrics.

Each class of metrics appends entries of its own, so that the statistics of one instance stand in
several: they are gathered by instance, perturbation and trial.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calibtool.data.files.roles import Choice
from calibtool.data.logs.answers import outcomes_log
from calibtool.data.logs.log import Log, LogFile, LogFormat
from calibtool.data.logs.records import Columns
from calibtool.data.logs.typed import names_score, typed_paths, typed_values
from calibtool.errors import UnreadableError, UsageError, brief, echo

CONFIDENCE, CORRECT = "max_prob", "exact_match"  # statistics that HELM's own calibration reads
_KEYS = (b'"instance_id"', b'"train_trial_index"', b'"stats"')


@dataclass
class _Instance:
    """What is known of an instance, a perturbation of it, and a trial.

    Attributes:
        about: what it is called.
        stats: means by name.
    """

    about: dict[str, Any]
    stats: dict[str, float] = field(default_factory=dict)


def recognise(file: LogFile) -> bool:
    """Return whether a file is a list of instances with their statistics."""
    head = file.head.lstrip(b"\xef\xbb\xbf \r\n\t")
    return head.startswith(b"[") and all(key in head for key in _KEYS)


def read(files: Sequence[LogFile], choice: Choice) -> Log:
    """Return the probability of the answer as confidence, and whether it matches exactly."""
    found = [instance for file in files for instance in _instances(file)]
    if not found:
        raise UnreadableError(files[0].shown, "holds no instances")
    chosen, notes = _one_split(files[0].shown, found, choice)
    left_out, columns, fractional = Counter[str](), Columns(), 0
    for each in chosen:
        if not 0 <= each.stats.get(CORRECT, 0) <= 1:
            raise UnreadableError(
                files[0].shown,
                f"instance {echo(each.about['instance_id'])}: the mean of {CORRECT} is "
                f"{each.stats[CORRECT]}; expected 0 to 1",
            )
    scored = not names_score(choice) and any(CONFIDENCE in each.stats for each in chosen)
    paths = typed_paths(choice)
    for each in chosen:
        correct = each.stats.get(CORRECT)
        if correct is None and choice.correct is None:
            left_out[f"instances without {CORRECT}"] += 1
        elif scored and CONFIDENCE not in each.stats:
            left_out[f"instances without {CONFIDENCE}"] += 1
        else:
            row = {**each.about, **{f"stats.{name}": v for name, v in each.stats.items()}}
            if scored:
                row["confidence"] = each.stats[CONFIDENCE]
            if choice.correct is None and correct is not None:
                row["correct"] = int(correct)
                fractional += correct != int(correct)
            columns.add({**row, **typed_values({**each.about, "stats": each.stats}, paths)})
    if not columns.rows:
        listed = ", ".join(dict.fromkeys(name for each in chosen for name in each.stats))
        raise UnreadableError(
            files[0].shown,
            f"no instance has what is read, {CORRECT} and {CONFIDENCE}; name others with --correct "
            f"stats.NAME and --confidence stats.NAME: {brief(listed, 300) or 'there are none'}",
        )
    if fractional:
        notes.append(
            f"{fractional:,} of {columns.rows:,} rows have an {CORRECT} between 0 and 1 (tied "
            "answers): wrong, as in HELM"
        )
    named: dict[str, Any] = columns.result(paths)
    notes += columns.notes
    if scored or names_score(choice):
        return Log(named, left_out=left_out, notes=tuple(notes))
    right = named.pop("correct", [None])
    return outcomes_log(named, right, choice, left_out, notes, f"no statistic {CONFIDENCE}")


def _instances(file: LogFile) -> list[_Instance]:
    """Return the instances of a file in its order, with the statistics of all their entries."""
    if not isinstance(file.document, list):
        raise UnreadableError(file.shown, "expected a list of instances with stats")
    found: dict[str, _Instance] = {}
    for number, entry in enumerate(file.document, start=1):

        def fail(reason: str, number: int = number) -> UnreadableError:
            return UnreadableError(file.shown, f"entry {number:,}: {reason}")

        if not isinstance(entry, dict) or not isinstance(entry.get("instance_id"), str | int):
            raise fail("expected an instance with instance_id and stats")
        if not isinstance(entry.get("train_trial_index", 0), int):
            raise fail("train_trial_index: expected a number")
        if not isinstance(entry.get("stats"), list):
            raise fail("stats: expected a list")
        perturbation = entry.get("perturbation")
        about = {
            "instance_id": entry["instance_id"],
            "perturbation": _name(perturbation),
            "train_trial_index": entry.get("train_trial_index", 0),
        }
        key = json.dumps([*about.values(), perturbation], sort_keys=True)
        instance = found.setdefault(key, _Instance(about))
        for stat in entry["stats"]:
            _add(instance, stat, fail)
    return list(found.values())


def _name(perturbation: Any) -> str:
    """Return the name of a perturbation; "none" for the instance as it is."""
    if perturbation is None:
        return "none"
    if isinstance(perturbation, Mapping) and isinstance(perturbation.get("name"), str):
        return str(perturbation["name"])
    return json.dumps(perturbation, sort_keys=True)


def _add(instance: _Instance, stat: Any, fail: Any) -> None:
    """Add the mean of a statistic. One that has none, such as NaN, is left out by HELM as well."""
    name = stat.get("name") if isinstance(stat, dict) else None
    if not isinstance(name, dict) or not isinstance(name.get("name"), str):
        raise fail("stats: expected entries with name.name and mean")
    if isinstance(name.get("split"), str):
        instance.about.setdefault("split", name["split"])
    mean = stat.get("mean")
    if mean is None:
        return
    if isinstance(mean, bool) or not isinstance(mean, int | float):
        raise fail(f"stats: the mean of {name['name']} is {echo(mean)}; expected a number")
    if isinstance(mean, float) and math.isnan(mean):
        return
    if instance.stats.setdefault(name["name"], mean) != mean:
        raise fail(
            f"stats: the mean of {name['name']} is {mean}, but {instance.stats[name['name']]} in "
            "an earlier entry of the same instance"
        )


def _one_split(
    shown: str, found: Sequence[_Instance], choice: Choice
) -> tuple[Sequence[_Instance], list[str]]:
    """Return the instances of the split to read, and a note about copies among them."""
    splits = list(dict.fromkeys(each.about["split"] for each in found if "split" in each.about))
    names = ", ".join(splits)
    if choice.split is not None:
        found = [each for each in found if each.about.get("split") == choice.split]
        if not found:
            raise UsageError(f"{shown}: there is no split {echo(choice.split)}; it has {names}")
    elif len(splits) > 1 and not re.search(r"(?<![\w.'])split(?![\w.'])", choice.filter or ""):
        raise UsageError(f"{shown}: has the splits {names}; choose one with --split NAME")
    notes = []
    copies = sum(each.about["perturbation"] != "none" for each in found)
    if copies:
        notes.append(
            f"{copies:,} of {len(found):,} rows are perturbed copies of instances: "
            "--filter \"perturbation = 'none'\" leaves them out, --cluster instance_id keeps them "
            "with their originals"
        )
    return found, notes


FORMAT = LogFormat(
    name="helm",
    title="per-instance statistics of HELM",
    suffixes=(".json",),
    recognise=recognise,
    read=read,
    options=("split",),
)
