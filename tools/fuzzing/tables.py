"""Tables whose columns are well-formed but odd, as parquet, Arrow and csv."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from fuzzing.arrays import FINITE, SPECIAL, generator
from fuzzing.bytes import INDEXED, damage
from fuzzing.documents import damage_json
from fuzzing.hostile import TEXTS

Make = Callable[[np.random.Generator, int], Any]  # a column of n rows
COLUMNS: tuple[Make, ...] = (
    *(lambda g, n: pa.array(g.random(n)),) * 6,
    *(lambda g, n: pa.array(g.integers(0, 2, n)),) * 6,
    *(lambda g, n: pa.array([TEXTS[k] for k in g.integers(0, len(TEXTS), n)], pa.string()),) * 2,
    lambda g, n: pa.array(g.choice(SPECIAL, n)),
    lambda g, n: pa.array(g.choice(FINITE, n)),
    lambda g, n: pa.array(g.normal(size=n) * 1e155),
    lambda g, n: pa.array(g.random(n).astype(np.float16)),
    lambda g, n: pa.array(g.random(n).astype(np.float32)),
    lambda g, n: pa.array(g.random(n), mask=g.random(n) < 0.2),
    lambda g, n: pa.array(g.integers(0, 2, n).astype(bool)),
    lambda g, n: pa.array(g.integers(0, 3, n), pa.uint64()),
    lambda g, n: pa.array(g.integers(0, 2, n), pa.timestamp("ns")),
    lambda g, n: pa.array(g.integers(0, 2, n), pa.duration("s")),
    lambda g, n: pa.array(g.integers(0, 9999, n), pa.date32()),
    lambda g, n: pa.array(g.integers(0, 86400, n), pa.time32("s")),
    lambda g, n: pa.array([Decimal("0.25")] * n, pa.decimal128(9, 4)),
    lambda g, n: pa.array([b"\xff\xfe"] * n, pa.binary()),
    lambda g, n: pa.array([f"{k}" for k in g.integers(0, 3, n)], pa.string()).dictionary_encode(),
    lambda g, n: pa.array(g.integers(0, 2, n), pa.int8()).dictionary_encode(),
    lambda g, n: pa.array(["x"] * n, pa.large_string()),
    lambda g, n: pa.nulls(n),
    lambda g, n: pa.array([{"a": 1}] * n, pa.struct([("a", pa.int64())])),
    lambda g, n: pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int64())),
    lambda g, n: pa.array([[x, 1 - x] for x in g.random(n)], pa.list_(pa.float32())),
    lambda g, n: pa.array([[1.0] * k for k in g.integers(0, 4, n)], pa.list_(pa.float64())),
    lambda g, n: pa.array([[[0.5, 0.5]]] * n, pa.list_(pa.list_(pa.float64()))),
    lambda g, n: pa.array([[0.5, None]] * n, pa.list_(pa.float64())),
    lambda g, n: pa.array([None] * n, pa.list_(pa.float64(), 2)),
    lambda g, n: pa.array([["a", "b"]] * n, pa.list_(pa.string())),
    lambda g, n: pa.FixedSizeListArray.from_arrays(pa.array(g.random(2 * n)), 2),
    lambda g, n: pa.FixedSizeListArray.from_arrays(pa.array(g.normal(size=3 * n)), 3),
)
LAYOUTS = (
    *(("score", "label", "country"),) * 3,
    *(("score", "label"), ("logits", "label"), ("probs", "label"), ("score", "label", "weight")),
    *(("confidence", "correct", "day"), ("confidence", "pred", "label")),
    *(("prob_0", "prob_1", "label"), ("prob_a\x1b", "prob_b</td>", "label")),
    *(("score", "score", "label"), ("logits", "label", "classes"), ("score", "label", "")),
    *(("prob_a", "label_a", "prob_b", "label_b"), ("probs", "label", "votes")),
)
METADATA = (
    *({"pandas": "{"}, {"pandas": '{"index_columns": [1]}'}, {"pandas": "\x80\x04."}),
    *({"ARROW:schema": "AAAA"}, {"k": "x" * 1000}),
)


def odd_table(rng: Random) -> pa.Table:
    """Return a table with the names of predictions and columns of any type."""
    draws, rows = generator(rng), rng.choice((0, 1, 3, 20, 40, 60))
    names = rng.choice(LAYOUTS)
    columns = [_likely(draws, rows, name, rng) for name in names]
    table = pa.Table.from_arrays(columns, names=list(names))
    return table.replace_schema_metadata(rng.choice(METADATA)) if rng.random() < 0.2 else table


def _likely(draws: np.random.Generator, rows: int, name: str, rng: Random) -> Any:
    """Return a column that suits its name as often as not, so that others are looked at too."""
    if rng.random() < 0.5:
        if name in ("label", "correct", "label_a", "label_b"):
            return pa.array(draws.integers(0, 2, rows))
        if name in ("score", "confidence", "weight", "prob_a", "prob_b"):
            return pa.array(draws.random(rows))
        if name == "country":
            return pa.array([TEXTS[k % 9] for k in draws.integers(0, 3, rows) * 3], pa.string())
    return rng.choice(COLUMNS)(draws, rows)


# ------------------------------------------------------------------ how a table is written


def parquet(table: pa.Table, rng: Random) -> bytes:
    """Write parquet: compressed or not, in one row group or several, of either page version."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(
        table,
        file,
        row_group_size=rng.choice((None, 16)),
        compression=rng.choice(("snappy", "none", "zstd", "gzip")),
        use_dictionary=rng.random() < 0.5,
        data_page_version=rng.choice(("1.0", "2.0")),
        write_page_checksum=rng.random() < 0.3,
    )
    return file.getvalue()


def ipc(table: pa.Table, rng: Random) -> bytes:
    """Write an Arrow file, which is a Feather file too: compressed or not, in several batches."""
    file = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=rng.choice((None, None, "lz4", "zstd")))
    with pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rng.choice((20, 1000)))
    return file.getvalue()


def csv(table: pa.Table, rng: Random) -> bytes:
    """Write text with commas."""
    return _text(table, ",")


def tsv(table: pa.Table, rng: Random) -> bytes:
    """Write text with tabs."""
    return _text(table, "\t")


def _text(table: pa.Table, delimiter: str) -> bytes:
    file = io.BytesIO()
    options = pyarrow.csv.WriteOptions(delimiter=delimiter)
    pyarrow.csv.write_csv(table, file, write_options=options)
    return file.getvalue()


# what `ARROW_FORMATS` of calibtool calls a format -> how a table becomes a file of it
WRITERS: dict[str, Callable[[pa.Table, Random], bytes]] = {
    "parquet": parquet,
    "ipc": ipc,
    "csv": csv,
    "tsv": tsv,
}


def json_lines(table: pa.Table, rng: Random) -> bytes:
    """Write an object per row, a line each."""
    lines = [json.dumps(row, default=str) for row in table.to_pylist()]
    return "".join(f"{line}\n" for line in lines).encode()


def array_lines(arrays: Mapping[str, Any]) -> bytes:
    """Write the rows of arrays as JSON, a line each, as far as the shortest array goes."""
    columns = [list(array) if array.ndim else [array] for array in arrays.values()]
    rows = [dict(zip(arrays, row, strict=True)) for row in zip(*columns, strict=False)]
    return "".join(f"{json.dumps(row, default=_plain)}\n" for row in rows).encode()


def _plain(value: Any) -> Any:
    """Return what JSON holds of a value of NumPy: a list, a number or a text."""
    found = value.tolist() if hasattr(value, "tolist") else value
    return found if found is not value and isinstance(found, list | int | float) else str(found)


def damage_lines(rng: Random, data: bytes) -> bytes:
    """Return JSON lines with other values, nesting, numbers or encoding in some of them."""
    lines = data.split(b"\n")
    if rng.random() < 0.3:
        return damage(rng, data)
    lines[rng.randrange(len(lines))] = damage_json(rng, rng.choice(lines))
    return b"\n".join(lines)


def damage_rows(rng: Random, data: bytes) -> bytes:
    """Return damaged bytes of parquet, or a file whose rows have other values or nesting."""
    if rng.random() < 0.6:
        rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
        try:
            table = pa.Table.from_pylist(json.loads(damage_json(rng, json.dumps(rows).encode())))
            return parquet(table, rng)
        except (pa.ArrowException, ValueError, TypeError, AttributeError, LookupError):
            pass  # no JSON, no rows, or of several types
        except (NotImplementedError, OverflowError, RecursionError):
            pass
    return damage(rng, data, INDEXED)


def damage_binary(rng: Random, data: bytes, write: Callable[[pa.Table, Random], bytes]) -> bytes:
    """Return damaged bytes, or an odd table written well; some tables no format can hold."""
    if rng.random() < 0.35:
        try:
            return write(odd_table(rng), rng)
        except (pa.ArrowException, NotImplementedError):
            pass
    return damage(rng, data, INDEXED)


# ------------------------------------------------------------------ text

CELLS = (
    *("", "NaN", "inf", "-inf", "1e400", "1e-400", "-0", "0x1", "true", "abc", "\u0661", "1,5"),
    *("9" * 400, "null", "NA", "-1", "2", "1.5", " 1 ", "=1+1", "1e308", "1e155", '"', "\0"),
    *('"a\nok 999 - forged"', "\x1b[2J"),
)
TITLES = (
    *("", ",", "score,label,score,label", '"score\nx",label,"a,b",c'),
    "score,label,\x1b]0;x\x07,=cmd()",
)


def damage_text(rng: Random, data: bytes) -> bytes:
    """Return a csv file with other titles, cells, separators, quotes, line ends or encoding."""
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        lines = []
    if not lines or rng.random() < 0.3:
        return damage(rng, data)
    return rng.choice(TEXT_WAYS)(rng, lines)


def _joined(lines: list[str], end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def _other_cell(rng: Random, lines: list[str]) -> bytes:
    for _ in range(rng.choice((1, 1, 5))):
        at = rng.randrange(len(lines))
        cells = lines[at].split(",")
        cells[rng.randrange(len(cells))] = rng.choice(CELLS)
        lines[at] = ",".join(cells)
    return _joined(lines)


def _other_titles(rng: Random, lines: list[str]) -> bytes:
    first = lines[0]
    titles = (*TITLES, first.upper(), first.replace("label", "LABEL "), "label," * 3 + "score")
    return _joined([rng.choice(titles), *lines[1:]])


def _ragged(rng: Random, lines: list[str]) -> bytes:
    at = rng.randrange(len(lines))
    line = lines[at]
    more = (",1", ",,,,", ";", '"', "\0")
    lines[at] = rng.choice((*(line + end for end in more), line.rpartition(",")[0], '"' + line))
    return _joined(lines)


def _other_encoding(rng: Random, lines: list[str]) -> bytes:
    raw = _joined(lines)
    return rng.choice(
        (b"\xef\xbb\xbf" + raw, *(raw.decode().encode(f"utf-{n}") for n in ("16", "16-le", "32")))
    )


def _other_separators(rng: Random, lines: list[str]) -> bytes:
    raw = _joined(lines)
    new = rng.choice((b";", b"\t", b"|", b", ", b"\0,"))
    return raw.replace(b".", b",") if rng.random() < 0.3 else raw.replace(b",", new)


def _other_ends(rng: Random, lines: list[str]) -> bytes:
    return _joined(lines, rng.choice(("\r", "\r\n", "\n\n", "\r\r\n", "\n\r")))


def _very_wide(rng: Random, lines: list[str]) -> bytes:
    count = rng.choice((200, 2000))
    return _joined([",".join(f"c{k}" for k in range(count)), ",".join("1" * count)])


def _very_long(rng: Random, lines: list[str]) -> bytes:
    return _joined([lines[0], "x" * rng.choice((10, 500_000)) + ",1,1,1"])


def _late_surprise(rng: Random, lines: list[str]) -> bytes:
    """Let a column be numbers for many rows, then text."""
    return _joined([lines[0], *lines[1:] * 30, lines[-1].rpartition(",")[0] + ",zz"])


def _only_titles(rng: Random, lines: list[str]) -> bytes:
    return lines[0].encode() + rng.choice((b"", b"\n"))


def _noise(rng: Random, lines: list[str]) -> bytes:
    return rng.randbytes(300)


TEXT_WAYS: tuple[Callable[[Random, list[str]], bytes], ...] = (
    *(_other_cell,) * 6,
    *(_other_titles, _other_titles, _ragged, _ragged, _other_encoding, _other_separators),
    *(_other_ends, _very_wide, _very_long, _late_surprise, _only_titles, _noise),
)
