"""The linear functions that reproduce a grouping best: multinomial logistic regression."""

from __future__ import annotations

import torch
from torch import Tensor

# Points that are learnt from, evenly over all of them.
_SAMPLE = 20_000
# Of the slopes' squares, with points of mean variance 1.
_PENALTY = 1e-4
_ITERATIONS = 100


def logistic(points: Tensor, labels: Tensor, n_clusters: int) -> tuple[Tensor, Tensor]:
    """Slopes (d, K) and intercepts (K,) whose greatest value at each point is its label's, as far as planes part them.

    Args:
        points: (N, d), float64, about the origin.
        labels: (N,) int64.
        n_clusters: K.
    """
    sample = slice(None, None, -(-len(points) // _SAMPLE))
    points, labels = points[sample], labels[sample]
    scale = points.square().mean().sqrt().clamp(min=1e-12)
    x = points / scale
    wanted = torch.nn.functional.one_hot(labels, n_clusters).to(x)
    slopes, intercepts = x.new_zeros(x.shape[1], n_clusters), x.new_zeros(n_clusters)
    search = torch.optim.LBFGS(
        [slopes, intercepts], max_iter=_ITERATIONS, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        logits = (x @ slopes + intercepts).log_softmax(dim=1)
        wrong = (logits.exp() - wanted) / len(x)
        slopes.grad, intercepts.grad = x.T @ wrong + 2 * _PENALTY * slopes, wrong.sum(dim=0)
        return float(-(logits * wanted).sum() / len(x) + _PENALTY * slopes.square().sum())

    search.step(loss)  # type: ignore[no-untyped-call]
    return slopes / scale, intercepts
