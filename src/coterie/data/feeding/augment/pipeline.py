"""Raw batches to views."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coterie.data.feeding.augment.colour import recolour, retone
from coterie.data.feeding.augment.config import AugmentConfig
from coterie.data.feeding.augment.constants import constant
from coterie.data.feeding.augment.draws import Draws
from coterie.data.feeding.augment.geometry import blurs, resized_crops, warps


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel in [0, 1], taken out before the network sees an image."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Intensities in [0, 1], (n, C, H, W), to about zero mean and unit deviation."""
        mean, deviation = (constant(values, images.device).view(1, -1, 1, 1) for values in (self.mean, self.deviation))
        return (images - mean) / deviation

    def plain(self, raw: Tensor) -> Tensor:
        """uint8 images as the network sees them without augmentation."""
        return self(raw.float() / 255.0)


def augment(raw: Tensor, config: AugmentConfig, draws: Draws | torch.Generator, *, view: int = 0) -> Tensor:
    """One random view of each image, every image with its own parameters.

    Args:
        raw: (n, C, S, S) uint8.
        config: what may change and how much.
        draws: for these images; a generator on their device draws for them as the whole batch.
        view: 0 for the first view, 1 for the second, where the two differ.

    Returns:
        (n, C, S, S) float32, intensities about [0, 1] (noise may leave the range), not yet normalised.
    """
    if isinstance(draws, torch.Generator):
        draws = Draws(draws, len(raw))
    images = raw.float() / 255.0
    if config.crop is not None or config.flip or config.vertical_flip:
        images = resized_crops(images, config, raw.shape[-1], draws)
    if config.warps:
        images = warps(images, config, draws)
    if config.jitter or config.grey:
        images = recolour(images, config, draws)
    blur = config.blur[min(view, 1)]
    if blur:
        images = blurs(images, blur, draws)
    return retone(images, config, view, draws)
