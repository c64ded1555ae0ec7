"""Data factories for two published formats: the IDX files of MNIST, and CIFAR's binary batches.

calibtool train --data "image_files.py:idx(folder='fashion-mnist')" --model resnet20 --out run/
calibtool train --data "image_files.py:cifar(folder='cifar-10-batches-bin')" --model resnet20 ...

Copy the file and change it: a function that returns arrays is all that a format needs.
"""

import gzip
import struct
from pathlib import Path

import numpy as np

# type byte -> NumPy type, big-endian (LeCun, "The MNIST database")
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
CIFAR = 3 * 32 * 32  # bytes of an image


def idx(folder):
    """Read {train,t10k}-{images,labels}-idx?-ubyte, plain or gzipped."""
    parts = {}
    for part, start in (("train", "train"), ("test", "t10k")):
        images, labels = (
            sorted(Path(folder).glob(f"{start}-{what}[-.]idx?-ubyte*"))
            for what in ("images", "labels")
        )
        if images and labels:
            parts[part] = (read_idx(images[0]), read_idx(labels[0]))
    if "train" not in parts:
        raise ValueError(f"{folder}: found no train-images-idx3-ubyte and train-labels-idx1-ubyte")
    return parts


def read_idx(path):
    """Return the array of a file: two zero bytes, the type, the axes, their lengths, the values."""
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    if raw[:2] != b"\0\0" or raw[2] not in IDX_TYPES:
        raise ValueError(f"{path}: not an IDX file")
    start = 4 + 4 * raw[3]
    shape = struct.unpack(f">{raw[3]}I", raw[4:start])
    dtype = np.dtype(IDX_TYPES[raw[2]])
    if len(raw) - start != np.prod(shape) * dtype.itemsize:
        raise ValueError(
            f"{path}: the header promises {np.prod(shape) * dtype.itemsize:,} bytes, the file "
            f"holds {len(raw) - start:,}"
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def cifar(folder):
    """Read the binary version of CIFAR-10 or CIFAR-100 (its fine labels).

    The Python version holds pickles, which can run code.
    """
    folder = Path(folder)
    ten = (folder / "test_batch.bin").is_file()
    train = [f"data_batch_{i}.bin" for i in range(1, 6)] if ten else ["train.bin"]
    parts = {"train": train, "test": ["test_batch.bin" if ten else "test.bin"]}
    return {part: _cifar(folder, names, labels=1 if ten else 2) for part, names in parts.items()}


def _cifar(folder, names, labels):
    raw = np.concatenate([np.fromfile(folder / name, np.uint8) for name in names])
    if len(raw) % (labels + CIFAR):
        raise ValueError(f"{folder}: {len(raw):,} bytes are not whole records; is a file cut off?")
    records = raw.reshape(-1, labels + CIFAR)
    return records[:, labels:].reshape(-1, 3, 32, 32), records[:, labels - 1]
