"""ACC, NMI, ARI, purity and the confusion table. Images whose label is −1 are left out of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Scores:
    """Fractions: best-matching accuracy, normalised mutual information and adjusted Rand index (down to −½)."""

    acc: float
    nmi: float
    ari: float


def confusion(labels: Labels, clusters: Labels) -> npt.NDArray[np.int64]:
    """Counts (classes, clusters); rows are the labels 0..max, columns the clusters 0..max.

    Raises:
        ValueError: the two differ in length, or no label is known.
    """
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    if labels.shape != clusters.shape or labels.ndim != 1:
        raise ValueError(f"labels {labels.shape} and clusters {clusters.shape} must be of one length")
    known = labels >= 0
    if not known.any():
        raise ValueError("no label is known")
    labels, clusters = labels[known], clusters[known]
    table = np.zeros((labels.max() + 1, clusters.max() + 1), dtype=np.int64)
    np.add.at(table, (labels, clusters), 1)
    return table


def matching(table: npt.NDArray[np.int64]) -> dict[int, int]:
    """The one-to-one matching of clusters to classes that agrees on most images: cluster → class."""
    from scipy.optimize import linear_sum_assignment  # A third of a second, which most commands do without.

    classes, clusters = linear_sum_assignment(table, maximize=True)
    return {int(cluster): int(label) for label, cluster in zip(classes, clusters, strict=True)}


def accuracy(table: npt.NDArray[np.int64]) -> float:
    """ACC: the share of images on which the best one-to-one matching agrees."""
    agreed = sum(table[label, cluster] for cluster, label in matching(table).items())
    return float(agreed / table.sum())


def normalised_mutual_information(table: npt.NDArray[np.int64]) -> float:
    """NMI with the arithmetic mean of both entropies; 1 where both have a single group."""
    joint = table / table.sum()
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    entropy = 0.5 * (_entropy(rows) + _entropy(columns))
    if entropy == 0:
        return 1.0
    information = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    return float(min(1.0, max(0.0, information / entropy)))


def adjusted_rand_index(table: npt.NDArray[np.int64]) -> float:
    """ARI (Hubert and Arabie, 1985): agreement over pairs, 0 by chance; 1 where both partitions are trivial alike."""
    pairs = _pairs(table).sum()
    rows, columns = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    total = _pairs(table.sum())
    expected = rows * columns / total if total else 0.0
    highest = 0.5 * (rows + columns)
    return 1.0 if highest == expected else float((pairs - expected) / (highest - expected))


def score(labels: Labels, clusters: Labels) -> Scores:
    """ACC, NMI and ARI of clusters (N,) against labels (N,)."""
    table = confusion(labels, clusters)
    return Scores(accuracy(table), normalised_mutual_information(table), adjusted_rand_index(table))


def purity(table: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """For each cluster, the share of its commonest class; NaN for a cluster without a labelled image."""
    sizes = table.sum(axis=0)
    with np.errstate(invalid="ignore"):
        shares: npt.NDArray[np.float64] = table.max(axis=0) / sizes
    return shares


def _entropy(shares: npt.NDArray[np.float64]) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _pairs(counts: Any) -> Any:
    counts = np.asarray(counts, dtype=np.float64)
    return counts * (counts - 1) / 2
