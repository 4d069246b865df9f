"""Augmented views: batches on the device beside Pillow, image by image on one core."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from coterie.bench._pillow import pillow_view
from coterie.bench.base import Budget, Result, alternate
from coterie.data.feeding.augment import AugmentConfig, augment

# Images in a batch at 32 and at 224 pixels.
_BATCHES = ((32, 256), (224, 32))


def measure(budget: Budget) -> Iterator[Result]:
    """Views a second of crops, flips, jitter and grey."""
    for side, count in _BATCHES:
        images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        raw = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(budget.device)
        draw = torch.Generator(raw.device).manual_seed(0)
        rng = np.random.default_rng(0)

        def ours(raw: torch.Tensor = raw, draw: torch.Generator = draw) -> None:
            for _ in range(4):
                augment(raw, AugmentConfig(), draw)

        def baseline(images: np.ndarray = images, rng: np.random.Generator = rng) -> None:
            for _ in range(4):
                for image in images:
                    pillow_view(image, rng)

        name = "augment" if side == 32 else f"augment/{side}"
        yield alternate(name, ours, baseline, "Pillow", budget, amount=4 * count, unit="views/s")
