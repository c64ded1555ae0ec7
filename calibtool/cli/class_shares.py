"""Options for class shares that differ from those of the labelled rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibtool.cli import options as shared
from calibtool.cli.files import Input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibtool.analysis.label_shift import Prior
    from calibtool.data.files.roles import Choice
    from calibtool.data.files.source import Source
    from calibtool.data.predictions import Predictions
    from calibtool.types import Progress

NAMES = ("target_prior", "target", "undersampled")
LISTED = 5  # classes in a note: a line or two
options = shared.stack(
    click.option(
        "--target-prior",
        metavar="A,B,...",
        help="Class shares where the calibrator will be used, if they differ from those of "
        "FILE. The report is then for those shares.",
    ),
    click.option(
        "--target",
        type=Input(),
        metavar="FILE",
        help="Estimate these class shares from predictions without labels.",
    ),
    click.option(
        "--undersampled",
        type=float,
        metavar="SHARE",
        help="The share of the negatives (class 0 of two) that were kept in FILE and in the "
        "model's training data: 0.1 for a tenth.",
    ),
)


def take(options: dict[str, Any]) -> dict[str, Any]:
    """Remove these options from a command's options, and return those that were given.

    Raises UsageError for more than one, and for a share that is none.
    """
    from calibtool.errors import UsageError

    given = {name: value for name in NAMES if (value := options.pop(name)) is not None}
    if len(given) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{flags} cannot be combined; each gives the class shares")
    share = given.get("undersampled")
    if share is not None and not 0 < share <= 1:
        raise UsageError(f"--undersampled must be above 0 and at most 1 (got {share:g})")
    if "target_prior" in given:
        given["target_prior"] = _numbers(given["target_prior"])
    return given


def target_of(
    given: dict[str, Any],
    prior: Sequence[float],
    file: str,
    rows: Any,
    choice: Choice,
    seed: int,
    progress: Progress,
) -> tuple[list[float] | None, list[str]]:
    """Return the class shares that the options ask for, or None, and notes on them.

    Args:
        given: what `take` returned.
        prior: class shares of the labelled rows.
        file, rows: the labelled rows, and the file they come from.
        choice: the options of reading.
        seed, progress: of the estimate.
    """
    from dataclasses import replace

    from calibtool.analysis.label_shift import estimate_prior
    from calibtool.data.files.open import open_source
    from calibtool.data.predictions import in_names
    from calibtool.data.unit import unit_text
    from calibtool.errors import UsageError

    if "undersampled" in given:
        if len(prior) != 2:
            raise UsageError(
                f"{file}: --undersampled is the share of the negatives, class 0 of two; with "
                f"{len(prior):,} classes give the shares with --target-prior"
            )
        weights = [prior[0], prior[1] * given["undersampled"]]
        target = [weight / sum(weights) for weight in weights]
        said = f"class 1 is taken to be {target[1]:.4g} of the rows, not {prior[1]:.4g}"
        return target, [in_names(said, rows.class_names, unit_text(rows))]
    if "target" in given:
        if shared.is_cells(file):
            raise UsageError(f"{file}: holds cells, no rows; --target needs rows")
        unlabelled = replace(choice, labels=None, labels_file=None, id=None, join="")
        target_rows = open_source(given["target"], unlabelled, need_labels=False).load()
        found = estimate_prior(rows.load(), target_rows, seed=seed, progress=progress)
        return positive(found), notes(found)
    return given.get("target_prior"), []


def positive(found: Prior) -> list[float]:
    """Return estimated shares, none of which is 0: at least half a row of the unlabelled ones."""
    least = 0.5 / found.data.rows
    shares = [max(float(share), least) for share in found.shares]
    return [share / sum(shares) for share in shares]


def notes(found: Prior) -> list[str]:
    """Return the estimate in sentences: the classes that changed most, and what contradicts it."""
    from calibtool.formatting import percent

    ranked = sorted(found.classes, key=lambda one: -abs(one.share - one.before))[:LISTED]
    listed = [
        f"{one.name}: {one.share:.4f} [{one.low:.4f}, {one.high:.4f}]"
        + ("" if one.bbse is None else f" (BBSE {one.bbse:.4f})")
        + f", was {one.before:.4f}"
        for one in ranked
    ]
    others = len(found.classes) - len(ranked)
    more = f"; and {others:,} classes more" if others else ""
    how = f"by EM [{percent(found.level)} interval]"
    said = [f"class shares of {found.data.source}, {how}: {'; '.join(listed)}{more}"]
    if found.differ:
        said.append(
            f"EM and BBSE differ beyond chance for class {', '.join(found.differ[:LISTED])}: more "
            f"has changed than class shares; label some rows of {found.data.source} to be sure"
        )
    return said


def _numbers(text: str) -> list[float]:
    """Return the numbers in "0.9,0.1"; raise UsageError for other text."""
    from calibtool.errors import UsageError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--target-prior {text!r}: give one share per class, such as 0.9,0.1"
        ) from error


def weighted(data: Source | Predictions, target: list[float]) -> Predictions:
    """Return the rows, loaded, weighted as if the classes had these shares."""
    from dataclasses import replace

    import numpy as np

    from calibtool.calibrators.fitted import class_shares
    from calibtool.data.predictions import Predictions
    from calibtool.errors import UsageError

    predictions = data if isinstance(data, Predictions) else data.load()
    if predictions.labels is None:
        raise UsageError(
            f"{predictions.source}: holds confidences, not classes; --target-prior needs classes"
        )
    shares = class_shares(predictions)
    if len(target) != len(shares):
        raise UsageError(
            f"{predictions.source}: holds {len(shares):,} classes, and --target-prior gives "
            f"{len(target):,} shares; give one per class"
        )
    ratio = np.divide(target, shares, out=np.zeros_like(shares), where=shares > 0)
    weights = ratio[predictions.labels]
    if predictions.weights is not None:
        weights = weights * predictions.weights
    return replace(predictions, weights=weights)
