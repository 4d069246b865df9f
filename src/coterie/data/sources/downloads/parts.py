"""Images that come in several arrays, as one source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from coterie.data.sources.arrays import ArraySource, Joined
from coterie.data.sources.downloads.words import Asked


@dataclass(frozen=True)
class Part:
    """Images (n, H, W[, C]) of a split, and their labels (n,) if there are any."""

    split: str
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.integer] | None = None


def joined(asked: Asked, parts: Sequence[Part], class_names: tuple[str, ...], identity: str) -> ArraySource:
    """Parts of the same splits side by side, as one source; labels that are missing are −1.

    Raises:
        ValueError: no images, of several shapes, or labels that do not fit them.
    """
    if len({part.images.shape[1:] for part in parts}) > 1 or not all(len(part.images) for part in parts):
        raise ValueError("its files hold no images, or of several sizes")
    labels = np.concatenate([_labels(part, len(class_names)) for part in parts])
    keys = []
    for split, its in groupby(parts, key=lambda part: part.split):
        keys += [f"{split}/{place:05d}" for place in range(sum(len(part.images) for part in its))]
    return ArraySource(
        Joined([part.images for part in parts]),
        labels=labels,
        keys=keys,
        class_names=class_names,
        name=asked.full_name,
        identity=f"{asked.word} {identity}",
    )


def _labels(part: Part, classes: int) -> npt.NDArray[np.int64]:
    count = len(part.images)
    labels = np.full(count, -1, dtype=np.int64) if part.labels is None else part.labels.astype(np.int64)
    if len(labels) != count:
        raise ValueError(f"its {part.split} split holds {count} images and {len(labels)} labels")
    if labels.min() < -1 or labels.max() >= classes:
        raise ValueError(f"its {part.split} split has labels beyond the {classes} classes")
    return labels
