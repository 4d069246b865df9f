"""An opened image of any kind to a square of uint8 RGB, in little more memory than the image itself takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional as F

# Images more than this many times too large are reduced by blocks before they are resized.
_REDUCED = 6
# Pixels that are converted at a time: a conversion takes many times the bytes of what it converts.
_AT_ONCE = 4_000_000


def fit_values(values: npt.NDArray[Any], side: int) -> npt.NDArray[np.uint8]:
    """The same of values (H, W, C), grey or red, green and blue, of one scale."""
    kind = values.dtype if values.dtype in (np.uint8, np.uint16) else np.float32
    bands = [Image.fromarray(np.ascontiguousarray(band, dtype=kind)) for band in np.moveaxis(values, 2, 0)]
    full = None if kind == np.uint8 else max(map(_full_scale, bands))
    grey = [fit_square(band, side, full)[..., 0] for band in bands]
    return np.stack(grey * (3 if len(grey) == 1 else 1), axis=2)


def fit_square(image: Image.Image, side: int, full: float | None = None) -> npt.NDArray[np.uint8]:
    """The central square of an image of any mode, over white, resized with antialiasing: (side, side, 3) uint8.

    Args:
        full: white among more than eight bits; None takes what the image implies.
    """
    short = min(image.size)
    # Averaging whole blocks first costs little and is not to be seen in the end.
    block = int(short / side / 2) if short > _REDUCED * side else 1
    if full is None and (image.mode.startswith("I") or image.mode == "F"):
        full = _full_scale(image)
    parts = []
    for band in _bands(image, short, block):
        colours = _to_rgb(band, full)
        parts.append(np.array(colours if block == 1 else colours.reduce(block)))
    pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(pixels) == side:
        return pixels
    # The same filter as Pillow's, several times as fast.
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)
    resized = F.interpolate(channels_first, (side, side), mode="bicubic", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def _bands(image: Image.Image, short: int, block: int) -> Iterator[Image.Image]:
    """The central square of `short` pixels from top to bottom, in bands of whole blocks."""
    left, top = (image.width - short) // 2, (image.height - short) // 2
    rows = max(1, _AT_ONCE // (short * block)) * block
    if rows >= short and image.width == image.height:
        yield image
        return
    for start in range(0, short, rows):
        # Cutting is cheaper than copying what is cut away out of Pillow.
        yield image.crop((left, top + start, left + short, top + min(short, start + rows)))


def _to_rgb(image: Image.Image, full: float | None) -> Image.Image:
    """RGB over white from any mode: palettes, grey, alpha, CMYK, and with `full` those of more than eight bits."""
    if full is not None:
        image = Image.fromarray(_to_eight_bits(np.asarray(image), full))
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _full_scale(image: Image.Image) -> float:
    """What white is in an image of more than eight bits, by the range its kind and its values imply."""
    if image.mode.startswith("I;16"):
        return 65535.0
    # A value that is no number counts as black, and infinity as the greatest number there is.
    rows = max(1, _AT_ONCE // image.width)
    bands = (image.crop((0, top, image.width, min(image.height, top + rows))) for top in range(0, image.height, rows))
    highest = max(float(np.nan_to_num(np.asarray(band)).max()) for band in bands)
    if image.mode == "F" and highest <= 1.0:
        return 1.0
    return 65535.0 if highest > 255.0 else 255.0


def _to_eight_bits(values: npt.NDArray[np.generic], full: float) -> npt.NDArray[np.uint8]:
    intensities = np.nan_to_num(values.astype(np.float64))
    return np.clip(np.rint(intensities * (255.0 / full)), 0, 255).astype(np.uint8)
