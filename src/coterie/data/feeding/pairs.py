"""Images with one of their nearest neighbours as a feed: what TEMI (arXiv 2303.17896) learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.neighbours import nearest_neighbours
from coterie.data.feeding.features import Features
from coterie.data.feeding.points import PointFeed
from coterie.errors import UsageError
from coterie.seeding import generator


@dataclass(frozen=True)
class Pairing:
    """Which neighbours partners are drawn from.

    Args:
        neighbours: of each point, by cosine and without itself.
        clusters: the neighbours are no more than half the points of a cluster, were all clusters alike.
    """

    neighbours: int = 50
    clusters: int = 1

    def count(self, points: int) -> int:
        """Neighbours of each of so many points."""
        return min(self.neighbours, max(1, points // (2 * self.clusters)))

    def feed(self, features: Features, *, batch_size: int, device: torch.device, seed: int) -> PairFeed:
        """Every point once an epoch, with a partner."""
        return PairFeed(features, self, batch_size=batch_size, device=device, seed=seed)


class PairFeed(PointFeed):
    """Batches of points and partners: every point once an epoch, in random order; a last short batch is dropped.

    A point's partner is drawn uniformly from its neighbours, anew in every epoch, from the seed and the epoch's number,
    so that any epoch can be repeated on its own.

    Args:
        features: all points.
        pairing: which neighbours there are.
        batch_size: pairs in a batch.
        device: where neighbours are found and batches are made.
        seed: of the run.

    Raises:
        UsageError: a single point.
    """

    def __init__(
        self, features: Features, pairing: Pairing, *, batch_size: int, device: torch.device, seed: int
    ) -> None:
        super().__init__(features, device=device, seed=seed)
        if len(features) < 2:
            raise UsageError("neighbours take at least 2 points, and there is 1")
        self.batch_size = min(batch_size, len(features))
        self.steps_per_epoch = len(features) // self.batch_size
        self.neighbours = cosine_neighbours(self.comparable, pairing.count(len(features)))

    def heed(self, named: Tensor) -> None:
        """The partners of a point with a name are others of that name, where there are any."""
        named = named.to(self.device)
        for place in (named >= 0).nonzero().squeeze(1).tolist():
            alike = (named == named[place]).nonzero().squeeze(1)
            alike = alike[alike != place]
            if len(alike):
                self.neighbours[place] = alike.repeat(-(-self.neighbours.shape[1] // len(alike)))[
                    : self.neighbours.shape[1]
                ]

    def batches(self, epoch: int, *, weights: Tensor | None = None) -> Iterator[tuple[Tensor, list[Tensor]]]:  # noqa: ARG002
        """Places (n,) of points, and the features (n, D) of these and of their partners, of every batch of an epoch."""
        draw = generator(self.device, self.seed, "pairs", epoch)
        count, k = self.neighbours.shape
        order = torch.randperm(count, generator=draw, device=self.device)
        chosen = torch.randint(k, (count, 1), generator=draw, device=self.device)
        partners = self.neighbours.gather(1, chosen).squeeze(1)
        for step in range(self.steps_per_epoch):
            places = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield places, [self.points[places], self.points[partners[places]]]


def cosine_neighbours(points: Tensor, k: int) -> Tensor:
    """Places (N, k) of the k points (N, D) of largest cosine to each, nearest first, without the point itself."""
    return nearest_neighbours(F.normalize(points, dim=1), k + 1)[1][:, 1:]
