"""Ask the peer libraries for numbers on our inputs: one JSON a library, named by its version.

Run it where `requirements-goldens.txt` is installed:  python make_goldens.py [FOLDER]
Tests compare calibtool with the entries whose `agrees_with` names a calibtool metric;
the others say `why` they are there for the record only. What the libraries' calibrators answer
goes to the folder `fits`, where `compare` says what is compared.
"""

import json
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
from inputs import Arrays, fit_inputs, inputs, places, sha256, softmax
from peers import PEERS, Library

FORMAT = 1


def answers(library: Library, arrays: dict[str, Arrays]) -> Iterator[dict[str, Any]]:
    """Yield one entry a call."""
    shared: dict[str, Any] = {}
    exec(library.setup, shared)
    for ask in library.asks:
        names = shared | arrays[ask.input]
        if "labels" in names:
            names["probabilities"] = softmax(names["logits"])
        value = float(eval(ask.call, names))
        entry = {"input": ask.input, "call": ask.call, "value": value}
        entry["agrees_with"] = ask.agrees_with
        yield entry | ({"why": ask.why} if ask.why else {"tolerance": ask.tolerance})


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


def main(folder: Path) -> None:
    """Write `<library>-<version>.json` into the folder, for each library."""
    warnings.simplefilter("ignore")
    arrays = inputs()
    for library in PEERS:
        write(folder, golden(library, arrays, answers(library, arrays)))
    arrays = fit_inputs()
    (folder / "fits").mkdir(exist_ok=True)
    for peer in FITS:
        write(folder / "fits", golden(peer, arrays, fitted(peer, arrays)))


def write(folder: Path, record: dict[str, Any]) -> None:
    """Write a golden file, lists of numbers on one line."""
    path = folder / f"{record['library']}-{record['version']}.json"
    text = json.dumps(record, indent=1)
    text = re.sub(r"\[[^\[\]{}\"]*\]", lambda found: " ".join(found[0].split()), text)
    path.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {len(record['values'])} values\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
