"""The edges of a neighbour graph as a feed: what a method that maps feature vectors learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from coterie.cluster.fuzzy_graph import Graph, fuzzy_graph
from coterie.cluster.neighbours import nearest_neighbours
from coterie.cluster.standard import standardised
from coterie.data.feeding.features import Features
from coterie.data.feeding.points import PointFeed
from coterie.errors import UsageError
from coterie.seeding import generator

# A list of training edges up to this long is shuffled, which takes four bytes each; a longer one is drawn from.
_LONGEST = 1 << 28


@dataclass(frozen=True)
class GraphConfig:
    """The graph whose edges are learnt from, with the settings of LNSCC's paper.

    Args:
        neighbours: of each point, itself among them.
        repeats: a training list holds an edge of weight w `int(repeats·w)` times.
        steps_per_epoch: steps that make an epoch, as a pass over all edges may take very long.
        held_out: share of the points that are kept out of the graph, to see where the network puts new ones.
    """

    neighbours: int = 30
    repeats: int = 200
    steps_per_epoch: int = 500
    held_out: float = 0.1

    def __post_init__(self) -> None:
        for name in ("neighbours", "repeats", "steps_per_epoch"):
            least = 2 if name == "neighbours" else 1
            if getattr(self, name) < least:
                raise UsageError(f"option 'options.{name}' must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"option 'options.held_out' lies between 0 and 1, got {self.held_out}")

    def feed(self, features: Features, *, batch_size: int, device: torch.device, seed: int) -> EdgeFeed:
        """The graph's edges."""
        return EdgeFeed(features, self, batch_size=batch_size, device=device, seed=seed)


class EdgeFeed(PointFeed):
    """Batches of edges of the fuzzy neighbour graph, as the feature vectors of their heads and tails.

    Every edge is repeated in proportion to its weight; the list is shuffled anew for each pass, from the seed and the
    number of the pass, so that any epoch can be repeated on its own. From a list too long to shuffle edges are drawn.

    Args:
        features: all points, those held out among them.
        config: of the graph.
        batch_size: edges in a batch.
        device: where the graph is found and batches are made.
        seed: of the run.
    """

    def __init__(
        self, features: Features, config: GraphConfig, *, batch_size: int, device: torch.device, seed: int
    ) -> None:
        super().__init__(features, device=device, seed=seed)
        self.steps_per_epoch = config.steps_per_epoch
        self.held_out = _held_out(len(features), config.held_out, seed).to(device)
        places = (~self.held_out).nonzero().squeeze(1)
        graph = _graph(self.comparable[places], config.neighbours)
        repeats = graph.repeats(config.repeats)
        self.heads, self.tails = (places[ends[repeats > 0]] for ends in (graph.rows, graph.columns))
        self._ends_at = repeats[repeats > 0].cumsum(dim=0)
        self.batch_size = min(batch_size, int(self._ends_at[-1]))
        self._shuffled: tuple[int, Tensor] | None = None

    def batches(self, epoch: int, *, weights: Tensor | None = None) -> Iterator[tuple[Tensor, list[Tensor]]]:  # noqa: ARG002
        """Places (n,) of the heads, and the features (n, D) of heads and tails, of every batch of an epoch."""
        for step in range(epoch * self.steps_per_epoch, (epoch + 1) * self.steps_per_epoch):
            edges = self._edges(step)
            heads, tails = self.heads[edges], self.tails[edges]
            yield heads, [self.points[heads], self.points[tails]]

    def _edges(self, step: int) -> Tensor:
        """The edges (n,) of a step, counted from the start of the run."""
        count = int(self._ends_at[-1])
        if count > _LONGEST:
            draw = generator(self.device, self.seed, "edge draws", step)
            positions = torch.randint(count, (self.batch_size,), generator=draw, device=self.device)
            return torch.searchsorted(self._ends_at, positions, right=True)
        number, place = divmod(step, count // self.batch_size)
        if self._shuffled is None or self._shuffled[0] != number:
            draw = generator(self.device, self.seed, "edges", number)
            self._shuffled = number, torch.randperm(count, generator=draw, device=self.device, dtype=torch.int32)
        positions = self._shuffled[1][place * self.batch_size : (place + 1) * self.batch_size]
        return torch.searchsorted(self._ends_at, positions.long(), right=True)


def _held_out(count: int, share: float, seed: int) -> Tensor:
    held_out = torch.zeros(count, dtype=torch.bool)
    held_out[torch.randperm(count, generator=generator("cpu", seed, "held-out"))[: int(share * count)]] = True
    return held_out


def _graph(points: Tensor, neighbours: int) -> Graph:
    """The graph of all points, with fewer neighbours where there are not so many."""
    if len(points) < 3:
        raise UsageError(f"a neighbour graph takes at least 3 points, and there are {len(points)}")
    return fuzzy_graph(*nearest_neighbours(standardised(points), min(neighbours, len(points))))
