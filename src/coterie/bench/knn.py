"""Exact nearest neighbours of 60 000 points among themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from coterie.bench.base import Budget, Result, alternate
from coterie.cluster.neighbours import nearest_neighbours

_NEIGHBOURS = 30


def measure(budget: Budget) -> Iterator[Result]:
    """Seconds beside faiss's exhaustive search, or scikit-learn's where faiss is not installed."""
    draw = torch.Generator().manual_seed(0)
    count, width = budget.size(60_000, 1_000), 384
    # As features do, the points lie near a space of fewer dimensions.
    points = torch.randn(count, 32, generator=draw) @ torch.randn(32, width, generator=draw)
    points = points + 0.3 * torch.randn(count, width, generator=draw)
    plain, on_device = points.numpy(), points.to(budget.device)
    places = {}

    def ours() -> None:
        places["ours"] = nearest_neighbours(on_device, _NEIGHBOURS)[1].cpu()

    def by_faiss() -> None:
        import faiss

        index = faiss.IndexFlatL2(width)
        index.add(plain)
        places["baseline"] = torch.from_numpy(index.search(plain, _NEIGHBOURS)[1])

    def by_scikit_learn() -> None:
        from sklearn.neighbors import NearestNeighbors

        found = NearestNeighbors(n_neighbors=_NEIGHBOURS, algorithm="brute", n_jobs=-1).fit(plain)
        places["baseline"] = torch.from_numpy(found.kneighbors(plain, return_distance=False))

    name, baseline = "scikit-learn", by_scikit_learn
    try:
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        name, baseline = "faiss Flat", by_faiss
    except ImportError:
        pass
    result = alternate("knn", ours, baseline, name, budget)
    same = (places["ours"].sort(dim=1).values == places["baseline"].sort(dim=1).values).float().mean()
    yield replace(result, note=f"{float(same):.5f} of the neighbours are the same")
