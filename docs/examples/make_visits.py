"""Make visits.parquet: predictions with columns to slice by, wholly made up.

    pip install numpy scipy pyarrow
    python make_visits.py OUTPUT_FOLDER

A score of P(label = 1) for 8,000 visits of about 1,400 users. Scores are the true probabilities,
but for two things that are put in so that they can be found: on tablets in Poland the true log-odds
are lower by 1.2 (the model is overconfident there), and visits of one user hang together (a
Gaussian copula with a correlation of 0.4), so that 8,000 rows say less than 8,000 users would.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit, logit, ndtri

ROWS, SEED, RHO = 8000, 0, 0.4
COUNTRIES = {"DE": 0.31, "FR": 0.24, "PL": 0.18, "IT": 0.16, "SE": 0.108, "LU": 0.002}
DEVICES = {"phone": 0.6, "laptop": 0.25, "tablet": 0.15}


def visits() -> dict[str, np.ndarray]:
    """The columns."""
    rng = np.random.default_rng(SEED)
    visits_each = rng.geometric(1 / 6, ROWS)
    users = int(np.searchsorted(np.cumsum(visits_each), ROWS)) + 1
    user = np.repeat(np.arange(users), visits_each[:users])[:ROWS]
    country = rng.choice(list(COUNTRIES), users, p=list(COUNTRIES.values()))[user]
    age = np.clip(rng.normal(41, 14, users), 18, 90).astype(np.int64)[user]
    device = rng.choice(list(DEVICES), ROWS, p=list(DEVICES.values()))
    score = np.round(expit(rng.normal(-1.0, 1.1, ROWS) + 0.012 * (age - 41)), 4)
    wrong = (country == "PL") & (device == "tablet")
    true = np.where(wrong, expit(logit(score) - 1.2), score)
    shared, own = rng.standard_normal(users)[user], rng.standard_normal(ROWS)
    label = (np.sqrt(RHO) * shared + np.sqrt(1 - RHO) * own < ndtri(true)).astype(np.int64)
    order = rng.permutation(ROWS)
    columns = {"score": score, "label": label, "country": country, "device": device}
    columns |= {"age": age, "user_id": user + 1000}
    return {"id": np.arange(ROWS)} | {name: column[order] for name, column in columns.items()}


def main() -> None:
    """Write the file to the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Make the example with columns to slice by.")
    parser.add_argument("out", type=Path, help="folder to write to")
    out: Path = parser.parse_args().out
    pq.write_table(pa.table(visits()), out / "visits.parquet", compression="zstd")


if __name__ == "__main__":
    main()
