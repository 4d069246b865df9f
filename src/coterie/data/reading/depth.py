"""Images of more than eight bits: their values, and what black and white are among those of a whole source."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

# The values that are black and white; empty where each image's own decide.
Scale = tuple[float, ...]
# Brighter or darker than all but these of an image may be a hot pixel, or no value at all.
_RARE = 1e-3
# How far above white filters make the values of floats that go from 0 to 1, and those of others.
_OVER_ONE, _OVER = 1.5, 1.1
# Pixels looked at in one piece.
_AT_ONCE = 4_000_000
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


@dataclass(frozen=True)
class Range:
    """The lowest and the highest value of an image, but for rare ones, and whether all are whole by their kind."""

    low: float
    high: float
    whole: bool


def scale_of(ranges: Iterable[Range]) -> Scale:
    """Black and white for images with these ranges: one rule for all of them, so that none is brighter for itself.

    White is the greatest value of the fewest bits that hold all values: 8, 10, 12, …; of floats it is 1, or where they
    are much smaller ¼, 1/16, …, and such filters as overshoot are forgiven. Black is 0, or −white where there are
    negative values.

    Returns:
        Two values, or none where there are no ranges, or of floats and whole numbers together.
    """
    found = list(ranges)
    if len({each.whole for each in found}) != 1:
        return ()
    low, high = min(each.low for each in found), max(each.high for each in found)
    peak = max(high, -low)
    if found[0].whole:
        white = _levels(max(peak, 255))
    elif peak > _OVER_ONE:
        white = _levels(peak / _OVER)
    else:
        white = 4.0 ** math.ceil(math.log(max(peak, 1e-30) / _OVER_ONE, 4)) if peak > 0 else 1.0
    return (-white if low < -0.05 * white else 0.0, white)


def _levels(peak: float) -> float:
    """The least 4ᵏ − 1 that is no less."""
    bits = 2
    while (1 << bits) - 1 < peak and bits < 1000:
        bits += 2
    return float((1 << bits) - 1)


def is_deep(image: Image.Image) -> bool:
    """Whether an image in one channel has more than eight bits."""
    return image.mode.startswith("I") or image.mode == "F"


def range_of_image(image: Image.Image, low_bytes: Image.Image | None) -> Range | None:
    """The range of an opened image; None of one of eight bits, and where no value is a finite number."""
    if low_bytes is None and not is_deep(image):
        return None
    rows = max(1, _AT_ONCE // image.width)
    boxes = ((0, top, image.width, min(image.height, top + rows)) for top in range(0, image.height, rows))
    cut = ((image.crop(box), None if low_bytes is None else low_bytes.crop(box)) for box in boxes)
    return _joined(range_of(levels(*parts)) for parts in cut)


def range_of(values: npt.NDArray[Any]) -> Range | None:
    """The range of values (H, W) or (H, W, C); None of bytes, and where none is a finite number."""
    if values.dtype == np.uint8:
        return None
    rows = max(1, _AT_ONCE // max(1, values[0].size))
    return _joined(_range(values[top : top + rows].ravel()) for top in range(0, len(values), rows))


def _range(values: npt.NDArray[Any]) -> Range | None:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    rare = int(_RARE * len(finite))
    ordered = np.partition(finite, (rare, len(finite) - 1 - rare))
    return Range(float(ordered[rare]), float(ordered[len(finite) - 1 - rare]), values.dtype.kind != "f")


def _joined(ranges: Iterable[Range | None]) -> Range | None:
    found = [each for each in ranges if each is not None]
    if not found:
        return None
    return Range(min(each.low for each in found), max(each.high for each in found), found[0].whole)


def own_scale(found: Range | None) -> Scale:
    """Black and white of an image by its own range."""
    return (0.0, 255.0) if found is None else scale_of([found])


def levels(image: Image.Image, low_bytes: Image.Image | None) -> npt.NDArray[Any]:
    """The values of a deep image: (H, W), or without any alpha (H, W, 3) where its bytes came apart."""
    high: npt.NDArray[Any] = np.asarray(image)
    if low_bytes is None:
        return high
    low: npt.NDArray[Any] = np.asarray(low_bytes)
    values: npt.NDArray[Any] = high[..., :3].astype(np.uint16) << 8 | low[..., :3]
    return values


def to_eight_bits(values: npt.NDArray[Any], scale: Scale) -> npt.NDArray[np.uint8]:
    """Values from black to white as 0 to 255; what is no number is black."""
    black, white = scale
    with np.errstate(all="ignore"):
        shares = (values.astype(np.float64) - black) * (255.0 / (white - black))
    return np.clip(np.rint(np.nan_to_num(shares, nan=0.0)), 0, 255).astype(np.uint8)


def has_low_bytes(image: Image.Image) -> bool:
    """Whether an opened image is in colours of 16 bits."""
    modes = _modes(image)
    return image.mode.startswith("RGB") and bool(modes) and all(mode[-4:-1] == ";16" for mode in modes)


def low_bytes_of(image: Image.Image, stream: BinaryIO) -> Image.Image | None:
    """The low bytes of an image in colours of 16 bits, of which Pillow keeps the high ones; None of any other.

    The file is read once more with the bytes of each value in the other order.

    Args:
        image: an opened one, which is loaded.
        stream: what it was opened from.
    """
    if not has_low_bytes(image):
        return None
    formats = (image.format or "",)
    image.load()
    stream.seek(0)
    low = Image.open(stream, formats=formats)
    _retile(low, lambda mode: mode[:-1] + _OTHER_ORDER[mode[-1]])
    try:
        low.load()
    except ValueError:  # Not all kinds are known the other way round.
        return None
    return low


def _modes(image: Image.Image) -> list[str]:
    """How the decoder is told to take the bytes of each tile."""
    arguments = [tile[3] for tile in getattr(image, "tile", ())]
    return [str(each[0] if isinstance(each, tuple) else each or "") for each in arguments]


def _retile(image: Any, change: Callable[[str], str]) -> None:
    image.tile = [
        tile._replace(
            args=(change(tile.args[0]), *tile.args[1:]) if isinstance(tile.args, tuple) else change(tile.args or "")
        )
        for tile in image.tile
    ]
