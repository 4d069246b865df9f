"""The pictures the page of a run shows, from the images it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from coterie.data.base import Rows, Source
from coterie.data.reading.channels import as_colours
from coterie.data.reading.depth import Scale
from coterie.data.reading.store import Store
from coterie.report.selection import folded, select, shown_rows
from coterie.report.sheets import make_sheets, side_for
from coterie.report.thumbnails import Thumbnails
from coterie.runs.assignments import Assignments
from coterie.runs.pictures import Pictures

_GALLERY_SIDE = 112
# More images than this are not decoded a second time if the run read them at such a side.
_DECODED_AGAIN, _GOOD_ENOUGH = 1000, 64
_AT_ONCE = 1024


def take_pictures(
    source: Source,
    assignments: Assignments,
    embeddings: Any,
    rows: Rows | None = None,
    *,
    first: npt.NDArray[np.int64] | None = None,
    scale: Scale = (),
) -> Thumbnails:
    """Pictures of every image the page shows: galleries at a size worth looking at, all others on sheets.

    Args:
        source: where the images come from; one that vanished since is left out, and the page shows its name.
        embeddings: (N, d), in the order of `assignments`.
        rows: the images as the run read them, which spares decoding them again where they are large enough.
        first: (N,) the row of the picture that each is a copy of, its own where it is none; None for no copies.
        scale: black and white of images of more than eight bits, as the run read them.
    """
    pictures = Pictures(source, assignments, scale)
    standing = folded(assignments, np.arange(len(assignments.keys)) if first is None else first)
    selection = select(assignments, embeddings, standing)
    thumbnails = Thumbnails({})
    chosen = [row for picks in selection.values() for row in picks.rows]
    for row, pixels in zip(chosen, pictures.decoded(chosen, _GALLERY_SIDE), strict=True):
        if pixels is not None:
            thumbnails.add(row, pixels)
    shown = shown_rows(standing, chosen)
    side = min(side_for(len(shown)), pictures.native)
    if side == 0 or not thumbnails.encoded:  # Features have no pictures.
        return thumbnails
    if isinstance(rows, Store) and (rows.side >= side or (len(shown) > _DECODED_AGAIN and rows.side >= _GOOD_ENOUGH)):
        side = min(side, rows.side)
        return Thumbnails(thumbnails.encoded, make_sheets(shown, _from_store(rows, shown, side)))
    found = pictures.decoded(shown, side)
    kept = [(row, pixels) for row, pixels in zip(shown, found, strict=True) if pixels is not None]
    return Thumbnails(
        thumbnails.encoded, make_sheets([row for row, _ in kept], np.stack([pixels for _, pixels in kept]))
    )


def _from_store(store: Store, rows: Sequence[int], side: int) -> npt.NDArray[np.uint8]:
    """(n, side, side, 3), antialiased."""
    tiles = np.empty((len(rows), side, side, 3), dtype=np.uint8)
    for start in range(0, len(rows), _AT_ONCE):
        images = store.rows(torch.tensor(rows[start : start + _AT_ONCE]))
        if images.shape[2] != side:
            images = F.interpolate(images, (side, side), mode="bicubic", antialias=True)
        tiles[start : start + _AT_ONCE] = as_colours(images.permute(0, 2, 3, 1).numpy())
    return tiles
