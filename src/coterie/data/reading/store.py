"""The store: every image as uint8 in one array, in memory or memory-mapped."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# Bytes of images that are worked on at a time, so that a store larger than memory can be walked through.
_AT_ONCE = 4_000_000


def at_once(size: int) -> int:
    """How many images of `size` bytes are worked on at a time."""
    return max(1, min(1024, _AT_ONCE // max(1, size)))


@dataclass(frozen=True)
class Store:
    """Images with their keys, and labels where they are known.

    Args:
        images: (N, C, H, W) uint8; may be a memory map, which is read a batch at a time.
        keys: N distinct names.
        labels: (N,) int64, −1 where unknown; None where no label is known. Only ever used for evaluation.
        class_names: names of the labels 0, 1, …
    """

    images: npt.NDArray[np.uint8]
    keys: Sequence[str]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    @property
    def side(self) -> int:
        return int(self.images.shape[2])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: (C, S, S)."""
        return self.images.shape[1:]

    def rows(self, index: Tensor) -> Tensor:
        """The images at `index` (n,): (n, C, H, W) uint8 on the CPU."""
        return torch.from_numpy(self.images[index.cpu().numpy()])

    def fingerprint(self) -> int:
        """A number that changes when an image or a key does, to notice a source that changed under a run."""
        checksum = zlib.crc32("\n".join(self.keys).encode("utf-8", "surrogatepass"))
        together = at_once(self.images[0].nbytes)
        for start in range(0, len(self), together):
            checksum = zlib.crc32(self.images[start : start + together].tobytes(), checksum)
        return checksum

    def channel_statistics(self, *, most: int = 20_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each channel in [0, 1], over at most `most` evenly spaced images."""
        step = max(1, -(-len(self) // most))
        total = np.zeros((2, self.channels))
        count = 0
        together = at_once(self.images[0].nbytes)
        for start in range(0, len(self), together * step):
            part = self.images[start : start + together * step : step].astype(np.float32)
            part /= 255.0
            total[0] += part.sum(axis=(0, 2, 3), dtype=np.float64)
            total[1] += np.square(part, out=part).sum(axis=(0, 2, 3), dtype=np.float64)
            count += part.size // self.channels
        mean = total[0] / count
        deviation = np.sqrt(np.maximum(total[1] / count - mean**2, 1e-6))
        return tuple(mean.tolist()), tuple(deviation.tolist())


def part_of(store: Store, index: npt.NDArray[np.int64], images: npt.NDArray[np.uint8]) -> Store:
    """The images at `index` (n,), copied into the array `images` (n, C, H, W) a few at a time."""
    together = at_once(store.images[0].nbytes)
    for start in range(0, len(index), together):
        images[start : start + together] = store.images[index[start : start + together]]
    labels = None if store.labels is None else store.labels[index]
    return Store(images, [store.keys[row] for row in index], labels, store.class_names)
