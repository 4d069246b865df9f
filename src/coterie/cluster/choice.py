"""The last step of a run: several ways to group the same embeddings, and the one whose groups lie furthest apart.

Embeddings vary in much that neighbours differ by as well. Whitened by that (`fit_whitening`), few axes are left, those
that groups differ in, and there k-means and a mixture with one covariance look for groups: k-means wants round groups
of equal size, the mixture lets them be long and unequal but follows its likelihood, also where it leads astray. The
silhouette, which none of them follows, decides between them and the method's own groups. Then the surest of each group
teach the others by the graph of neighbours (`self_labelled`), and a mixture with one covariance learns what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.groups import by_size
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.rules import Rule, nearest
from coterie.cluster.selflabelling import self_labelled
from coterie.cluster.silhouette import silhouette
from coterie.cluster.tied import TiedMixtures, mixture_of, refined, tied_mixtures
from coterie.cluster.whitening import Whitening, fit_whitening
from coterie.devices import widest
from coterie.errors import CoterieError
from coterie.processes import ALONE, Processes

# Points that axes are found from and that mixtures are refined beyond, and those the silhouette looks at.
_SAMPLE, _JUDGED = 20_000, 3400
# Axes by groups: of those among which groups are looked for, and of those by which they are told apart once known.
_WIDTH, _WIDER = 1.5, 3.0
# Restarts of k-means and of mixtures.
_ROUNDS, _RESTARTS = 20, 16
# Restarts of mixtures are told apart by their silhouette, too, where their likelihoods differ by no more.
_TIED = 0.03
# Judged points a group with which a silhouette means something; also bounds the work by the number of groups.
_EACH = 16
# Points × groups × axes × restarts of one pass: more groups get fewer restarts.
_WORK = 1 << 28
# The least share of a group, in equal shares, unless the method's own groups have a smaller one.
_LEAST = 0.1


@dataclass(frozen=True)
class Way:
    """A way to group: what it is called, the group of each embedding (N,) int64, and what decides if centers do not.

    `silhouette`, from −1 to 1, is what it was compared by, before its surest taught the others; None where nothing was.
    """

    name: str
    labels: Tensor
    rule: Rule | None = None
    silhouette: float | None = None

    def on(self, device: torch.device) -> Way:
        """The same, with the labels on another device."""
        return replace(self, labels=self.labels.to(device))


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
        mixture: take the mixture as it is, even where others have a greater silhouette.
        generator: on the embeddings' device.
        group: processes of which each has the rows `group.share(N)` of N; the result is that of all embeddings.
    """
    device = embeddings.device
    if widest(device) != torch.float64:  # Where a device lacks it, the CPU chooses.
        embeddings, own = embeddings.cpu(), own.on(torch.device("cpu"))
        generator = torch.Generator().manual_seed(generator.initial_seed())
    best, own = _best(embeddings, own, n_clusters, metric, mixture, generator, group)
    judged = own.on(device)
    return (judged if best is own else best.on(device)), judged


def _best(
    embeddings: Tensor, own: Way, n_clusters: int, metric: Metric, mixture: bool, generator: torch.Generator,
    group: Processes,
) -> tuple[Way, Way]:  # fmt: skip
    """The best way and the own one, on a device that has float64."""
    total = len(own.labels)
    # Evenly spaced ones would be of few kinds, where the kinds take turns.
    drawn = torch.randperm(total, generator=generator, device=embeddings.device)
    judged, sample = (group.picked(embeddings, total, drawn[:most]) for most in (_JUDGED, _SAMPLE))
    if metric != "cosine" or len(judged) < _EACH * n_clusters:
        return own, own
    try:
        wider = fit_whitening(sample, math.ceil(_WIDER * n_clusters))
    except CoterieError:  # They are all alike.
        return own, own
    seen = replace(wider, axes=wider.axes[:, : math.ceil(_WIDTH * n_clusters)])
    labels = own.labels[drawn]
    judge = _Judge(judged, seen, labels[:_JUDGED], total, n_clusters)
    own = replace(own, silhouette=judge.silhouette(labels[:_JUDGED]))
    ways = [] if mixture else [own]
    for name, rule in _rules(seen(embeddings), total, seen, n_clusters, mixture, judge.least, generator, group):
        if judge.allows(rule):
            ways.append(Way(name, own.labels, rule, judge.silhouette(rule.labels(judged))))
    best = max(ways, key=lambda way: way.silhouette or 0.0, default=own)
    if not mixture:
        begun = labels[:_SAMPLE] if best.rule is None else best.rule.labels(sample)
        taught = _taught(sample, seen, wider, begun, n_clusters)
        if judge.allows(taught):
            best = replace(best, name=f"{best.name}, self-labelled", rule=taught)
    return (own if best.rule is None else _numbered(embeddings, best, best.rule, n_clusters, group)), own


class _Judge:
    """What ways to group are compared by: some embeddings (n, d), and how far they lie apart as they are seen."""

    def __init__(self, judged: Tensor, seen: Whitening, own: Tensor, total: int, n_clusters: int) -> None:
        places = seen(judged)
        self._judged, self._distances, self._n_clusters = judged, 1 - places @ places.T, n_clusters
        # A few strays that make a group of their own have a fine silhouette.
        self.least = max(1 / total, min(self._smallest(own), _LEAST / n_clusters))

    def silhouette(self, labels: Tensor) -> float:
        return silhouette(self._distances, labels, self._n_clusters)

    def allows(self, rule: Rule) -> bool:
        """Whether no group is too small."""
        return self._smallest(rule.labels(self._judged)) >= self.least

    def _smallest(self, labels: Tensor) -> float:
        """The smallest group's share of all."""
        return float(labels.bincount(minlength=self._n_clusters).min()) / len(labels)


def _rules(
    places: Tensor, total: int, seen: Whitening, n_clusters: int, mixture: bool, least: float,
    draw: torch.Generator, group: Processes,
) -> Iterator[tuple[str, Rule]]:  # fmt: skip
    """The rules by which places (n, m), a share of all, are grouped; by a mixture alone if that is asked for."""
    axes_named = f"{places.shape[1]} {'axis' if places.shape[1] == 1 else 'axes'}"
    if not mixture:
        centers = kmeans(places, n_clusters, metric="cosine", n_init=_ROUNDS, generator=draw, group=group).centers
        yield f"k-means on {axes_named}", replace(nearest(centers, "cosine"), origin=seen.center, axes=seen.axes)
    restarts = max(1, min(_RESTARTS, _WORK // (min(total, _SAMPLE) * n_clusters * places.shape[1])))
    found = tied_mixtures(places, n_clusters, n_init=restarts, generator=draw, group=group)
    height = found.log_likelihood
    found = found.of((height.isfinite() & (height >= height[0] - (0 if mixture else _TIED))).nonzero().squeeze(1))
    if mixture:  # It stays as it is; of others the silhouette asks no more than a sample shows.
        found = found.of(torch.arange(len(found), device=places.device)[:1])
        on_all = refined(places, found, group=group) if len(found) and total > _SAMPLE else found
        if len(on_all) and float(on_all.weights.min()) >= least:  # One may have dwindled.
            found = on_all
    for place in torch.arange(len(found), device=places.device).unsqueeze(1):
        yield f"a mixture with one covariance on {axes_named}", _ruled(seen, found.of(place))


def _taught(sample: Tensor, seen: Whitening, wider: Whitening, begun: Tensor, n_clusters: int) -> Rule:
    """What a mixture on wider axes learns of a sample (n, d) that its surest taught, from groups (n,) to begin with."""
    found = self_labelled(F.normalize(sample, dim=1).cpu(), seen(sample).cpu(), begun.cpu(), n_clusters)
    return _ruled(wider, mixture_of(wider(sample), F.one_hot(found, n_clusters).to(sample.device)))


def _ruled(seen: Whitening, mixtures: TiedMixtures) -> Rule:
    """The rule of the first of mixtures among axes."""
    slopes, intercepts = (part[0].to(seen.axes) for part in mixtures.linear())
    return Rule(seen.center, slopes, intercepts, "cosine", seen.axes)


def _numbered(embeddings: Tensor, way: Way, rule: Rule, n_clusters: int, group: Processes) -> Way:
    """The way of a rule, its groups numbered by their size."""
    labels = group.gather_shares(rule.labels(embeddings))
    numbered = by_size(labels, n_clusters)
    order = torch.zeros_like(numbered[:n_clusters]).index_put((numbered,), labels)
    return replace(way, labels=numbered, rule=rule.ordered(order))
