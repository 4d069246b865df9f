"""Where each of up to millions of points lies on a map, and which are its nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.cluster.approximate import approximate_neighbours
from coterie.cluster.fuzzy_graph import local_scales
from coterie.cluster.neighbours import nearest_neighbours
from coterie.cluster.planar import planar_map

# Points up to which neighbours are exact and every point is laid out, and of how many the layout is made beyond.
EXACT, _LAID_OUT = 100_000, 25_000
# Neighbours that the map keeps together, and those among the laid out that the others are placed by.
NEIGHBOURS, _PLACED_BY = 15, 5
# Rows taken along in float64 at a time.
_ROWS = 1 << 16


@dataclass(frozen=True)
class Chart:
    """`places` (N, 2) float32 on a map, and of each point itself and its nearest neighbours, rising along each row,
    `distances` (N, k), Euclidean, and `neighbours` (N, k) int64."""

    places: Tensor
    distances: Tensor
    neighbours: Tensor


def chart(points: npt.NDArray[np.floating[Any]], k: int = NEIGHBOURS + 1) -> Chart:
    """A map of points (N, D) that keeps neighbours together; points (N, 2) are places on one already.

    Beyond `EXACT` points neighbours are approximate, by faiss; evenly spaced points are laid out, and the others
    placed among the nearest of these.

    Args:
        k: neighbours of each point, itself among them; as many as there are where these are fewer.

    Raises:
        UsageError: there are more points than `EXACT`, and faiss is not installed.
    """
    values = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
    k = min(k, len(values))
    few = len(values) <= EXACT
    distances, neighbours = nearest_neighbours(values, k) if few else approximate_neighbours(values, k)
    if values.shape[1] == 2:
        return Chart(values, distances, neighbours)
    if few:
        return Chart(planar_map(distances, neighbours, _start(points)), distances, neighbours)
    rows = torch.linspace(0, len(values) - 1, _LAID_OUT, dtype=torch.float64).long()
    sample = points[rows.numpy()]
    laid_out = planar_map(*nearest_neighbours(values[rows], NEIGHBOURS + 1), _start(sample))
    return Chart(_placed(values, rows, laid_out), distances, neighbours)


def principal_axes(points: npt.NDArray[np.floating[Any]], count: int = 2) -> npt.NDArray[np.float64]:
    """Coordinates (N, count) along the directions of most variance (PCA), or as many as the points have."""
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    directions = vectors[:, : -count - 1 : -1]
    # An eigenvector's sign is arbitrary: fix it, so that the same run gives the same map.
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), range(directions.shape[1])])
    coordinates: npt.NDArray[np.float64] = centred @ directions
    return coordinates


def _start(points: npt.NDArray[np.floating[Any]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(principal_axes(points)))


def _placed(points: Tensor, rows: Tensor, laid_out: Tensor) -> Tensor:
    """Every point at the mean of its nearest among those laid out at `rows` (S,), by the weights of the map's graph."""
    distances, nearest = approximate_neighbours(points, _PLACED_BY, rows)
    _, sigma = local_scales(torch.cat([torch.zeros_like(distances[:, :1]), distances], dim=1))
    beyond = distances - distances[:, :1]
    weights = torch.where(beyond > 0, (-beyond / sigma.unsqueeze(1)).exp(), 1.0)
    places = laid_out[torch.searchsorted(rows, nearest)]
    mean = (weights.unsqueeze(2) * places).sum(dim=1) / weights.sum(dim=1, keepdim=True)
    mean[rows] = laid_out
    return mean
