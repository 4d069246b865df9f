"""k-means beside faiss and scikit-learn, on the same points."""

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
    for place, (baseline_name, baseline) in enumerate(baselines.items()):
        result = alternate(name, ours, baseline, baseline_name, budget)
        if (
            baseline_name == "faiss"
        ):  # Its own objective is that of the centers before the last; this pass is not timed.
            found["faiss"] = float(trained["faiss"].index.search(plain, 1)[0].astype("float64").sum())
        share = found["ours"] / found[baseline_name]
        named = name if place == 0 else f"{name}/{baseline_name}"
        yield replace(result, name=named, note=f"inertia × {share:.4f}")


def mixture(points: int, width: int, groups: int) -> Tensor:
    """Points (points, width) around `groups` centers drawn from the same normal distribution as their noise."""
    draw = torch.Generator().manual_seed(0)
    centers = torch.randn(groups, width, generator=draw)
    chosen = torch.randint(groups, (points,), generator=draw)
    return centers[chosen] + torch.randn(points, width, generator=draw)
