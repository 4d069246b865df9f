"""What clusterers need of the values of points: squares that neither overflow nor vanish, and enough that differ."""

from __future__ import annotations

import torch
from torch import Tensor

from coterie.devices import wide, widest
from coterie.errors import CoterieError
from coterie.processes import ALONE, Processes

# Between these the square of a value, times a million, is an ordinary number of float32; of float64 the squares are.
_LEAST, _MOST = 1e-15, 1e15
_MOST_DOUBLE = 1e150


def in_range(points: Tensor, group: Processes = ALONE) -> Tensor:
    """Points (N, D) in float32, or in float64 if they have it or their squares want it, and their device has it.

    Args:
        group: processes that share the points.

    Raises:
        CoterieError: they are too large for that, too.
    """
    points = points if points.dtype == torch.float64 else points.float()
    largest = float(group.most(points.abs().max() if points.numel() else points.new_zeros(())))
    if largest > (_MOST_DOUBLE if widest(points.device) == torch.float64 else _MOST):
        raise CoterieError(f"values up to {largest:.1e} are too large to be squared: divide them first")
    return points if largest == 0 or _LEAST < largest < _MOST else wide(points)
