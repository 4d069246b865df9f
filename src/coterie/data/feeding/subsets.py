"""Random subsets of feature vectors as a feed: what TURTLE (arXiv 2406.07236) learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from coterie.data.feeding.features import Features
from coterie.data.feeding.points import PointFeed
from coterie.errors import UsageError
from coterie.seeding import generator


@dataclass(frozen=True)
class SubsetConfig:
    """How many subsets make an epoch.

    Args:
        steps_per_epoch: steps that make an epoch, each with rows drawn anew.
    """

    steps_per_epoch: int = 100

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1:
            raise UsageError(f"option 'options.steps_per_epoch' must be at least 1, got {self.steps_per_epoch}")

    def feed(self, features: Features, *, batch_size: int, device: torch.device, seed: int) -> SubsetFeed:
        """A subset for every step."""
        return SubsetFeed(features, self, batch_size=batch_size, device=device, seed=seed)


class SubsetFeed(PointFeed):
    """One view: in every step other points, drawn without replacement from the seed and the step's number.

    Args:
        features: all points.
        config: how many steps make an epoch.
        batch_size: points in a batch; all of them, in order, where there are no more.
        device: where batches are made.
        seed: of the run.
    """

    def __init__(
        self, features: Features, config: SubsetConfig, *, batch_size: int, device: torch.device, seed: int
    ) -> None:
        super().__init__(features, device=device, seed=seed)
        self.batch_size = min(batch_size, len(features))
        self.steps_per_epoch = config.steps_per_epoch

    def batches(self, epoch: int, *, weights: Tensor | None = None) -> Iterator[tuple[Tensor, list[Tensor]]]:  # noqa: ARG002
        """Places (n,), and the features (n, D) there, of every batch of an epoch."""
        count = len(self.points)
        everything = torch.arange(count, device=self.device)
        for step in range(epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch):
            if self.batch_size == count:
                yield everything, [self.points]
                continue
            draw = generator(self.device, self.seed, "subsets", step)
            places = torch.randperm(count, generator=draw, device=self.device)[: self.batch_size]
            yield places, [self.points[places]]
