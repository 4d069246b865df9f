"""The plain alternative every result is set beside: k-means on pixels."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from coterie.cluster.kmeans import kmeans
from coterie.data.store import Store
from coterie.evaluate.metrics import Scores, score
from coterie.seeding import generator

# Larger images are averaged down to this side: more pixels cost memory and gain k-means nothing.
_SIDE = 32


@dataclass(frozen=True)
class Baseline:
    """Scores of k-means on pixels, and the seconds it took."""

    scores: Scores
    seconds: float


def pixel_baseline(store: Store, n_clusters: int, *, seed: int) -> Baseline:
    """k-means (Euclidean, 10 restarts) on the pixels of a labelled store."""
    began = time.perf_counter()
    parts = []
    for start in range(0, len(store), 1024):
        images = store.rows(torch.arange(start, min(start + 1024, len(store)))).float() / 255.0
        if store.side > _SIDE:
            images = F.adaptive_avg_pool2d(images, _SIDE)
        parts.append(images.flatten(1))
    result = kmeans(torch.cat(parts), n_clusters, generator=generator("cpu", seed, "pixels"))
    seconds = time.perf_counter() - began
    assert store.labels is not None
    return Baseline(score(store.labels, result.labels.numpy()), seconds)
