"""Sources whose images come as encoded files that are not on this machine's disk by themselves."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property

from coterie.data.base import Outline, Pixels, Unreadable, outlined
from coterie.data.reading.decode import decode_file, stored_size
from coterie.data.reading.parallel import in_parallel

# A file of more bytes than this is no image anyone groups.
MOST_BYTES = 256_000_000
# As many images are looked at for an outline.
_LOOKED_AT = 64


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

    def decode_part(self, part: Sequence[int], side: int) -> Iterator[Pixels | Unreadable]:
        for content in self.contents(part):
            yield content if isinstance(content, Unreadable) else _decoded(content, side)

    def sample(self) -> Sequence[int]:
        """Places of the images that an outline looks at."""
        return range(0, len(self.keys), max(1, len(self.keys) // _LOOKED_AT))[:_LOOKED_AT]

    def outline(self) -> Outline:
        return self._outline

    @cached_property
    def _outline(self) -> Outline:
        found: list[tuple[int, Pixels]] = []

        def look(part: Sequence[int]) -> Iterator[tuple[int, Pixels] | None]:
            for content in self.contents(part):
                yield None if isinstance(content, Unreadable) else _look(content)

        def receive(_: int, looked: tuple[int, Pixels] | None) -> None:
            if looked is not None:
                found.append(looked)

        in_parallel(self.parts(self.sample()), look, receive, threads=self.in_flight)
        return outlined(len(self.keys), [side for side, _ in found], (pixels for _, pixels in found))


def _decoded(content: bytes, side: int) -> Pixels | Unreadable:
    try:
        return decode_file(io.BytesIO(content), side)
    except Unreadable as reason:
        return reason


def _look(content: bytes) -> tuple[int, Pixels] | None:
    """The shorter side of an image, and the image in small."""
    size, pixels = stored_size(io.BytesIO(content)), _decoded(content, 32)
    return None if size is None or isinstance(pixels, Unreadable) else (min(size), pixels)
