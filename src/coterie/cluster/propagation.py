"""What was said of some points spreads to the others, by the graph of neighbours and by where groups lie as a whole."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.fuzzy_graph import fuzzy_graph
from coterie.cluster.neighbours import nearest_neighbours
from coterie.cluster.tied import mixture_of

_NEIGHBOURS = 15
# The share of what a point believes that it has from its neighbours, and the passes after which the rest is little.
_SPREAD, _PASSES = 0.95, 60
# How much of a group that was only found counts as an image that was named, by the images that were.
_WORTH = 2.0
# What was spread and what neighbours believe, beside a likelihood, in its logarithm.
_SAID, _NEAR = 4.0, 2.0
_ROUNDS, _INNER, _RESTING = 25, 3, 1e-4
_REGULARISED, _LEAST = 1e-6, 1e-12


@dataclass(frozen=True)
class NeighbourGraph:
    """Sparse matrices (N, N) of neighbours' weights: `even`, whose rows sum to 1, and `symmetric`, D^(−½) W D^(−½)."""

    even: Tensor
    symmetric: Tensor

    @staticmethod
    def of(places: Tensor) -> NeighbourGraph:
        """The locally normalised graph of the 15 nearest of each place (N, m)."""
        count = len(places)
        graph = fuzzy_graph(*nearest_neighbours(places.float(), min(_NEIGHBOURS + 1, count)))
        weights = graph.weights.double()
        degrees = torch.zeros(count, dtype=torch.float64).index_add_(0, graph.rows, weights).clamp(min=_LEAST)
        index = torch.stack([graph.rows, graph.columns])

        def matrix(values: Tensor) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Its layout is called a beta by some versions of torch.
                return torch.sparse_coo_tensor(index, values, (count, count), check_invariants=False).to_sparse_csr()

        roots = degrees.sqrt()
        return NeighbourGraph(
            matrix(weights / degrees[graph.rows]), matrix(weights / (roots[graph.rows] * roots[graph.columns]))
        )


def propagated(sources: Tensor, graph: NeighbourGraph) -> Tensor:
    """What reaches each point of each group, (N, K): `F = (1−α) Σ_t α^t S^t Y`.

    Zhou et al., Learning with local and global consistency, 2003.

    Args:
        sources: Y (N, K) float64, not negative, where groups are known.
    """
    found = sources
    for _ in range(_PASSES):
        found = _SPREAD * (graph.symmetric @ found) + (1 - _SPREAD) * sources
    return found


def spread(sources: Tensor, graph: NeighbourGraph) -> Tensor:
    """How far each point believes in each group, (N, K), rows and columns of one sum each in turn.

    Args:
        sources: (N, K), not negative, where groups are known.
    """
    found = propagated(sources / sources.sum(dim=0).clamp(min=_LEAST), graph)
    found = found / found.sum(dim=0).clamp(min=_LEAST)
    total = found.sum(dim=1, keepdim=True)
    # Where nothing came, everything is as likely.
    return torch.where(total > 0, found / total.clamp(min=1e-300), 1 / sources.shape[1])


def taken_over(clusters: Tensor, told: Tensor, n_clusters: int, graph: NeighbourGraph) -> Tensor:
    """Clusters as groups to begin with: each name takes over one, those into which what was told spreads most.

    The others have the numbers that follow the names'; where these are too few, clusters of which something was told
    go first, and of these the smallest: their points begin without a group.

    Args:
        clusters: (N,) int64, numbered by size.
        told: (N,) int64, from 0 to C−1, each met, or −1.
        n_clusters: K, no less than C.
    """
    from scipy.optimize import linear_sum_assignment  # As in `linear`.

    known, names, count = told >= 0, int(told.max()) + 1, int(clusters.max()) + 1
    reached = torch.zeros(names, count, dtype=torch.float64)
    reached.index_add_(1, clusters, spread(_one_hot(told, names), graph).T.contiguous())
    # Half of a mean cluster for the images that were named themselves.
    own = torch.full((int(known.sum()),), 0.5 * len(told) / max(1, count) * names / max(1, int(known.sum())))
    reached.index_put_((told[known], clusters[known]), own.double(), accumulate=True)
    place = torch.full((count,), -1)
    for name, cluster in zip(*linear_sum_assignment(-reached.numpy()), strict=True):
        place[cluster] = int(name)
    others = (place < 0).nonzero().squeeze(1)
    spoken_of = clusters[known].bincount(minlength=count) > 0
    others = others[spoken_of[others].long().argsort(stable=True)][: n_clusters - names]
    place[others] = torch.arange(names, names + len(others))
    return place[clusters]


def follow(
    places: Tensor, start: Tensor, told: Tensor, n_clusters: int, graph: NeighbourGraph, *, looked_at: bool
) -> Tensor:
    """Groups (N,) from what was told, and from those to begin with as far as they count.

    A mixture with one covariance, in which every point also listens to its neighbours and to what has spread to it, by
    rounds of mean-field updates; what was told stays.

    Args:
        looked_at: a person has seen the groups to begin with; then each counts as much as all that was told of it.
    """
    counts = told[told >= 0].bincount(minlength=n_clusters).double()
    worth = counts.clamp(min=_WORTH) if looked_at else _WORTH / counts.clamp(min=1)
    begun = _one_hot(start, n_clusters)
    sources = _one_hot(told, n_clusters) + worth * begun / begun.sum(dim=0).clamp(min=1)
    believed = spread(sources, graph)
    heard = _SAID * (believed + _LEAST).log()
    # Also where points do not vary, or groups are all there is.
    rounding = _REGULARISED * (1 + float(places.var(dim=0, correction=0).mean()))
    for _ in range(_ROUNDS):
        slopes, intercepts = mixture_of(places, _bound(believed, told), reg_covar=rounding).linear()
        before, logits = believed, heard + places @ slopes[0] + intercepts[0]
        for _ in range(_INNER):
            believed = _bound((logits + _NEAR * (graph.even @ believed)).softmax(dim=1), told)
        if float((believed - before).abs().sum(dim=1).mean()) < _RESTING:
            break
    return believed.argmax(dim=1)


def _bound(shares: Tensor, told: Tensor) -> Tensor:
    """Shares (N, K) in which what was told (N,) is certain."""
    return torch.where((told >= 0).unsqueeze(1), _one_hot(told, shares.shape[1]), shares)


def _one_hot(labels: Tensor, n_clusters: int) -> Tensor:
    """(N, K) float64; rows of −1 are 0."""
    return F.one_hot(labels.clamp(min=0), n_clusters).double() * (labels >= 0).unsqueeze(1)
