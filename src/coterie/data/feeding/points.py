"""What every feed of feature vectors shares, and how a method says which one it wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from coterie.cluster.spaces import as_one
from coterie.data.feeding.features import Features
from coterie.processes import processes


class PointFeed:
    """Feature vectors on a device: everything once, a sample; a subclass adds the batches to learn from.

    Args:
        features: all points.
        device: where they lie and batches are made.
        seed: of the run.
    """

    batch_size: int
    steps_per_epoch: int

    def __init__(self, features: Features, *, device: torch.device, seed: int) -> None:
        self.device = device
        self.seed = seed
        self.points = torch.from_numpy(features.values).to(device)
        self._spaces = features.widths

    def __len__(self) -> int:
        return len(self.points)

    @property
    def comparable(self) -> Tensor:
        """All points (N, D), whose distances mean something also where they lie in several spaces."""
        return as_one(self.points, self._spaces)

    def batches(self, epoch: int, *, weights: Tensor | None = None) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Places (n,), and features (n, D) for each view, of every batch of an epoch."""
        raise NotImplementedError

    def heed(self, named: Tensor) -> None:
        """Let the names (N,) int64 that a person gave, −1 where none, say which points are drawn together."""

    def plain(self, batch_size: int) -> Iterator[Tensor]:
        """This process's share of all points once, in order, in batches of at most `batch_size`."""
        yield from torch.split(self.points[processes().share(len(self.points))], batch_size)

    def sample(self, most: int) -> tuple[Tensor, Tensor]:
        """Places (n,) of up to `most` evenly spaced points, and the points."""
        index = torch.arange(0, len(self.points), -(-len(self.points) // most))
        return index, self.points[index.to(self.device)]


class Feeding(Protocol):
    """How a method on features wants to be fed: settings that build their feed."""

    def feed(self, features: Features, *, batch_size: int, device: torch.device, seed: int) -> PointFeed:
        """The feed of these features, with up to `batch_size` rows in a batch."""
