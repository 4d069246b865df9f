"""A perceptual hash: what a picture looks like from afar, and pairs that look alike by it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.data.reading.store import Store, at_once

# Pixels of the side at which pictures are compared, and how many frequencies along each axis the hash keeps.
SIDE, _FREQUENCIES = 32, 8
_LUMA = (0.299, 0.587, 0.114)
# Rows compared with all others at a time.
_BLOCK = 1024
# Rows that tell how many pairs there are, and the cosines that are tried.
_LOOKED_AT, _STEPS = 256, (0.8, 0.85, 0.9, 0.95)


def small(store: Store) -> Tensor:
    """The pictures of a store at the size they are compared at: (N, C, SIDE, SIDE) uint8."""
    found = torch.empty(len(store), store.channels, SIDE, SIDE, dtype=torch.uint8)
    for rows in torch.split(torch.arange(len(store)), at_once(store.images[0].nbytes)):
        images = store.rows(rows)
        if images.shape[-1] != SIDE:
            images = F.interpolate(images, (SIDE, SIDE), mode="bicubic", antialias=True)
        found[rows[0] : rows[-1] + 1] = images
    return found


def luma(images: Tensor) -> Tensor:
    """Brightness (n, H, W) of images (n, C, H, W), of channels that are no colours their mean."""
    if images.shape[1] != 3:
        return images.mean(dim=1)
    return torch.einsum("nchw,c->nhw", images, torch.tensor(_LUMA))


def hashes(pictures: Tensor) -> Tensor:
    """A unit vector (N, 63) for each `small` picture: low frequencies of its brightness by the cosine transform.

    Higher frequencies, which are weaker, get a weight by the root of their number. The mean is left out, and length
    too, so that a brighter picture has the same hash. A picture of one brightness has zeros.
    """
    place = torch.arange(SIDE) + 0.5
    number = torch.arange(_FREQUENCIES)
    waves = torch.cos(math.pi / SIDE * number.unsqueeze(1) * place)
    weights = (number.unsqueeze(1) + number).clamp(min=1).sqrt()
    found = []
    for part in torch.split(pictures, _BLOCK):
        transformed = (waves @ luma(part.float()) @ waves.T * weights).flatten(1)[:, 1:]
        # A grey level of difference, from noise, makes no hash.
        length = transformed.norm(dim=1, keepdim=True)
        found.append(torch.where(length > SIDE, transformed / length.clamp(min=1e-6), 0))
    return torch.cat(found)


def alike(hashes: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Pairs (2, n) of rows, the first less than the second, whose hashes have a cosine of at least `least`; and it."""
    found, cosines = [], []
    for start in range(0, len(hashes), _BLOCK):
        products = hashes[start : start + _BLOCK] @ hashes[start:].T
        first, second = torch.nonzero(products >= least, as_tuple=True)
        later = second > first
        found.append(torch.stack([first[later], second[later]]) + start)
        cosines.append(products[first[later], second[later]])
    return torch.cat(found, dim=1), torch.cat(cosines)


def least_alike(hashes: Tensor, least: float, most: int) -> float | None:
    """The least cosine, from `least` up, that no more than `most` pairs have, as some rows tell; None if too many do
    with any."""
    rows = hashes[:: max(1, len(hashes) // _LOOKED_AT)]
    products = (rows @ hashes.T).flatten()
    for cosine in (least, *(step for step in _STEPS if step > least)):
        if int((products >= cosine).sum()) - len(rows) <= 2 * most * len(rows) / len(hashes):
            return cosine
    return None
