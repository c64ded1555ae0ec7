"""--sweep: the same run with several losses and seeds, compared in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from calibtool.errors import UsageError
from calibtool.formatting import number
from calibtool.reports.table import Table
from calibtool.train import config, folder
from calibtool.train.data.dataset import Data
from calibtool.train.data.read import read
from calibtool.train.loop import Silent, Watch
from calibtool.train.losses.spec import parse_loss
from calibtool.train.models import registry
from calibtool.train.settings import Settings
from calibtool.train.trained import METRICS, Trained, as_error
from calibtool.train.training import open_folder, train
from calibtool.train.world import World, open_world

NAMES = [name.replace("accuracy", "error") for name in METRICS.split(",")]


@dataclass(frozen=True, eq=False)
class Swept:
    """The runs of a sweep, loss by loss, and the folder that holds their folders."""

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
    """Train each loss with each seed, in a folder per run below `settings.out`.

    With `resume`, finished runs are read, an interrupted run continues, and the others begin.
    Raises InputError, UsageError, TrainingError.
    """
    names = [parse_loss(loss).name for loss in losses]
    if len(set(names)) < len(names) or len(set(seeds)) < len(seeds):
        raise UsageError("--sweep: each loss and each seed must be given once")
    out = Path(settings.out)
    with open_world(settings.device) as world:
        if not resume:
            world.first_alone(folder.require_empty, out)
        data = registry.tokenized(settings.model, data or read(settings), settings.max_length)
        runs = []
        for name in names:
            for seed in seeds:
                folder_name = slug(name) if len(seeds) == 1 else f"{slug(name)}-seed{seed}"
                run = replace(settings, loss=name, seed=seed, out=str(out / folder_name))
                runs.append(_run(run, data, world, resume=resume, watch=watch or Silent()))
        swept = Swept(str(out), tuple(runs))
        world.first_alone(folder.write_tables, out, "sweep", listing(swept))
    return swept


def _run(settings: Settings, data: Data, world: World, *, resume: bool, watch: Watch) -> Trained:
    out = Path(settings.out)
    begun = resume and (out / config.NAME).is_file()
    if done := open_folder(out, settings, world, resume=begun):
        return done
    return train(settings, data, world, resume=begun, watch=watch)


def slug(loss: str) -> str:
    """Return the name of a loss's folder.

    >>> slug("focal(gamma=3,)"), slug("flsd-53")
    ('focal-gamma-3', 'flsd-53')
    """
    return re.sub(r"[^\w.-]+", "-", loss).strip("-")


def listing(swept: Swept) -> Table:
    """Return a table with one line per loss; with several seeds, mean and standard deviation."""
    by_loss: dict[str, list[Trained]] = {}
    for run in swept.runs:
        by_loss.setdefault(run.about["loss"], []).append(run)
    many = len(swept.runs) > len(by_loss)
    columns = [("T", "temperature", ""), ("error", "error", "")]
    for name in ("ece",) if many else ("nll", "ece"):
        columns += [(name, name, ""), ("after", name, "_after")]
    rows = [
        [loss, *(_cell([numbers(run).get(name + end) for run in runs]) for _, name, end in columns)]
        for loss, runs in by_loss.items()
    ]
    about = swept.runs[0].about
    seeds = f", {len(swept.runs) // len(by_loss)} seeds: mean ± standard deviation" if many else ""
    return Table(
        "calibtool-sweep",
        f"{about['model']}, {swept.runs[0].report.data.rows:,} test rows, "
        f"{about['classes']} classes{seeds}",
        ["loss", *(title for title, _, _ in columns)],
        rows,
        [
            {"loss": run.about["loss"], "seed": run.about["seed"], "out": run.out, **numbers(run)}
            for run in swept.runs
        ],
        "runs",
        ["After: with the temperature T fitted on validation rows."],
    )


def numbers(run: Trained) -> dict[str, float | None]:
    """Return the temperature, and each metric before and after it."""
    values: dict[str, float | None] = {"temperature": run.temperature}
    for end, estimates in (("", run.report.estimates), ("_after", run.report.after)):
        for name, estimate in zip(NAMES, estimates, strict=False):
            values[name + end] = as_error(estimate).value
    return values


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    if len(values) == 1:
        return number(known[0])
    spread = f"±{stdev(known):.4f}" if len(known) > 1 else ""
    return f"{number(fmean(known))}{spread}"
