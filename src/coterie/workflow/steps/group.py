"""The fourth step: from trained networks to groups of everything they learnt from."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.cluster.choice import Way, choose_way
from coterie.cluster.groups import Grouping, by_size, fit_groups
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.spaces import in_spaces
from coterie.data.base import Rows
from coterie.data.feeding.features import Features
from coterie.devices import widest
from coterie.errors import CoterieError
from coterie.failures import translating
from coterie.methods import Method, learns
from coterie.processes import processes
from coterie.runs.config import RunConfig
from coterie.runs.model import Embedded, Model, embed_rows
from coterie.runs.words import Words, words_of_groups
from coterie.seeding import generator
from coterie.workflow.steps.attempt import Attempt
from coterie.workflow.steps.learn import Learnt, runtime_of
from coterie.workflow.steps.stopping import agree


@dataclass(frozen=True)
class Fitted:
    """A trained model, what it makes of its training data, and the seconds of learning and grouping.

    `way` is how the groups were found, `own` the method's own way, which may be the same.
    `counted` (n,) are the rows that were learnt from, None for all; `held_out` (n,) bool marks which of these were kept
    out of learning, None where nothing was.
    """

    model: Model
    embedded: Embedded
    grouping: Grouping
    way: Way
    own: Way
    seconds: float
    held_out: npt.NDArray[np.bool_] | None = None
    counted: npt.NDArray[np.int64] | None = None


def group(
    config: RunConfig, rows: Rows, learnt: Learnt, attempt: Attempt, counted: npt.NDArray[np.int64] | None = None
) -> Fitted:
    """Embed everything and group it.

    Args:
        counted: (n,) the rows that groups are found among, and whose `held_out` the result tells; None for all.

    Raises:
        CoterieError: the embeddings are not finite. ResourceError: memory or device gave out.
    """
    method, listener, runtime = learnt.method, attempt.listener, runtime_of(config)
    began = time.perf_counter()
    with translating(), runtime.rules():
        listener.begin("embedding", len(rows), "images")
        embedded = embed_rows(
            method, rows, learnt.normalisation, batch_size=config.train.embed_batch, on_rows=listener.advance,
            group=processes(),
        )  # fmt: skip
        agree(listener, processes())
        listener.end()
        apart = embedded if counted is None else embedded.at(torch.from_numpy(counted))
        way, own = _ways(apart, config, method)
        if way is not own:
            attempt.note(_told(way, own))
        _tell_empty(way.labels, config, attempt)
        groups = fit_groups(
            apart.embeddings, apart.features, way.labels, config.clusters, metric=method.metric, rule=way.rule,
            by_head=way.rule is None and apart.probabilities is not None,
        )  # fmt: skip
        model = Model(
            learnt.blueprint, method, learnt.normalisation, groups, config.precision, learnt.frozen, config.data.scale
        )
        grouping = model.group(embedded)
        model = replace(model, words=_words(rows, grouping, learnt, config))
        seconds = learnt.seconds + time.perf_counter() - began
        return Fitted(model, embedded, grouping, way, own, seconds, learnt.held_out, counted)


def _words(rows: Rows, grouping: Grouping, learnt: Learnt, config: RunConfig) -> Words:
    """What the backbones' own features, which a head may have changed since, say of each group.

    Of backbones that know other words than each other, those speak that know the words given, or else the first's.
    """
    if not learnt.frozen or not isinstance(rows, Features):
        return ()
    columns = in_spaces(torch.from_numpy(rows.values), rows.widths)
    known = [(one.vocabulary, own) for one, own in zip(learnt.frozen, columns, strict=True) if one.vocabulary]
    words = config.words or next((vocabulary.words for vocabulary, _ in known), ())
    speaking = [(vocabulary, own) for vocabulary, own in known if vocabulary.words == words]
    return words_of_groups(speaking, grouping.clusters.cpu(), config.clusters) if speaking else ()


def _ways(embedded: Embedded, config: RunConfig, method: Method) -> tuple[Way, Way]:
    """How groups are found, and how the method itself would: by its head where it has one, else by k-means.

    Methods on features have whitened them already as they want them.
    """
    embeddings, metric = embedded.embeddings, method.metric
    if not bool(torch.isfinite(embeddings).all()):
        rate = "lower train.learning_rate, or " if learns(config.method) else ""
        raise CoterieError(f"the embeddings are not finite (NaN): {rate}use --precision float32")
    own = (
        Way("k-means", cluster_embeddings(embeddings, config, metric))
        if embedded.probabilities is None
        else Way("the method's own head", embedded.probabilities.argmax(dim=1))
    )
    if config.groups == "own" or (config.groups == "auto" and method.inputs == "features"):
        return own, own
    # Where a device lacks float64 it is the CPU that chooses.
    among = embeddings if widest(embeddings.device) == torch.float64 else embeddings.cpu()
    way, judged = choose_way(
        among, replace(own, labels=own.labels.to(among.device)), config.clusters, metric=metric,
        mixture=config.groups == "mixture", generator=generator(among.device, config.seed, "ways"), group=processes(),
    )  # fmt: skip
    own = replace(judged, labels=own.labels)
    return (own if way is judged else replace(way, labels=way.labels.to(embeddings.device))), own


def _told(way: Way, own: Way) -> str:
    return f"grouped by {way.name}; silhouette {way.silhouette:.3f} against {own.silhouette:.3f} by {own.name}"


def _tell_empty(labels: Tensor, config: RunConfig, attempt: Attempt) -> None:
    found = int((labels.bincount() > 0).sum())
    if found < config.clusters:
        attempt.note(f"only {found} of the {config.clusters} groups have images, as too few of them differ")


def cluster_embeddings(embeddings: Tensor, config: RunConfig, metric: Metric) -> Tensor:
    """k-means (20 restarts) on embeddings (N, d): labels (N,), clusters numbered by size."""
    draw = generator(embeddings.device, config.seed, "final")
    result = kmeans(embeddings, config.clusters, metric=metric, n_init=20, generator=draw)
    return by_size(result.labels, config.clusters)
