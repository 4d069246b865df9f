"""The pictures of a run's images, out of the source they came from."""

from __future__ import annotations

import io
from collections.abc import Sequence, Set

import numpy as np
import numpy.typing as npt
from PIL import Image

from coterie.data.base import Pixels, Source, Unreadable
from coterie.data.reading.channels import as_colours
from coterie.data.reading.depth import Scale
from coterie.data.reading.parallel import in_parallel
from coterie.naming import matched
from coterie.runs.assignments import Assignments
from coterie.text import printable

# Pictures up to this side are kept and shown pixel by pixel.
PIXEL_ART = 32


class Pictures:
    """Images of a source by row of the run; `native` is their own side in pixels, 0 for features.

    Args:
        scale: black and white of images of more than eight bits, as the run read them.
    """

    def __init__(self, source: Source, assignments: Assignments, scale: Scale) -> None:
        self._source, self._scale = source, scale
        self._keys = [printable(key) for key in assignments.keys]
        places = {printable(key): place for place, key in enumerate(source.keys)}
        self._places = {key: places[name] for name, key in matched(places, self._keys).items()}
        self.native = source.outline().side

    def without(self, keys: Set[str]) -> Pictures | None:
        """These but for the images of some keys of the source; None where that leaves none."""
        unwanted = {place for place, key in enumerate(self._source.keys) if key in keys}
        self._places = {key: place for key, place in self._places.items() if place not in unwanted}
        return self if self._places else None

    def decoded(self, rows: Sequence[int], side: int) -> list[npt.NDArray[np.uint8] | None]:
        """Each row's image, (S, S, 3) with S at most `side`; None where it is not there or cannot be read."""
        side = min(side, self.native)
        places = {row: self._places.get(self._keys[row]) for row in rows}
        found: dict[int, npt.NDArray[np.uint8]] = {}

        def receive(place: int, pixels: Pixels | Unreadable) -> None:
            if not isinstance(pixels, Unreadable):
                found[place] = as_colours(pixels)

        in_parallel(
            self._source.parts([place for place in places.values() if place is not None]),
            lambda part: self._source.decode_part(part, side, self._scale),
            receive,
            threads=self._source.in_flight,
        )
        return [None if place is None else found.get(place) for place in places.values()]


def encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A picture (S, S, 3) as PNG where it is tiny, else as JPEG."""
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    if pixels.shape[0] <= PIXEL_ART:
        image.save(stream, "PNG", optimize=True)
    else:
        image.save(stream, "JPEG", quality=85)
    return stream.getvalue()
