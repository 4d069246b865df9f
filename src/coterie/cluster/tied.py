"""Mixtures of Gaussians that share one covariance, many restarts at once.

With one covariance Σ the logarithm of a component's weight times density is linear in the point, but for a part that
all components share, and the M-step needs no more than counts and sums: Σ is what varies at all less what varies
between the means. A pass over the points is thus two matrix products, for all restarts together and for a share of the
points in each process. `gaussian_mixture(covariance="tied")` is the same by the book.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coterie.cluster.kmeans import sampled
from coterie.cluster.lloyd import lloyd
from coterie.cluster.seeding import plus_plus
from coterie.processes import ALONE, Processes

# Points that restarts are tried on, where there are more.
_SAMPLE = 20_000
# Passes of k-means that a restart begins with.
_ROUNDS = 5
# Probabilities held at a time: 32 MiB of float64.
_HELD = 1 << 22


@dataclass(frozen=True)
class TiedMixtures:
    """R mixtures of K Gaussians: `weights` (R, K), `means` (R, K, D), `covariances` (R, D, D), `log_likelihood` (R,).

    The likelihood is that of the mean point; −∞ where the covariance has no inverse.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor
    log_likelihood: Tensor

    def __len__(self) -> int:
        return len(self.weights)

    def of(self, chosen: Tensor) -> TiedMixtures:
        """Those of some places (r,)."""
        return TiedMixtures(*(part[chosen] for part in self._parts))

    def put(self, places: Tensor, others: TiedMixtures) -> None:
        """Write others over those in `places` (r,)."""
        for own, part in zip(self._parts, others._parts, strict=True):
            own[places] = part

    def linear(self) -> tuple[Tensor, Tensor]:
        """Slopes (R, D, K) and intercepts (R, K): `x·slopes + intercepts` is log(w_k N(x; μ_k, Σ)), but for one term.

        That term, of x alone, no component has to itself.
        """
        factors, _ = torch.linalg.cholesky_ex(self.covariances)
        slopes = torch.cholesky_solve(self.means.mT, factors)
        return slopes, self.weights.log() - 0.5 * (self.means.mT * slopes).sum(dim=1)

    @property
    def _parts(self) -> tuple[Tensor, ...]:
        return self.weights, self.means, self.covariances, self.log_likelihood


def tied_mixtures(
    points: Tensor,
    n_clusters: int,
    *,
    n_init: int = 16,
    max_iter: int = 200,
    tol: float = 1e-5,
    reg_covar: float = 1e-6,
    generator: torch.Generator,
    group: Processes = ALONE,
) -> TiedMixtures:
    """Fit mixtures by EM, each from a few passes of a k-means of its own; of many points, to a sample of 20 000.

    Args:
        points: (N, D) floating point, finite, about as far spread along every axis as `reg_covar` is small.
        n_clusters: K, 1 ≤ K ≤ N.
        n_init: R, restarts.
        max_iter: iterations at the most.
        tol: a restart rests when the mean log-likelihood rises by less.
        reg_covar: added to every variance.
        generator: on the points' device.
        group: processes of which each has the rows `group.share(N)` of N; the result is that of all points.

    Returns:
        The restarts in float64, the likeliest first.
    """
    total = int(group.sum(torch.tensor(len(points))))
    # The same in every process, so that each may do all of it.
    few = sampled(points, total, _SAMPLE, generator, group) if total > _SAMPLE else group.gather_shares(points)
    few = few.double()
    origin = few.mean(dim=0)
    few = few - origin
    _, start, _ = lloyd(few, plus_plus(few, n_clusters, n_init, generator), spherical=False, max_iter=_ROUNDS, tol=1e-4)
    spread = few.T @ few / len(few)
    mixtures = _maximise(start.counts.double(), start.sums, spread, reg_covar)
    mixtures = _iterate(few, mixtures, spread, max_iter=max_iter, tol=tol, reg_covar=reg_covar)
    mixtures = mixtures.of(mixtures.log_likelihood.argsort(descending=True, stable=True))
    return _moved(mixtures, origin)


def refined(
    points: Tensor,
    mixtures: TiedMixtures,
    *,
    max_iter: int = 50,
    tol: float = 1e-5,
    reg_covar: float = 1e-6,
    group: Processes = ALONE,
) -> TiedMixtures:
    """Go on with mixtures on all points (N, D), of which each process of the `group` has a share."""
    origin = group.mean(points.double())
    x = points.double() - origin
    total = int(group.sum(torch.tensor(len(points))))
    spread = group.sum(x.T @ x) / total
    begun = _moved(mixtures, -origin)
    return _moved(_iterate(x, begun, spread, max_iter=max_iter, tol=tol, reg_covar=reg_covar, group=group), origin)


def mixture_of(points: Tensor, shares: Tensor, *, reg_covar: float = 1e-6) -> TiedMixtures:
    """The one likeliest mixture (R = 1) of points (N, D) whose shares (N, K) in groups are known.

    Where each belongs to one alone this is linear discriminant analysis.
    """
    origin = points.double().mean(dim=0)
    x, shares = points.double() - origin, shares.double()
    found = _maximise(shares.sum(dim=0).unsqueeze(0), (shares.T @ x).unsqueeze(0), x.T @ x / len(x), reg_covar)
    return _moved(found, origin)


def _moved(mixtures: TiedMixtures, by: Tensor) -> TiedMixtures:
    return TiedMixtures(mixtures.weights, mixtures.means + by, mixtures.covariances, mixtures.log_likelihood)


def _iterate(
    points: Tensor, mixtures: TiedMixtures, spread: Tensor, *, max_iter: int, tol: float, reg_covar: float,
    group: Processes = ALONE,
) -> TiedMixtures:  # fmt: skip
    """EM on points (n, D) whose mean is 0 and covariance `spread`; a restart that rests leaves the computation."""
    total = int(group.sum(torch.tensor(len(points))))
    found = mixtures.of(torch.arange(len(mixtures), device=points.device))
    found.log_likelihood.fill_(-math.inf)
    places = torch.arange(len(mixtures), device=points.device)
    for _ in range(max_iter + 1):
        counts, sums, evidence = (group.sum(part) for part in _expect(points, mixtures))
        likelihood = evidence / total - _apart(mixtures.covariances, spread)
        rising = likelihood - found.log_likelihood[places] > tol
        known = TiedMixtures(mixtures.weights, mixtures.means, mixtures.covariances, likelihood)
        better = likelihood > found.log_likelihood[places]
        found.put(places[better], known.of(better))
        if not bool(rising.any()):
            break
        places = places[rising]
        mixtures = _maximise(counts[rising], sums[rising], spread, reg_covar)
    return found


def _expect(points: Tensor, mixtures: TiedMixtures) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over points: of responsibilities (R, K), of points by them (R, K, D), of the evidence, up to `_apart` (R,).

    The responsibilities themselves are never held.
    """
    slopes, intercepts = mixtures.linear()
    restarts, n_clusters = intercepts.shape
    flat = slopes.transpose(0, 1).flatten(1)
    counts, evidence = torch.zeros_like(intercepts), torch.zeros_like(intercepts[:, 0])
    sums = points.new_zeros(restarts * n_clusters, points.shape[1])
    for part in torch.split(points, max(256, _HELD // (restarts * n_clusters))):
        logits = (part @ flat).view(-1, restarts, n_clusters).add_(intercepts)
        highest = logits.amax(dim=2, keepdim=True)
        shares = logits.sub_(highest).exp_()
        norm = shares.sum(dim=2, keepdim=True)
        shares.div_(norm)
        evidence += (highest + norm.log()).sum(dim=(0, 2))
        counts += shares.sum(dim=0)
        sums += shares.flatten(1).T @ part
    return counts, sums.view(restarts, n_clusters, -1), evidence


def _apart(covariances: Tensor, spread: Tensor) -> Tensor:
    """What the mean log-likelihood owes to the term of x alone and to the volume, (R,); ∞ without an inverse."""
    factors, failed = torch.linalg.cholesky_ex(covariances)
    distances = torch.cholesky_solve(spread.expand_as(factors), factors).diagonal(dim1=1, dim2=2).sum(dim=1)
    volumes = 2 * factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    apart = 0.5 * (distances + volumes + len(spread) * math.log(2 * math.pi))
    return torch.where(failed == 0, apart, math.inf).nan_to_num(nan=math.inf)


def _maximise(counts: Tensor, sums: Tensor, spread: Tensor, reg_covar: float) -> TiedMixtures:
    """The M-step, of points whose mean is 0 and covariance `spread`."""
    counts = counts.clamp(min=1e-10)
    means, weights = sums / counts.unsqueeze(2), counts / counts.sum(dim=1, keepdim=True)
    within = spread - (means * weights.unsqueeze(2)).mT @ means
    within = (within + within.mT) / 2 + reg_covar * torch.eye(len(spread), dtype=spread.dtype, device=spread.device)
    return TiedMixtures(weights, means, within, torch.full_like(counts[:, 0], -math.inf))
