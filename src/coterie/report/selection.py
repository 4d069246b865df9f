"""Which images stand for a cluster, and which the page shows at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.runs.assignments import Assignments

# Two rows and one of the page's galleries, for up to so many clusters; more clusters show fewer images each.
TYPICAL, DOUBTFUL, OUTLYING = 24, 12, 12
_CLUSTERS_IN_FULL = 40
# Images of the map: more would be neither smooth nor small. Larger runs show evenly spaced ones.
MOST_SHOWN = 20_000


@dataclass(frozen=True)
class Selection:
    """Rows of a cluster's most typical, most doubtful and outlying images, best and worst first; none occurs twice."""

    typical: list[int]
    doubtful: list[int]
    outlying: list[int]

    @property
    def rows(self) -> list[int]:
        return self.typical + self.doubtful + self.outlying


def folded(assignments: Assignments, first: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """By how many pictures (N,) each row is shown: 1, or with its copies in its cluster more; 0 for these copies.

    Args:
        first: (N,) the row of the picture that each is a copy of, its own where it is none.
    """
    shown_by = np.where(assignments.clusters[first] == assignments.clusters, first, np.arange(len(first)))
    return np.bincount(shown_by, minlength=len(first))


def select(
    assignments: Assignments,
    embeddings: npt.NDArray[np.floating[Any]],
    pictures: npt.NDArray[np.int64] | None = None,
) -> dict[int, Selection]:
    """A selection for each cluster with members, by number, of those that stand for `pictures` (N,).

    Typical images lie nearest to their cluster's mean; outlying ones are its outliers, the farthest first; doubtful
    ones have the least confidence of the rest.
    """
    clusters = np.unique(assignments.clusters)
    scale = min(1.0, _CLUSTERS_IN_FULL / max(1, len(clusters)))
    typical_most, doubtful_most, outlying_most = (
        max(1, int(most * scale)) for most in (TYPICAL, DOUBTFUL, OUTLYING)
    )  # fmt: skip
    chosen = {}
    for cluster in clusters:
        rows = np.flatnonzero((assignments.clusters == cluster) & (True if pictures is None else pictures > 0))
        members = embeddings[rows]
        farness = np.square(members - members.mean(axis=0)).sum(axis=1)
        # A small group keeps a third of its images for the doubtful ones.
        typical = rows[np.argsort(farness, kind="stable")][: min(typical_most, -(-2 * len(rows) // 3))]
        rest = np.setdiff1d(rows, typical)
        farthest = rows[np.argsort(-farness, kind="stable")]
        outlying = farthest[assignments.outlier[farthest] & np.isin(farthest, rest)][:outlying_most]
        rest = np.setdiff1d(rest, outlying)
        doubtful = rest[np.argsort(assignments.confidence[rest], kind="stable")][:doubtful_most]
        chosen[int(cluster)] = Selection(typical.tolist(), doubtful.tolist(), outlying.tolist())
    return chosen


def shown_rows(pictures: npt.NDArray[np.int64], selected: Iterable[int]) -> list[int]:
    """Rows the page shows, rising: all that stand for `pictures` (N,), or `MOST_SHOWN` evenly spaced ones of them and
    the selected."""
    there = np.flatnonzero(pictures)
    if len(there) <= MOST_SHOWN:
        return [int(row) for row in there]
    spaced = there[np.linspace(0, len(there) - 1, MOST_SHOWN).astype(np.int64)]
    return sorted({*spaced.tolist(), *selected})
