"""Partial whitening: the few directions that groups differ in, none of them louder than it should be.

Features of a pretrained network vary most in what all images share, such as light or the camera's distance. Of unit
features the first principal axes are kept, about as many as there are groups, and each is divided by a power of its
deviation: power 0 leaves them as they are, 1 makes them alike (whitening), ½ lies between.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.devices import precise
from coterie.errors import CoterieError, UsageError

# Of the widest axis: what varies less is rounding.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Whitening:
    """What `fit_whitening` found, to be done to any features alike.

    Args:
        center: (D,) mean of the unit features.
        axes: (D, m) principal axes, each divided by a power of its deviation.
    """

    center: Tensor
    axes: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Unit vectors (n, m) of features (n, D)."""
        return F.normalize((F.normalize(features.to(self.axes.dtype), dim=1) - self.center) @ self.axes, dim=1)


def fit_whitening(features: Tensor, n_axes: int, *, power: float = 0.5) -> Whitening:
    """Principal axes of unit features, each divided by its deviation to a power.

    Args:
        features: (N, D) floating point, finite.
        n_axes: m at the most; fewer where the features have not so many directions.
        power: 0 ≤ power ≤ 1.

    Raises:
        UsageError: an argument out of range. CoterieError: features that are not finite, or all alike.
    """
    if features.ndim != 2 or len(features) < 2 or n_axes < 1 or not 0 <= power <= 1:
        raise UsageError(
            "whitening needs features (N, D) of at least two images, n_axes of 1 or more and a power from 0 to 1, got "
            f"{tuple(features.shape)}, {n_axes} and {power}"
        )
    if not features.isfinite().all():
        raise CoterieError("some features are not finite, and cannot be whitened")
    units = F.normalize(precise(features), dim=1)
    center = units.mean(dim=0)
    variances, axes = _principal(units - center)
    deviations = variances.clamp(min=0).sqrt()
    # Alike but for the last digits of float32.
    kept = (deviations > max(_NOTHING * float(deviations[0]), 1e-9))[:n_axes]
    if not kept.any():
        raise CoterieError("all features are alike, and nothing tells groups apart")
    chosen = axes[:, :n_axes][:, kept] / deviations[:n_axes][kept] ** power
    dtype = features.dtype if features.dtype == torch.float64 else torch.float32
    return Whitening(*(part.to(features.device, dtype) for part in (center, chosen)))


def whitened(features: Tensor, n_axes: int, *, power: float = 0.5) -> Tensor:
    """Unit vectors (N, m) of features (N, D): `fit_whitening` and its result at once."""
    return fit_whitening(features, n_axes, power=power)(features)


def _principal(centered: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (r,), largest first, and unit axes (D, r) of centered points (N, D), by the smaller product."""
    count, dimensions = centered.shape
    if dimensions <= count:
        values, axes = torch.linalg.eigh(centered.T @ centered / count)
        return values.flip(0), axes.flip(1)
    values, shares = torch.linalg.eigh(centered @ centered.T / count)
    return values.flip(0), F.normalize(centered.T @ shares.flip(1), dim=0)
