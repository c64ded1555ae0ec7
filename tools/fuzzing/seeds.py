"""Good files, which damage begins with: some of every format that is read."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from calibtool.cli.main import main
from calibtool.data.files.find import ARROW_FORMATS
from calibtool.data.files.formats import SUFFIXES
from fuzzing.archives import archive, members
from fuzzing.arrays import npy, npz
from fuzzing.tables import WRITERS, json_lines

# the samples of logs and of tensors in the repository
SAMPLES = Path(__file__).parents[2] / "tests" / "data" / "logs" / "samples"

ROOT = Path(__file__).parents[2]
CALIBRATORS = ROOT / "tests" / "goldens" / "calibrators-v1"
LARGEST = 60_000  # bytes of a calibrator: larger ones take long to read and hold nothing else
GOOD = "good"  # folder of the good files, beside the damaged one
ROWS = 40
CLASSES = ("cat", "dog", "owl")
NEWEST_TOML = b"""[check]
file = "good/table.parquet"
mode = "prove"
by = "country"
resamples = 20
level = 0.9
seed = 3
require = ["ece <= 0.03 by country", "p(cox) >= 0.01", "worst(ece by class) <= 0.5"]
"""
TOOL_TOML = b"""[tool.calibtool.check]
cluster = "age"
ci = "bca"
resamples = 20
inconclusive = "pass"
renormalize = true
require = "nll <= 2"
"""
MULTI_COSTS = b"""reject = 0.2
[cost.0]
1 = 3
2 = 1
[cost.1]
0 = 1
2 = 0.5
[cost.2]
0 = 2
1 = 1
"""
TWO_COSTS = b"""[cost]
0 = {1 = 1}
1 = {0 = 10}
"""


@dataclass(frozen=True)
class Seed:
    """A good file.

    Attributes:
        data: its content.
        partner: the good file that it belongs to, for files that are read beside predictions.
    """

    data: bytes
    partner: str = ""


class _Predictions:
    """The same few rows in every form that predictions can have."""

    def __init__(self) -> None:
        draws = np.random.default_rng(7)
        self.logits = draws.normal(size=(ROWS, len(CLASSES))).astype(np.float32)
        self.labels = draws.integers(0, len(CLASSES), ROWS)
        right = draws.random(ROWS) < 0.5  # so that fits have an optimum
        self.labels[right] = self.logits.argmax(axis=1)[right]
        powers = np.exp(self.logits.astype(float))
        self.probs = powers / powers.sum(axis=1, keepdims=True)
        self.score = draws.random(ROWS)
        self.hits = draws.random(ROWS) < self.score
        self.weights = draws.random(ROWS)
        self.votes = draws.integers(1, 5, self.probs.shape)
        self.names = np.array(CLASSES)[self.labels]
        self.country = np.array(["PL", "SE", "LU"])[self.labels]
        self.age = draws.integers(18, 90, ROWS)
        days = np.array(["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"], "M8[D]")
        self.day = np.repeat(days, ROWS // len(days))

    def tables(self) -> list[pa.Table]:
        """Return tables of two classes, of a list column, of named columns, of confidences."""
        flat = pa.array(self.logits.ravel())
        ids = pa.array(self.labels.astype(np.int32))
        columns = {f"prob_{name}": self.probs[:, k] for k, name in enumerate(CLASSES)}
        hits = self.hits.astype(np.int64)
        return [
            pa.table(
                {"score": self.score, "label": hits, "country": self.country, "age": self.age}
            ),
            pa.table(
                {
                    "logits": pa.FixedSizeListArray.from_arrays(flat, len(CLASSES)),
                    "label": pa.DictionaryArray.from_arrays(ids, list(CLASSES)),
                }
            ),
            pa.table({**columns, "label": self.names, "weight": self.weights}),
            pa.table({"confidence": self.score, "correct": self.hits, "day": pa.array(self.day)}),
            self.several(),
            pa.table({"probs": list(self.probs), "votes": list(self.votes), "label": self.labels}),
        ]

    def several(self) -> pa.Table:
        """Return a table of three labels per row, one target of which is missing."""
        targets = (self.probs > self.score[:, None]).astype(float)
        columns = {f"prob_{name}": self.probs[:, k] for k, name in enumerate(CLASSES)}
        for k, name in enumerate(CLASSES):
            columns[f"label_{name}"] = pa.array(targets[:, k], mask=np.arange(ROWS) == 3 * k)
        return pa.table(columns)


def _npz_seeds(of: _Predictions) -> list[Seed]:
    fortran = np.asfortranarray(of.probs)
    hits = of.hits.astype(np.int64)
    files = (
        npz({"logits": of.logits, "labels": of.labels}),
        npz({"logits": of.logits, "labels": of.labels, "classes": of.names[:3]}, compressed=True),
        npz({"score": of.score, "labels": hits, "weights": of.weights}),
        npz({"confidence": of.score, "correct": of.hits}, compressed=True),
        npz({"probs": of.probs, "labels": np.eye(len(CLASSES))[of.labels]}),
        npz({"probs": fortran, "labels": of.names, "classes": np.array(CLASSES)}),
    )
    rng = np.random.default_rng(8)
    several = {
        "probs": of.probs,
        "targets": (rng.random(of.probs.shape) < of.probs).astype(np.int8),
    }
    pixels = _scenes(rng)
    soft = {"probs": of.probs, "votes": of.votes}
    kinds = (npz(several), npz(pixels, compressed=True), npz(soft))
    return [Seed(data) for data in (*files, *kinds)]


def _scenes(rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    """Return small images whose pixels are classified."""
    return {
        "logits": rng.normal(size=(ROWS, len(CLASSES), 2, 3)).astype(np.float16),
        "labels": rng.integers(0, len(CLASSES), (ROWS, 2, 3)).astype(np.uint8),
    }


def _npy_seeds(of: _Predictions) -> list[Seed]:
    return [Seed(npy(array)) for array in (of.logits, of.score, of.logits.astype(">f8"))]


def _table_seeds(of: _Predictions, format_: str) -> list[Seed]:
    rng, seeds = Random(7), []
    for table in of.tables():
        for _ in range(1 if format_ in ("csv", "tsv") else 3):
            with contextlib.suppress(pa.ArrowInvalid):  # text holds no lists
                seeds.append(Seed(WRITERS[format_](table, rng)))
    return seeds


def _lines_seeds(of: _Predictions) -> list[Seed]:
    return [Seed(json_lines(table, Random(7))) for table in of.tables()]


def _samples(*suffixes: str) -> list[Seed]:
    """Return the samples of logs and tensors in the repository, by suffix."""
    paths = sorted(path for path in SAMPLES.iterdir() if path.suffix in suffixes)
    return [Seed(path.read_bytes()) for path in paths]


# suffix -> its good files, for readers that are none of Arrow's
MAKERS: dict[str, Callable[[_Predictions], list[Seed]]] = {
    ".npz": _npz_seeds,
    ".npy": _npy_seeds,
    **dict.fromkeys((".jsonl", ".ndjson"), lambda of: _lines_seeds(of) + _samples(".jsonl")),
    ".json": lambda of: _lines_seeds(of) + _samples(".json"),
    ".jevl": lambda _: _samples(".jevl"),
    ".eval": lambda _: _samples(".eval"),
    ".safetensors": lambda _: _samples(".safetensors"),
    **dict.fromkeys((".pt", ".pth"), lambda _: _samples(".pt")),
    **dict.fromkeys((".h5", ".hdf5"), lambda _: _samples(".h5")),
}


def missing() -> list[str]:
    """Return the suffixes of calibtool's table of readers that nothing here writes."""
    return [s for s in SUFFIXES if s not in MAKERS and ARROW_FORMATS.get(s) not in WRITERS]


def of_readers() -> dict[str, list[Seed]]:
    """Return good files by suffix, for every suffix that is read."""
    rows = _Predictions()
    return {
        suffix: MAKERS[suffix](rows)
        if suffix in MAKERS
        else _table_seeds(rows, ARROW_FORMATS[suffix])
        for suffix in SUFFIXES
    }


def of_documents(folder: Path) -> dict[str, list[Seed]]:
    """Return good documents by what they are. The commands run in `folder`, which holds GOOD.

    Raises RuntimeError if a command fails.
    """
    with contextlib.chdir(folder):
        _write_good()
        seeds: dict[str, list[Seed]] = {"cells": [], "state": [], "report": [], "toml": []}
        for name in ("multi", "two", "conf"):
            file, stem = f"{GOOD}/{name}.npz", f"{GOOD}/{name}"
            _run("cells", file, "-o", f"{stem}.cells", "--state", f"{stem}.state")
            _run("evaluate", file, "--format", "json", "--resamples", "20", "-o", f"{stem}.json")
            seeds["cells"].append(Seed(Path(f"{stem}.cells").read_bytes()))
            seeds["state"].append(Seed(_undated(Path(f"{stem}.state").read_bytes()), file))
            seeds["report"].append(Seed(Path(f"{stem}.json").read_bytes(), file))
        toml = f"{GOOD}/check.toml"
        _run("check", f"{GOOD}/multi.npz", "--init", toml, "--resamples", "20")
        seeds["toml"] = [Seed(data) for data in (Path(toml).read_bytes(), NEWEST_TOML, TOOL_TOML)]
        seeds["calibrator"] = _calibrators()
        seeds["lighteval"] = _lighteval()
        seeds["threshold"] = _thresholds()
        seeds["sets"] = _sets()
        seeds["costs"] = [
            *(Seed(MULTI_COSTS, f"{GOOD}/multi.npz"), Seed(TWO_COSTS, f"{GOOD}/two.npz")),
        ]
        seeds["labels"] = [Seed(npy(np.load(f"{GOOD}/labels.npy").astype(t))) for t in ("i8", "u1")]
    return seeds


def _write_good() -> None:
    """Write the good files that commands name besides the damaged one."""
    rows = _Predictions()
    groups = {"country": rows.country, "age": rows.age}
    files = {
        "multi.npz": npz({"logits": rows.logits, "labels": rows.labels, **groups}),
        "two.npz": npz({"score": rows.score, "labels": rows.hits.astype(int), **groups}),
        "conf.npz": npz({"confidence": rows.score, "correct": rows.hits}),
        "table.parquet": WRITERS["parquet"](rows.tables()[0], Random(0)),
        "days.parquet": WRITERS["parquet"](rows.tables()[3], Random(0)),
        "tags.parquet": WRITERS["parquet"](rows.tables()[4], Random(0)),
        "votes.npz": npz({"probs": rows.probs, "votes": rows.votes}),
        "scenes.npz": npz(_scenes(np.random.default_rng(8))),
        "multi-costs.toml": MULTI_COSTS,
        "two-costs.toml": TWO_COSTS,
        "outputs.npy": npy(rows.logits),
        "labels.npy": npy(rows.labels),
        "multi-calibrator.json": (CALIBRATORS / "temperature.json").read_bytes(),
        "two-calibrator.json": (CALIBRATORS / "platt-two-classes.json").read_bytes(),
    }
    Path(GOOD).mkdir()
    for name, data in files.items():
        Path(GOOD, name).write_bytes(data)
        os.utime(f"{GOOD}/{name}", (0, 0))  # states of runs remember it


def _undated(data: bytes) -> bytes:
    """Return a zip without the times at which its members were written."""
    return archive(members(data) or [])


def _calibrators() -> list[Seed]:
    """Return a calibrator of every method, with predictions that it can be applied to."""
    seeds = []
    for path in sorted(CALIBRATORS.glob("*.json")):
        data = path.read_bytes()
        if ".expected" not in path.name and len(data) <= LARGEST:
            two = json.loads(data)["classes"] == 2
            seeds.append(Seed(data, f"{GOOD}/{'two' if two else 'multi'}.npz"))
    return seeds


def _lighteval() -> list[Seed]:
    """Return details of lighteval: answers of multiple choice, and of generation."""
    of = _Predictions()
    answers = [
        {
            "doc": {"query": "?", "choices": list(CLASSES), "gold_index": [int(label)], "id": "1"},
            "metric": {"acc": float(label == logits.argmax())},
            "model_response": {
                "logprobs": logits.astype(float).tolist(),
                "unconditioned_logprobs": logits.astype(float).tolist(),
                "text": ["a"],
            },
        }
        for logits, label in zip(of.logits, of.labels, strict=True)
    ]
    texts = [{**row, "model_response": {"text": ["a"], "logprobs": None}} for row in answers]
    made = [
        WRITERS["parquet"](pa.Table.from_pylist(table), Random(7)) for table in (answers, texts)
    ]
    return [Seed(data) for data in made]


def _thresholds() -> list[Seed]:
    """Return threshold files, with predictions of their classes."""
    seeds = []
    for name in ("multi", "two"):
        line = f"{GOOD}/{name}-threshold.json"
        risk, cost = ("--target", "risk <= 0.95"), ("--target", "cost <= 2.9")
        for target, more in (
            *((risk, "--by predicted"), (risk, f"--calibrator {GOOD}/{name}-calibrator.json")),
            *((cost, f"--cost {GOOD}/{name}-costs.toml"), (risk, "")),
        ):
            file = f"{GOOD}/{name}.npz"
            _run("threshold", file, "-o", line, *target, "--delta", "0.5", *more.split())
            seeds.append(Seed(Path(line).read_bytes(), file))
    return seeds


def _sets() -> list[Seed]:
    """Return files of prediction sets, with predictions of their classes."""
    seeds = []
    for name in ("multi", "two"):
        rule = f"{GOOD}/{name}-sets.json"
        for more in ("--per-class", f"--calibrator {GOOD}/{name}-calibrator.json", ""):
            _run("sets", f"{GOOD}/{name}.npz", "-o", rule, "--coverage", "0.6", *more.split())
            seeds.append(Seed(Path(rule).read_bytes(), f"{GOOD}/{name}.npz"))
    return seeds


def _run(*argv: str) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(argv)
    if code:
        raise RuntimeError(f"calibtool {' '.join(argv)}: exit code {code}\n{said.getvalue()}")
