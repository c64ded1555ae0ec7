"""--sweep: the same run with several losses, and seeds, side by side, as in the paper's tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from calibtool.data.files.write import write_text
from calibtool.errors import UsageError
from calibtool.formatting import number
from calibtool.reports.render import render
from calibtool.reports.table import Table
from calibtool.train import config, folder
from calibtool.train.data.dataset import Data
from calibtool.train.data.read import read
from calibtool.train.loop import Watch
from calibtool.train.losses.spec import parse_loss
from calibtool.train.models import registry
from calibtool.train.results import finished
from calibtool.train.run import Silent, train
from calibtool.train.settings import Settings
from calibtool.train.trained import METRICS, Trained, as_error
from calibtool.train.world import World, world

NAMES = [name.replace("accuracy", "error") for name in METRICS.split(",")]


@dataclass(frozen=True, eq=False)
class Swept:
    """The runs of a sweep, loss by loss, and their shared folder."""

    out: str
    runs: tuple[Trained, ...]


def sweep(
    settings: Settings,
    losses: Sequence[str],
    seeds: Sequence[int],
    *,
    resume: bool = False,
    watch: Watch | None = None,
    data: Data | None = None,
) -> Swept:
    """Each loss with each seed in a folder of its own below `settings.out`.

    With `resume`, runs that are finished are read, a broken one goes on, others begin.
    """
    names = [parse_loss(loss).name for loss in losses]
    if len(set(names)) < len(names) or len(set(seeds)) < len(seeds):
        raise UsageError("--sweep: a loss or a seed is given twice")
    out = Path(settings.out)
    with world(settings.device) as place:
        if not resume:
            place.first_alone(folder.require_empty, out, settings)
        data = registry.tokenized(settings.model, data or read(settings))
        runs = []
        for name in names:
            for seed in seeds:
                place_of = out / (slug(name) if len(seeds) == 1 else f"{slug(name)}-seed{seed}")
                own = replace(settings, loss=name, seed=seed, out=str(place_of))
                runs.append(_one(own, data, place, resume=resume, watch=watch or Silent()))
        found = Swept(str(out), tuple(runs))
        place.first_alone(_write, out, found)
    return found


def _one(settings: Settings, data: Data, place: World, *, resume: bool, watch: Watch) -> Trained:
    out = Path(settings.out)
    begun = resume and (out / config.NAME).is_file()
    place.first_alone(folder.take_up if begun else folder.require_empty, out, settings)
    if begun and (done := finished(out)):
        return done
    return train(settings, data, place, resume=begun, watch=watch)


def slug(loss: str) -> str:
    """A folder's name.

    >>> slug("focal(gamma=3,)"), slug("flsd-53")
    ('focal-gamma-3', 'flsd-53')
    """
    return re.sub(r"[^\w.-]+", "-", loss).strip("-")


def _write(out: Path, found: Swept) -> None:
    shown = listing(found)
    for name, format_ in (
        ("sweep.txt", "table"),
        ("sweep.md", "markdown"),
        ("sweep.json", "json"),
    ):
        write_text(out / name, render(shown, format_, width=80, colour=False))


def listing(found: Swept) -> Table:
    """A line a loss; over several seeds, mean and standard deviation."""
    by_loss: dict[str, list[Trained]] = {}
    for run in found.runs:
        by_loss.setdefault(run.about["loss"], []).append(run)
    many = len(found.runs) > len(by_loss)
    columns = [("T", "temperature", ""), ("error", "error", "")]
    for name in ("ece",) if many else ("nll", "ece"):
        columns += [(name, name, ""), ("after", name, "_after")]
    rows = [
        [loss, *(_cell([numbers(run).get(name + end) for run in runs]) for _, name, end in columns)]
        for loss, runs in by_loss.items()
    ]
    about = found.runs[0].about
    seeds = f", {len(found.runs) // len(by_loss)} seeds: mean ± standard deviation" if many else ""
    return Table(
        "calibtool-sweep",
        f"{about['model']}, {found.runs[0].report.data.rows:,} test rows, "
        f"{about['classes']} classes{seeds}",
        ["loss", *(title for title, _, _ in columns)],
        rows,
        [
            {"loss": run.about["loss"], "seed": run.about["seed"], "out": run.out, **numbers(run)}
            for run in found.runs
        ],
        "runs",
        ["After: with the temperature T fitted on validation rows."],
    )


def numbers(run: Trained) -> dict[str, float | None]:
    """T, and each metric before and after it."""
    found: dict[str, float | None] = {"temperature": run.temperature}
    for end, estimates in (("", run.report.estimates), ("_after", run.report.after)):
        for name, estimate in zip(NAMES, estimates, strict=False):
            found[name + end] = as_error(estimate)[0]
    return found


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    if len(values) == 1:
        return number(known[0])
    spread = f"±{stdev(known):.4f}" if len(known) > 1 else ""
    return f"{number(fmean(known))}{spread}"
