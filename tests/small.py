"""Every method at a size for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coterie.methods import method_names, method_type

# Those that learn; the others only group what a pretrained backbone sees.
LEARNING = [name for name in method_names() if method_type(name).trains]

_HEADS: dict[str, object] = {"hidden": 16, "projection": 8}
_MORE: dict[str, dict[str, object]] = {
    "pcl": {"granularities": [6, 9], "queue": 24},
    "moco": {"queue": 24},
    "lnscc": {"hidden": [16, 8], "neighbours": 5, "steps_per_epoch": 4, "n_init": 3, "dropout": 0.1},
}


def options(name: str) -> dict[str, object]:
    """Options of the method `name`."""
    heads = _HEADS if method_type(name).inputs == "images" and method_type(name).trains else {}
    return {**heads, **_MORE.get(name, {})}


def source(name: str, images: np.ndarray, path: Path) -> Path:
    """What the method `name` learns from, at `path`: the images, or their pixels as features."""
    if method_type(name).inputs == "images":
        np.savez(path, images=images)
    else:
        np.savez(path, features=as_features(images))
    return path


def as_features(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
