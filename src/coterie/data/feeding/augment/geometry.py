"""Crops, flips, blurs and warps, each image with its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.data.feeding.augment.config import AugmentConfig
from coterie.data.feeding.augment.constants import constant
from coterie.data.feeding.augment.draws import Draws


def crop_boxes(side: int, config: AugmentConfig, draws: Draws) -> tuple[Tensor, Tensor]:
    """Random boxes as the usual random resized crop draws them: ten tries each, else the whole image.

    Returns:
        starts (n, 2) and lengths (n, 2), in whole pixels, vertical first, as floats.
    """
    n = len(draws)
    if config.crop is None:
        return torch.zeros(n, 2, device=draws.device), torch.full((n, 2), float(side), device=draws.device)
    area = draws.uniform(10, low=config.crop[0], high=config.crop[1]) * side * side
    narrow, wide = (math.log(bound) for bound in config.crop_ratio)
    ratio = draws.uniform(10, low=narrow, high=wide).exp()
    lengths = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()], dim=2)
    fits = ((lengths >= 1) & (lengths <= side)).all(dim=2)
    first = fits.float().argmax(dim=1)
    lengths = lengths[torch.arange(n, device=first.device), first]
    lengths = torch.where(fits.any(dim=1, keepdim=True), lengths, torch.full_like(lengths, side))
    room = side - lengths + 1
    starts = torch.minimum((draws.uniform(2) * room).floor(), room - 1)
    return starts, lengths


def resize_matrix(start: Tensor, length: Tensor, flipped: Tensor, side: int, out: int) -> Tensor:
    """Matrices that crop, resize and perhaps flip one axis, with the antialiased triangle filter Pillow uses.

    Args:
        start, length: (n,), the crop along this axis in pixels.
        flipped: (n,) bool.
        side: pixels before. out: pixels after.

    Returns:
        (n, out, side); each row sums to 1.
    """
    scale = (length / out).view(-1, 1, 1)
    position = torch.arange(out, device=start.device, dtype=start.dtype).view(1, -1, 1)
    position = torch.where(flipped.view(-1, 1, 1), out - 1 - position, position)
    center = start.view(-1, 1, 1) + (position + 0.5) * scale
    pixel = torch.arange(side, device=start.device, dtype=start.dtype).view(1, 1, -1) + 0.5
    weights = (1 - (pixel - center).abs() / scale.clamp(min=1)).clamp(min=0)
    inside = (pixel > start.view(-1, 1, 1)) & (pixel < (start + length).view(-1, 1, 1))
    weights = weights * inside
    return weights / weights.sum(dim=2, keepdim=True)


def blur_matrix(sigma: Tensor, side: int) -> Tensor:
    """Gaussian blur along one axis with mirrored borders: (n, side, side) for σ (n,) pixels; σ ≤ 0 leaves as is."""
    pixel = torch.arange(side, device=sigma.device)
    reach = torch.arange(-side + 1, 2 * side - 1, device=sigma.device)
    kernel = torch.exp(-0.5 * ((reach - pixel.unsqueeze(1)) / sigma.clamp(min=1e-3).view(-1, 1, 1)).square())
    mirrored = reach.abs()
    mirrored = torch.where(mirrored >= side, 2 * (side - 1) - mirrored, mirrored).clamp(min=0)
    matrix = torch.zeros(len(sigma), side, side, device=sigma.device)
    matrix.index_add_(2, mirrored, kernel)
    return matrix / matrix.sum(dim=2, keepdim=True)


def along_axes(images: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Apply one matrix per image along each axis: (n, C, H, W) → (n, C, H', W')."""
    n, channels, height, width = images.shape
    images = torch.bmm(images.reshape(n, channels * height, width), horizontal.transpose(1, 2))
    return torch.matmul(vertical.unsqueeze(1), images.view(n, channels, height, -1))


def resized_crops(images: Tensor, config: AugmentConfig, out: int, draws: Draws) -> Tensor:
    """Random crops, resized to `out` pixels and flipped at random: (n, C, S, S) → (n, C, out, out)."""
    side = images.shape[-1]
    starts, lengths = crop_boxes(side, config, draws)
    flips = draws.uniform(2) < constant((config.vertical_flip, config.flip), images.device)
    vertical, horizontal = (
        resize_matrix(starts[:, axis], lengths[:, axis], flips[:, axis], side, out) for axis in (0, 1)
    )
    return along_axes(images, vertical, horizontal)


def warps(images: Tensor, config: AugmentConfig, draws: Draws) -> Tensor:
    """Random rotation, zoom, shear and shift by one bilinear sampling; what lies outside repeats the border."""
    angle = draws.uniform(low=-1, high=1) * math.radians(config.rotation)
    shear = (draws.uniform(low=-1, high=1) * math.radians(config.shear)).tan()
    zoom_x, zoom_y = (1 + draws.uniform(low=-1, high=1) * config.zoom for _ in range(2))
    shift_x, shift_y = (2 * config.shift * draws.uniform(low=-1, high=1) for _ in range(2))
    cosine, sine = angle.cos(), angle.sin()
    rows = torch.stack(
        [
            torch.stack([cosine / zoom_x, (shear * cosine - sine) / zoom_x, shift_x], dim=1),
            torch.stack([sine / zoom_y, (shear * sine + cosine) / zoom_y, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def blurs(images: Tensor, probability: float, draws: Draws) -> Tensor:
    """Gaussian blur of a random σ between 0.1 and 2 pixels, for each image with the given probability."""
    sigma = draws.uniform(low=0.1, high=2.0)
    sigma = torch.where(draws.uniform() < probability, sigma, torch.zeros_like(sigma))
    matrix = blur_matrix(sigma, images.shape[-1])
    return along_axes(images, matrix, matrix)
