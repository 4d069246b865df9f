"""What decides to which group a point belongs: linear functions of it, one for each group, of which the greatest wins.

Nearest centers are such a rule, by direction and by distance alike, and so are the components of a mixture with one
covariance: what their logits lack is the same for all groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.kmeans import Metric


@dataclass(frozen=True)
class Rule:
    """`logits = (x − origin)·slopes + intercepts`.

    Args:
        origin: (d,), near the points, where products lose fewer digits.
        slopes: (d, K).
        intercepts: (K,).
        metric: "cosine" takes points by their direction.
    """

    origin: Tensor
    slopes: Tensor
    intercepts: Tensor
    metric: Metric = "cosine"

    def __call__(self, points: Tensor) -> Tensor:
        """Logits (n, K) of points (n, d)."""
        points = F.normalize(points, dim=1) if self.metric == "cosine" else points
        return (points - self.origin) @ self.slopes + self.intercepts

    def labels(self, points: Tensor) -> Tensor:
        """The group of each point, (n,) int64, without ever holding the logits of all."""
        chunk = max(1024, (1 << 24) // len(self.intercepts))
        return torch.cat([self(part).argmax(dim=1) for part in torch.split(points, chunk)])

    def ordered(self, order: Tensor) -> Rule:
        """The groups in another order: group `order[k]` of this rule is group k of that one."""
        return Rule(self.origin, self.slopes[:, order], self.intercepts[order], self.metric)

    def to(self, like: Tensor) -> Rule:
        """On a tensor's device and in its precision."""
        return Rule(self.origin.to(like), self.slopes.to(like), self.intercepts.to(like), self.metric)


def nearest(centers: Tensor, metric: Metric) -> Rule:
    """The nearest of centers (K, d), which are of unit length where the metric is cosine.

    Logits are the cosine, or the negative squared distance but for a term of the point alone.
    """
    if metric == "cosine":
        return Rule(torch.zeros_like(centers[0]), centers.T, torch.zeros_like(centers[:, 0]), metric)
    origin = centers.mean(dim=0)
    about = centers - origin
    return Rule(origin, 2 * about.T, -about.square().sum(dim=1), metric)
