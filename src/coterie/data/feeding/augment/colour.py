"""Colour changes: jitter and grey as one affine map of the channels per image, then gamma, noise and the like."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from coterie.data.feeding.augment.config import AugmentConfig
from coterie.data.feeding.augment.constants import constant
from coterie.data.feeding.augment.draws import Draws

_LUMA = (0.299, 0.587, 0.114)
# YIQ: the hue is the angle in the plane of the last two, so that turning it is linear.
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_FROM_YIQ = tuple(map(tuple, np.linalg.inv(_YIQ).tolist()))


def colour_maps(means: Tensor, config: AugmentConfig, draws: Draws) -> tuple[Tensor, Tensor]:
    """Jitter (brightness, contrast, saturation, hue in random order) and grey as `x ↦ A x + b` per image.

    Hue turns in the YIQ plane, which is linear and near to the turn in HSV; intensities are clamped once at the end
    rather than after each change.

    Args:
        means: mean intensity of each channel, (n, C), which contrast needs.
        config: strengths and probabilities.
        draws: for these images.

    Returns:
        A (n, C, C) and b (n, C).
    """
    n, channels = means.shape
    luma = _luma(channels, means.device)
    drawn = draws.uniform(10)
    changes, pull = _changes(drawn[:, :5], channels, config)
    order = drawn[:, 5:9].argsort(dim=1)
    identity = torch.eye(channels, device=means.device).expand(n, channels, channels)
    matrix, offset = identity, torch.zeros_like(means)
    rows = torch.arange(n, device=means.device)
    for place in range(4):
        which = order[:, place]
        change = changes[rows, which]
        # Contrast pulls towards the mean luminance the image has by then.
        level = (torch.einsum("nij,nj->ni", matrix, means) + offset) @ luma
        matrix = torch.bmm(change, matrix)
        offset = torch.einsum("nij,nj->ni", change, offset) + (pull[rows, which] * level).unsqueeze(1)
    grey = (drawn[:, 9] < config.grey).view(n, 1, 1)
    last = torch.where(grey, luma.expand(channels, channels), identity)
    return torch.bmm(last, matrix), torch.einsum("nij,nj->ni", last, offset)


def _luma(channels: int, device: torch.device) -> Tensor:
    return constant(_LUMA if channels == 3 else (1.0 / channels,) * channels, device)


def _changes(drawn: Tensor, channels: int, config: AugmentConfig) -> tuple[Tensor, Tensor]:
    """Brightness, contrast, saturation and hue as matrices (n, 4, C, C), and how far each pulls to the mean (n, 4).

    Of the uniform numbers `drawn` (n, 5) the fourth decides whether an image is jittered at all.
    """
    n, device = len(drawn), drawn.device
    strength = constant((config.brightness, config.contrast, config.saturation), device)
    jittered = drawn[:, 3:4] < config.jitter
    factors = (1 + (2 * drawn[:, :3] - 1) * strength).clamp(min=0)
    factors = torch.where(jittered, factors, torch.ones_like(factors))
    turn = (2 * drawn[:, 4] - 1) * config.hue * jittered[:, 0]
    identity = torch.eye(channels, device=device).expand(n, channels, channels)
    brightness, contrast, saturation = (factors[:, place].view(n, 1, 1) for place in range(3))
    greyer = (1 - saturation) * _luma(channels, device).expand(channels, channels)
    hue = _hue_turn(turn) if channels == 3 else identity
    changes = torch.stack([brightness * identity, contrast * identity, saturation * identity + greyer, hue], dim=1)
    pull = torch.zeros(n, 4, device=device)
    pull[:, 1] = 1 - factors[:, 1]
    return changes, pull


def _hue_turn(turn: Tensor) -> Tensor:
    """Matrices (n, 3, 3) that turn the hue by `turn` (n,) of the full circle."""
    yiq, back = (constant(matrix, turn.device) for matrix in (_YIQ, _FROM_YIQ))
    cosine, sine = (2 * math.pi * turn).cos(), (2 * math.pi * turn).sin()
    zero, one = torch.zeros_like(turn), torch.ones_like(turn)
    rotation = torch.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], dim=1).view(-1, 3, 3)
    return back @ rotation @ yiq


def recolour(images: Tensor, config: AugmentConfig, draws: Draws) -> Tensor:
    """Jitter and grey, clamped to [0, 1]: (n, C, H, W) → the same shape."""
    n, channels, height, width = images.shape
    matrix, offset = colour_maps(images.mean(dim=(2, 3)), config, draws)
    flat = torch.baddbmm(offset.unsqueeze(2), matrix, images.reshape(n, channels, height * width))
    return flat.clamp_(0, 1).view(n, channels, height, width)


def retone(images: Tensor, config: AugmentConfig, view: int, draws: Draws) -> Tensor:
    """Gamma, solarisation and noise."""
    if config.gamma:
        exponent = (draws.uniform(1, 1, 1) * 2 - 1) * config.gamma
        images = images.clamp(min=1e-6).pow(exponent.exp())
    solarize = config.solarize[min(view, 1)]
    if solarize:
        chosen = draws.uniform(1, 1, 1) < solarize
        images = torch.where(chosen & (images >= 0.5), 1 - images, images)
    if config.noise:
        images = images + draws.normal(*images.shape[1:], std=config.noise)
    return images
