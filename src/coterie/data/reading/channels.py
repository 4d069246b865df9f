"""Images of channels that are no colours, as of microscopes and satellites: their values, and squares of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from coterie.data.base import Unreadable
from coterie.data.reading.depth import levels, low_bytes_of
from coterie.data.reading.formats import open_image
from coterie.data.reading.opened import opened, unreadable_reasons
from coterie.data.reading.room import room, room_for, room_for_page
from coterie.data.reading.tiff import pages_of, read_page
from coterie.errors import UsageError

Values = npt.NDArray[Any]
# Darker and brighter than all but these of the pixels may be noise.
_RARE = 1e-3
MOST_CHANNELS = 64


def parsed_channels(text: str) -> tuple[int, ...]:
    """The numbers of channels that are named, from 0; none for `all`.

    Raises:
        UsageError: neither `all` nor numbers that commas part, or one of them twice.
    """
    if text.strip().lower() == "all":
        return ()
    with contextlib.suppress(ValueError):
        found = tuple(int(part) for part in text.split(","))
        if min(found) >= 0 and len({*found}) == len(found):
            return found
    raise UsageError(f"--channels wants `all`, or numbers from 0 such as 0,2,3, each once, and not '{text}'")


def read_values(path: Path) -> Values:
    """Every channel of the image in a file: (H, W, C). Of a TIFF with one channel in each of several pages, the pages.

    Raises:
        Unreadable: with the reason.
    """
    with unreadable_reasons(path), opened(path) as stream:
        pages = list(islice(pages_of(stream), MOST_CHANNELS))
        if not pages:
            with open_image(stream) as image, room(room_for(image, max(image.size))):
                low = low_bytes_of(image, stream)
                image = image.convert("RGB") if image.mode in ("P", "PA", "CMYK", "YCbCr", "1") else image
                values = levels(image, low)
                return values if values.ndim == 3 else values[..., np.newaxis]
        first = pages[0]
        kin = [
            page for page in pages if (page.width, page.height, page.bits) == (first.width, first.height, first.bits)
        ]
        taken = kin if first.channels == 1 and all(page.channels == 1 for page in kin) else [first]
        with room(sum(map(room_for_page, taken))):
            return np.concatenate([read_page(stream, page) for page in taken], axis=2)


def chosen(values: Values, channels: Sequence[int]) -> Values:
    """Some channels of an image, all where none are named; raises `Unreadable` for one it lacks."""
    if not channels:
        return values
    if max(channels) >= values.shape[2]:
        raise Unreadable(f"it has {values.shape[2]} channels, from 0, and no channel {max(channels)}")
    return values[..., list(channels)]


def ranges_of(images: Iterable[Values]) -> tuple[float, ...]:
    """What is black and white in each channel of some images: lowest and highest but for rare values, in turn.

    Bytes go from 0 to 255. Empty where there are no images.
    """
    lows: list[npt.NDArray[np.float64]] = []
    highs: list[npt.NDArray[np.float64]] = []
    for values in images:
        if values.dtype == np.uint8:
            return (0.0, 255.0) * int(values.shape[2])
        finite = np.nan_to_num(values.reshape(-1, values.shape[2]).astype(np.float64), posinf=0, neginf=0)
        low, high = np.quantile(finite, (_RARE, 1 - _RARE), axis=0)
        lows.append(low)
        highs.append(high)
    if not lows:
        return ()
    black, white = np.min(lows, axis=0), np.max(highs, axis=0)
    pairs = np.stack([black, np.where(white > black, white, black + 1)], axis=1)
    return tuple(float(value) for value in pairs.ravel())


def fit_channels(values: Values, ranges: Sequence[float], side: int) -> npt.NDArray[np.uint8]:
    """The central square of (H, W, C), each channel from black to white by `ranges`: (side, side, C) uint8."""
    height, width, channels = values.shape
    if len(ranges) != 2 * channels:
        raise Unreadable(f"it has {channels} channels, and not {len(ranges) // 2} as the others")
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    square = values[top : top + short, left : left + short].astype(np.float32)
    pixels = torch.from_numpy(np.nan_to_num(square)).permute(2, 0, 1).unsqueeze(0)
    if short != side:
        pixels = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True)
    low, high = torch.tensor(ranges).view(-1, 2).unbind(1)
    shares = (pixels[0] - low.view(-1, 1, 1)) / (high - low).view(-1, 1, 1)
    return (shares * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def as_colours(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures (…, C) for people: the first three channels as red, green and blue, the mean of fewer as grey."""
    if pixels.shape[-1] >= 3:
        return pixels[..., :3]
    grey = np.rint(pixels.mean(axis=-1, keepdims=True)).astype(np.uint8)
    return np.repeat(grey, 3, axis=-1)
