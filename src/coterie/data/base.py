"""What sources have in common, and what stores do."""

from __future__ import annotations

import contextlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from coterie.data.reading.parallel import small_parts

Pixels = npt.NDArray[np.uint8]


class Unreadable(Exception):
    """An image cannot be used; the message is the reason a person reads."""


@dataclass(frozen=True)
class Skipped:
    """A file left out, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Outline:
    """What a look at a source tells before decoding it: `count` of images, median shorter `side`, all `grey` or not."""

    count: int
    side: int
    grey: bool


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

    def outline(self) -> Outline: ...

    def identity(self) -> str | None:
        """What changes when any of the files does, told without reading them; None where there are no files."""
        ...

    def parts(self, places: Sequence[int]) -> Sequence[Sequence[int]]:
        """These places, perhaps in another order, in pieces that are each read by one thread."""
        ...

    def decode_part(self, part: Sequence[int], side: int) -> Iterator[Pixels | Unreadable]:
        """The images of one of the `parts`, in its order: (side, side, 3) uint8, or why one cannot be used."""
        ...


class OneByOne(ABC):
    """How a source is read whose images stand alone."""

    in_flight = 0

    @abstractmethod
    def decode(self, place: int, side: int) -> Pixels:
        """Image `place` as (side, side, 3) uint8; raises `Unreadable`."""

    def parts(self, places: Sequence[int]) -> list[Sequence[int]]:
        return small_parts(places)

    def decode_part(self, part: Sequence[int], side: int) -> Iterator[Pixels | Unreadable]:
        for place in part:
            try:
                yield self.decode(place, side)
            except Unreadable as reason:
                yield reason


def looks_grey(source: OneByOne, count: int, *, most: int = 64) -> bool:
    """Whether every one of up to `most` evenly spaced images, of `count`, is grey."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Reading the source tells what is wrong with a file.
        for place in range(0, count, max(1, count // most)):
            with contextlib.suppress(Unreadable):
                pixels = source.decode(place, 32)
                if not bool((pixels == pixels[..., :1]).all()):
                    return False
    return True


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
