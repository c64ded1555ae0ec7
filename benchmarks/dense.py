"""Coverage of intervals of dense predictions: images resampled whole, and pixels one by one.

    python benchmarks/dense.py [--sets 300] [--images 60]

Each data set has images of 12 x 12 pixels and two classes. The pixels of one image have scores of
one level and correlated outcomes (a Gaussian copula), as neighbouring pixels do; the probability of
class 1 is not the score but a function of it, so that the model is miscalibrated. The true values
are means over four million independent pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.special import expit, ndtri

import calibtool as ct

SIDE, RHO, SLOPE = 12, 0.5, 0.7
METRICS = ("accuracy", "brier", "ece(view=positive)", "ece(view=top)")
RESULT = Path(__file__).parent / "results" / "dense.json"


def scores(rng, images, side=SIDE):
    """Return log-odds: a level per image, and noise per pixel."""
    return rng.normal(0, 1.2, (images, 1, 1)) + rng.normal(0, 1.2, (images, side, side))


def outcomes(rng, z):
    """Return labels whose probability is expit(SLOPE * z), correlated within an image."""
    shared, own = rng.normal(size=(len(z), 1, 1)), rng.normal(size=z.shape)
    latent = np.sqrt(RHO) * shared + np.sqrt(1 - RHO) * own
    return (latent < ndtri(expit(SLOPE * z))).astype(np.int64)


def truths(rng):
    z = scores(rng, 1 << 16, 8).ravel()
    p, q = expit(z), expit(SLOPE * z)
    confidence, right = np.maximum(p, 1 - p), np.where(p > 0.5, q, 1 - q)
    return {
        "accuracy": right.mean(),
        "brier": (q * (1 - p) ** 2 + (1 - q) * p**2).mean(),
        "ece(view=positive)": error(p, q),
        "ece(view=top)": error(confidence, right),
    }


def error(score, chance, bins=15):
    at = np.ceil(score * bins).astype(int)
    return np.abs(np.bincount(at, chance - score)).sum() / len(score)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--images", type=int, default=60)
    options = parser.parse_args()
    true = truths(np.random.default_rng(1))
    hits = {(how, name): 0 for how in ("images", "pixels") for name in METRICS}
    widths = dict.fromkeys(hits, 0.0)
    for number in range(options.sets):
        rng = np.random.default_rng([2, number])
        z = scores(rng, options.images)
        labels = outcomes(rng, z)
        dense = ct.read((z, labels), kind="logits", multilabel=True)
        plain = ct.Predictions.from_logits(z.ravel(), labels.ravel())
        for how, data in (("images", dense), ("pixels", plain)):
            report = ct.evaluate(data, METRICS, seed=number)
            for name in METRICS:
                one = report[name]
                hits[how, name] += one.low <= true[name] <= one.high
                widths[how, name] += one.high - one.low
    rows = [
        {
            "resampled": how,
            "metric": name,
            "coverage": hits[how, name] / options.sets,
            "width": widths[how, name] / options.sets,
            "truth": float(true[name]),
            "sets": options.sets,
            "images": options.images,
        }
        for how, name in hits
    ]
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        print(f"{row['resampled']:8} {row['metric']:20} {row['coverage']:.3f} {row['width']:.4f}")


if __name__ == "__main__":
    main()
