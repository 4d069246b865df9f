"""What sources have in common, and what stores do."""

from __future__ import annotations

import contextlib
import statistics
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from coterie.data.mirrors import mirrored_farther
from coterie.data.reading.depth import Range, Scale, scale_of
from coterie.data.reading.parallel import small_parts

Pixels = npt.NDArray[np.uint8]
# As many images tell whether photographs or drawings are before us.
_FLATNESS, _SPREAD = 16, 4
# As many are looked at for anything else, and of small ones, up to so many pixels, for how they come mirrored.
LOOKED_AT, _LOOKED_AT_SMALL, _LITTLE = 64, 256, 64
# Photographs from this side on, in pixels, are certainly worth a network's look, and from the other on perhaps.
LARGE, _SMALL = 96, 32
# Drawings are as flat.
_FLAT = 0.15
# Of what comes mirrored a half are farther when mirrored; of characters and clothes seven tenths and more.
_MIRRORED = 0.65


class Unreadable(Exception):
    """An image cannot be used; the message is the reason a person reads."""


@dataclass(frozen=True)
class Skipped:
    """A file left out, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Outline:
    """What a look at a source tells before decoding it.

    Args:
        count: of images.
        side: median of their shorter sides, in pixels.
        grey: whether all are.
        flat: median share of neighbouring pixels that are equal: drawings have areas of one colour, photographs none.
        scale: black and white of images of more than eight bits, by all that were looked at; empty where none are.
        bands: channels of an image that are no colours; 0 where they are.
        ranges: black and white of each of these in turn.
        mirrored: whether mirror images are as near to the others as the images are; None where that is not known
            or channels are no colours.
    """

    count: int
    side: int
    grey: bool
    flat: float = 0.0
    scale: Scale = ()
    bands: int = 0
    ranges: tuple[float, ...] = ()
    mirrored: bool | None = None

    @property
    def photographs(self) -> bool:
        """Whether these are colour photographs by all that is known: coloured, not small, and hardly flat anywhere."""
        return self.perhaps_photographs and self.side >= LARGE and self.flat < _FLAT

    @property
    def perhaps_photographs(self) -> bool:
        """Whether a person might know these to be photographs, of a plain ground or small."""
        least = LARGE if self.flat >= _FLAT else _SMALL
        return not self.grey and self.side >= least and not self.bands


class Source(Protocol):
    """Images that can be decoded to squares."""

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def labels(self) -> npt.NDArray[np.int64] | None: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def skipped(self) -> list[Skipped]: ...

    @property
    def in_flight(self) -> int:
        """How many parts are best read at a time; 0 for one a core."""
        ...

    @property
    def bands(self) -> int:
        """Channels of an image that are no colours; 0 where they are."""
        ...

    def outline(self) -> Outline: ...

    def identity(self) -> str | None:
        """What changes when any of the files does, told without reading them; None where there are no files."""
        ...

    def parts(self, places: Sequence[int]) -> Sequence[Sequence[int]]:
        """These places, perhaps in another order, in pieces that are each read by one thread."""
        ...

    def decode_part(self, part: Sequence[int], side: int, scale: Scale = ()) -> Iterator[Pixels | Unreadable]:
        """The images of one of the `parts`, in its order: (side, side, 3) uint8, or why one cannot be used.

        Args:
            scale: black and white of images of more than eight bits; empty for each image's own.
        """
        ...


class OneByOne(ABC):
    """How a source is read whose images stand alone."""

    in_flight = 0
    bands = 0

    @abstractmethod
    def decode(self, place: int, side: int, scale: Scale = ()) -> Pixels:
        """Image `place` as (side, side, 3) uint8; raises `Unreadable`."""

    def parts(self, places: Sequence[int]) -> list[Sequence[int]]:
        return small_parts(places)

    def decode_part(self, part: Sequence[int], side: int, scale: Scale = ()) -> Iterator[Pixels | Unreadable]:
        for place in part:
            try:
                yield self.decode(place, side, scale)
            except Unreadable as reason:
                yield reason


def outlined(
    count: int, sides: Sequence[int], looked: Iterable[Pixels], ranges: Iterable[Range | None] = ()
) -> Outline:
    """The outline of `count` images, from the shorter sides of some, small squares of some, and the ranges of some.

    Of large ones looking ends with the first coloured image once there are enough to tell how flat they are.
    """
    side, scale = int(statistics.median(sides)) if sides else 32, scale_of(filter(None, ranges))
    grey, seen = True, []
    for pixels in looked:
        grey = grey and bool((pixels == pixels[..., :1]).all())
        seen.append(pixels)
        if not grey and len(seen) >= _FLATNESS and side > _LITTLE:
            break
    flat = [float((pixels[:, 1:] == pixels[:, :-1]).all(axis=-1).mean()) for pixels in seen] or [0.0]
    farther = mirrored_farther(seen)
    mirrored = None if farther is None else farther <= _MIRRORED
    return Outline(count, side, grey, statistics.median(flat), scale, mirrored=mirrored)


def to_look_at(sides: Sequence[int]) -> int:
    """How many images are looked at, by the shorter sides of some."""
    return _LOOKED_AT_SMALL if sides and statistics.median(sides) <= _LITTLE else LOOKED_AT


def looked_at(source: OneByOne, count: int, sides: Sequence[int]) -> Iterator[Pixels]:
    """Squares of 32 pixels of evenly spaced images, of `count`, as far as they can be read; of small ones more."""
    most = to_look_at(sides)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Reading the source tells what is wrong with a file.
        places = range(0, count, max(1, count // most))
        # The first ones, after which looking may end, come from everywhere, too.
        for place in (place for first in range(_SPREAD) for place in places[first::_SPREAD]):
            with contextlib.suppress(Unreadable):
                yield source.decode(place, 32)


class Rows(Protocol):
    """Decoded images or feature vectors, read a batch at a time."""

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def labels(self) -> npt.NDArray[np.int64] | None: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: (C, S, S) or (D,)."""
        ...

    def __len__(self) -> int: ...

    def rows(self, index: Tensor) -> Tensor: ...

    def fingerprint(self) -> int: ...
