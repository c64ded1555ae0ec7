"""The data of benchmarks/focal.py, from Debian's packages: python benchmarks/focal_data.py FOLDER

fashion.npz: 6,000 images of Fashion-MNIST to train on, 5,000 to validate, the 10,000 of its test
file; fashion-small.npz: 2,000, 2,000 and the same. `apt-get download dataset-fashion-mnist` fetches
them, and they are unpacked, not installed.

debian.npz: one-line descriptions of Debian packages and the section that each is in, one package
a source package, so that a library and its documentation are not in two parts of the split.
`apt-cache dumpavail` lists them. Sections that repeat other packages' descriptions (doc, libdevel,
debug, ...) are left out, and of the others those with fewer than 300 packages.
"""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

PACKAGE = "dataset-fashion-mnist"
REPEATS = {"doc", "libdevel", "debug", "oldlibs", "metapackages", "localization", "introspection"}
LEAST = 300  # packages a section


def fashion(path: Path, *, train: int = 6000, val: int = 5000) -> None:
    """Write fashion.npz."""
    with tempfile.TemporaryDirectory() as folder:
        run(["apt-get", "download", PACKAGE], folder)
        (package,) = Path(folder).glob("*.deb")
        run(["dpkg", "-x", str(package), "."], folder)
        root = Path(folder) / "usr/share/datasets/fashion-mnist"
        x, y = idx(root / "train-images-idx3-ubyte.gz"), idx(root / "train-labels-idx1-ubyte.gz")
        parts = [(x[:train], y[:train]), (x[train : train + val], y[train : train + val])]
        parts.append(
            (idx(root / "t10k-images-idx3-ubyte.gz"), idx(root / "t10k-labels-idx1-ubyte.gz"))
        )
    save(path, parts)
    small = [(x[:2000], y[:2000]), (x[train : train + 2000], y[train : train + 2000]), parts[-1]]
    save(path.with_name("fashion-small.npz"), small)


def save(path: Path, parts: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Write images and labels of three parts."""
    split = np.repeat(["train", "val", "test"], [len(own) for _, own in parts])
    images, labels = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    np.savez_compressed(path, x=images, y=labels.astype(np.int64), split=split)


def idx(path: Path) -> np.ndarray:
    """An IDX file: two zeros, the type (8, bytes), the number of axes, their lengths, the bytes."""
    data = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def debian(path: Path) -> None:
    """Write debian.npz: half to train on, a fifth to validate, the rest to test, by a hash."""
    found = run(["apt-cache", "dumpavail"], ".")
    one: dict[str, tuple[str, str]] = {}  # of a source package, the first that counts
    for block in found.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != " "
        )
        section = fields.get("Section", "").split("/")[-1]
        text = fields.get("Description", "")
        source = fields.get("Source", fields.get("Package", "")).split(" ")[0]
        if section and text and section not in REPEATS:
            one.setdefault(source, (text, section))
    counts = Counter(section for _, section in one.values())
    texts: dict[str, tuple[str, str]] = {}  # the same words are in one part only
    for source, (text, section) in sorted(one.items()):
        if counts[section] >= LEAST:
            texts.setdefault(text.lower(), (source, section))
    rows = [(text, source, section) for text, (source, section) in texts.items()]
    names = sorted({section for *_, section in rows})
    place = [int(hashlib.sha256(source.encode()).hexdigest()[:8], 16) % 10 for _, source, _ in rows]
    split = np.array(["train"] * 5 + ["val"] * 2 + ["test"] * 3)[place]
    np.savez_compressed(
        path,
        text=np.array([text for text, *_ in rows]),
        y=np.array([names.index(section) for *_, section in rows]),
        classes=np.array(names),
        id=np.array([source for _, source, _ in rows]),
        split=split,
    )


def run(command: list[str], folder: str) -> str:
    """What a command prints."""
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def main(folder: Path) -> None:
    """Write both."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in (fashion, debian):
        path = folder / f"{make.__name__}.npz"
        make(path)
        found = np.load(path)
        names, counts = np.unique(found["split"], return_counts=True)
        parts = ", ".join(f"{n} {c:,}" for n, c in zip(names, counts, strict=True))
        print(f"{path}: {parts}; {len(np.unique(found['y']))} classes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
