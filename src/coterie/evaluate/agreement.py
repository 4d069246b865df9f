"""How well clusters agree with labels given by name: scores, the confusion table, and a line for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coterie.evaluate.metrics import Scores, confusion, matching, purity, score
from coterie.evaluate.reliability import Reliability, reliability


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the confusion `table` (classes, clusters) with its class names and the purity of each cluster.

    `matched` maps a cluster to the row of the class that the best one-to-one matching gives it; by it an image is right
    or wrong in `reliability`, which is None where no confidence is known. `left_out` images were told their class.
    """

    scores: Scores
    table: npt.NDArray[np.int64]
    classes: list[str]
    purity: npt.NDArray[np.float64]
    matched: dict[int, int]
    labelled: int
    reliability: Reliability | None = None
    left_out: int = 0

    def as_json(self) -> dict[str, Any]:
        """The content of `evaluation.json`."""
        return {
            "labelled": self.labelled,
            "left_out": self.left_out,
            **asdict(self.scores),
            "classes": self.classes,
            "confusion": self.table.tolist(),
            "purity": [None if np.isnan(share) else round(float(share), 6) for share in self.purity],
            "matched": {str(cluster): self.classes[row] for cluster, row in sorted(self.matched.items())},
            "reliability": None if self.reliability is None else asdict(self.reliability),
        }


@dataclass(frozen=True)
class ClassFigures:
    """A class's `size`, the cluster matched to it (None if clusters are too few), and how the two fit.

    Args:
        recall: the share of the class in that cluster, 0..1.
        precision: the share of the class among that cluster's labelled images, 0..1.
        fullest: the cluster with most of the class.
        share: of the class in `fullest`, 0..1.
    """

    name: str
    size: int
    matched: int | None
    recall: float
    precision: float
    fullest: int
    share: float


def compare(
    named: Sequence[str], clusters: npt.NDArray[np.int64], confidence: npt.NDArray[np.floating[Any]] | None = None,
    *, told: npt.NDArray[np.bool_] | None = None,
) -> Evaluation:  # fmt: skip
    """Compare clusters (N,) with the label of each image by name; images with an empty name are left out.

    With their `confidence` (N,) also how far that can be relied on. Those that were `told` (N,) are left out, too.

    Raises:
        ValueError: no label is known.
    """
    left_out = 0
    if told is not None:
        left_out = sum(bool(name) and itself for name, itself in zip(named, told.tolist(), strict=True))
        named = ["" if itself else name for name, itself in zip(named, told.tolist(), strict=True)]
    classes = in_order(set(named) - {""})
    numbers = {name: number for number, name in enumerate(classes)}
    numbered = np.array([numbers.get(name, -1) for name in named], dtype=np.int64)
    table = confusion(numbered, clusters)
    matched, scores = matching(table), score(numbered, clusters)
    found = None
    if confidence is not None:
        known = numbered >= 0
        # A cluster that is matched to no class is right about no image.
        expected = np.array([matched.get(cluster, -1) for cluster in clusters[known].tolist()])
        found = reliability(confidence[known], expected == numbered[known])
    return Evaluation(scores, table, classes, purity(table), matched, int(table.sum()), found, left_out)


def per_class(evaluation: Evaluation) -> list[ClassFigures]:
    """Figures for every class, in the order of `evaluation.classes`."""
    table = evaluation.table
    cluster_of = {label: cluster for cluster, label in evaluation.matched.items()}
    figures = []
    for row, name in enumerate(evaluation.classes):
        size, cluster, fullest = int(table[row].sum()), cluster_of.get(row), int(table[row].argmax())
        agreed = 0 if cluster is None else int(table[row, cluster])
        members = 0 if cluster is None else int(table[:, cluster].sum())
        precision = agreed / members if members else 0.0
        share = int(table[row, fullest]) / size
        figures.append(ClassFigures(name, size, cluster, agreed / size, precision, fullest, share))
    return figures


def in_order(names: set[str]) -> list[str]:
    """Numbers by value, before words by letter."""
    return sorted(names, key=_place)


def _place(name: str) -> tuple[int, int, str]:
    # Equal numbers, as 1 and 01, by letter, since a set has another order in every process.
    return (0, int(name), name) if name.isdecimal() and len(name) <= 18 else (1, 0, name)
