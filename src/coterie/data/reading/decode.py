"""One image file to a square of uint8 RGB, whatever its kind; anything wrong with it becomes one clear reason."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from coterie.data.base import Unreadable
from coterie.data.reading.animation import seek_shown
from coterie.data.reading.depth import Scale, low_bytes_of
from coterie.data.reading.formats import missing_decoder, open_image, without_text
from coterie.data.reading.opened import opened, unreadable_reasons
from coterie.data.reading.pixels import fit_square, fit_values
from coterie.data.reading.room import room, room_for, room_for_page
from coterie.data.reading.tiff import Page, colours_of, pages_of

_ORIENTATION_TAG = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_file(file: Path | BinaryIO, side: int, scale: Scale = ()) -> npt.NDArray[np.uint8]:
    """The image in a file, upright, over white, centre-cropped to a square and resized: (side, side, 3) uint8.

    JPEG files are decoded at the smallest scale that suffices. Of an animation it is the first frame that shows more
    than one colour.

    Args:
        file: its path, or an open one, as of bytes in memory.
        side: pixels.
        scale: black and white of images of more than eight bits; empty for each image's own.

    Raises:
        Unreadable: with the reason; no other exception leaves this function, whatever the file holds.
    """
    with unreadable_reasons(file), opened(file) as stream:
        return _decoded(stream, side, scale)


def _decoded(stream: BinaryIO, side: int, scale: Scale) -> npt.NDArray[np.uint8]:
    page = next(pages_of(stream), None)
    if page is not None and page.taken_amiss:
        return _of_page(stream, page, side, scale)
    try:
        return _by_pillow(stream, side, scale)
    except UnidentifiedImageError:
        if page is not None:
            return _of_page(stream, page, side, scale)
        if missing := missing_decoder(stream):
            raise Unreadable(missing) from None
        raise
    except (Unreadable, Image.DecompressionBombError, MemoryError):
        raise
    except Exception:
        plain = without_text(stream)
        if plain is None:
            raise
        return _by_pillow(plain, side, scale)


def _by_pillow(stream: BinaryIO, side: int, scale: Scale) -> npt.NDArray[np.uint8]:
    stream.seek(0)
    with open_image(stream) as image:
        with room(room_for(image, side)):
            seek_shown(image)
            square = fit_square(image, side, scale, low_bytes_of(image, stream))
        return _upright(square, _orientation(image))


def _of_page(stream: BinaryIO, page: Page, side: int, scale: Scale) -> npt.NDArray[np.uint8]:
    """A TIFF that Pillow does not read, if it is grey or in colours."""
    with room(room_for_page(page)):
        return _upright(fit_values(colours_of(stream, page), side, scale), page.orientation)


def _upright(square: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    turned = _TRANSPOSITIONS.get(orientation)
    return square if turned is None else np.asarray(Image.fromarray(square).transpose(turned))


def _orientation(image: Image.Image) -> int:
    if image.format == "JPEG" and "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # A damaged EXIF block does not make the picture unusable.
        return 1
