"""Whether images come mirrored, as photographs do and characters do not, by the images alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

# With fewer images chance decides.
_FEWEST = 128
# The nearest ones may be frames of one film.
_NEAREST = 5


def mirrored_farther(squares: Sequence[npt.NDArray[np.uint8]]) -> float | None:
    """The share of images that lie nearer to others than their mirror image does; None of too few to tell.

    Where things look either way as often, a mirror image is one more image of its kind, and the share is a half.

    Args:
        squares: (32, 32, 3) each.
    """
    if len(squares) < _FEWEST:
        return None
    grey = np.stack(squares).mean(axis=-1)
    places = grey.reshape(len(grey), 16, 2, 16, 2).mean(axis=(2, 4))
    places = places - places.mean(axis=(1, 2), keepdims=True)
    places /= np.maximum(np.linalg.norm(places, axis=(1, 2), keepdims=True), 1e-6)
    as_they_are, mirrored = (_nearest(each, places) for each in (places, places[:, :, ::-1]))
    return float((mirrored > as_they_are).mean() + (mirrored == as_they_are).mean() / 2)


def _nearest(images: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far each image's fifth nearest other is, (n,)."""
    distances = cdist(images.reshape(len(images), -1), others.reshape(len(others), -1))
    np.fill_diagonal(distances, np.inf)  # Neither an image nor its own mirror image is another,
    distances[distances < 1e-6] = np.inf  # and a copy is none.
    nearest: npt.NDArray[np.float64] = np.partition(distances, _NEAREST - 1, axis=1)[:, _NEAREST - 1]
    return nearest
