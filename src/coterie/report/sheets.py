"""Sheets: many small pictures in one file each, so that a page can hold thousands."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional as F

from coterie.runs.pictures import PIXEL_ART

# Bytes of all sheets together: base64 makes them a third longer, and the page is to stay under 15 MB.
BUDGET = 6_900_000
# Pixels along a sheet's sides; browsers hold decoded sheets, so they should not be all needed for a single picture.
_SHEET_SIDE = 1024
# Sides are whole blocks of a JPEG with halved colour, so that no picture colours its neighbour.
_BLOCK, _LEAST_SIDE, _MOST_SIDE = 16, 16, 112
# What noise may shrink to.
_SMALLEST_SIDE = 4
# Bytes a pixel of photographs takes at the first quality.
_BYTES_PER_PIXEL = 0.28
_QUALITIES = (75, 60, 45, 30)


@dataclass(frozen=True)
class Sheets:
    """Pictures of `rows` of the run, tile by tile from the top left of the first sheet, `columns` × `columns` a sheet.

    Args:
        side: of a picture, pixels.
        columns: pictures along a sheet's width and, but for the last sheet, its height.
        rows: which picture each tile is.
        images: the sheets as PNG or JPEG.
    """

    side: int
    columns: int
    rows: list[int]
    images: list[bytes]

    @property
    def mime(self) -> str:
        return "image/png" if self.images[0].startswith(b"\x89PNG") else "image/jpeg"


def side_for(count: int) -> int:
    """The side that lets so many photographs keep to the budget, in pixels."""
    side = int((BUDGET / max(1, count) / _BYTES_PER_PIXEL) ** 0.5)
    return max(_LEAST_SIDE, min(_MOST_SIDE, side // _BLOCK * _BLOCK))


def make_sheets(rows: Sequence[int], tiles: npt.NDArray[np.uint8], *, budget: int = BUDGET) -> Sheets:
    """Lay tiles (n, S, S, 3) out on sheets of no more than `budget` bytes in all.

    Quality gives way first, then the pictures' side: noise takes several times the bytes of a photograph.

    Raises:
        ValueError: the budget is too small for pictures of any side.
    """
    side = tiles.shape[1]
    if side <= PIXEL_ART:
        images = _encoded(tiles, None, budget)
        if images is not None:
            return Sheets(side, _columns(side), list(rows), images)
    while True:
        for quality in _QUALITIES:
            images = _encoded(tiles, quality, budget)
            if images is not None:
                return Sheets(side, _columns(side), list(rows), images)
        if side <= _SMALLEST_SIDE:
            raise ValueError(f"{len(rows)} pictures do not fit into {budget} bytes")
        side = max(_SMALLEST_SIDE, side * 3 // 4 // 4 * 4)
        tiles = _shrunk(tiles, side)


def tiles_of(encoded: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Encoded square pictures as tiles of one size (n, S, S, 3), at the side that suits so many.

    Raises:
        OSError, ValueError: one is no such picture.
    """
    # Only what we write ourselves: other kinds may start programs, and other sizes fill the memory.
    opened = [Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) for data in encoded]
    if any(max(image.size) > _SHEET_SIDE for image in opened):
        raise ValueError("a picture is too large")
    images = [image.convert("RGB") for image in opened]
    side = min(side_for(len(images)), max(image.width for image in images))
    return np.stack([np.asarray(image.resize((side, side), Image.Resampling.LANCZOS)) for image in images])


def _columns(side: int) -> int:
    return max(1, _SHEET_SIDE // side)


def _encoded(tiles: npt.NDArray[np.uint8], quality: int | None, budget: int) -> list[bytes] | None:
    """Every sheet as JPEG, or as PNG without a quality; None as soon as they exceed the budget."""
    images: list[bytes] = []
    for sheet in _laid_out(tiles):
        stream = io.BytesIO()
        if quality is None:
            sheet.save(stream, "PNG")
        else:
            sheet.save(stream, "JPEG", quality=quality, optimize=True)
        images.append(stream.getvalue())
        budget -= len(images[-1])
        if budget < 0:
            return None
    return images


def _laid_out(tiles: npt.NDArray[np.uint8]) -> Iterator[Image.Image]:
    side = tiles.shape[1]
    columns = _columns(side)
    for start in range(0, len(tiles), columns * columns):
        part = tiles[start : start + columns * columns]
        height = -(-len(part) // columns)
        sheet = np.zeros((height * columns, side, side, 3), dtype=np.uint8)
        sheet[: len(part)] = part
        pixels = sheet.reshape(height, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
        yield Image.fromarray(np.ascontiguousarray(pixels.reshape(height * side, columns * side, 3)))


def _shrunk(tiles: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    images = torch.from_numpy(tiles).permute(0, 3, 1, 2)
    small = F.interpolate(images, (side, side), mode="bicubic", antialias=True)
    return small.permute(0, 2, 3, 1).contiguous().numpy()
