"""The usual augmentation, one image at a time with Pillow: the plain baseline."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps

_MEAN = np.array([0.49, 0.48, 0.45], dtype=np.float32).reshape(3, 1, 1)
_DEVIATION = np.array([0.25, 0.24, 0.26], dtype=np.float32).reshape(3, 1, 1)


def pillow_view(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A random crop of 8 to 100 %, resized, flipped, jittered (.4, .4, .4, .1) with p .8, grey with p .2: (3, S, S)."""
    image = _resized_crop(Image.fromarray(pixels), rng)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    if rng.random() < 0.8:
        for change in rng.permutation(4):
            image = _changed(image, int(change), rng)
    if rng.random() < 0.2:
        image = image.convert("L").convert("RGB")
    array = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255
    result: npt.NDArray[np.float32] = (array - _MEAN) / _DEVIATION
    return result


def _resized_crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    side = image.width
    for _ in range(10):
        area, ratio = side * side * rng.uniform(0.08, 1.0), math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= side and 0 < height <= side:
            left, top = int(rng.integers(side - width + 1)), int(rng.integers(side - height + 1))
            box = (left, top, left + width, top + height)
            return image.resize((side, side), Image.Resampling.BILINEAR, box=box)
    return image


def _changed(image: Image.Image, change: int, rng: np.random.Generator) -> Image.Image:
    if change < 3:
        enhancer: Any = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[change]
        changed: Image.Image = enhancer(image).enhance(rng.uniform(0.6, 1.4))
        return changed
    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int16) + int(rng.uniform(-0.1, 0.1) * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")
