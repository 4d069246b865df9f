"""Approximate nearest neighbours among many points: only those in cells near by are compared.

k-means parts the points into cells, and the members of a cell seek their neighbours in the cells whose centers are
nearest to its own, as with an inverted file (Jégou et al., TPAMI 2011); a cell at a time, so that comparing is a
product of matrices.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from coterie.cluster.lloyd import lloyd
from coterie.cluster.products import nearest, product

# Members of a cell on average and at the most, points it is found from, and iterations that find it.
_MEMBERS, _MOST, _SAMPLE_EACH, _ITERATIONS = 100, 800, 8, 5
# How many points those of a cell are compared with, at least.
_COMPARED = 8192
# Candidates beyond k, as distances from a product are a little off, and numbers held at a time: 64 MiB of float32.
_SPARE, _HELD = 4, 1 << 24


class Cells:
    """Points (N, D), floating point and finite, in cells by which their neighbours are found.

    Args:
        seed: of the sample that the cells are found from; the same one finds the same neighbours.
    """

    def __init__(self, points: Tensor, *, seed: int = 0) -> None:
        self._points = points - points.mean(dim=0)
        self._norms = self._points.square().sum(dim=1)
        count = max(1, len(points) // _MEMBERS)
        draw = torch.Generator(points.device).manual_seed(seed)
        sample = self._points[torch.randperm(len(points), generator=draw, device=points.device)]
        sample = sample[: _SAMPLE_EACH * count].clone()
        found, _, _ = lloyd(sample, sample[None, :count], spherical=False, max_iter=_ITERATIONS, tol=1e-3)
        # Parts kept one by one would lie between the scores of each pass, and split the heap.
        cells = torch.empty(len(points), dtype=torch.int64, device=points.device)
        for part, _, index in nearest(self._points, found):
            cells[part] = index[:, 0]
        self._cells, self._centers = _divided(cells, found[0])

    def nearest(self, k: int, among: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The k nearest of the points that each point was compared with.

        Args:
            k: 1 ≤ k ≤ N, or the number of those `among` which they are sought.
            among: (S,) int64, rising, the points that can be neighbours; None for all.

        Returns:
            Distances (N, k), rising along each row, and places (N, k) int64 among all points; a point that can be
            one is its own first neighbour.
        """
        distances = self._points.new_empty(len(self._points), k)
        places = torch.empty(distances.shape, dtype=torch.int64, device=distances.device)
        for rows, candidates in self._compared(k, among):
            for part in torch.split(rows, max(1, _HELD // len(candidates))):
                scores = product(self._points[part], -2 * self._points[candidates], self._norms[candidates])
                scores[part.unsqueeze(1) == candidates] = -torch.inf
                best = scores.topk(min(k + _SPARE, len(candidates)), largest=False).indices
                distances[part], places[part] = self._ordered(part, candidates[best], k)
        return distances, places

    def _compared(self, k: int, among: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """The points of each cell, and those in the cells nearest to it that can be their neighbours."""
        everyone = torch.arange(len(self._points), device=self._points.device)
        members = everyone if among is None else among
        own = _listed(everyone, self._cells, len(self._centers))
        able = _listed(members, self._cells[members], len(self._centers))
        sizes = torch.tensor([len(part) for part in able])
        wanted = min(len(members), max(k + _SPARE, _COMPARED * len(members) // len(everyone)))
        for cell, rows in enumerate(own):
            far = (self._centers - self._centers[cell]).square().sum(dim=1)
            far[cell] = -1  # Its pieces have one center.
            order = far.argsort().cpu()
            enough = int(torch.searchsorted(sizes[order].cumsum(0), wanted)) + 1
            yield rows, torch.cat([able[near] for near in order[:enough].tolist()])

    def _ordered(self, rows: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Distances (n, k) of the points to the nearest of their candidates (n, m), and which these are."""
        distances = (self._points[candidates] - self._points[rows].unsqueeze(1)).square_().sum(dim=2).sqrt_()
        # The point itself is first, also among its copies.
        distances[candidates == rows.unsqueeze(1)] = -1
        best, order = distances.topk(k, largest=False)
        return best.clamp_(min=0), candidates.gather(1, order)


def _divided(cells: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Cells (N,) and their centers, with those of too many points, such as copies of one, in pieces."""
    sizes = torch.bincount(cells, minlength=len(centers))
    order = cells.argsort(stable=True)
    within = torch.empty_like(cells)
    within[order] = torch.arange(len(cells), device=cells.device) - (sizes.cumsum(0) - sizes)[cells[order]]
    pieces, places = torch.unique(cells * (len(cells) // _MOST + 1) + within // _MOST, return_inverse=True)
    return places, centers[pieces // (len(cells) // _MOST + 1)]


def _listed(members: Tensor, cells: Tensor, count: int) -> tuple[Tensor, ...]:
    """The members (n,) of each of so many cells, by the cell (n,) of each."""
    return torch.split(members[cells.argsort(stable=True)], torch.bincount(cells, minlength=count).tolist())
