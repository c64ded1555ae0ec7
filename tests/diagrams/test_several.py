"""What is drawn of two classes, of several models and of many slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate

import calibtool as ct
from calibtool.diagrams import reliability
from calibtool.diagrams.registry import module_of
from calibtool.errors import UsageError

FEW = {"resamples": 60}


def two_columns(rows: int = 400) -> ct.Predictions:
    rng = np.random.Generator(np.random.PCG64(5))
    score = rng.uniform(0, 1, rows)
    labels = (rng.uniform(0, 1, rows) < score**2).astype(int)
    return ct.Predictions.from_probs(np.stack([1 - score, score], axis=1), labels)


@pytest.mark.parametrize("kind", ["reliability", "belt", "compare", "confidence", "shift"])
def test_two_classes_are_drawn_by_the_probability_of_class_1(kind):
    """In one column or two, of rows or of cells; `view="top"` draws the confidence."""
    wide = two_columns()
    wide = replace(wide, extra={"age": np.arange(wide.rows)})
    one = replace(ct.Predictions.from_probs(wide.values[:, 1], wide.labels), extra=wide.extra)
    options = {"shift": {"over": "age", "groups": 2}}.get(kind, {}) | FEW

    def drawn(rows, **more):
        shown = {"a": rows, "b": rows} if kind == "compare" else rows
        return module_of(kind).compute(shown, **options, **more)

    assert drawn(wide).view == drawn(one).view == drawn(wide, view="positive").view == "positive"
    assert drawn(wide, view="top").view == drawn(one, view="top").view == "top"
    a, b = drawn(wide).parts, drawn(one).parts
    for part in ("curve", "histogram", "stretch"):
        for name, values in a.get(part, {}).items():
            if isinstance(values[0], float):
                np.testing.assert_allclose(
                    np.array(values, float), np.array(b[part][name], float), atol=1e-12
                )
    three = simulate(60, 3, seed=1)
    with pytest.raises(UsageError, match="positive needs two classes"):
        drawn(replace(three, extra={"age": np.arange(60)}), view="positive")


def test_several_files_share_a_view():
    pair, three = two_columns(), simulate(400, 3, seed=1)
    assert reliability.compute({"a": pair, "b": pair}, **FEW).view == "positive"
    mixed = reliability.compute({"a": pair, "b": three}, **FEW)
    other = reliability.compute({"a": three, "b": pair}, **FEW)
    assert mixed.view == other.view == "top"
    assert reliability.compute(ct.cells(pair), **FEW).view == "positive"
