"""The linear functions that reproduce a grouping best: multinomial logistic regression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
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
    from scipy.optimize import minimize  # A third of a second, which runs without names do without.

    sample = slice(None, None, -(-len(points) // _SAMPLE))
    points, labels = points[sample], labels[sample]
    scale = points.square().mean().sqrt().clamp(min=1e-12)
    x = points / scale
    wanted = torch.nn.functional.one_hot(labels, n_clusters).to(x)

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        both = torch.from_numpy(flat).view(-1, n_clusters)
        slopes, intercepts = both[:-1], both[-1]
        logits = (x @ slopes + intercepts).log_softmax(dim=1)
        wrong = (logits.exp() - wanted) / len(x)
        slope = torch.cat([x.T @ wrong + 2 * _PENALTY * slopes, wrong.sum(dim=0, keepdim=True)])
        value = -(logits * wanted).sum() / len(x) + _PENALTY * slopes.square().sum()
        return float(value), slope.flatten().numpy()

    start = np.zeros((x.shape[1] + 1) * n_clusters)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "gtol": 1e-6})
    both = torch.from_numpy(found.x).view(-1, n_clusters)
    return both[:-1] / scale, both[-1]
