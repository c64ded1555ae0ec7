"""Ask the peer libraries for numbers on our inputs: one JSON a library, named by its version.

Run it where `requirements-goldens.txt` is installed:  python make_goldens.py [FOLDER]
Tests compare calibtool with the entries whose `agrees_with` names a calibtool metric;
the others say `why` they are there for the record only.
"""

import json
import platform
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inputs import Arrays, inputs, sha256, softmax
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


def golden(library: Library, arrays: dict[str, Arrays]) -> dict[str, Any]:
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
        "values": list(answers(library, arrays)),
    }


def main(folder: Path) -> None:
    """Write `<library>-<version>.json` into the folder, for each library."""
    warnings.simplefilter("ignore")
    arrays = inputs()
    for library in PEERS:
        record = golden(library, arrays)
        path = folder / f"{library.name}-{record['version']}.json"
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path}: {len(record['values'])} values\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
