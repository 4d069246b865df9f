"""Whitening by neighbours: the few directions that groups differ in, none of them louder than it should be.

Features of a pretrained network vary most in what all images share, such as light or the camera's distance, and by that
nearest neighbours differ as well. What tells groups apart varies over all images and little between neighbours. So
axes are chosen as in Fisher's discriminant analysis, with neighbours in place of labels that nobody gave: directions
are divided by their deviation between neighbours, and those that vary most after that are kept. (With groups known to
belong together in place of neighbours this is relevant component analysis, Bar-Hillel et al., 2005.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.neighbours import nearest_neighbours
from coterie.devices import precise
from coterie.errors import CoterieError, UsageError

# Of the widest axis: what varies less is rounding.
_NOTHING = 1e-6
# Principal axes that are looked at, unless more are wanted: the others hold little, and cost time and memory.
_LOOKED_AT = 256
# Images whose neighbours are sought, evenly over all of them: the time grows with the square.
_MOST = 20_000
# Share of a sphere in the covariance between neighbours, of which few images tell too little.
_SHRINKAGE = 0.1


@dataclass(frozen=True)
class Whitening:
    """What `fit_whitening` found, to be done to any features alike.

    Args:
        center: (D,) mean of the unit features.
        axes: (D, m), longer the less neighbours differ along them.
    """

    center: Tensor
    axes: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Unit vectors (n, m) of features (n, D)."""
        return F.normalize((F.normalize(features.to(self.axes.dtype), dim=1) - self.center) @ self.axes, dim=1)


def fit_whitening(
    features: Tensor, n_axes: int, *, power: float = 1.0, neighbours: int = 10, named: Tensor | None = None
) -> Whitening:
    """The axes along which unit features vary most, once divided by their deviation between neighbours.

    With covariances C of all and W of neighbours, `W^(−p/2) e` for the first eigenvectors e of `W^(−p/2) C W^(−p/2)`.

    Args:
        features: (N, D) floating point, finite.
        n_axes: m at the most; fewer where the features have not so many directions.
        power: p from 0, which leaves the principal axes as they are, to 1.
        neighbours: of each image, by cosine once the mean is taken out; less than half of all images.
        named: (N,) int64, the name a person gave each, −1 where none: images of one name count as neighbours, too.

    Raises:
        UsageError: an argument out of range. CoterieError: features that are not finite, or all alike.
    """
    if features.ndim != 2 or len(features) < 2 or min(n_axes, neighbours) < 1 or not 0 <= power <= 1:
        raise UsageError(
            "whitening needs features (N, D) of at least two images, n_axes and neighbours of 1 or more and a power "
            f"from 0 to 1, got {tuple(features.shape)}, {n_axes}, {neighbours} and {power}"
        )
    if not features.isfinite().all():
        raise CoterieError("some features are not finite, and cannot be whitened")
    units = F.normalize(precise(features), dim=1)
    center = units.mean(dim=0)
    variances, axes = _principal(units - center)
    deviations = variances.clamp(min=0).sqrt()
    # Alike but for the last digits of float32.
    least = max(_NOTHING * float(deviations[0]), 1e-9)
    kept = (deviations > least)[: max(_LOOKED_AT, n_axes)].nonzero().squeeze(1)
    if not len(kept):
        raise CoterieError("all features are alike, and nothing tells groups apart")
    variances, axes = variances[kept], axes[:, kept]
    places = (units - center) @ axes
    between = between_neighbours(places, neighbours)
    if named is not None:
        between = _with_names(between, places, named)
    divided = _power(between, -power / 2, least**2)
    _, chosen = torch.linalg.eigh(divided * variances @ divided)
    chosen = axes @ divided @ chosen.flip(1)[:, :n_axes]
    dtype = features.dtype if features.dtype == torch.float64 else torch.float32
    return Whitening(*(part.to(features.device, dtype) for part in (center, chosen)))


def whitened(features: Tensor, n_axes: int, *, power: float = 1.0, neighbours: int = 10) -> Tensor:
    """Unit vectors (N, m) of features (N, D): `fit_whitening` and its result at once."""
    return fit_whitening(features, n_axes, power=power, neighbours=neighbours)(features)


def between_neighbours(places: Tensor, neighbours: int) -> Tensor:
    """Half the mean of `(x − x')(x − x')ᵀ` over points and their neighbours by cosine, (d, d), shrunk to a sphere.

    For neighbours drawn at random this is the covariance.

    Args:
        places: centered points (N, d), float64. Of many a sample is taken, evenly over all of them.
        neighbours: of each; less than half of all points.
    """
    count = min(len(places), _MOST)
    sample = places[torch.arange(count, device=places.device) * (len(places) - 1) // max(1, count - 1)]
    neighbours = max(1, min(neighbours, (count - 1) // 2))
    _, near = nearest_neighbours(F.normalize(sample.float(), dim=1), neighbours + 1)
    total = torch.zeros_like(sample.T @ sample)
    for other in near[:, 1:].T:
        difference = sample - sample[other]
        total += difference.T @ difference
    covariance = total / (2 * count * neighbours)
    sphere = covariance.diagonal().mean().expand(len(total)).diag()
    return torch.lerp(covariance, sphere, _SHRINKAGE)


def _with_names(between: Tensor, places: Tensor, named: Tensor) -> Tensor:
    """A covariance (d, d) between neighbours, and that within names as far as their number vouches for it."""
    known = named >= 0
    members = F.one_hot(named[known]).to(places)
    counts = members.sum(dim=0)
    apart = places[known] - (members.T @ places[known] / counts.clamp(min=1).unsqueeze(1))[named[known]]
    freedom = float(counts.sum() - (counts > 0).sum())
    if not freedom:
        return between
    return torch.lerp(between, apart.T @ apart / freedom, freedom / (freedom + len(between)))


def _power(covariance: Tensor, exponent: float, least: float) -> Tensor:
    """A symmetric matrix to a power, its eigenvalues no less than `least`."""
    values, vectors = torch.linalg.eigh(covariance)
    powered: Tensor = vectors * values.clamp(min=least) ** exponent @ vectors.T
    return powered


def _principal(centered: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (r,), largest first, and unit axes (D, r) of centered points (N, D), by the smaller product."""
    count, dimensions = centered.shape
    if dimensions <= count:
        values, axes = torch.linalg.eigh(centered.T @ centered / count)
        return values.flip(0), axes.flip(1)
    values, shares = torch.linalg.eigh(centered @ centered.T / count)
    return values.flip(0), F.normalize(centered.T @ shares.flip(1), dim=0)
