"""Sources whose images come as encoded files that are not on this machine's disk by themselves."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property

from coterie.data.base import LOOKED_AT, Outline, Pixels, Unreadable, outlined, to_look_at
from coterie.data.reading.decode import decode_file
from coterie.data.reading.depth import Range, Scale
from coterie.data.reading.parallel import in_parallel
from coterie.data.reading.stored import stored_range, stored_size

# A file of more bytes than this is no image anyone groups.
MOST_BYTES = 256_000_000
# The shorter side of an image, the image in small, and the range of its values.
_Look = tuple[int, Pixels, Range | None]


class Encoded(ABC):
    """How such a source is decoded, and looked at before; see `Source`."""

    keys: Sequence[str]
    bands = 0

    @property
    @abstractmethod
    def in_flight(self) -> int: ...

    @abstractmethod
    def parts(self, places: Sequence[int]) -> Sequence[Sequence[int]]: ...

    @abstractmethod
    def contents(self, part: Sequence[int]) -> Iterator[bytes | Unreadable]:
        """The files at the places of one of the `parts`, in its order, or why one cannot be read."""

    def decode_part(self, part: Sequence[int], side: int, scale: Scale = ()) -> Iterator[Pixels | Unreadable]:
        for content in self.contents(part):
            yield content if isinstance(content, Unreadable) else _decoded(content, side, scale)

    def sample(self, most: int = LOOKED_AT) -> Sequence[int]:
        """Places of images that tell what all are like, about as many as `most`."""
        return range(0, len(self.keys), max(1, len(self.keys) // most))[:most]

    def outline(self) -> Outline:
        return self._outline

    @cached_property
    def _outline(self) -> Outline:
        places = self.sample()
        found = self._looks(places)
        more = self.sample(to_look_at([side for side, *_ in found]))
        found += self._looks([place for place in more if place not in places])
        sides, pixels, ranges = zip(*found, strict=True) if found else ((), (), ())
        return outlined(len(self.keys), sides, pixels, ranges)

    def _looks(self, places: Sequence[int]) -> list[_Look]:
        found: list[_Look] = []

        def look(part: Sequence[int]) -> Iterator[_Look | None]:
            for content in self.contents(part):
                yield None if isinstance(content, Unreadable) else _look(content)

        def receive(_: int, looked: _Look | None) -> None:
            if looked is not None:
                found.append(looked)

        in_parallel(self.parts(places), look, receive, threads=self.in_flight)
        return found


def _decoded(content: bytes, side: int, scale: Scale = ()) -> Pixels | Unreadable:
    try:
        return decode_file(io.BytesIO(content), side, scale)
    except Unreadable as reason:
        return reason


def _look(content: bytes) -> _Look | None:
    size, pixels = stored_size(io.BytesIO(content)), _decoded(content, 32)
    return (
        None
        if size is None or isinstance(pixels, Unreadable)
        else (min(size), pixels, stored_range(io.BytesIO(content)))
    )
