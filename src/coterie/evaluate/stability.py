"""Which clusters come back when the same images are clustered again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from coterie.evaluate.metrics import Labels, adjusted_rand_index, confusion

# Hennig (2007), section 5: above the first a cluster is stable, below the second it is dissolved.
_STABLE, _DISSOLVED = 0.75, 0.5


@dataclass(frozen=True)
class ClusterStability:
    """How well a cluster is found again: its Jaccard overlap with the likest cluster of each other run, 0–1.

    `overlap` is the mean over the other runs and `least` the smallest; `verdict` is stable, wavering or dissolved.
    """

    cluster: int
    size: int
    overlap: float
    least: float
    verdict: str


@dataclass(frozen=True)
class Stability:
    """Agreement of several runs on the same images.

    Args:
        seeds: of the runs, the one that is judged first.
        ari: the mean over all pairs of runs.
        pairs: the ARI of each pair, in the order of `itertools.combinations`.
        clusters: those of the first run.
    """

    seeds: tuple[int, ...]
    ari: float
    pairs: tuple[float, ...]
    clusters: tuple[ClusterStability, ...]


def stability_of(runs: Sequence[Labels], seeds: Sequence[int], n_clusters: int) -> Stability:
    """Judge the clusters of the first of several runs by the others (Hennig, 2007).

    Args:
        runs: two or more, each the cluster (N,) of every image, in one order.
        seeds: one for each run.
        n_clusters: K of the first run.
    """
    pairs = tuple(adjusted_rand_index(confusion(one, other)) for one, other in combinations(runs, 2))
    overlaps = np.stack([best_overlaps(runs[0], other, n_clusters) for other in runs[1:]])
    sizes = np.bincount(runs[0], minlength=n_clusters)
    clusters = tuple(
        ClusterStability(place, int(sizes[place]), float(found.mean()), float(found.min()), _verdict(found.mean()))
        for place, found in enumerate(overlaps.T)
    )
    return Stability(tuple(seeds), float(np.mean(pairs)), pairs, clusters)


def best_overlaps(clusters: Labels, others: Labels, n_clusters: int) -> npt.NDArray[np.float64]:
    """For each of K clusters, its Jaccard index `|A∩B|/|A∪B|` with the likest of the others: (K,), 0 where empty."""
    shared = np.zeros((n_clusters, int(others.max()) + 1))
    np.add.at(shared, (clusters, others), 1)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0) - shared
    overlaps: npt.NDArray[np.float64] = (shared / np.maximum(union, 1)).max(axis=1)
    return overlaps


def _verdict(overlap: float) -> str:
    if overlap >= _STABLE:
        return "stable"
    return "wavering" if overlap >= _DISSOLVED else "dissolved"
