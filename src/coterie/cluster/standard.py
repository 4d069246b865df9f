"""Features brought to the size that a network and a neighbour graph want, whatever unit they come in."""

from __future__ import annotations

import torch
from torch import Tensor

from coterie.devices import precise

# A column so many times as loud as most of them is in another unit, and says no more for it.
_LOUD = 10.0
# Directions of points whose mean is so many times as long as their spread are nearly the same.
_FAR = 20.0


def standard_of(features: Tensor) -> tuple[Tensor, Tensor]:
    """What to take off and to divide by, (D,) each, so that features (N, D) are centred and most columns vary by one.

    All columns are divided by one number, so that which points are near each other does not change; but for those that
    vary ten times as much as the median, each of which is divided by its own deviation.
    """
    points = precise(features)
    center = points.mean(dim=0)
    deviations = (points - center).square().mean(dim=0).sqrt()
    # Of rounding alone.
    varying = deviations > 1e-6 * center.abs() + 1e-30
    usual = deviations[varying].median() if bool(varying.any()) else deviations.new_ones(())
    scale = torch.where(deviations > _LOUD * usual, deviations, usual)
    return center.to(features), scale.to(features)


def odd_scale(features: Tensor) -> str:
    """What keeps features (N, D) from being told apart by their direction, in words; empty where nothing does."""
    points = precise(features)
    center, deviations = points.mean(dim=0), points.std(dim=0, unbiased=False)
    spread = float(deviations.norm())
    if float(center.norm()) > _FAR * spread > 0:
        return "lie far from the origin for their spread: take off their mean first"
    varying = deviations[deviations > 0]
    if len(varying) > 1 and float(deviations.max()) > max(_LOUD * float(varying.median()), spread / 2):
        return f"vary most in one column, number {int(deviations.argmax()) + 1}: bring columns to one scale first"
    return ""


def standardised(features: Tensor) -> Tensor:
    """Features (N, D) by their own `standard_of`."""
    center, scale = standard_of(features)
    return (features - center) / scale
