"""Prediction sets beside MAPIE, TorchCP, crepes and puncc, on the same rows and draws."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from calibtool.decisions.coverage_promise import rank_of
from calibtool.decisions.set_scores import SetScore

FOLDER = Path(__file__).parents[1] / "goldens" / "sets"
LIBRARIES = sorted(path.name for path in FOLDER.glob("*-*.json"))


@cache
def rows():
    held = json.loads((FOLDER / "rows.json").read_text())
    return {name: np.array(value) for name, value in held.items()}


def values():
    for library in LIBRARIES:
        for value in json.loads((FOLDER / library).read_text())["values"]:
            how = "".join(
                f", {word}" for word in ("randomized", "per_class", "scores") if value.get(word)
            )
            name = f"{library}: {value['method']} {value.get('coverage', '')}{how}"
            yield pytest.param(value, id=name)


def scored(value, part):
    """The score of every class, by the draws of the golden."""
    data = rows()
    more = {"penalty": float(data["penalty"]), "k_reg": int(data["k_reg"])}
    score = SetScore(value["method"], value["randomized"], **more)
    draws = data[f"{part}_draws"] if value["randomized"] else np.ones(len(data[f"{part}_draws"]))
    return score.of_probs(data[f"{part}_probs"], draws)


def test_four_libraries_were_asked():
    assert [library.split("-")[0] for library in LIBRARIES] == [
        *("crepes", "mapie", "puncc", "torchcp"),
    ]


@pytest.mark.parametrize("value", [*values()])
def test_sets_are_those_of_the_libraries(value):
    labels = rows()["val_labels"]
    own = scored(value, "val")[np.arange(len(labels)), labels]
    if "scores" in value:
        np.testing.assert_allclose(own, value["scores"], rtol=0, atol=1e-12)
        return
    parts = [own[labels == k] for k in range(8)] if value["per_class"] else [own]
    quantiles = np.full(len(parts), np.inf)  # of a class with too few rows, as TorchCP has it
    for k, part in enumerate(parts):
        if (rank := rank_of(value["coverage"], len(part))) <= len(part):
            quantiles[k] = np.sort(part)[rank - 1]
    if value["quantiles"] is not None:
        np.testing.assert_allclose(quantiles, value["quantiles"], rtol=0, atol=1e-12)
    sets = scored(value, "test") <= quantiles
    assert ["".join("01"[inside] for inside in row.astype(int)) for row in sets] == value["sets"]


def test_randomised_sets_have_one_size_in_three_libraries():
    """What a reader compares first: the mean size."""
    sizes = {}
    for library in LIBRARIES:
        for value in json.loads((FOLDER / library).read_text())["values"]:
            if value["method"] == "aps" and value["randomized"] and not value["per_class"]:
                size = np.mean([text.count("1") for text in value["sets"]])
                sizes.setdefault(value["coverage"], set()).add(round(float(size), 9))
    assert {coverage: len(found) for coverage, found in sizes.items()} == {0.8: 1, 0.9: 1}
