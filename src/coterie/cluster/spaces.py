"""Feature spaces side by side: what several networks make of the same images, in one matrix.

The features (N, D) of S spaces lie in `spaces` columns each, as they were made. A space's scale is its network's whim,
so what compares them takes each at unit length: the cosine of two images is then the mean of those in all spaces.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def in_spaces(columns: Tensor, spaces: Sequence[int]) -> tuple[Tensor, ...]:
    """The columns (m, D) of each space, (m, D_s)."""
    parts: tuple[Tensor, ...] = torch.split(columns, list(spaces), dim=1)
    return parts


def as_one(features: Tensor, spaces: Sequence[int]) -> Tensor:
    """Features (n, D) as if of a single space: those of several at unit length in each, those of one as they are."""
    if len(spaces) < 2:
        return features
    return torch.cat([F.normalize(part, dim=1) for part in in_spaces(features, spaces)], dim=1)
