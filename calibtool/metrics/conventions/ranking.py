"""Risk-coverage: how well confidence orders rows."""

from __future__ import annotations

import numpy as np

from calibtool.errors import NotAvailableError
from calibtool.types import Array


def aurc(confidence: Array, correct: Array, *, generalised: bool = False) -> float:
    """Return the area under the error rate of the n most confident rows, n from 1 to N.

    By trapezoids; with `generalised`, the error rate is multiplied by the share of the rows (Traub
    et al. 2024).
    """
    rows = len(confidence)
    if rows < 2:
        raise NotAvailableError("gives NaN for one row")
    share = np.arange(1, rows + 1) / rows
    wrong = ~correct[np.argsort(-confidence.astype(np.float64), kind="stable")]
    risk = np.cumsum(wrong) / np.arange(1, rows + 1) * (share if generalised else 1)
    return float(np.trapezoid(risk, share) / (1 - 1 / rows))
