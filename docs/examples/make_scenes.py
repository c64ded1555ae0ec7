"""Make scenes.npz and tags.parquet: digits composed into scenes, and what two models say of them.

A scene of 16 x 16 pixels holds up to four handwritten digits of scikit-learn's `load_digits`, one
in each quarter. `scenes.npz` has the logits of a classifier of pixels (which digit a pixel belongs
to, or 10 for the background), which sees 5 x 5 pixels around each, and the labels; pixels of little
ink belong to nothing and have the label 255. `tags.parquet` has the probability that a scene
contains each of the ten digits, from a classifier of quarters, and whether it does.

    python docs/examples/make_scenes.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
BACKGROUND, IGNORED = 10, 255
FAINT = 5  # ink below which a pixel belongs to nothing, of 16
SCENES = 60
rng = np.random.default_rng(0)


def scenes(digits, labels, count):
    """Return `count` scenes, their pixels' labels, and the digit in each quarter (10 for none)."""
    images = np.zeros((count, 16, 16))
    pixels = np.full((count, 16, 16), BACKGROUND, dtype=np.uint8)
    quarters = np.full((count, 4), BACKGROUND)
    for scene in range(count):
        for quarter in range(4):
            if rng.random() < 0.3:
                continue
            one = rng.integers(len(digits))
            at = np.s_[scene, 8 * (quarter // 2) :, 8 * (quarter % 2) :]
            images[at][:8, :8] = digits[one]
            inked = np.where(digits[one] >= FAINT, labels[one], IGNORED)
            pixels[at][:8, :8] = np.where(digits[one] > 0, inked, BACKGROUND)
            quarters[scene, quarter] = labels[one]
    return images, pixels, quarters


def patches(images):
    """Return the 5 x 5 pixels around each pixel, (n * 16 * 16, 25)."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    return windows.reshape(-1, 25) / 16


def main() -> None:
    data = load_digits()
    digits, labels = data.images, data.target
    half = rng.random(len(digits)) < 0.5
    seen, seen_pixels, _ = scenes(digits[half], labels[half], 200)
    images, pixels, quarters = scenes(digits[~half], labels[~half], SCENES)

    known = seen_pixels.ravel() != IGNORED
    of_pixels = LogisticRegression(max_iter=300)
    of_pixels.fit(patches(seen)[known], seen_pixels.ravel()[known])
    logits = of_pixels.decision_function(patches(images)).reshape(SCENES, 16, 16, 11)
    np.savez_compressed(
        HERE / "scenes.npz",
        logits=logits.transpose(0, 3, 1, 2).astype(np.float16),
        labels=pixels,
    )

    of_digits = LogisticRegression(max_iter=300)
    of_digits.fit(digits[half].reshape(-1, 64), labels[half])
    tiles = images.reshape(SCENES, 2, 8, 2, 8).transpose(0, 1, 3, 2, 4).reshape(SCENES, 4, 64)
    inked = tiles.sum(axis=2) > 0
    each = of_digits.predict_proba(tiles.reshape(-1, 64)).reshape(SCENES, 4, 10) * inked[..., None]
    contains = 1 - (1 - each).prod(axis=1)
    truth = (quarters[..., None] == np.arange(10)).any(axis=1)
    columns = {f"prob_{name}": contains[:, k].round(6) for k, name in enumerate(NAMES)}
    columns |= {f"label_{name}": truth[:, k].astype(np.int8) for k, name in enumerate(NAMES)}
    pq.write_table(pa.table(columns), HERE / "tags.parquet")


if __name__ == "__main__":
    main()
