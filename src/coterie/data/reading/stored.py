"""What a file tells of the image in it: its size, its pages, and the range of its values."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import UnidentifiedImageError

from coterie.data.reading.depth import Range, low_bytes_of, range_of, range_of_image
from coterie.data.reading.formats import open_image
from coterie.data.reading.opened import opened
from coterie.data.reading.room import room, room_for, room_for_page
from coterie.data.reading.tiff import colours_of, pages_of


def stored_size(file: Path | BinaryIO) -> tuple[int, int] | None:
    """Width and height of the image in a file in pixels, from its header; None where it cannot be read."""
    with _looking(), opened(file) as stream:
        if (page := next(pages_of(stream), None)) is not None:
            return page.width, page.height
        stream.seek(0)
        with open_image(stream) as image:
            return int(image.width), int(image.height)
    return None


def stored_pages(file: Path | BinaryIO) -> int:
    """How many pages the TIFF in a file holds; 1 for other images, and where it cannot be read."""
    with _looking(), opened(file) as stream:
        return max(1, sum(1 for _ in pages_of(stream)))
    return 1


def stored_range(file: Path | BinaryIO) -> Range | None:
    """The range of the values in an image of more than eight bits; None of any other, or where it cannot be read."""
    with _looking(), opened(file) as stream:
        page = next(pages_of(stream), None)
        if page is None or not page.taken_amiss:
            with contextlib.suppress(UnidentifiedImageError):
                return _by_pillow(stream)
        if page is not None:
            with room(room_for_page(page)):
                return range_of(colours_of(stream, page))
    return None


def _by_pillow(stream: BinaryIO) -> Range | None:
    stream.seek(0)
    with open_image(stream) as image, room(room_for(image, 1)):
        return range_of_image(image, low_bytes_of(image, stream))


@contextlib.contextmanager
def _looking() -> Iterator[None]:
    """Nothing is said or raised: reading the source tells what is wrong with a file."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        yield
