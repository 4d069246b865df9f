"""MNIST, Fashion-MNIST and whatever else comes in four idx files of the same names: https://yann.lecun.org/exdb/mnist."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from coterie.data.sources.arrays import ArraySource
from coterie.data.sources.downloads.files import Content, read_files
from coterie.data.sources.downloads.parts import Part, joined
from coterie.data.sources.downloads.words import Asked

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
}  # fmt: skip


def open_idx(asked: Asked, splits: list[str], _: Callable[[str], None]) -> ArraySource:
    """The images of some splits; a key is `train/` or `test/` and a number.

    Raises:
        ValueError: files are missing or damaged. OSError: they cannot be read.
    """
    read, identity = read_files(asked.path, [name for split in splits for name in _FILES[split]], _taken)
    parts = [Part(split, *(read[name] for name in _FILES[split])) for split in splits]
    return joined(asked, parts, _CLASSES[asked.word], identity)


def _taken(name: str, content: Content) -> npt.NDArray[np.uint8]:
    """The array of bytes in an idx file: two zeros, the kind of its values, the number of axes, and their lengths."""
    axes = 3 if "idx3" in name else 1
    if bytes(content[:4]) != bytes((0, 0, 8, axes)):
        raise ValueError(f"it is no idx file of bytes with {axes} ax{'es' if axes > 1 else 'is'}")
    begin = 4 + 4 * axes
    shape = [int.from_bytes(content[place : place + 4].tobytes(), "big") for place in range(4, begin, 4)]
    values: npt.NDArray[np.uint8] = content[begin:]
    if len(values) != math.prod(shape):
        raise ValueError(f"it holds {len(values)} values, and says it holds {' × '.join(map(str, shape))}")
    return values.reshape(shape)
