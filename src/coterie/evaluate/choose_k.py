"""How many clusters? Four criteria over a range of numbers, and the one most of them point to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.kmeans import Metric, nearest_center
from coterie.cluster.many import ManyResult, kmeans_many, seeds
from coterie.cluster.mixture import gaussian_mixture
from coterie.cluster.silhouette import silhouette
from coterie.devices import widest
from coterie.errors import UsageError
from coterie.seeding import generator

# Points that the criteria look at: their cost grows with the square.
_MOST = 2000
# Restarts of each k-means on all points, on half of them and on a reference; splits of the data for prediction
# strength, and uniform references for the gap.
_RESTARTS, _FEW_RESTARTS, _REFERENCE_RESTARTS, _SPLITS, _REFERENCES = 10, 4, 2, 5, 3
# The greatest number tried by default, and how many points there have to be for each cluster.
_USUAL_MOST, _EACH = 30, 4
# The strength from which clusters count as predictable (Tibshirani and Walther, 2005).
_STRONG = 0.8


@dataclass(frozen=True)
class Criterion:
    """A criterion's `values` by number of clusters, the number it points to, and what it means, for a person."""

    name: str
    values: dict[int, float]
    choice: int
    about: str


@dataclass(frozen=True)
class Choice:
    """The `recommended` number, the `reason`, and what each criterion says."""

    recommended: int
    reason: str
    criteria: tuple[Criterion, ...]


def most_told_apart(count: int) -> int:
    """The greatest number of clusters worth trying on so many points, where nobody says one."""
    return max(2, min(_USUAL_MOST, count // _EACH))


def choose_k(points: Tensor, least: int, most: int, *, metric: Metric = "euclidean", seed: int = 0) -> Choice:
    """Recommend a number of clusters for points (N, D).

    Args:
        least, most: of the numbers tried; 2 ≤ least ≤ most.
        metric: "cosine" takes points by their direction.
        seed: of the sample and of every k-means.

    Raises:
        UsageError: a range that makes no sense, or too few points for it, or too few that differ.
    """
    if not 2 <= least <= most:
        raise UsageError(f"--from {least} --to {most}: want 2 ≤ from ≤ to")
    if len(points) < _EACH * most:
        raise UsageError(f"{len(points)} points are too few to tell up to {most} clusters apart: lower --to")
    points = F.normalize(points.float(), dim=1) if metric == "cosine" else points.float()
    if bool((points == points[0]).all()):
        raise UsageError(f"all {len(points)} images or rows are the same: there is nothing to tell apart")
    draw = generator(points.device, seed, "choose-k")
    sample = points[torch.randperm(len(points), generator=draw, device=points.device)[:_MOST]]
    different = len(np.unique(sample.cpu().numpy(), axis=0))
    if different < least:
        raise UsageError(f"only {different} of {len(sample)} differ, which cannot form {least} clusters: lower --from")
    tried = range(least, min(most, different) + 1)
    sample = sample if metric == "cosine" else sample - sample.mean(dim=0)
    distances = torch.cdist(sample, sample)
    # The gap looks one further.
    found = _grouped(sample[None], range(least, tried[-1] + 2), _RESTARTS, metric, draw)
    labels = {k: result.labels[0] for k, result in found.items()}
    criteria = (
        _by_silhouette({k: silhouette(distances, labels[k], k) for k in tried}),
        _by_strength(prediction_strengths(sample, tried, metric=metric, draw=draw)),
        _by_bic({k: bic(sample, labels[k], k, metric=metric, draw=draw) for k in tried}),
        _by_gap({k: float(result.inertia) for k, result in found.items()}, sample, metric, draw),
    )
    return _recommend(criteria)


def _grouped(
    sets: Tensor, numbers: Sequence[int], n_init: int, metric: Metric, draw: torch.Generator
) -> dict[int, ManyResult]:
    """Clusters of sets of points (B, N, D) for every number, all from one seeding."""
    starts = seeds(sets, max(numbers), n_init, draw)
    return {k: kmeans_many(sets, starts[:, :, :k], spherical=metric == "cosine") for k in numbers}


def prediction_strengths(
    points: Tensor, numbers: Sequence[int], *, metric: Metric, draw: torch.Generator
) -> dict[int, float]:
    """How far the clusters of one half foretell those of the other: the least share over clusters, mean over splits.

    For each cluster of the second half, the share of its pairs that the centers of the first half also put together
    (Tibshirani and Walther, 2005, eq. 2.1).

    Args:
        points: (N, D), of unit length for cosine. numbers: of clusters to judge.
    """
    drawn = [torch.randperm(len(points), generator=draw, device=points.device) for _ in range(_SPLITS)]
    half = len(points) // 2
    halves = points[torch.stack([part for order in drawn for part in order[: 2 * half].chunk(2)])]
    strengths = {}
    for k, found in _grouped(halves, numbers, _FEW_RESTARTS, metric, draw).items():
        pairs = range(0, len(halves), 2)
        foretold = (nearest_center(halves[place + 1], found.centers[place], metric=metric) for place in pairs)
        shares = [_strength(labels, own, k) for labels, own in zip(foretold, found.labels[1::2], strict=True)]
        strengths[k] = sum(shares) / len(shares)
    return strengths


def _strength(foretold: Tensor, labels: Tensor, k: int) -> float:
    """The least share, over the clusters of `labels` (n,), of pairs that `foretold` (n,) puts together, too."""
    table = torch.bincount(labels * k + foretold, minlength=k * k).view(k, k).to(widest(labels.device))
    sizes = table.sum(dim=1)
    together = (table * (table - 1)).sum(dim=1) / (sizes * (sizes - 1)).clamp(min=1)
    return float(together[sizes > 1].min()) if bool((sizes > 1).any()) else 0.0


def bic(points: Tensor, labels: Tensor, k: int, *, metric: Metric, draw: torch.Generator) -> float:
    """The Bayesian information criterion of a spherical Gaussian mixture, a point: lower is better.

    The mixture starts from the clusters `labels` (N,) of the points.
    """
    fitted = gaussian_mixture(
        points, k, covariance="spherical", metric=metric, reg_covar=1e-4, tol=3e-4, start=labels, generator=draw
    )
    parameters = k * points.shape[1] + 2 * k - 1
    return -2 * fitted.log_likelihood + parameters * math.log(len(points)) / len(points)


def _by_silhouette(values: dict[int, float]) -> Criterion:
    best = max(values, key=lambda k: values[k])
    return Criterion("silhouette", values, best, "how much nearer images are to their own group than to the next")


def _by_strength(values: dict[int, float]) -> Criterion:
    strong = [k for k, value in values.items() if value >= _STRONG]
    choice = max(strong) if strong else max(values, key=lambda k: values[k])
    return Criterion("prediction strength", values, choice, "how well the groups of one half foretell the other's")


def _by_bic(values: dict[int, float]) -> Criterion:
    return Criterion("BIC", values, min(values, key=lambda k: values[k]), "fit of a mixture less its complexity")


def _by_gap(inertia: dict[int, float], points: Tensor, metric: Metric, draw: torch.Generator) -> Criterion:
    """The gap statistic (Tibshirani, Walther and Hastie, 2001), against uniform points along the principal axes."""
    references = torch.stack([_uniform_like(points, draw) for _ in range(_REFERENCES)])
    if metric == "cosine":
        references = F.normalize(references, dim=2)
    gaps, errors = {}, {}
    for k, found in _grouped(references, list(inertia), _REFERENCE_RESTARTS, metric, draw).items():
        logs = found.inertia.clamp(min=1e-12).log()
        gaps[k] = float(logs.mean()) - math.log(max(inertia[k], 1e-12))
        errors[k] = float(logs.std(unbiased=False)) * (1 + 1 / _REFERENCES) ** 0.5
    *tried, last = gaps
    choice = next((k for k in tried if gaps[k] >= gaps[k + 1] - errors[k + 1]), tried[-1])
    del gaps[last]
    return Criterion("gap", gaps, choice, "how much tighter the groups are than those of structureless data")


def _uniform_like(points: Tensor, draw: torch.Generator) -> Tensor:
    mean = points.mean(dim=0)
    _, _, axes = torch.linalg.svd(points - mean, full_matrices=False)
    turned = (points - mean) @ axes.T
    low, high = turned.amin(dim=0), turned.amax(dim=0)
    drawn = torch.rand(turned.shape, generator=draw, device=points.device)
    reference: Tensor = (low + drawn * (high - low)) @ axes + mean
    return reference


def _recommend(criteria: tuple[Criterion, ...]) -> Choice:
    """The number that most criteria point to, within one either way; the silhouette decides between equals."""
    votes = Counter(criterion.choice for criterion in criteria)
    first = criteria[0].choice

    def support(k: int) -> tuple[int, int, bool, int]:
        near = sum(count for other, count in votes.items() if abs(other - k) <= 1)
        return near, votes[k], k == first, -abs(k - first)

    best = max(votes, key=support)
    agreeing = [criterion.name for criterion in criteria if abs(criterion.choice - best) <= 1]
    others = [f"{criterion.name} says {criterion.choice}" for criterion in criteria if criterion.name not in agreeing]
    reason = f"{' and '.join(agreeing)} point{'s' * (len(agreeing) == 1)} to {best}"
    return Choice(best, "; ".join([reason, *others]), criteria)
