"""Whether two pictures that look alike from afar are the same, by their pixels.

One is laid over the other: scale and shift along each axis, gain and offset of the brightness are found by Gauss–Newton
(Lucas and Kanade 1981; Baker and Matthews 2004). What then decides is what the hash knows least of: fine detail, all
over the picture. A few strong edges, as in drawings, are no evidence, since many pictures have the same.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.data.copies.hashes import SIDE, luma

# Of what is kept of a trimmed copy's sides, and how far its middle moves as a share of half the side.
_TRIMMED, _MOVED = 0.87, 0.15
_STEPS = 5
# What is finer than so many pixels is detail, and of more grey levels than this as good as of any number.
_DETAIL, _STRONG = 5, 3.0
# The least root of mean squares that is something to compare.
_LEAST = 0.5


def likeness(first: Tensor, second: Tensor) -> Tensor:
    """How alike the detail of pairs of pictures (n, C, SIDE, SIDE) is, each laid over the other: (n,) up to 1.

    It is 0 where the overlaid pictures differ in colour, or in what is coarse.
    """
    laid, inside = _warped(first, _overlay(luma(first), luma(second)))
    return agreement(laid, second, inside)


def agreement(first: Tensor, second: Tensor, inside: Tensor | None = None) -> Tensor:
    """The same of pictures as they lie, as far as they are `inside` (n, SIDE, SIDE)."""
    one, other = luma(first), luma(second)
    inside = torch.ones_like(one) if inside is None else inside
    coarse = _correlation(one, other, inside)
    details = (_detail(one), _detail(other))
    fine = torch.minimum(_correlation(*details, inside), _correlation(*_evened(*details), inside))
    gain = ((one * inside).sum((1, 2)) / (other * inside).sum((1, 2)).clamp(min=1)).view(-1, 1, 1, 1)
    tints = (first - one.unsqueeze(1)) - gain * (second - other.unsqueeze(1))
    differing = (tints.abs().mean(1) * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
    return torch.where((coarse > 0.85) & (differing < 12), fine, 0.0)


def difference(first: Tensor, second: Tensor) -> Tensor:
    """The mean difference of pixels of pairs of pictures as they lie, in grey levels: (n,)."""
    return (first - second).abs().mean((1, 2, 3))


def _overlay(one: Tensor, other: Tensor) -> Tensor:
    """Scales and shifts (n, 4) that lay `one` (n, SIDE, SIDE) over `other`; the width is 2 and its middle 0."""
    place = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
    across, down = place.view(1, 1, SIDE), place.view(1, SIDE, 1)
    found = torch.tensor([1.0, 1, 0, 0]).repeat(len(one), 1)
    target = other.flatten(1).unsqueeze(2)
    for _ in range(_STEPS):
        laid, inside = _warped(one.unsqueeze(1), found)
        laid = laid[:, 0]
        slope_x = F.pad((laid[:, :, 2:] - laid[:, :, :-2]) * (SIDE / 4), (1, 1))
        slope_y = F.pad((laid[:, 2:] - laid[:, :-2]) * (SIDE / 4), (0, 0, 1, 1))
        columns = [slope_x * across, slope_y * down, slope_x, slope_y, laid, torch.ones_like(laid)]
        slopes = (torch.stack(columns, dim=-1) * inside.unsqueeze(-1)).flatten(1, 2)
        normal = slopes.transpose(1, 2) @ slopes
        normal += torch.diag_embed(normal.diagonal(dim1=1, dim2=2) * 1e-3 + 1e-3)
        solved = torch.linalg.solve(normal, slopes.transpose(1, 2) @ target).squeeze(2)
        step = (solved[:, :4] / solved[:, 4:5].clamp(min=0.3)).clamp(-0.1, 0.1)
        scale = (found[:, :2] * (1 + step[:, :2])).clamp(_TRIMMED, 1 / _TRIMMED)
        shift = (found[:, 2:] + found[:, :2] * step[:, 2:]).clamp(-_MOVED, _MOVED)
        found = torch.cat([scale, shift], dim=1)
    return found


def _warped(images: Tensor, overlay: Tensor) -> tuple[Tensor, Tensor]:
    """Images (n, C, SIDE, SIDE) scaled and shifted, and 1 where that is inside them, but for the border."""
    matrix = torch.zeros(len(images), 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, :, 2] = overlay[:, 0], overlay[:, 1], overlay[:, 2:]
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    inside = (grid.abs() <= 1 - 1 / SIDE).all(dim=-1).float()
    inside[:, [0, -1]] = 0
    inside[:, :, [0, -1]] = 0
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False), inside


def _detail(grey: Tensor) -> Tensor:
    return grey - F.avg_pool2d(grey.unsqueeze(1), _DETAIL, 1, _DETAIL // 2, count_include_pad=False)[:, 0]


def _evened(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Detail with strong edges brought down to what others are."""
    return torch.tanh(one / _STRONG), torch.tanh(other / _STRONG)


def _correlation(one: Tensor, other: Tensor, inside: Tensor) -> Tensor:
    count = inside.sum((1, 2), keepdim=True).clamp(min=1)
    centred = [(part - (part * inside).sum((1, 2), keepdim=True) / count) * inside for part in (one, other)]
    lengths = [part.square().sum((1, 2)).sqrt() for part in centred]
    found = (centred[0] * centred[1]).sum((1, 2)) / (lengths[0] * lengths[1]).clamp(min=1e-6)
    return torch.where(torch.minimum(*lengths) > _LEAST * count[:, 0, 0].sqrt(), found, 0.0)
