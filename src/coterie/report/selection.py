"""Which images stand for a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.runs.assignments import Assignments

# Two rows and one of the page's galleries.
TYPICAL, DOUBTFUL = 24, 12


@dataclass(frozen=True)
class Selection:
    """Rows of a cluster's most typical and most doubtful images, best and worst first; the two do not overlap."""

    typical: list[int]
    doubtful: list[int]


def select(assignments: Assignments, embeddings: npt.NDArray[np.floating[Any]]) -> dict[int, Selection]:
    """A selection for each cluster with members, by number.

    Typical images lie nearest to their cluster's mean; doubtful ones have the least confidence.
    """
    chosen = {}
    for cluster in np.unique(assignments.clusters):
        rows = np.flatnonzero(assignments.clusters == cluster)
        members = embeddings[rows]
        closeness = -np.square(members - members.mean(axis=0)).sum(axis=1)
        # A small group keeps a third of its images for the doubtful ones.
        typical = rows[np.argsort(-closeness, kind="stable")][: min(TYPICAL, -(-2 * len(rows) // 3))]
        rest = np.setdiff1d(rows, typical)
        doubtful = rest[np.argsort(assignments.confidence[rest], kind="stable")][:DOUBTFUL]
        chosen[int(cluster)] = Selection(typical.tolist(), doubtful.tolist())
    return chosen
