"""Inputs that tests share."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from calibtool import Predictions

sys.path.insert(0, str(Path(__file__).parent / "goldens"))

# machines differ in speed, and a law is no benchmark
settings.register_profile(
    "calibtool", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("calibtool")

SHARED = Path(__file__).parents[2] / "shared" / "data"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real predictions with published numbers; the project commits none of them."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here: the published predictions are not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


def simulate(rows: int, classes: int, *, scale: float = 2.0, seed: int = 0) -> Predictions:
    """Logits reported `scale` times as large as they are: overconfident above 1."""
    rng = np.random.Generator(np.random.PCG64(seed))
    true = 1.5 * rng.standard_normal((rows, classes))
    probs = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (probs.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, classes - 1)
    return Predictions.from_logits(scale * true, labels)


@pytest.fixture(scope="session")
def overconfident() -> Predictions:
    return simulate(3000, 5)
