"""Inputs that tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from simulated import simulate

from calibtool import Predictions

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


@pytest.fixture(scope="session")
def overconfident() -> Predictions:
    return simulate(3000, 5)
