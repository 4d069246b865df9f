"""An opened image of any kind to a square of uint8 RGB, in little more memory than the image itself takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional as F

from coterie.data.reading.depth import Scale, is_deep, levels, own_scale, range_of, range_of_image, to_eight_bits

Box = tuple[int, int, int, int]
# Images more than this many times too large are reduced by blocks before they are resized.
_REDUCED = 6
# Pixels that are converted at a time: a conversion takes many times the bytes of what it converts.
_AT_ONCE = 4_000_000


def fit_values(values: npt.NDArray[Any], side: int, scale: Scale = ()) -> npt.NDArray[np.uint8]:
    """What `fit_square` makes of values (H, W, C), grey or red, green and blue."""
    deep = values.dtype != np.uint8
    if deep and not scale:
        scale = own_scale(range_of(values))
    kind = values.dtype if values.dtype in (np.uint8, np.uint16) else np.float32
    bands = (Image.fromarray(np.ascontiguousarray(band, dtype=kind)) for band in np.moveaxis(values, 2, 0))
    grey = [fit_square(band, side, scale)[..., 0] for band in bands]
    return np.stack(grey * (3 if len(grey) == 1 else 1), axis=2)


def fit_square(
    image: Image.Image, side: int, scale: Scale = (), low_bytes: Image.Image | None = None
) -> npt.NDArray[np.uint8]:
    """The central square of an image of any mode, over white, resized with antialiasing: (side, side, 3) uint8.

    Args:
        scale: black and white of images of more than eight bits; empty for this one's own.
        low_bytes: of an image in colours of 16 bits, see `coterie.data.reading.depth`.
    """
    short = min(image.size)
    # Averaging whole blocks first costs little and is not to be seen in the end.
    block = int(short / side / 2) if short > _REDUCED * side else 1
    deep = is_deep(image) or low_bytes is not None
    if deep and not scale:
        scale = own_scale(range_of_image(image, low_bytes))
    parts = []
    for box in _bands(image, short, block):
        colours = _to_rgb(_cut(image, box), scale if deep else (), _cut(low_bytes, box))
        parts.append(np.array(colours if block == 1 else colours.reduce(block)))
    pixels = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(pixels) == side:
        return pixels
    # The same filter as Pillow's, several times as fast.
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)
    resized = F.interpolate(channels_first, (side, side), mode="bicubic", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()


def _bands(image: Image.Image, short: int, block: int) -> Iterator[Box | None]:
    """The central square of `short` pixels from top to bottom, in bands of whole blocks; None for all of the image."""
    left, top = (image.width - short) // 2, (image.height - short) // 2
    rows = max(1, _AT_ONCE // (short * block)) * block
    if rows >= short and image.width == image.height:
        yield None
        return
    for start in range(0, short, rows):
        yield left, top + start, left + short, top + min(short, start + rows)


@overload
def _cut(image: Image.Image, box: Box | None) -> Image.Image: ...
@overload
def _cut(image: None, box: Box | None) -> None: ...
@overload
def _cut(image: Image.Image | None, box: Box | None) -> Image.Image | None: ...
def _cut(image: Image.Image | None, box: Box | None) -> Image.Image | None:
    # Cutting is cheaper than copying what is cut away out of Pillow.
    return image if image is None or box is None else image.crop(box)


def _to_rgb(image: Image.Image, scale: Scale, low_bytes: Image.Image | None) -> Image.Image:
    """RGB over white from any mode: palettes, grey, alpha, CMYK, and by a `scale` those of more than eight bits."""
    if scale:
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        image = Image.fromarray(to_eight_bits(levels(image, low_bytes), scale))
        if alpha is not None:
            image.putalpha(alpha)
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")
