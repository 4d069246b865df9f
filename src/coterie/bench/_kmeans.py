"""k-means beside faiss, scikit-learn and, on a GPU, flash-kmeans, on the same points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from coterie.bench.base import Budget, Result, alternate
from coterie.cluster.kmeans import kmeans

# faiss's own default; ours may stop earlier, when the centers rest.
_ITERATIONS = 25


def measure_kmeans(
    name: str, budget: Budget, *, points: int, width: int, groups: int, clusters: int, n_init: int
) -> Iterator[Result]:
    """`clusters` of `points` drawn around `groups` centers, as far apart as their own spread."""
    x = mixture(points, width, groups).to(budget.device)
    plain = x.cpu().numpy()
    found: dict[str, float] = {}
    trained: dict[str, Any] = {}

    def ours() -> None:
        draw = torch.Generator(x.device).manual_seed(0)
        found["ours"] = kmeans(x, clusters, n_init=n_init, max_iter=_ITERATIONS, generator=draw).inertia

    def by_faiss() -> None:
        import faiss

        fitted = faiss.Kmeans(width, clusters, niter=_ITERATIONS, nredo=n_init, max_points_per_centroid=points, seed=1)
        fitted.train(plain)
        trained["faiss"] = fitted

    def by_scikit_learn() -> None:
        from sklearn.cluster import KMeans

        fitted = KMeans(clusters, n_init=n_init, max_iter=_ITERATIONS, random_state=0).fit(plain)
        found["scikit-learn"] = float(fitted.inertia_)

    baselines: dict[str, Callable[[], Any]] = {"scikit-learn": by_scikit_learn}
    try:
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        baselines = {"faiss": by_faiss, **baselines}
    except ImportError:
        pass
    if x.is_cuda and (by_flash := _flash_kmeans(x, clusters, n_init, trained)) is not None:
        baselines["flash-kmeans"] = by_flash
    for place, (baseline_name, baseline) in enumerate(baselines.items()):
        result = alternate(name, ours, baseline, baseline_name, budget)
        if baseline_name in trained:
            found[baseline_name] = _inertia(baseline_name, trained[baseline_name], x)
        share = found["ours"] / found[baseline_name]
        named = name if place == 0 else f"{name}/{baseline_name}"
        yield replace(result, name=named, note=f"inertia × {share:.4f}")


def _flash_kmeans(x: Tensor, clusters: int, n_init: int, trained: dict[str, Any]) -> Callable[[], Any] | None:
    """All restarts at once, as a batch of the same points; None where the package is not installed."""
    try:
        from flash_kmeans import batch_kmeans_Euclid
    except ImportError:
        return None
    batch = x.expand(n_init, -1, -1).contiguous()

    def run() -> None:
        trained["flash-kmeans"] = batch_kmeans_Euclid(batch, clusters, max_iters=_ITERATIONS)[:2]

    return run


def _inertia(name: str, fitted: Any, x: Tensor) -> float:
    """What a baseline does not tell, or faiss of the centers before the last; this pass is not timed."""
    if name == "faiss":
        return float(fitted.index.search(x.cpu().numpy(), 1)[0].astype("float64").sum())
    sums = [(x - centers[places.long()]).square().sum() for places, centers in zip(*fitted, strict=True)]
    return float(torch.stack(sums).min())


def mixture(points: int, width: int, groups: int) -> Tensor:
    """Points (points, width) around `groups` centers drawn from the same normal distribution as their noise."""
    draw = torch.Generator().manual_seed(0)
    centers = torch.randn(groups, width, generator=draw)
    chosen = torch.randint(groups, (points,), generator=draw)
    return centers[chosen] + torch.randn(points, width, generator=draw)
