"""Images in arrays, with what may come beside them: keys, labels and class names."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from coterie.data.base import OneByOne, Outline, Skipped, looked_at, outlined
from coterie.data.reading.depth import Scale
from coterie.data.reading.pixels import fit_square
from coterie.data.sources.labels import plain_labels
from coterie.errors import UsageError

PLUS_MINUS = ("-1", "1")


class Joined:
    """Arrays of images of one shape, one after another; nothing is copied."""

    def __init__(self, parts: Sequence[npt.NDArray[np.uint8]]) -> None:
        self._parts, self._ends = parts, list(accumulate(map(len, parts)))
        self.shape = (self._ends[-1], *parts[0].shape[1:])

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, place: int) -> npt.NDArray[np.uint8]:
        part = bisect_right(self._ends, place)
        image: npt.NDArray[np.uint8] = self._parts[part][place - self._ends[part]]
        return image


class ArraySource(OneByOne):
    """Images in an array (N, H, W) or (N, H, W, C), uint8, with C of 1 (grey), 3 (RGB) or 4 (RGBA).

    Where they are read `by_channels`, C may be any number, and the values of any kind. `identity` is what changes when
    the files do that they come from, if there are any.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8] | Joined,
        *,
        labels: Any = None,
        keys: list[str] | None = None,
        class_names: tuple[str, ...] = (),
        name: str = "images",
        by_channels: bool = False,
        identity: str | None = None,
    ) -> None:
        whole = isinstance(images, Joined)
        self._images = images if whole else checked_images(images, name, by_channels=by_channels)
        self._identity = identity
        self.keys = checked_keys(keys, len(images), name)
        self.labels, self.class_names = numbered_labels(labels, class_names, len(images), name)
        self.skipped: list[Skipped] = []

    def outline(self) -> Outline:
        sides = [min(self._images.shape[1:3])]
        return outlined(len(self._images), sides, looked_at(self, len(self._images), sides))

    def identity(self) -> str | None:
        return self._identity

    def values(self, place: int) -> npt.NDArray[Any]:
        """Every channel of an image: (H, W, C)."""
        values: npt.NDArray[Any] = self._images[place]
        return values if values.ndim == 3 else values[..., np.newaxis]

    def decode(self, place: int, side: int, scale: Scale = ()) -> npt.NDArray[np.uint8]:  # noqa: ARG002
        pixels = self._images[place]
        if pixels.shape in ((side, side), (side, side, 1), (side, side, 3)):  # As it is wanted.
            return np.broadcast_to(pixels.reshape(side, side, -1), (side, side, 3))
        image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
        return fit_square(image, side)


def checked_images(images: Any, name: str, *, by_channels: bool = False) -> npt.NDArray[Any]:
    """`images` if they are (N, H, W[, C]) uint8, else a UsageError that says what they are."""
    array = np.asarray(images)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4)):
        raise UsageError(f"{name}: {array.shape} is one image: give it as images[None]")
    if array.ndim == 4 and array.shape[1] in (1, 3, 4) and min(array.shape[2:]) > 4:
        raise UsageError(
            f"{name} of shape {array.shape} has its channels first: give them last, by images.transpose(0, 2, 3, 1)"
        )
    if by_channels and array.ndim in (3, 4) and array.dtype.kind in "uif" and 0 not in array.shape:
        return array
    if array.ndim == 4 and array.shape[3] not in (1, 3, 4) and not by_channels:
        raise UsageError(
            f"{name} of shape {array.shape} holds images of {array.shape[3]} channels: say which of them are looked "
            "at, by --channels all or such as 0,1"
        )
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3, 4)):
        raise UsageError(f"{name} must have the shape (N, H, W) or (N, H, W, C) with C of 1, 3 or 4, not {array.shape}")
    if array.dtype != np.uint8:
        raise UsageError(f"{name} must be uint8 (0 to 255), not {array.dtype}: scale and convert them first")
    if 0 in array.shape:
        raise UsageError(f"{name}: no images, the shape is {array.shape}")
    return array


def checked_keys(keys: list[str] | None, count: int, name: str) -> list[str]:
    """Distinct keys for `count` rows; numbers of six digits or more where none are given."""
    width = max(6, len(str(count)))
    keys = [f"{place:0{width}d}" for place in range(count)] if keys is None else keys
    if len(keys) != count:
        raise UsageError(f"{name}: {count} images but {len(keys)} keys")
    if len(set(keys)) != len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        raise UsageError(f"{name}: key '{twice}' occurs more than once; keys must be distinct")
    return keys


def numbered_labels(
    labels: Any, class_names: tuple[str, ...], count: int, name: str
) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels of any kind, see `plain_labels`, as numbers with names; −1 and empty names mean unknown, unless all are
    −1 or 1."""
    if labels is None:
        return None, ()
    array = plain_labels(labels, count, name)
    if array.dtype.kind == "U":
        names = tuple(sorted({str(label) for label in array} - {""}))
        numbers = {label: number for number, label in enumerate(names)}
        return np.array([numbers.get(str(label), -1) for label in array], dtype=np.int64), names
    values = array.astype(np.int64)
    if not class_names and set(np.unique(values).tolist()) == {-1, 1}:  # Two classes, as for support vector machines.
        return (values + 1) // 2, PLUS_MINUS
    if not class_names and int(values.max()) >= count:  # Numbers such as years, of which few occur.
        known, places = np.unique(values, return_inverse=True)
        unknown = int((known < 0).sum())
        return np.maximum(places - unknown, -1), tuple(str(number) for number in known[unknown:])
    if int(values.max()) >= len(class_names) and class_names:
        raise UsageError(f"{name}: label {values.max()} has no name among the {len(class_names)} class_names")
    return values, class_names or tuple(str(number) for number in range(max(0, int(values.max()) + 1)))
