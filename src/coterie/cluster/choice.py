"""The last step of a run: several ways to group the same embeddings, and the one whose groups lie furthest apart.

k-means wants round groups of equal size. Mixtures with one covariance along the few principal axes that groups differ
in let them be long and unequal, but follow their likelihood, also where it leads astray. The silhouette, which neither
of them follows, decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.groups import by_size
from coterie.cluster.kmeans import Metric
from coterie.cluster.rules import Rule
from coterie.cluster.silhouette import silhouette
from coterie.cluster.tied import TiedMixtures, refined, tied_mixtures
from coterie.cluster.whitening import principal_axes
from coterie.processes import ALONE, Processes

# Points that axes are found from and that mixtures are refined beyond, and those the silhouette looks at.
_SAMPLE, _JUDGED = 20_000, 3400
# Axes of the mixtures and of the silhouette, by groups: K−1 at the least, as so many tell K means apart.
_WIDTHS, _SEEN = (1.2, 1.5), 5.0
# Restarts, how many of the likeliest are judged, and what two of them differ by if they are not the same.
_RESTARTS, _LIKELIEST, _SAME = 16, 6, 1e-4
# Judged points a group with which a silhouette means something; also bounds the work by the number of groups.
_EACH = 16
# Points × groups × axes × restarts of one pass: more groups get fewer restarts.
_WORK = 1 << 28
# The least share of a group, in equal shares, unless the method's own groups have a smaller one.
_LEAST = 0.1
# Of the widest axis: what varies less is rounding.
_NOTHING = 1e-5


@dataclass(frozen=True)
class Way:
    """A way to group: what it is called, the group of each embedding (N,) int64, and what decides if centers do not.

    `silhouette` is its own, from −1 to 1, and None where nothing was compared.
    """

    name: str
    labels: Tensor
    rule: Rule | None = None
    silhouette: float | None = None


@dataclass(frozen=True)
class _Axes:
    """The principal axes of points, all divided by one number: places vary by 1 along them, on average."""

    origin: Tensor
    axes: Tensor
    metric: Metric

    def places(self, points: Tensor, width: int) -> Tensor:
        points = F.normalize(points, dim=1) if self.metric == "cosine" else points
        return (points - self.origin.to(points)) @ self.axes[:, :width].to(points)

    def rule(self, mixtures: TiedMixtures) -> Rule:
        """That of a single mixture of places, for the points themselves."""
        slopes, intercepts = (part[0] for part in mixtures.linear())
        return Rule(self.origin, self.axes[:, : len(slopes)] @ slopes, intercepts, self.metric)


def choose_way(
    embeddings: Tensor,
    own: Way,
    n_clusters: int,
    *,
    metric: Metric,
    mixture: bool = False,
    generator: torch.Generator,
    group: Processes = ALONE,
) -> tuple[Way, Way]:
    """The best way to group embeddings, and the method's own with its silhouette.

    Of too few embeddings for so many groups, or such that are alike, the best is the own one.

    Args:
        embeddings: (N, d), finite.
        own: the way to beat.
        n_clusters: K.
        metric: "cosine" takes embeddings by their direction.
        mixture: take the best mixture even where the own way has the greater silhouette.
        generator: on the embeddings' device.
        group: processes that all have all embeddings, and share the work.
    """
    # Evenly spaced ones would be of few kinds, where the kinds take turns.
    drawn = torch.randperm(len(embeddings), generator=generator, device=embeddings.device)
    judged, labels_of_own = embeddings[drawn[:_JUDGED]], own.labels[drawn[:_JUDGED]]
    enough = len(judged) >= _EACH * n_clusters
    axes = _principal(embeddings[drawn[:_SAMPLE]], n_clusters, metric) if enough else None
    if axes is None:
        return own, own
    distances = _distances(axes.places(judged, axes.axes.shape[1]), metric)
    own = replace(own, silhouette=silhouette(distances, labels_of_own, n_clusters))
    # A few strays that make a group of their own have a fine silhouette.
    least = max(1 / len(embeddings), min(_smallest(labels_of_own, n_clusters), _LEAST / n_clusters))
    best: tuple[float, TiedMixtures] | None = None
    for found in _mixtures(
        embeddings[group.share(len(embeddings))], len(embeddings), axes, n_clusters, generator, group
    ):
        labels = axes.rule(found).to(embeddings).labels(judged)
        if _smallest(labels, n_clusters) < least:
            continue
        height = silhouette(distances, labels, n_clusters)
        if best is None or height > best[0]:
            best = height, found
    if best is None or not (mixture or best[0] > (own.silhouette or 0.0)):
        return own, own
    return _of_all(embeddings, axes, best, n_clusters, least, group), own


def _smallest(labels: Tensor, n_clusters: int) -> float:
    """The smallest group's share of all."""
    return float(labels.bincount(minlength=n_clusters).min()) / len(labels)


def _principal(embeddings: Tensor, n_clusters: int, metric: Metric) -> _Axes | None:
    """Those of the embeddings; None where they are all alike."""
    points = F.normalize(embeddings.double(), dim=1) if metric == "cosine" else embeddings.double()
    origin = points.mean(dim=0)
    variances, axes = principal_axes(points - origin)
    kept = (variances > _NOTHING**2 * variances[0]) & (variances > 0)
    most = min(math.ceil(_SEEN * n_clusters), int(kept.sum()))
    if not most:
        return None
    widest = math.ceil(_WIDTHS[-1] * n_clusters)
    return _Axes(origin, axes[:, :most] / variances[:most][:widest].mean().sqrt(), metric)


def _distances(places: Tensor, metric: Metric) -> Tensor:
    """Between all places (n, n): by their direction from the middle, or as they are."""
    if metric == "cosine":
        units = F.normalize(places, dim=1)
        return 1 - units @ units.T
    return torch.cdist(places, places)


def _mixtures(
    embeddings: Tensor, total: int, axes: _Axes, n_clusters: int, draw: torch.Generator, group: Processes
) -> Iterator[TiedMixtures]:
    """The likeliest few on each number of axes, one at a time."""
    most = axes.axes.shape[1]
    for width in sorted({min(most, max(1, n_clusters - 1)), *(min(most, math.ceil(n_clusters * w)) for w in _WIDTHS)}):
        restarts = max(1, min(_RESTARTS, _WORK // (min(total, _SAMPLE) * n_clusters * width)))
        places = axes.places(embeddings, width)
        found = tied_mixtures(places, n_clusters, n_init=restarts, generator=draw, group=group)
        likelihood = found.log_likelihood
        new = torch.cat([likelihood.isfinite()[:1], likelihood[1:] < likelihood[:-1] - _SAME])
        for place in (new & likelihood.isfinite()).nonzero()[:_LIKELIEST, 0]:
            yield found.of(place.unsqueeze(0))


def _of_all(
    embeddings: Tensor, axes: _Axes, best: tuple[float, TiedMixtures], n_clusters: int, least: float, group: Processes
) -> Way:
    """The way of a mixture, refined on all embeddings if it knows but a sample; groups are numbered by their size."""
    height, mixture = best
    width = mixture.means.shape[2]
    rule = axes.rule(mixture).to(embeddings)
    labels = rule.labels(embeddings)
    if len(embeddings) > _SAMPLE:
        on_all = refined(axes.places(embeddings[group.share(len(embeddings))], width), mixture, group=group)
        further = axes.rule(on_all).to(embeddings)
        found = further.labels(embeddings)
        if _smallest(found, n_clusters) >= least:  # One may have dwindled.
            rule, labels = further, found
    numbered = by_size(labels, n_clusters)
    order = torch.zeros_like(numbered[:n_clusters]).index_put((numbered,), labels)
    axes_named = f"{width} {'axis' if width == 1 else 'axes'}"
    return Way(f"mixture with one covariance on {axes_named}", numbered, rule.ordered(order), height)
