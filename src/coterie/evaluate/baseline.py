"""The plain alternative every result is set beside: k-means on pixels, or on features where those were given."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from coterie.cluster.kmeans import kmeans
from coterie.cluster.spaces import as_one
from coterie.data.base import Rows
from coterie.data.feeding.features import Features
from coterie.evaluate.metrics import Scores, score
from coterie.seeding import generator

# Larger images are averaged down to this side: more pixels cost memory and gain k-means nothing.
_SIDE = 32
# So many numbers are looked at; of more, evenly spaced rows.
_MOST = 500_000_000


@dataclass(frozen=True)
class Baseline:
    """Scores of the plain `method`, and the seconds it took."""

    method: str
    scores: Scores
    seconds: float


def baseline(rows: Rows, n_clusters: int, *, seed: int) -> Baseline:
    """k-means (Euclidean, 10 restarts) on the pixels, or the features, of labelled rows, or of a part of very many."""
    began = time.perf_counter()
    parts = []
    chosen = torch.arange(0, len(rows), -(-len(rows) * _width(rows) // _MOST))
    for index in torch.split(chosen, 1024):
        part = rows.rows(index).float()
        part = as_one(part, rows.widths) if isinstance(rows, Features) else part
        if part.ndim == 4:
            part = part / 255.0 if part.shape[2] <= _SIDE else F.adaptive_avg_pool2d(part / 255.0, _SIDE)
        parts.append(part.flatten(1))
    result = kmeans(torch.cat(parts), n_clusters, generator=generator("cpu", seed, "pixels"))
    seconds = time.perf_counter() - began
    assert rows.labels is not None
    method = "k-means on features" if len(rows.shape) == 1 else "k-means on pixels"
    return Baseline(method, score(rows.labels[chosen.numpy()], result.labels.numpy()), seconds)


def _width(rows: Rows) -> int:
    """Numbers in a row as k-means sees it."""
    return rows.shape[0] * min(rows.shape[-1], _SIDE) ** 2 if len(rows.shape) == 3 else rows.shape[0]
