"""A folder of images with one subfolder per class, decoded when needed; torch-free.

Needs Pillow, a dependency of matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibtool.errors import InputError, UsageError
from calibtool.parallel import cores
from calibtool.train.data.dataset import PART_NAMES, Data, Rows
from calibtool.train.data.unseen import RawRows, Wanted
from calibtool.train.settings import Settings
from calibtool.types import Array

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm"))
# Bytes of images that are compared before a run: a gigabyte takes a second or two to read
COMPARED = 1 << 30


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images in files, in their own size, or with `resize` scaled and cropped to height x width.

    They have one channel if all files are grey, and three otherwise.
    """

    paths: Sequence[Path]
    height: int
    width: int
    grey: bool
    resize: bool
    workers = 1  # its threads decode images while the network computes

    def __len__(self) -> int:
        return len(self.paths)

    def keys(self) -> list[int] | None:
        if sum(path.stat().st_size for path in self.paths) > COMPARED:
            return None
        return [hash(path.read_bytes()) for path in self.paths]

    def take(self, index: Array) -> Array:
        """Return (n, C, H, W) uint8 images."""
        with ThreadPoolExecutor(cores()) as pool:
            return np.stack(list(pool.map(self._image, index.tolist())))

    def _image(self, index: int) -> Array:
        path = self.paths[index]
        try:
            with _open(path) as image:
                decoded = image.convert("L" if self.grey else "RGB")
        except (OSError, SyntaxError) as error:  # what Pillow raises for damaged files
            raise InputError(f"{path}: cannot be decoded: {error}") from error
        return as_array(decoded, self.height if self.resize else None)


def read(text: str, settings: Settings) -> Data:
    """Read `ROOT/class/image.png`, or `ROOT/train/class/image.png` with `val` and `test` beside it.

    Raises InputError for folders without classes or images, UsageError for images of several sizes.
    """
    root = _root(text)
    by_part = _parts(root)
    folders = by_part if "train" in by_part else {"train": root}
    names = tuple(sorted(p.name for p in folders["train"].iterdir() if p.is_dir()))
    if len(names) < 2:
        raise InputError(
            f"{text}: expected one subfolder per class, at least 2; found {len(names)}"
        )
    files = {part: _files(folder, names) for part, folder in folders.items()}
    paths = [path for labelled in files.values() for path, _ in labelled]
    height, width, grey = _common_form(text, paths, settings.image_size)
    parts = {}
    for part, labelled in files.items():
        inputs = ImageFiles(
            [path for path, _ in labelled], height, width, grey, settings.image_size is not None
        )
        ids = np.array([str(path.relative_to(root)) for path, _ in labelled])
        parts[part] = Rows(inputs, np.array([k for _, k in labelled], np.int64), ids)
    shape = (1 if grey else 3, height, width)
    return Data(text, parts, len(names), shape, "images", names)


def read_new(text: str, settings: Settings, wanted: Wanted) -> RawRows:
    """Read images to predict: all of a folder without labels, or of a subfolder per class.

    They are brought to the channels of the run's images and, with --image-size, to their size.
    Raises InputError, UsageError for images of several sizes.
    """
    root, names = _root(text), wanted.data.named_classes
    by_part = _parts(root, names)
    wanted.require_part(text, by_part)
    folder = by_part[wanted.part] if by_part else root
    loose = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
    labels: Array | None = None
    if loose and any(path.is_dir() for path in folder.iterdir()):
        raise InputError(
            f"{folder}: holds images and subfolders; expected images alone, or one subfolder per "
            "class"
        )
    paths = loose
    if not loose:
        labelled = _files(folder, names)
        paths, labels = [path for path, _ in labelled], np.array([k for _, k in labelled], np.int64)
    height, width, _ = _common_form(text, paths, settings.image_size)
    grey = wanted.data.shape[:1] == (1,)
    inputs = ImageFiles(paths, height, width, grey, settings.image_size is not None)
    ids = np.array([str(path.relative_to(root)) for path in paths])
    return RawRows(inputs, labels if wanted.labels else None, ids, "images", names)


def _root(text: str) -> Path:
    """Return the folder that `text` names; raise InputError if there is none."""
    root = Path(text.removeprefix("images:"))
    if not root.is_dir():
        raise InputError(f"{text}: is not a folder")
    return root


def _parts(root: Path, classes: Sequence[str] = ()) -> dict[str, Path]:
    """Return the subfolders that are named after a part, and not after a class."""
    return {
        PART_NAMES[path.name.lower()]: path
        for path in sorted(root.iterdir())
        if path.is_dir() and path.name.lower() in PART_NAMES and path.name not in classes
    }


def _files(folder: Path, names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Return the image files of a part, class by class, each with its class id."""
    others = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name not in names)
    if others:
        raise InputError(
            f"{folder}: its subfolder {others[0]!r} is not a class of the training images"
        )
    return [
        (path, k)
        for k, name in enumerate(names)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]


def _common_form(text: str, paths: Sequence[Path], size: int | None) -> tuple[int, int, bool]:
    """Return the common height and width (or --image-size), and whether all images are grey.

    Only the headers are read: Pillow decodes pixels later. Raises InputError if there are none.
    """
    if not paths:
        raise InputError(f"{text}: holds no images ({', '.join(sorted(SUFFIXES))})")
    first: tuple[int, int] | None = None
    grey = True
    for path in paths:
        with _open(path) as image:
            first = first or image.size
            grey = grey and image.mode in ("L", "1", "I;16")
            if size is None and image.size != first:
                raise UsageError(
                    f"{path}: is {image.size[0]} x {image.size[1]} pixels, {paths[0].name} is "
                    f"{first[0]} x {first[1]}; --image-size N scales all to N x N"
                )
    assert first is not None
    return (size, size, grey) if size else (first[1], first[0], grey)


def as_array(image: Any, size: int | None) -> Array:
    """Return an image of Pillow as (C, H, W), and anything else as an array.

    With `size`, the shorter side is scaled to it, and the longer side cropped to its middle.
    """
    if not hasattr(image, "convert"):
        return np.asarray(image)
    from PIL import ImageOps

    image = image if image.mode in ("L", "RGB") else image.convert("RGB")
    image = ImageOps.fit(image, (size, size)) if size else image
    pixels = np.asarray(image, np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _open(path: Path) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise UsageError("image folders need Pillow: pip install pillow") from error
    try:
        image = Image.open(path)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: is not an image that Pillow can read") from error
    return image
