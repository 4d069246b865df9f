"""Random numbers for a batch, which may be shared by several processes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draws:
    """Draws numbers for every image of a batch and hands out those of the images at hand.

    Drawing for all of them gives each image the same numbers, however many processes share the batch.

    Args:
        generator: on the images' device; the only source of randomness.
        total: images in the whole batch.
        mine: which of them are at hand; None for all.
    """

    generator: torch.Generator
    total: int
    mine: slice | None = None

    @property
    def device(self) -> torch.device:
        return self.generator.device

    def __len__(self) -> int:
        return self.total if self.mine is None else len(range(self.total)[self.mine])

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers between `low` and `high`, (n, *shape) for the n images at hand."""
        drawn = torch.empty(self.total, *shape, device=self.device)
        return self._mine(drawn.uniform_(low, high, generator=self.generator))

    def normal(self, *shape: int, std: float) -> Tensor:
        """Normal numbers of mean 0, (n, *shape)."""
        drawn = torch.empty(self.total, *shape, device=self.device)
        return self._mine(drawn.normal_(std=std, generator=self.generator))

    def _mine(self, drawn: Tensor) -> Tensor:
        return drawn if self.mine is None else drawn[self.mine]
