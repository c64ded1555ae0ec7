"""A folder of images, one sub-folder a class, decoded as they are needed; torch-free.

Needs Pillow, which matplotlib brings.
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
from calibtool.train.data.dataset import Data, Rows
from calibtool.train.settings import Settings
from calibtool.types import Array

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm"))
PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Images in files: as they are, or with `resize` scaled to the height and width, the middle of
    the longer side cut out; grey where all are grey."""

    paths: Sequence[Path]
    height: int
    width: int
    grey: bool
    resize: bool

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, index: Array) -> Array:
        """(n, C, H, W) uint8."""
        with ThreadPoolExecutor(cores()) as pool:
            return np.stack(list(pool.map(self._one, index.tolist())))

    def _one(self, index: int) -> Array:
        path = self.paths[index]
        try:
            with _open(path) as image:
                decoded = image.convert("L" if self.grey else "RGB")
        except (OSError, SyntaxError) as error:  # Pillow's words for damaged files
            raise InputError(f"{path}: cannot be decoded: {error}") from error
        if self.resize:
            decoded = _fitted(decoded, self.height)
        pixels = np.asarray(decoded, np.uint8)
        return pixels[None] if self.grey else pixels.transpose(2, 0, 1)


def read(text: str, settings: Settings) -> Data:
    """`ROOT/class/image.png`, or `ROOT/train/class/image.png` with `val` and `test` beside it."""
    root = Path(text.removeprefix("images:"))
    if not root.is_dir():
        raise InputError(f"{text}: is no folder")
    tops = sorted(path for path in root.iterdir() if path.is_dir())
    named = {PARTS[path.name.lower()]: path for path in tops if path.name.lower() in PARTS}
    folders = named if "train" in named else {"train": root}
    names = tuple(sorted(p.name for p in folders["train"].iterdir() if p.is_dir()))
    if len(names) < 2:
        raise InputError(f"{text}: expected a sub-folder a class, found {len(names)}")
    files = {part: _files(folder, names) for part, folder in folders.items()}
    every = [path for found in files.values() for path, _ in found]
    if not every:
        raise InputError(f"{text}: holds no images ({', '.join(sorted(SUFFIXES))})")
    height, width, grey = _form(every, settings.image_size)
    parts = {}
    for part, found in files.items():
        inputs = ImageFiles(
            [path for path, _ in found], height, width, grey, settings.image_size is not None
        )
        ids = np.array([str(path.relative_to(root)) for path, _ in found])
        parts[part] = Rows(inputs, np.array([k for _, k in found], np.int64), ids)
    shape = (1 if grey else 3, height, width)
    return Data(text, parts, len(names), shape, "images", names)


def _files(folder: Path, names: tuple[str, ...]) -> list[tuple[Path, int]]:
    others = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name not in names)
    if others:
        raise InputError(f"{folder}: its folder {others[0]!r} is no class of the training images")
    return [
        (path, k)
        for k, name in enumerate(names)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]


def _form(paths: Sequence[Path], size: int | None) -> tuple[int, int, bool]:
    """Height and width that all share, or --image-size; whether all are grey."""
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


def _fitted(image: Any, size: int) -> Any:
    """The shorter side scaled to `size`, and the middle of the longer cut out."""
    from PIL import ImageOps

    return ImageOps.fit(image, (size, size))


def _open(path: Path) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise UsageError("image folders need Pillow: pip install pillow") from error
    try:
        image = Image.open(path)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: is no image that Pillow reads") from error
    return image
