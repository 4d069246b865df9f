"""A source read by channels: a folder of images, or an array."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coterie.data.base import OneByOne, Outline, Source, Unreadable, looked_at, outlined
from coterie.data.reading.channels import (
    MOST_CHANNELS,
    Values,
    chosen,
    fit_channels,
    parsed_channels,
    ranges_of,
    read_values,
)
from coterie.data.reading.depth import Scale
from coterie.data.sources.arrays import ArraySource
from coterie.data.sources.local import FolderSource
from coterie.errors import UsageError

# As many images tell what is black and white.
_LOOKED_AT = 32


class ChannelSource(OneByOne):
    """Some channels of the images of another source.

    Args:
        source: of files or an array.
        channels: `all`, or numbers such as `0,2,3`.
        ranges: black and white of each, in turn; none looks for them.

    Raises:
        UsageError: another kind of source, no such channels, or no image that has them.
    """

    def __init__(self, source: FolderSource | ArraySource, channels: str, ranges: Sequence[float] = ()) -> None:
        self._source, self._channels, self._name = source, parsed_channels(channels), channels
        self.keys, self.labels, self.class_names = source.keys, source.labels, source.class_names
        self.skipped = source.skipped
        self.ranges = tuple(ranges) or ranges_of(self._some())
        if not self.ranges:
            raise UsageError(f"--channels {channels}: {self._why()}")
        self.bands = len(self.ranges) // 2
        if self.bands > MOST_CHANNELS:
            raise UsageError(f"images may have up to {MOST_CHANNELS} channels, not {self.bands}: choose by --channels")

    def outline(self) -> Outline:
        sides = [min(values.shape[:2]) for values in self._some()]
        found = outlined(len(self.keys), sides, looked_at(self, len(self.keys), sides))
        return replace(found, grey=self.bands == 1, bands=self.bands, ranges=self.ranges, mirrored=None)

    def identity(self) -> str | None:
        of_files = self._source.identity()
        return None if of_files is None else f"{of_files} {self._channels} {self.ranges}"

    def decode(self, place: int, side: int, scale: Scale = ()) -> npt.NDArray[np.uint8]:  # noqa: ARG002
        return fit_channels(self._values(place), self.ranges, side)

    def _values(self, place: int) -> Values:
        held = self._source
        values = read_values(held.path(place)) if isinstance(held, FolderSource) else held.values(place)
        return chosen(values, self._channels)

    def _some(self) -> Iterator[Values]:
        """Images like the first one that can be read, from everywhere."""
        first: Values | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for place in range(0, len(self.keys), max(1, len(self.keys) // _LOOKED_AT)):
                try:
                    values = self._values(place)
                except Unreadable:
                    continue
                first = values if first is None else first
                if (values.shape[2], values.dtype) == (first.shape[2], first.dtype):
                    yield values

    def _why(self) -> str:
        try:
            self._values(0)
        except Unreadable as reason:
            return f"no image can be read so; the first: {self.keys[0]}: {reason}"
        return "no image can be read so"


def in_channels(source: Source, channels: str = "", ranges: Sequence[float] = ()) -> Source:
    """A source, read by channels where some are asked for."""
    if not channels:
        return source
    if not isinstance(source, (FolderSource, ArraySource)):
        raise UsageError("--channels goes with a folder of images on this machine, or an .npz or .npy of them")
    return ChannelSource(source, channels, ranges)
