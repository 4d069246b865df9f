"""CIFAR-10 and CIFAR-100 in the batches for Python: https://www.cs.toronto.edu/~kriz/cifar.html."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.data.sources.arrays import ArraySource
from coterie.data.sources.downloads.files import Content, read_files
from coterie.data.sources.downloads.parts import Part, joined
from coterie.data.sources.downloads.pickles import read_pickle
from coterie.data.sources.downloads.words import Asked
from coterie.data.sources.labels import texts

_SIDE = 32


@dataclass(frozen=True)
class _Layout:
    """The files of each split, that of the names, and what labels and names are called in them."""

    files: dict[str, tuple[str, ...]]
    meta: str
    labels: str
    names: str


_FIFTY = _Layout({"train": ("train",), "test": ("test",)}, "meta", "fine_labels", "fine_label_names")
_LAYOUTS = {
    "cifar10": _Layout(
        {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
        "batches.meta", "labels", "label_names",
    ),
    "cifar100": _FIFTY,
    "cifar20": _Layout(_FIFTY.files, "meta", "coarse_labels", "coarse_label_names"),
}  # fmt: skip


def open_cifar(asked: Asked, splits: list[str], _: Callable[[str], None]) -> ArraySource:
    """The images of some splits; a key is `train/` or `test/` and a number.

    Raises:
        ValueError: files are missing or damaged. OSError: they cannot be read.
    """
    layout = _LAYOUTS[asked.word]
    names = [layout.meta, *(name for split in splits for name in layout.files[split])]
    read, identity = read_files(asked.path, names, partial(_taken, layout))
    parts = [Part(split, *read[name]) for split in splits for name in layout.files[split]]
    return joined(asked, parts, tuple(read[layout.meta]), identity)


def _taken(layout: _Layout, name: str, content: Content) -> Any:
    """The names of the classes, or a batch: images (n, 32, 32, 3) and labels (n,)."""
    found = read_pickle(content.data)
    if name == layout.meta:
        return _names(found.get(layout.names))
    return _batch(found.get("data"), found.get(layout.labels))


def _names(names: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, (str, bytes)) for name in names):
        raise ValueError("it names no classes")
    return texts(names)


def _batch(pixels: Any, labels: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3 * _SIDE**2,):
        raise ValueError(f"it holds no 'data' of images with 3 × {_SIDE} × {_SIDE} bytes")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("its labels are no whole numbers")
    # Brought into order at once: image by image it costs a fifth of decoding.
    images = np.ascontiguousarray(pixels.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1))
    return images, np.array(labels, dtype=np.int64)
