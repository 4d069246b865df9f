"""The fourth step: from trained networks to groups of everything they learnt from."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.cluster.groups import Grouping, by_size, fit_groups
from coterie.cluster.kmeans import Metric, kmeans
from coterie.data.base import Rows
from coterie.data.feeding.features import Features
from coterie.errors import CoterieError
from coterie.failures import translating
from coterie.methods import learns
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

    `counted` (n,) are the rows that were learnt from, None for all; `held_out` (n,) bool marks which of these were kept
    out of learning, None where nothing was.
    """

    model: Model
    embedded: Embedded
    grouping: Grouping
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
        labels = _final_labels(apart, config, method.metric)
        groups = fit_groups(apart.embeddings, apart.features, labels, config.clusters, metric=method.metric)
        _tell_empty(labels, config, attempt)
        model = Model(
            learnt.blueprint, method, learnt.normalisation, groups, config.precision, learnt.frozen, config.data.scale
        )
        grouping = model.group(embedded)
        model = replace(model, words=_words(rows, grouping, learnt, config.clusters))
        seconds = learnt.seconds + time.perf_counter() - began
        return Fitted(model, embedded, grouping, seconds, learnt.held_out, counted)


def _words(rows: Rows, grouping: Grouping, learnt: Learnt, n_clusters: int) -> Words:
    """What the backbone's own features, which a head may have changed since, say of each group."""
    vocabulary = None if learnt.frozen is None else learnt.frozen.vocabulary
    if vocabulary is None or not isinstance(rows, Features):
        return ()
    return words_of_groups(vocabulary, torch.from_numpy(rows.values), grouping.clusters.cpu(), n_clusters)


def _final_labels(embedded: Embedded, config: RunConfig, metric: Metric) -> Tensor:
    """The method's own assignment where it has one; else k-means, clusters numbered by size."""
    if not bool(torch.isfinite(embedded.embeddings).all()):
        rate = "lower train.learning_rate, or " if learns(config.method) else ""
        raise CoterieError(f"the embeddings are not finite (NaN): {rate}use --precision float32")
    if embedded.probabilities is not None:
        return embedded.probabilities.argmax(dim=1)
    return cluster_embeddings(embedded.embeddings, config, metric)


def _tell_empty(labels: Tensor, config: RunConfig, attempt: Attempt) -> None:
    found = int((labels.bincount() > 0).sum())
    if found < config.clusters:
        attempt.note(f"only {found} of the {config.clusters} groups have images, as too few of them differ")


def cluster_embeddings(embeddings: Tensor, config: RunConfig, metric: Metric) -> Tensor:
    """k-means (20 restarts) on embeddings (N, d): labels (N,), clusters numbered by size."""
    draw = generator(embeddings.device, config.seed, "final")
    result = kmeans(embeddings, config.clusters, metric=metric, n_init=20, generator=draw)
    return by_size(result.labels, config.clusters)
