"""Make tests/goldens/thresholds/mapie-1.6.0.json: MAPIE's tests of thresholds.

    pip install --no-deps mapie==1.6.0
    python tests/goldens/make_threshold_goldens.py

MAPIE's BinaryClassificationController gets 400 probabilities and labels, and the thresholds from
0.99 down to 0.01. Kept are its p-values (for binary losses the smaller of Hoeffding's bound and the
binomial probability, which is the latter) and the thresholds that its fixed sequence with one
start finds valid: for a precision from the first threshold on that keeps 60 rows, for a recall all.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from mapie.risk_control import BinaryClassificationController, precision, recall

HERE = Path(__file__).parent
ROWS = 400
FEWEST = 60
CASES = (("precision", 0.8, 0.95), ("precision", 0.75, 0.9), ("recall", 0.9, 0.95))
RISKS = {"precision": precision, "recall": recall}


def main():
    rng = np.random.default_rng(20)
    score = np.round(rng.beta(0.7, 0.7, ROWS), 6)
    label = (rng.random(ROWS) < score).astype(int)
    cases = []
    for name, target, confidence in CASES:
        lines = np.round(np.arange(0.99, 0.005, -0.01), 2)
        if name == "precision":
            lines = lines[[(score >= line).sum() >= FEWEST for line in lines]]
        controller = BinaryClassificationController(
            lambda x: np.stack([1 - x, x], axis=1),
            RISKS[name],
            target,
            confidence_level=confidence,
            list_predict_params=lines if name == "precision" else lines[::-1],
            fwer_method="fixed_sequence",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            controller.calibrate(score, label)
        cases.append(
            {
                "name": name,
                "target": target,
                "delta": round(1 - confidence, 9),
                "thresholds": np.asarray(controller._predict_params).tolist(),
                "p_values": np.ravel(controller.p_values).tolist(),
                "valid": np.sort(np.ravel(controller.valid_predict_params)).tolist(),
            }
        )
    document = {
        "mapie": version("mapie"),
        "score": score.tolist(),
        "label": label.tolist(),
        "cases": cases,
    }
    path = HERE / "thresholds" / f"mapie-{version('mapie')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
