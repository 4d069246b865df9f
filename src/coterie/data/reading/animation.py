"""Which frame of an animation stands for it."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Animations, as opposed to the pages of a TIFF or the pictures of an MPO.
_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")
# Frames that are looked at, and values that a frame of one colour may differ by, as compression makes them.
_MOST, _ALIKE = 16, 8


def seek_shown(image: Image.Image) -> None:
    """Go to the first frame that shows more than one colour; many begin with a black one."""
    if image.format not in _FORMATS or not getattr(image, "is_animated", False) or not _plain(image):
        return
    for number in range(1, min(_MOST, image.n_frames)):  # type: ignore[attr-defined]
        image.seek(number)
        if not _plain(image):
            return
    image.seek(0)


def _plain(image: Image.Image) -> bool:
    pixels = np.asarray(image.convert("RGB"))
    return bool((np.ptp(pixels, axis=(0, 1)) <= _ALIKE).all())
