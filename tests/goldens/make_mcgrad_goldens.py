"""Write multicalibration/mcgrad-0.1.5.json: multicalibration errors of slices, computed by mcgrad.

    pip install mcgrad==0.1.5 && python tests/goldens/make_mcgrad_goldens.py

The rows are made by `rows`; the file keeps mcgrad's answers: the error of each slice in standard
deviations, the largest, and p-values of some ranges.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "multicalibration" / "mcgrad-0.1.5.json"
SIZES = {"even": 3000, "weighted": 2000, "sparse": 400}
FEWEST = 10  # rows of a slice, as mcgrad has it by default
RANGES = (0.3, 0.8, 1.2, 1.5, 2.0, 3.0, 4.5, 6.0)


def rows(name: str) -> dict[str, np.ndarray]:
    """Scores without ties, outcomes, weights and two columns; one slice is off."""
    rng = np.random.Generator(np.random.PCG64(len(name)))
    n = SIZES[name]
    score = rng.beta(0.8, 2.0, n)
    country = rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    device = rng.choice(["x", "y"], n)
    true = np.where((country == "b") & (device == "y"), 0.6 * score, score)
    weight = rng.exponential(size=n) if name == "weighted" else np.ones(n)
    outcome = (rng.random(n) < true).astype(float)
    return {
        "score": score,
        "outcome": outcome,
        "weight": weight,
        "country": country,
        "device": device,
    }


def main() -> None:
    """Write the file."""
    import pandas as pd
    from mcgrad.metrics import MulticalibrationError, ecce_pvalue_from_sigma

    kept: dict[str, object] = {"p": [float(ecce_pvalue_from_sigma(x)) for x in RANGES]}
    for name in SIZES:
        of = rows(name)
        error = MulticalibrationError(
            pd.DataFrame(of),
            "outcome",
            "score",
            weight_column="weight" if name == "weighted" else None,
            categorical_segment_columns=["country", "device"],
            max_depth=2,
            max_values_per_segment_feature=10,
            min_samples_per_segment=FEWEST,
            precision_dtype="float64",
        )
        kept[name] = {
            "slices": sorted(map(float, error.segments_ecce_sigma)),
            "largest": float(error.mce_sigma),
        }
    OUT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
