"""Inputs that tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Workers share the cores. With several BLAS threads each, threads of one worker spin while those of
# another work, and the suite takes several times the processor time. Read when NumPy loads, here
# and in the processes that tests start; tests of threads set their own number.
if "PYTEST_XDIST_WORKER" in os.environ:
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

import pytest
from hypothesis import HealthCheck, settings
from simulated import simulate

from calibtool import Predictions

# machines differ in speed, and a law is no benchmark
settings.register_profile(
    "calibtool", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("calibtool")

# The folder of the published predictions, which are not part of the project:
# tests/goldens/published/take_published.py takes them from clones of their repositories.
PUBLISHED = Path(
    os.environ.get("CALIBTOOL_PUBLISHED") or Path(__file__).parents[2] / "shared" / "data"
)
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


@pytest.fixture(scope="session")
def published() -> Path:
    """Return the folder of real predictions with published numbers."""
    if not (PUBLISHED / "cifar10_resnet20.npz").is_file():
        pytest.skip(
            f"no published predictions in {PUBLISHED}; CONTRIBUTING.md says how to take them"
        )
    return PUBLISHED


@pytest.fixture(scope="session")
def conformance() -> Path:
    """Return the folder of the made-up sets on which the libraries were compared."""
    return Path(__file__).parent / "goldens" / "conformance"


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def overconfident() -> Predictions:
    return simulate(3000, 5)
