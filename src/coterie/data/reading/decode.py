"""One image file to a square of uint8 RGB, whatever its kind; anything wrong with it becomes one clear reason."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from coterie.data.base import Unreadable
from coterie.data.reading.formats import missing_decoder, open_image, without_text
from coterie.data.reading.pixels import fit_square, fit_values
from coterie.data.reading.tiff import Page, pages_of, read_page

# What a decoder may hold of one image, in bytes: 178 megapixels of plain colour, which is what Pillow takes for bombs.
_MOST_BYTES = 1 << 30
# Images above this are decoded one at a time, so that memory stays bounded however many cores there are.
LARGE_BYTES = 100_000_000
large = threading.Lock()

_ORIENTATION_TAG = 0x0112
_BITS, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH = 258, 278, 322, 323
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_REASONS = {
    errno.ENOENT: "gone, or a link to nothing",
    errno.ELOOP: "a link that leads in a circle",
    errno.ENXIO: "not a file, but a socket or a device",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
}


def decode_file(file: Path | BinaryIO, side: int) -> npt.NDArray[np.uint8]:
    """The image in a file, upright, over white, centre-cropped to a square and resized: (side, side, 3) uint8.

    JPEG files are decoded at the smallest scale that suffices.

    Args:
        file: its path, or an open one, as of bytes in memory.
        side: pixels.

    Raises:
        Unreadable: with the reason; no other exception leaves this function, whatever the file holds.
    """
    with unreadable_reasons(file), opened(file) as stream:
        return _decoded(stream, side)


@contextlib.contextmanager
def unreadable_reasons(file: Path | BinaryIO) -> Iterator[None]:
    """Whatever opening and decoding a file raises becomes `Unreadable`, with a reason."""
    try:
        yield
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(
            "the file is empty" if _is_empty(file) else "not an image, or of a kind that is not known"
        ) from None
    except Image.DecompressionBombError:
        raise Unreadable("too large: over 178 megapixels") from None
    except MemoryError:
        raise Unreadable("not enough memory to decode it") from None
    except Exception as error:  # Decoders raise nearly anything on damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(f"damaged: {reason[:200]}") from None


def _decoded(stream: BinaryIO, side: int) -> npt.NDArray[np.uint8]:
    page = next(pages_of(stream), None)
    if page is not None and page.taken_amiss:
        return _of_page(stream, page, side)
    try:
        return _by_pillow(stream, side)
    except UnidentifiedImageError:
        if page is not None:
            return _of_page(stream, page, side)
        if missing := missing_decoder(stream):
            raise Unreadable(missing) from None
        raise
    except (Unreadable, Image.DecompressionBombError, MemoryError):
        raise
    except Exception:
        plain = without_text(stream)
        if plain is None:
            raise
        return _by_pillow(plain, side)


def _by_pillow(stream: BinaryIO, side: int) -> npt.NDArray[np.uint8]:
    stream.seek(0)
    with open_image(stream) as image:
        needed = room_for(image, side)
        with large if needed > LARGE_BYTES else contextlib.nullcontext():
            square = fit_square(image, side)
        return _upright(square, _orientation(image))


def _of_page(stream: BinaryIO, page: Page, side: int) -> npt.NDArray[np.uint8]:
    """A TIFF that Pillow does not read, if it is grey or in colours."""
    colours = page.channels >= 3 and page.is_rgb
    if page.channels > 1 and not colours:
        raise Unreadable(
            f"a TIFF of {page.channels} channels: say which of them are looked at, by --channels all or such as 0,1"
        )
    with large if room_for_page(page) > LARGE_BYTES else contextlib.nullcontext():
        return _upright(fit_values(read_page(stream, page)[..., : 3 if colours else 1], side), page.orientation)


def room_for_page(page: Page) -> int:
    """Bytes that reading takes: what is packed and unpacked, and floats of it."""
    needed = 4 * page.size
    if needed > _MOST_BYTES:
        raise Unreadable(_too_large(page.width, page.height, needed))
    return needed


def _upright(square: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    turned = _TRANSPOSITIONS.get(orientation)
    return square if turned is None else np.asarray(Image.fromarray(square).transpose(turned))


def stored_size(file: Path | BinaryIO) -> tuple[int, int] | None:
    """Width and height of the image in a file in pixels, from its header; None where it cannot be read."""
    try:
        with warnings.catch_warnings(), opened(file) as stream:
            warnings.simplefilter("ignore")  # Reading the source tells what is wrong with a file.
            if (page := next(pages_of(stream), None)) is not None:
                return page.width, page.height
            stream.seek(0)
            with open_image(stream) as image:
                return int(image.width), int(image.height)
    except Exception:
        return None


def stored_pages(file: Path | BinaryIO) -> int:
    """How many pages the TIFF in a file holds; 1 for other images, and where it cannot be read."""
    try:
        with opened(file) as stream:
            return max(1, sum(1 for _ in pages_of(stream)))
    except Exception:
        return 1


@contextlib.contextmanager
def opened(file: Path | BinaryIO) -> Iterator[BinaryIO]:
    """The file, open, if it is one: a named pipe would keep its reader waiting, a device might never end."""
    if not isinstance(file, Path):
        yield file
        return
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        number = os.open(file, flags)
    except (OSError, ValueError) as error:
        known = _REASONS.get(error.errno or 0) if isinstance(error, OSError) else None
        reason = error.strerror if isinstance(error, OSError) else error
        raise Unreadable(known or f"cannot be opened: {reason}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Unreadable("not a file, but a pipe, a device or a folder")
    with os.fdopen(number, "rb") as stream:
        yield stream


def _is_empty(file: Path | BinaryIO) -> bool:
    return (file.stat().st_size if isinstance(file, Path) else file.seek(0, os.SEEK_END)) == 0


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
    needed = image.width * image.height * _bytes_per_pixel(image.mode) + held
    if needed > _MOST_BYTES:
        raise Unreadable(_too_large(width, height, needed))
    return needed


def _too_large(width: int, height: int, needed: int) -> str:
    return (
        f"too large: {width}×{height} pixels take {needed / 1e9:.1f} GB to decode, {_MOST_BYTES / 1e9:.1f} GB is "
        "the most: make it smaller, or a JPEG that is not progressive"
    )


def _bytes_per_pixel(mode: str) -> int:
    """Of Pillow's memory."""
    if mode in ("1", "L", "P"):
        return 1
    return 2 if mode.startswith("I;16") else 4


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


def _orientation(image: Image.Image) -> int:
    if image.format == "JPEG" and "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # A damaged EXIF block does not make the picture unusable.
        return 1
