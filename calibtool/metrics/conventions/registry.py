"""The table of libraries, and their other names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from calibtool.errors import UsageError, near
from calibtool.metrics.conventions.convention import Convention
from calibtool.metrics.conventions.evaluators import EVALUATORS
from calibtool.metrics.conventions.packages import PACKAGES
from calibtool.metrics.conventions.papers import PAPERS
from calibtool.metrics.conventions.scikit_learn import BESIDE_SKLEARN
from calibtool.metrics.conventions.torch_libraries import NETWORKS

CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        convention.name: convention
        for convention in (*PAPERS, *NETWORKS, *BESIDE_SKLEARN, *PACKAGES, *EVALUATORS)
    }
)
ALIASES = MappingProxyType(
    {
        "gpleiss": "guo",
        "focal-calibration": "focal",
        "uncertainty-metrics": "nixon",
        "rm": "robustness-metrics",
        "tm": "torchmetrics",
        "tu": "torch-uncertainty",
        "torchuncertainty": "torch-uncertainty",
        "scikit-learn": "sklearn",
        "sk": "sklearn",
        "uc": "uncertainty-calibration",
        "verified-calibration": "uncertainty-calibration",
        "humanitys-last-exam": "hle",
        "crfm-helm": "helm",
        "polygraph": "lm-polygraph",
    }
)


def named(library: str) -> Convention:
    """Return a library's convention, by its name or an alias. Raises UsageError for other names.

    >>> named("scikit_learn").name
    'sklearn'
    """
    name = library.strip().lower().replace("_", "-")
    name = ALIASES.get(name, name)
    if name not in CONVENTIONS:
        raise UsageError(f"there are no numbers of a library {library!r}{near(name, CONVENTIONS)}")
    return CONVENTIONS[name]
