"""What sources have in common, and what stores do."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from coterie.data.decode import Unreadable
from coterie.data.folder import Skipped


@dataclass(frozen=True)
class Outline:
    """What a look at a source tells before decoding it: `count` of images, median shorter `side`, all `grey` or not."""

    count: int
    side: int
    grey: bool


def looks_grey(source: Source, *, most: int = 64) -> bool:
    """Whether every one of up to `most` evenly spaced images is grey."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Reading the source tells what is wrong with a file.
        for place in range(0, len(source.keys), max(1, len(source.keys) // most)):
            with contextlib.suppress(Unreadable):
                pixels = source.decode(place, 32)
                if not bool((pixels == pixels[..., :1]).all()):
                    return False
    return True


class Source(Protocol):
    """Images that can be decoded one by one to squares."""

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def labels(self) -> npt.NDArray[np.int64] | None: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def skipped(self) -> list[Skipped]: ...

    def outline(self) -> Outline: ...

    def identity(self) -> str | None:
        """What changes when any of the files does, told without reading them; None where there are no files."""
        ...

    def decode(self, place: int, side: int) -> npt.NDArray[np.uint8]:
        """Image `place` as (side, side, 3) uint8; raises `Unreadable`."""
        ...


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
