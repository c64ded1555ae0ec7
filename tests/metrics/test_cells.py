"""The bins of scores."""

from __future__ import annotations

import numpy as np
import pytest

from calibtool.metrics.cells import FEW_EDGES, MANY_SCORES, locate


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 15, FEW_EDGES, FEW_EDGES + 1])
def test_many_scores_are_in_the_bins_of_few(kind, count, monkeypatch):
    rng = np.random.default_rng(count)
    edges = np.sort(rng.random(count).round(2))  # some twice
    scores = rng.random(MANY_SCORES).astype(kind)
    scores[: 3 * count] = np.tile(edges, 3)
    scores[-3:] = (0, 1, np.nan)
    expected = np.concatenate([locate(some, edges) for some in np.split(scores, 64)])
    monkeypatch.setattr(np, "searchsorted", None if count <= FEW_EDGES else np.searchsorted)
    found = locate(scores, edges)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    shaped = locate(scores.reshape(2, -1), edges)
    np.testing.assert_array_equal(shaped, expected.reshape(2, -1))
