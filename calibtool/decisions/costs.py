"""Costs: what each decision costs for each class, and what a rejection costs; read from TOML.

    reject = 0.2                   # what it costs to hand a row to a person; none may be rejected
                                   # without it
    [cost.sick]                    # the truth
    healthy = 10                   # the decision

What is not named costs nothing if it is right. Classes without a name are called 0, 1, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.data.files.document import Document, Entry
from calibtool.data.predictions import Predictions, names_of_classes
from calibtool.data.rows import Rows
from calibtool.errors import NotAvailableError, UsageError, near
from calibtool.types import Array

# Largest cost: products with probabilities and weights stay exact enough to be compared.
DEAREST = 1e12


@dataclass(frozen=True)
class Costs:
    """What decisions cost, by the names of the classes.

    Attributes:
        source: the file.
        cost: truth -> decision -> cost, as far as they were named.
        reject: the cost of a rejection; None if no row can be rejected.
    """

    source: str
    cost: dict[str, dict[str, float]]
    reject: float | None = None

    @property
    def largest(self) -> float:
        """The largest cost of a decision."""
        return max(value for row in self.cost.values() for value in row.values())

    def matrix(self, predictions: Predictions) -> Array:
        """Return the cost of each truth and decision, (K, K).

        Raises NotAvailableError for confidences alone, UsageError for an unknown class, and for a
        wrong decision without a cost.
        """
        if predictions.classes is None:
            raise NotAvailableError(
                f"{predictions.source}: holds confidences alone; costs are those of classes"
            )
        names = names_of_classes(predictions)
        at = {name: k for k, name in enumerate(names)}
        matrix = np.full((len(names), len(names)), np.nan)
        np.fill_diagonal(matrix, 0.0)
        for truth, row in self.cost.items():
            for decision, value in row.items():
                for name in (truth, decision):
                    if name not in at:
                        raise UsageError(
                            f"{self.source}: {predictions.source} has no class {name!r}"
                            f"{near(name, names)}"
                        )
                matrix[at[truth], at[decision]] = value
        lacking = np.argwhere(np.isnan(matrix))
        if len(lacking):
            truth, decision = (names[k] for k in lacking[0])
            raise UsageError(
                f"{self.source}: has no cost of the decision {decision!r} where {truth!r} is true; "
                f"add {decision} = ... to [cost.{truth}]"
            )
        return matrix

    def of_decisions(self, predictions: Predictions, rows: Rows) -> Array:
        """Return the cost of deciding for the predicted class, (N,), of labelled predictions."""
        matrix = self.matrix(predictions)
        assert predictions.labels is not None
        return np.asarray(matrix[predictions.labels, rows.predicted])


def read_costs(path: str | Path) -> Costs:
    """Read costs from a TOML file. Raises InputError for anything else."""
    root, _ = Document(str(path), "a file of costs").read_toml()
    return costs_in(root, str(path))


def costs_in(entry: Entry, source: str) -> Costs:
    """Return the costs of an entry of a document; raise InputError for none."""
    for key in entry.entries():
        if key not in ("cost", "reject"):
            entry.document.refuse(f"there is no key {key!r}{near(key, ('cost', 'reject'))}")
    cost = {
        truth: {decision: _cost(value) for decision, value in row.entries().items()}
        for truth, row in entry["cost"].entries().items()
    }
    if not any(value > 0 for row in cost.values() for value in row.values()):
        entry["cost"].refuse("names no cost above 0, so that every decision is as good as another")
    reject = entry.get("reject")
    return Costs(source, cost, None if reject is None else _cost(reject))


def document_of_costs(costs: Costs) -> dict[str, Any]:
    """Return costs as JSON holds them."""
    return {"cost": costs.cost, "reject": costs.reject}


def _cost(entry: Entry) -> float:
    return entry.number(0.0, DEAREST)
