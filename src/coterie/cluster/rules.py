"""What decides to which group a point belongs: linear functions of it, one for each group, of which the greatest wins.

Nearest centers are such a rule, by direction and by distance alike, and so are the components of a mixture with one
covariance: what their logits lack is the same for all groups. They may be functions of the point's place among a few
axes instead, such as whitening finds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.kmeans import Metric


@dataclass(frozen=True)
class Rule:
    """`logits = (x − origin)·slopes + intercepts`, or of the direction of `(x − origin)·axes` in place of `x − origin`.

    Args:
        origin: (d,), near the points, where products lose fewer digits.
        slopes: (d, K), or (m, K) where there are axes.
        intercepts: (K,).
        metric: "cosine" takes points by their direction.
        axes: (d, m), see `Whitening`; None for the points as they are.
    """

    origin: Tensor
    slopes: Tensor
    intercepts: Tensor
    metric: Metric = "cosine"
    axes: Tensor | None = None

    def __call__(self, points: Tensor) -> Tensor:
        """Logits (n, K) of points (n, d)."""
        places = (F.normalize(points, dim=1) if self.metric == "cosine" else points) - self.origin
        if self.axes is not None:
            places = F.normalize(places @ self.axes, dim=1)
        return places @ self.slopes + self.intercepts

    def labels(self, points: Tensor) -> Tensor:
        """The group of each point, (n,) int64, without ever holding the logits of all."""
        chunk = max(1024, (1 << 24) // len(self.intercepts))
        return torch.cat([self(part).argmax(dim=1) for part in torch.split(points, chunk)])

    def ordered(self, order: Tensor) -> Rule:
        """The groups in another order: group `order[k]` of this rule is group k of that one."""
        return replace(self, slopes=self.slopes[:, order], intercepts=self.intercepts[order])

    def to(self, like: Tensor) -> Rule:
        """On a tensor's device and in its precision."""
        return Rule(metric=self.metric, **{name: part.to(like) for name, part in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """What a file holds of it, by name."""
        parts = {"origin": self.origin, "slopes": self.slopes, "intercepts": self.intercepts}
        return parts if self.axes is None else {**parts, "axes": self.axes}


def nearest(centers: Tensor, metric: Metric) -> Rule:
    """The nearest of centers (K, d), which are of unit length where the metric is cosine.

    Logits are the cosine, or the negative squared distance but for a term of the point alone.
    """
    if metric == "cosine":
        return Rule(torch.zeros_like(centers[0]), centers.T, torch.zeros_like(centers[:, 0]), metric)
    origin = centers.mean(dim=0)
    about = centers - origin
    return Rule(origin, 2 * about.T, -about.square().sum(dim=1), metric)
