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
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch.nn import functional as F

# Larger ones are taken for decompression bombs: about 0.5 GB of pixels.
MAX_PIXELS = 178_000_000
# Images above this are decoded one at a time, so that memory stays bounded however many cores there are.
_LARGE_PIXELS = 25_000_000
_large = threading.Lock()
# Images more than this many times too large are reduced by blocks before they are resized.
_REDUCED = 6

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


class Unreadable(Exception):
    """An image cannot be used; the message is the reason a person reads."""


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
    try:
        with _opened(file) as stream, Image.open(stream) as image:
            _check_size(image)
            image.draft(None, (side, side))
            heavy = image.width * image.height > _LARGE_PIXELS
            with _large if heavy else contextlib.nullcontext():
                square = fit_square(to_rgb(image), side)
            turned = _TRANSPOSITIONS.get(_orientation(image))
        return square if turned is None else np.asarray(Image.fromarray(square).transpose(turned))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(
            "the file is empty" if _is_empty(file) else "not an image, or of a kind that is not known"
        ) from None
    except Image.DecompressionBombError:
        raise Unreadable(f"too large: over {MAX_PIXELS // 1_000_000} megapixels") from None
    except MemoryError:
        raise Unreadable("not enough memory to decode it") from None
    except Exception as error:  # Decoders raise nearly anything on damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(f"damaged: {reason[:200]}") from None


def stored_size(file: Path | BinaryIO) -> tuple[int, int] | None:
    """Width and height of the image in a file in pixels, from its header; None where it cannot be read."""
    try:
        with warnings.catch_warnings(), _opened(file) as stream:
            warnings.simplefilter("ignore")  # Reading the source tells what is wrong with a file.
            with Image.open(stream) as image:
                return int(image.width), int(image.height)
    except Exception:
        return None


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB over white from any mode: palettes, grey, alpha, CMYK, 16-bit and floating point among them."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_eight_bits(np.asarray(image)))
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def fit_square(image: Image.Image, side: int) -> npt.NDArray[np.uint8]:
    """The central square of an RGB image, resized to `side` pixels with antialiasing: (side, side, 3)."""
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    if image.width != image.height:
        # Cutting is cheaper than copying what is cut away out of Pillow.
        image = image.crop((left, top, left + short, top + short))
    if short > _REDUCED * side:
        # Averaging whole blocks first costs little and is not to be seen in the end.
        image = image.reduce(int(short / side / 2))
    pixels = np.array(image)
    if image.width == side:
        return pixels
    # The same filter as Pillow's, several times as fast.
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)
    resized = F.interpolate(channels_first, (side, side), mode="bicubic", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


@contextlib.contextmanager
def _opened(file: Path | BinaryIO) -> Iterator[BinaryIO]:
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


def _to_eight_bits(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Intensities of more than eight bits to 0..255, by the range their kind implies."""
    intensities = np.nan_to_num(values.astype(np.float64))
    highest = float(intensities.max(initial=0.0))
    if np.issubdtype(values.dtype, np.floating) and highest <= 1.0:
        full = 1.0
    else:
        full = 65535.0 if values.dtype.itemsize == 2 or highest > 255.0 else 255.0
    return np.clip(np.rint(intensities * (255.0 / full)), 0, 255).astype(np.uint8)


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"too large: {width}×{height} pixels is over {MAX_PIXELS // 1_000_000} megapixels")
    if min(width, height) < 1:
        raise Unreadable("it has no pixels")


def _orientation(image: Image.Image) -> int:
    if image.format == "JPEG" and "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # A damaged EXIF block does not make the picture unusable.
        return 1
