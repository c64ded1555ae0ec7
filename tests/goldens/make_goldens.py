"""Ask the peer libraries for numbers on our inputs: one JSON a library, named by its version.

Run it where `requirements-goldens.txt` is installed:

    python tests/goldens/make_goldens.py [FOLDER] [--only LIBRARY ...]

It writes everything, by default beside itself: what libraries are asked about our metrics; to the
folder `conventions`, the numbers that `calibtool.metrics.conventions` gives too, and more about our
metrics; to the folder `fits`, what the libraries' calibrators answer, where `compare` says what is
compared. A library that cannot be imported is skipped with a message.

Tests compare calibtool with the entries whose `agrees_with` names a calibtool metric, and those
whose `reproduces` names one of `calibtool.metrics.conventions`; the others say `why` they are there
for the record only.
"""

import argparse
import json
import math
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from calibrators import FITS, FitLibrary
from inputs import Arrays, convention_inputs, fit_inputs, inputs, places, sha256, softmax
from peers import PEERS, Ask, Library, conventions

FORMAT = 1


def answers(library: Library, arrays: dict[str, Arrays]) -> Iterator[dict[str, Any]]:
    """Yield one entry a call; where the library refuses, what it `raises` and no value."""
    shared: dict[str, Any] = {}
    exec(library.setup, shared)
    for ask in library.asks:
        names = shared | arrays[ask.input]
        if "labels" in names:
            names["probabilities"] = softmax(names["logits"])
        yield {"input": ask.input, "call": ask.call} | answer(ask, names)


def answer(ask: Ask, names: dict[str, Any]) -> dict[str, Any]:
    """Return what the call gives and what it is compared with."""
    aims: dict[str, Any] = {"agrees_with": ask.agrees_with}
    if ask.reproduces:
        aims |= {"reproduces": ask.reproduces, "bins": ask.bins}
    aims |= {"why": ask.why} if ask.why else {"tolerance": ask.tolerance}
    try:
        value = float(eval(ask.call, names))
    except ImportError:
        raise
    except Exception as refusal:  # noqa: BLE001, whatever the library raises is its answer
        first = (str(refusal).strip() or " ").splitlines()[0]
        return {"value": None, "raises": f"{type(refusal).__name__}: {first[:100]}"} | aims
    if not math.isfinite(value):
        return {"value": None, "raises": f"gives {value}"} | aims
    return {"value": value} | aims


def fitted(library: FitLibrary, arrays: dict[str, Arrays]) -> Iterator[dict[str, Any]]:
    """Yield one entry a fit."""
    shared: dict[str, Any] = {}
    exec(library.setup, shared)
    for fit in library.fits:
        names = shared | arrays[fit.input] | places(arrays[fit.input])
        if "labels" in names:
            names["probabilities"] = softmax(names["logits"])
            names["at_rows"] = names["probabilities"][names["at_rows"]]
        value = eval(fit.call, names)
        entry = asdict(fit) | {"value": value if isinstance(value, list) else value.tolist()}
        yield {key: entry[key] for key in entry if entry[key] is not None or key == "compare"}


def golden(
    library: Library | FitLibrary, arrays: dict[str, Arrays], values: Iterator[dict[str, Any]]
) -> dict[str, Any]:
    """Return the file's contents: what was asked, on what, of what, and the answers."""
    return {
        "format": FORMAT,
        "library": library.name,
        "version": version(library.name),
        "made_with": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "torch")},
        },
        "sha256": {
            name: {key: sha256(array) for key, array in columns.items()}
            for name, columns in arrays.items()
        },
        "setup": library.setup.splitlines(),
        "values": list(values),
    }


def main(folder: Path, only: list[str]) -> None:
    """Write `<library>-<version>.json`, for each library or only these."""
    warnings.simplefilter("ignore")
    peers, others = inputs(), convention_inputs()
    works = [(folder, peer, peers, answers) for peer in PEERS]
    works += [(folder / "conventions", peer, others, answers) for peer in conventions()]
    works += [(folder / "fits", peer, fit_inputs(), fitted) for peer in FITS]
    for place, library, arrays, ask in works:
        if only and library.name not in only:
            continue
        try:
            write(place, golden(library, arrays, ask(library, arrays)))
        except ImportError as missing:
            sys.stdout.write(f"{library.name}: skipped, {missing}\n")
        forget_stand_ins(library.name)


def forget_stand_ins(library: str) -> None:
    """Drop modules that a setup put in place of the library's, for the next setup to find those."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == library and module.__spec__ is None:
            del sys.modules[name]


def write(folder: Path, record: dict[str, Any]) -> None:
    """Write a golden file, lists of numbers on one line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['library']}-{record['version']}.json"
    text = json.dumps(record, indent=1)
    text = re.sub(r"\[[^\[\]{}\"]*\]", lambda found: " ".join(found[0].split()), text)
    path.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {len(record['values'])} values\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Ask the peer libraries.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--only", nargs="+", default=[], metavar="LIBRARY")
    asked = parser.parse_args()
    main(asked.folder, asked.only)
