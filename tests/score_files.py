"""Parquet files of scores, as many machines write them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROLES = ["--score", "p", "--labels", "clicked"]


def write(folder, files=6, rows=600, seed=0):
    """Files of several row groups, with a column of weights that are no whole numbers."""
    rng = np.random.default_rng(seed)
    for k in range(files):
        p = rng.random(rows)
        table = pa.table(
            {
                "p": p,
                "clicked": (rng.random(rows) < p**1.1).astype(np.int8),
                "w": rng.gamma(1.0, size=rows),
                "place": rng.choice(["north", "south"], rows),
            }
        )
        path = folder / f"{k:03}.parquet"
        pq.write_table(table, path, row_group_size=200, write_page_checksum=True)
    return folder


def damage(path):
    """A file whose footer is whole and whose pages are not."""
    data = bytearray(path.read_bytes())
    data[100 : len(data) // 2] = bytes(len(data) // 2 - 100)
    path.write_bytes(bytes(data))
