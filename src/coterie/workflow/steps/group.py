"""The fourth step: from trained networks to groups of everything they learnt from."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.cluster.choice import Way, choose_way
from coterie.cluster.groups import Grouping, Groups, by_size, fit_groups
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.taught import ranked, regroup
from coterie.data.base import Rows
from coterie.data.feeding.features import Features
from coterie.errors import CoterieError
from coterie.failures import translating
from coterie.listener import Listener
from coterie.methods import Method, learns
from coterie.methods.base import Embedded
from coterie.processes import ALONE, Processes, processes
from coterie.runs.config import RunConfig
from coterie.runs.model import Model, embed_rows
from coterie.runs.named import Named
from coterie.runs.words import Words
from coterie.seeding import generator
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.learn import Learnt, runtime_of
from coterie.workflow.steps.named import suggested
from coterie.workflow.steps.stopping import agree

Counted = npt.NDArray[np.int64] | None


@dataclass(frozen=True)
class Fitted:
    """A trained model, what it makes of its training data, and the seconds of learning and grouping.

    Where processes share a run, `embedded` is of some of the rows, which follow each other over the processes; all else
    is of all. `way` is how the groups were found, `own` the method's own way, which may be the same.
    `counted` (n,) are the rows that were learnt from, None for all; `held_out` (n,) bool marks which of these were kept
    out of learning, None where nothing was. `called` are the K groups' names where images were named.
    """

    model: Model
    embedded: Embedded
    grouping: Grouping
    way: Way
    own: Way
    seconds: float
    held_out: npt.NDArray[np.bool_] | None = None
    counted: Counted = None
    called: tuple[str, ...] = ()


def group(
    config: RunConfig, rows: Rows, learnt: Learnt, attempt: Attempt, counted: Counted = None,
    named: Named | None = None,
) -> Fitted:  # fmt: skip
    """Embed everything and group it.

    Args:
        counted: (n,) the rows that groups are found among, and whose `held_out` the result tells; None for all.
        named: what a person called some of the rows: these are together, and apart from those of other names.

    Raises:
        CoterieError: the embeddings are not finite. ResourceError: memory or device gave out.
    """
    method, listener, runtime, every = learnt.method, attempt.listener, runtime_of(config), processes()
    began = time.perf_counter()
    with translating(), runtime.rules():
        held, learnt_from = _held(len(rows), counted, every)
        embedded = _embedded(config, rows, learnt, listener, held)
        apart = embedded if learnt_from is None else embedded.at(learnt_from)
        way, own = _ways(apart, config, method, every)
        if way is not own:
            attempt.note(_told(way, own))
        called: list[str] = []
        if named is not None:
            way, called = _heeding(way, apart, named.at(counted), config, method.metric, every)
        _tell_empty(way.labels, config, attempt)
        groups = fit_groups(
            apart.embeddings, apart.features, way.labels, config.clusters, metric=method.metric, rule=way.rule,
            by_head=way.rule is None and apart.probabilities is not None, group=every,
        )  # fmt: skip
        model = Model(
            learnt.blueprint, method, learnt.normalisation, groups, config.precision, learnt.frozen, config.data.scale
        )
        grouping = model.group(embedded)
        if named is not None:
            own_labels = way.labels[every.share(len(way.labels))]
            grouping = _settled(grouping, embedded, groups, own_labels, learnt_from, called, named, held)
        grouping = grouping.gathered(every)
        model = replace(model, words=_words(rows, grouping, learnt, config))
        seconds = learnt.seconds + time.perf_counter() - began
        return Fitted(model, embedded, grouping, way, own, seconds, learnt.held_out, counted, tuple(called))


def _held(total: int, counted: Counted, every: Processes) -> tuple[slice, Tensor | None]:
    """The rows of all that this process embeds, and which of these are counted: its `share` of those that are."""
    if counted is None:
        return every.share(total), None
    share = every.share(len(counted))
    begin = 0 if share.start == 0 else int(counted[share.start])
    end = total if share.stop == len(counted) else int(counted[share.stop])
    return slice(begin, end), torch.from_numpy(counted[share] - begin)


def _embedded(config: RunConfig, rows: Rows, learnt: Learnt, listener: Listener, held: slice) -> Embedded:
    listener.begin("embedding", len(rows), "images")
    embedded = embed_rows(
        learnt.method, rows, learnt.normalisation, batch_size=config.train.embed_batch, on_rows=listener.advance,
        share=held,
    )  # fmt: skip
    agree(listener, processes())
    listener.end()
    return embedded


def _words(rows: Rows, grouping: Grouping, learnt: Learnt, config: RunConfig) -> Words:
    if not learnt.frozen or not isinstance(rows, Features):
        return ()
    return suggested(rows, learnt.frozen, config.words, grouping.clusters, config.clusters)


def _heeding(
    way: Way, embedded: Embedded, named: Named, config: RunConfig, metric: Metric, every: Processes
) -> tuple[Way, list[str]]:
    """Groups like those of a way that keep to names, and what each is called; found by each process from all."""
    told = torch.from_numpy(named.index)
    draw = generator("cpu", config.seed, "names")
    found = regroup(
        every.gather_shares(embedded.embeddings).cpu(), way.labels.cpu(), told, config.clusters, found=True,
        metric=metric, generator=draw,
    )  # fmt: skip
    labels, order = ranked(found.labels, config.clusters)
    called = [named.names[old] if old < len(named.names) else f"Group {new}" for new, old in enumerate(order.tolist())]
    like = embedded.embeddings
    return Way("what was said of some", labels.to(like.device), found.rule.ordered(order).to(like)), called


def _settled(
    grouping: Grouping, embedded: Embedded, groups: Groups, put: Tensor, learnt_from: Tensor | None,
    called: list[str], named: Named, held: slice,
) -> Grouping:  # fmt: skip
    """Of held images: those that were grouped are where they were `put`, those that were named where they belong."""
    labels = grouping.clusters.clone()
    labels[slice(None) if learnt_from is None else learnt_from] = put
    told = torch.from_numpy(named.index[held]).to(labels.device)
    place = torch.tensor([called.index(name) for name in named.names], device=labels.device)
    labels = torch.where(told >= 0, place[told.clamp(min=0)], labels)
    return groups.table(embedded.embeddings, labels, told >= 0, grouping.outlier_score)


def _ways(embedded: Embedded, config: RunConfig, method: Method, every: Processes) -> tuple[Way, Way]:
    """How groups are found, and how the method itself would: by its head where it has one, else by k-means.

    Methods on features have whitened them already as they want them.
    """
    embeddings, metric = embedded.embeddings, method.metric
    if not every.all_finite(embeddings):
        rate = "lower train.learning_rate, or " if learns(config.method) else ""
        raise CoterieError(f"the embeddings are not finite (NaN): {rate}use --precision float32")
    own = (
        Way("k-means", cluster_embeddings(embeddings, config, metric, every))
        if embedded.probabilities is None
        else Way("the method's own head", every.gather_shares(embedded.probabilities.argmax(dim=1)))
    )
    if config.groups == "own" or (config.groups == "auto" and method.inputs == "features"):
        return own, own
    draw, mixture = generator(embeddings.device, config.seed, "ways"), config.groups == "mixture"
    return choose_way(embeddings, own, config.clusters, metric=metric, mixture=mixture, generator=draw, group=every)


def _told(way: Way, own: Way) -> str:
    if way.silhouette == own.silhouette:  # It began with the method's own groups.
        return f"grouped by {way.name}"
    return f"grouped by {way.name}; silhouette {way.silhouette:.3f} against {own.silhouette:.3f} by {own.name}"


def _tell_empty(labels: Tensor, config: RunConfig, attempt: Attempt) -> None:
    found = int((labels.bincount() > 0).sum())
    if found < config.clusters:
        attempt.note(f"only {found} of the {config.clusters} groups have images, as too few of them differ")


def cluster_embeddings(embeddings: Tensor, config: RunConfig, metric: Metric, group: Processes = ALONE) -> Tensor:
    """k-means (20 restarts) on embeddings (N, d), or a share of them: labels (N,) of all, clusters numbered by size."""
    draw = generator(embeddings.device, config.seed, "final")
    result = kmeans(embeddings, config.clusters, metric=metric, n_init=20, generator=draw, group=group)
    return by_size(result.labels, config.clusters)
