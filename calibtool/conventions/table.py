"""The table of libraries, and the names they go by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from calibtool.conventions.record import Convention
from calibtool.conventions.table_packages import PACKAGES
from calibtool.conventions.table_papers import PAPERS
from calibtool.conventions.table_sklearn import BESIDE_SKLEARN
from calibtool.conventions.table_torch import NETWORKS
from calibtool.errors import UsageError
from calibtool.spec import near

CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {one.name: one for one in (*PAPERS, *NETWORKS, *BESIDE_SKLEARN, *PACKAGES)}
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
    }
)


def named(library: str) -> Convention:
    """Return a library's convention, by its name or another that it goes by.

    >>> named("scikit_learn").name
    'sklearn'
    """
    name = library.strip().lower().replace("_", "-")
    name = ALIASES.get(name, name)
    if name not in CONVENTIONS:
        raise UsageError(
            f"no numbers are known of the library {library!r}{near(name, CONVENTIONS)}"
        )
    return CONVENTIONS[name]
