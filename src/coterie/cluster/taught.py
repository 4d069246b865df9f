"""Grouping embeddings anew under what a person said of some: these belong together, and apart from those.

Names bind: images of one name are in one group, of two names in two. What follows from them is decided by two things
that err differently: a mixture with one covariance among whitened embeddings, which sees where groups lie as a whole,
and the graph of nearest neighbours, through which what was said of an image spreads to those like it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.groups import by_size
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.linear import logistic
from coterie.cluster.propagation import NeighbourGraph, follow, taken_over
from coterie.cluster.rules import Rule
from coterie.cluster.whitening import fit_whitening
from coterie.errors import CoterieError

# Points that axes are found from.
_SAMPLE = 5_000
# Axes by groups.
_WIDTH = 1.5


@dataclass(frozen=True)
class Regrouped:
    """Groups under what was said.

    Args:
        labels: (N,) int64, from 0 to K−1, each met.
        origins: for each group the one it began as; −1 for one that is new.
        rule: gives the groups but for images that follow their neighbours across its planes.
    """

    labels: Tensor
    origins: list[int]
    rule: Rule


def regroup(
    points: Tensor,
    start: Tensor,
    told: Tensor,
    n_clusters: int,
    *,
    parts: Mapping[int, int] | None = None,
    found: bool = False,
    metric: Metric = "cosine",
    generator: torch.Generator,
) -> Regrouped:
    """Groups that keep to what was told, from those to begin with.

    Where nothing was told of any image, and every one has a group to begin with, groups are split and nothing else.

    Args:
        points: embeddings (N, d) on the CPU; of any non-zero length where `metric` is cosine.
        start: (N,) int64, the group of each from 0 to G−1, G ≤ K; −1 for those that have none.
        told: (N,) int64, the group that a person put it in, or −1.
        n_clusters: K. Beyond G and what is split off, new groups come from the widest ones.
        parts: into how many parts groups are to be split, by number. What was told of them stays with their number.
        found: the groups to begin with were found and nobody looked at them: names take over those they reach most.
        generator: on the CPU.
    """
    places, center, axes = _places(points, n_clusters, metric)
    following = bool((told >= 0).any()) or bool((start < 0).any())
    graph = NeighbourGraph.of(places) if following else None
    if found and graph is not None:
        start = taken_over(start, told, n_clusters, graph)
    start, origins = torch.where(told >= 0, told, start), [*range(int(torch.maximum(start, told).max()) + 1)]
    for group, number in (parts or {}).items():
        start = _split(places, start, told, group, number, len(origins), generator)
        origins += [group] * (number - 1)
    while len(origins) < n_clusters:
        start = _split(places, start, told, _widest(places, start), 2, len(origins), generator)
        origins.append(-1)
    labels = start if graph is None else follow(places, start, told, n_clusters, graph, looked_at=not found)
    labels = _inhabited(places, labels, told, n_clusters)
    slopes, intercepts = logistic(places, labels, n_clusters)
    return Regrouped(labels, origins, Rule(center, slopes, intercepts, metric, axes).to(points))


def _places(points: Tensor, n_clusters: int, metric: Metric) -> tuple[Tensor, Tensor, Tensor | None]:
    """Where points lie among the axes that groups differ in, (N, m) float64, and the origin and axes of that."""
    if metric == "cosine":
        try:
            seen = fit_whitening(points[:: -(-len(points) // _SAMPLE)].double(), math.ceil(_WIDTH * n_clusters))
            return seen(points), seen.center, seen.axes
        except CoterieError:  # They are all alike.
            points = F.normalize(points, dim=1)
    center = points.double().mean(dim=0)
    return points.double() - center, center, None


def _split(
    places: Tensor, start: Tensor, told: Tensor, group: int, parts: int, following: int, generator: torch.Generator
) -> Tensor:
    """The groups (N,) with one split by k-means; new numbers begin at `following`.

    What was told of it, which is of one mind, stays in it, and so does the part that most of this lies in, or else the
    largest one.
    """
    inside = (start == group).nonzero().squeeze(1)
    found = kmeans(places[inside], parts, n_init=10, generator=generator).labels
    known = told[inside] == group
    first = int((found[known] if bool(known.any()) else found).bincount(minlength=parts).argmax())
    numbers = torch.full((parts,), group)
    numbers[torch.arange(parts) != first] = torch.arange(following, following + parts - 1)
    return start.index_put((inside,), torch.where(known, group, numbers[found]))


def _widest(places: Tensor, start: Tensor) -> int:
    """The group whose members' squared distances from their mean sum up to most."""
    met = start >= 0
    groups = int(start.max()) + 1
    members = F.one_hot(start[met], groups).to(places)
    means = members.T @ places[met] / members.sum(dim=0).clamp(min=1).unsqueeze(1)
    spread = (places[met] - means[start[met]]).square().sum(dim=1)
    return int((members.T @ spread).argmax())


def _inhabited(places: Tensor, labels: Tensor, told: Tensor, n_clusters: int) -> Tensor:
    """Labels (N,) of which each is met: an empty group gets the point farthest from the middle of its own."""
    sizes = labels.bincount(minlength=n_clusters)
    if bool((sizes > 0).all()):
        return labels
    means = torch.zeros(n_clusters, places.shape[1], dtype=places.dtype).index_add_(0, labels, places)
    apart = (places - (means / sizes.clamp(min=1).unsqueeze(1))[labels]).square().sum(dim=1)
    labels = labels.clone()
    for group in (sizes == 0).nonzero().squeeze(1).tolist():
        free = (told < 0) & (labels.bincount(minlength=n_clusters)[labels] > 1)
        labels[int(torch.where(free, apart, -1).argmax())] = group
    return labels


def ranked(labels: Tensor, n_clusters: int) -> tuple[Tensor, Tensor]:
    """Labels (N,) numbered by size, and the number (K,) that each of these had; every number is met."""
    ranks = by_size(labels, n_clusters)
    return ranks, torch.zeros(n_clusters, dtype=torch.int64).index_put((ranks,), labels)
