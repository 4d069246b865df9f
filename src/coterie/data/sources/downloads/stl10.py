"""STL-10 in its binary files: https://cs.stanford.edu/~acoates/stl10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from coterie.data.sources.arrays import ArraySource
from coterie.data.sources.downloads.files import Content, read_files
from coterie.data.sources.downloads.parts import Part, joined
from coterie.data.sources.downloads.words import Asked

_SIDE = 96
_NAMES, _LONGEST_LIST = "class_names.txt", 10_000
# Of each split the images and the labels.
_FILES = {
    "train": ("train_X.bin", "train_y.bin"),
    "test": ("test_X.bin", "test_y.bin"),
    "unlabelled": ("unlabeled_X.bin",),
}


def open_stl10(asked: Asked, splits: list[str], _: Callable[[str], None]) -> ArraySource:
    """The images of some splits, mapped where their files are unpacked; a key is the split and a number.

    Raises:
        ValueError: files are missing or damaged. OSError: they cannot be read.
    """
    read, identity = read_files(asked.path, [_NAMES, *(name for split in splits for name in _FILES[split])], _taken)
    parts = [Part(split, *(read[name] for name in _FILES[split])) for split in splits]
    return joined(asked, parts, tuple(read[_NAMES]), identity)


def _taken(name: str, content: Content) -> Any:
    """The names of the classes, images (n, 96, 96, 3) or labels (n,) from 0."""
    if name == _NAMES:
        return content[:_LONGEST_LIST].tobytes().decode("utf-8", "replace").split()
    if name.endswith("_y.bin"):
        return content.astype(np.int64) - 1
    if len(content) % (3 * _SIDE**2):
        raise ValueError(f"it is no whole number of images with 3 × {_SIDE} × {_SIDE} bytes")
    return content.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 3, 2, 1)  # Columns come before rows.
