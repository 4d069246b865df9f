"""The last step of a run: several ways to group the same embeddings, and the one whose groups lie furthest apart.

Embeddings vary in much that neighbours differ by as well. Whitened by that (`fit_whitening`), few axes are left, those
that groups differ in, and there k-means and a mixture with one covariance look for groups: k-means wants round groups
of equal size, the mixture lets them be long and unequal but follows its likelihood, also where it leads astray. The
silhouette, which none of them follows, decides between them and the method's own groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coterie.cluster.groups import by_size
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.rules import Rule
from coterie.cluster.silhouette import silhouette
from coterie.cluster.tied import refined, tied_mixtures
from coterie.cluster.whitening import Whitening, fit_whitening
from coterie.errors import CoterieError
from coterie.processes import ALONE, Processes

# Points that axes are found from and that mixtures are refined beyond, and those the silhouette looks at.
_SAMPLE, _JUDGED = 20_000, 3400
# Axes by groups.
_WIDTH = 1.5
# Restarts of k-means and of mixtures.
_ROUNDS, _RESTARTS = 20, 16
# Judged points a group with which a silhouette means something; also bounds the work by the number of groups.
_EACH = 16
# Points × groups × axes × restarts of one pass: more groups get fewer restarts.
_WORK = 1 << 28
# The least share of a group, in equal shares, unless the method's own groups have a smaller one.
_LEAST = 0.1


@dataclass(frozen=True)
class Way:
    """A way to group: what it is called, the group of each embedding (N,) int64, and what decides if centers do not.

    `silhouette` is its own, from −1 to 1, and None where nothing was compared.
    """

    name: str
    labels: Tensor
    rule: Rule | None = None
    silhouette: float | None = None


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

    Of too few embeddings for so many groups, such that are alike, or such that are compared by distance, as those of
    a map are, the best is the own one.

    Args:
        embeddings: (N, d), finite.
        own: the way to beat, with the groups of all embeddings.
        n_clusters: K.
        metric: "cosine" takes embeddings by their direction.
        mixture: take the mixture even where others have a greater silhouette.
        generator: on the embeddings' device.
        group: processes of which each has the rows `group.share(N)` of N; the result is that of all embeddings.
    """
    total = len(own.labels)
    # Evenly spaced ones would be of few kinds, where the kinds take turns.
    drawn = torch.randperm(total, generator=generator, device=embeddings.device)
    judged, labels_of_own = group.picked(embeddings, total, drawn[:_JUDGED]), own.labels[drawn[:_JUDGED]]
    if metric != "cosine" or len(judged) < _EACH * n_clusters:
        return own, own
    try:
        seen = fit_whitening(group.picked(embeddings, total, drawn[:_SAMPLE]), math.ceil(_WIDTH * n_clusters))
    except CoterieError:  # They are all alike.
        return own, own
    places = seen(judged)
    distances = 1 - places @ places.T
    own = replace(own, silhouette=silhouette(distances, labels_of_own, n_clusters))
    # A few strays that make a group of their own have a fine silhouette.
    least = max(1 / total, min(_smallest(labels_of_own, n_clusters), _LEAST / n_clusters))
    ways = []
    for name, rule in _rules(seen(embeddings), total, seen, n_clusters, mixture, least, generator, group):
        labels = rule.labels(judged)
        if _smallest(labels, n_clusters) >= least:
            ways.append((silhouette(distances, labels, n_clusters), name, rule))
    best = max(ways, key=lambda way: way[0], default=None)
    if best is None or not (mixture or best[0] > (own.silhouette or 0.0)):
        return own, own
    return _numbered(embeddings, *best, n_clusters, group), own


def _smallest(labels: Tensor, n_clusters: int) -> float:
    """The smallest group's share of all."""
    return float(labels.bincount(minlength=n_clusters).min()) / len(labels)


def _rules(
    places: Tensor, total: int, seen: Whitening, n_clusters: int, mixture: bool, least: float,
    draw: torch.Generator, group: Processes,
) -> Iterator[tuple[str, Rule]]:  # fmt: skip
    """The rules by which places (n, m), a share of all, are grouped; by a mixture alone if that is asked for."""
    axes_named = f"{places.shape[1]} {'axis' if places.shape[1] == 1 else 'axes'}"
    if not mixture:
        centers = kmeans(places, n_clusters, metric="cosine", n_init=_ROUNDS, generator=draw, group=group).centers
        yield f"k-means on {axes_named}", _seen(seen, centers.T, torch.zeros_like(centers[:, 0]))
    restarts = max(1, min(_RESTARTS, _WORK // (min(total, _SAMPLE) * n_clusters * places.shape[1])))
    found = tied_mixtures(places, n_clusters, n_init=restarts, generator=draw, group=group)
    if not bool(found.log_likelihood[0].isfinite()):
        return
    likeliest = found.of(torch.tensor([0], device=places.device))
    name = f"a mixture with one covariance on {axes_named}"
    if total > _SAMPLE:
        on_all = refined(places, likeliest, group=group)
        if float(on_all.weights.min()) >= least:  # One may have dwindled.
            likeliest = on_all
    slopes, intercepts = (part[0].to(places.dtype) for part in likeliest.linear())
    yield name, _seen(seen, slopes, intercepts)


def _seen(seen: Whitening, slopes: Tensor, intercepts: Tensor) -> Rule:
    return Rule(seen.center, slopes, intercepts, "cosine", seen.axes)


def _numbered(embeddings: Tensor, height: float, name: str, rule: Rule, n_clusters: int, group: Processes) -> Way:
    """The way of a rule, its groups numbered by their size."""
    labels = group.gather_shares(rule.labels(embeddings))
    numbered = by_size(labels, n_clusters)
    order = torch.zeros_like(numbered[:n_clusters]).index_put((numbered,), labels)
    return Way(name, numbered, rule.ordered(order), height)
