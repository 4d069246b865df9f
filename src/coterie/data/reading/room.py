"""What decoding an image takes of the memory, told by its header, and that large ones take it one after the other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from PIL import Image

from coterie.data.base import Unreadable
from coterie.data.reading.depth import has_low_bytes
from coterie.data.reading.tiff import Page

# What a decoder may hold of one image, in bytes: 178 megapixels of plain colour, which is what Pillow takes for bombs.
_MOST_BYTES = 1 << 30
# Images above this are decoded one at a time, so that memory stays bounded however many cores there are.
_LARGE_BYTES = 100_000_000
_large = threading.Lock()
_BITS, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 258, 278, 322, 323


@contextlib.contextmanager
def room(needed: int) -> Iterator[None]:
    """Room for `needed` bytes of an image, once no other thread holds as large a one."""
    with _large if needed > _LARGE_BYTES else contextlib.nullcontext():
        yield


def room_for(image: Image.Image, side: int) -> int:
    """Bytes that decoding takes, told by the header, once JPEG is set to the scale that suffices for `side`.

    Raises:
        Unreadable: they are more than `_MOST_BYTES`.
    """
    width, height = image.size
    if min(width, height) < 1:
        raise Unreadable("it has no pixels")
    held = _held_beside(image)
    image.draft(None, (side, side))
    needed = image.width * image.height * _bytes_per_pixel(image) + held
    if needed > _MOST_BYTES:
        raise Unreadable(_too_large(width, height, needed))
    return needed


def room_for_page(page: Page) -> int:
    """Bytes that reading takes: what is packed and unpacked, and floats of it."""
    needed = 4 * page.size
    if needed > _MOST_BYTES:
        raise Unreadable(_too_large(page.width, page.height, needed))
    return needed


def _too_large(width: int, height: int, needed: int) -> str:
    return (
        f"too large: {width}×{height} pixels take {needed / 1e9:.1f} GB to decode, {_MOST_BYTES / 1e9:.1f} GB is "
        "the most: make it smaller, or a JPEG that is not progressive"
    )


def _bytes_per_pixel(image: Image.Image) -> int:
    """Of Pillow's memory."""
    if image.mode in ("1", "L", "P"):
        return 1
    if image.mode.startswith("I;16"):
        return 2
    return 8 if has_low_bytes(image) else 4


def _held_beside(image: Image.Image) -> int:
    """Bytes that a decoder holds beside Pillow's pixels: some need the whole image, or more, at once."""
    area = image.width * image.height
    if image.format in ("WEBP", "AVIF", "HEIF"):
        return 12 * area  # Two canvases and a copy, with four channels each.
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        return 2 * len(image.getbands()) * area  # The coefficients of all scans.
    if image.format == "TIFF":
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        bits = tags.get(_BITS, (1,))
        tile = int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))
        strip = image.width * min(image.height, int(tags.get(_ROWS_PER_STRIP, image.height)))
        return (tile or strip) * max(1, sum(int(each) for each in bits) // 8)
    return 0
