"""Make days.parquet: forty days of predictions, wholly made up.

    pip install numpy scipy pyarrow
    python make_days.py OUTPUT_FOLDER

A score of P(label = 1) for 500 rows a day, in November and December 2026. Scores are the true
probabilities until 25 November; from 26 November on, the true log-odds of scores from 0.3 to 0.6
are higher by 0.9. From 10 to 19 November scores are lower than usual and still right.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit, logit

DAYS, ROWS, SEED = 40, 500, 0
FIRST = np.datetime64("2026-11-01")


def days() -> dict[str, np.ndarray]:
    """The columns."""
    rng = np.random.default_rng(SEED)
    day = np.repeat(np.arange(DAYS), ROWS)
    low = (day >= 9) & (day < 19)
    score = np.round(expit(rng.normal(np.where(low, -1.8, -0.8), 1.2)), 4)
    changed = (day >= 25) & (score > 0.3) & (score <= 0.6)
    label = rng.random(len(score)) < expit(logit(score) + 0.9 * changed)
    return {"day": FIRST + day, "score": score, "label": label.astype(np.int8)}


def main() -> None:
    """Write the file to the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Make the example of forty days.")
    parser.add_argument("out", type=Path, help="folder to write to")
    out: Path = parser.parse_args().out
    pq.write_table(pa.table(days()), out / "days.parquet", compression="zstd")


if __name__ == "__main__":
    main()
