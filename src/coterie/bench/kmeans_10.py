"""k-means of 60 000 points into 10 clusters."""

from __future__ import annotations

from collections.abc import Iterator

from coterie.bench._kmeans import measure_kmeans
from coterie.bench.base import Budget, Result


def measure(budget: Budget) -> Iterator[Result]:
    """Seconds beside faiss and scikit-learn."""
    yield from measure_kmeans(
        "kmeans-10", budget, points=budget.size(60_000, 2_000), width=256, groups=10, clusters=10, n_init=10
    )
