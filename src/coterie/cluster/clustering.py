"""What every way of clustering finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Clustering(Protocol):
    """Clusters of N points: by k-means, or the components of a mixture."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64."""
        ...

    @property
    def centers(self) -> Tensor:
        """(K, D)."""
        ...

    @property
    def responsibilities(self) -> Tensor | None:
        """How far each point belongs to each cluster, (N, K); None where it belongs to one alone."""
        ...


@dataclass(frozen=True)
class Partition:
    """A clustering by labels (N,) alone, with the middles (K, D) of what they are given to."""

    labels: Tensor
    centers: Tensor
    responsibilities: None = None
