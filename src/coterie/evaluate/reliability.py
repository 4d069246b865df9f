"""Whether a confidence means what it says, where labels are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LEVELS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
_BINS = 10


@dataclass(frozen=True)
class Level:
    """Of the images with at least this `confidence`: their `share` of all, and the share of them that is `right`."""

    confidence: float
    share: float
    right: float | None


@dataclass(frozen=True)
class Reliability:
    """The mean `confidence`, the share of images that is `right`, their calibration, and both above each level.

    `error` is the expected calibration error: over ten bins of confidence of equal width, the mean distance between
    confidence and accuracy, weighted by images (Guo et al., arXiv 1706.04599, eq. 3).
    """

    confidence: float
    right: float
    error: float
    levels: tuple[Level, ...]


def reliability(confidence: npt.NDArray[np.floating[Any]], right: npt.NDArray[np.bool_]) -> Reliability:
    """Compare the confidence (N,), 0–1, with which images are right (N,); N of at least 1."""
    levels = []
    for least in LEVELS:
        sure = confidence >= least
        levels.append(Level(least, float(sure.mean()), float(right[sure].mean()) if sure.any() else None))
    places = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(places, weights=confidence - right.astype(float), minlength=_BINS)
    error = float(np.abs(gaps).sum() / len(confidence))
    return Reliability(float(confidence.mean()), float(right.mean()), error, tuple(levels))
