"""Training a model on images or features: what `coterie fit` and `Clusterer.fit` share."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from coterie.cluster.groups import Grouping, by_size, fit_groups
from coterie.cluster.kmeans import Metric, kmeans
from coterie.data.augment import Normalisation
from coterie.data.base import Rows
from coterie.data.edges import EdgeFeed
from coterie.data.features import Features
from coterie.data.loader import ImageFeed
from coterie.data.store import Store
from coterie.errors import CoterieError, UsageError
from coterie.methods import Method
from coterie.processes import processes
from coterie.runs.config import RunConfig
from coterie.runs.extractor import Extractor
from coterie.runs.folder import RunFolder
from coterie.runs.model import Blueprint, Embedded, Model, embed_rows
from coterie.seeding import generator
from coterie.train.checkpoint import Checkpoint
from coterie.train.loop import Loop
from coterie.train.runtime import Runtime, choose_runtime
from coterie.workflow.listener import Listener
from coterie.workflow.observer import Observer


@dataclass(frozen=True)
class Fitted:
    """A trained model, what it makes of its training data, and the seconds of learning (over all resumptions).

    `held_out` (N,) bool marks what was kept out of learning; None where nothing was.
    """

    model: Model
    embedded: Embedded
    grouping: Grouping
    seconds: float
    held_out: npt.NDArray[np.bool_] | None = None


def train(
    rows: Rows,
    config: RunConfig,
    listener: Listener,
    *,
    folder: RunFolder | None = None,
    extractor: Extractor | None = None,
) -> Fitted:
    """Train on images or features, and group them.

    Args:
        rows: at least as many as clusters.
        config: of the run.
        listener: hears of the progress.
        folder: where to keep checkpoints and metrics; a checkpoint found there is resumed. None keeps nothing.
        extractor: what made the features, for the model to keep.

    Raises:
        UsageError: fewer images than clusters. CoterieError: training failed; the last checkpoint is kept.
    """
    check_enough(len(rows), config.clusters)
    runtime = choose_runtime(
        config.device, config.precision, deterministic=config.deterministic, compiled=config.compiled
    )
    with runtime.rules():
        return _train(rows, config, runtime, listener, folder, extractor)


def _train(
    rows: Rows,
    config: RunConfig,
    runtime: Runtime,
    listener: Listener,
    folder: RunFolder | None,
    extractor: Extractor | None,
) -> Fitted:
    blueprint = Blueprint(config.method, config.options, config.backbone, rows.shape, config.clusters)
    method = blueprint.build(config.seed)
    method.check(len(rows))
    runtime.prepare(method)
    normalisation = Normalisation(*rows.channel_statistics()) if isinstance(rows, Store) else None
    feed = feed_for(rows, normalisation, method, config, runtime.device)
    loop = Loop(method, feed, config.train, config.seed, runtime.device, on_step=listener.advance)
    began = time.perf_counter()
    checkpoint = None if folder is None else Checkpoint(folder.checkpoint, rows.fingerprint())
    done, before = (0, 0.0) if checkpoint is None else checkpoint.restore(method, loop.optimizer)
    if done:
        listener.note(f"resuming after epoch {done} of {config.train.epochs}")
    group = processes()
    group.wait()  # Until everyone has read the checkpoint, which the first one will write over.
    kept = (folder, checkpoint) if group.first else (None, None)
    loop.on_epoch = Observer(loop, rows, listener, *kept, began - before, done)
    listener.begin("learning", (config.train.epochs - done) * feed.steps_per_epoch, "steps")
    loop.run(done)
    listener.end()
    embedded = embed_rows(method, rows, normalisation, batch_size=config.train.embed_batch, group=group)
    labels = final_labels(embedded, config, method.metric)
    groups = fit_groups(embedded.embeddings, embedded.features, labels, config.clusters, metric=method.metric)
    model = Model(blueprint, method, normalisation, groups, config.precision, extractor)
    held_out = feed.held_out.cpu().numpy() if isinstance(feed, EdgeFeed) else None
    return Fitted(model, embedded, model.group(embedded), before + time.perf_counter() - began, held_out)


def feed_for(
    rows: Rows, normalisation: Normalisation | None, method: Method, config: RunConfig, device: torch.device
) -> ImageFeed | EdgeFeed:
    """What the method learns from: augmented views of images, or the edges of a graph of features."""
    batch_size = config.train.batch_size
    if isinstance(rows, Features) and method.graph is not None:
        return EdgeFeed(rows, method.graph, batch_size=batch_size, device=device, seed=config.seed)
    assert isinstance(rows, Store)
    assert normalisation is not None
    return ImageFeed(
        rows,
        normalisation,
        config=config.augment,
        views=method.views,
        batch_size=batch_size,
        device=device,
        seed=config.seed,
    )


def check_enough(images: int, clusters: int) -> None:
    """Raise a UsageError where there are fewer images than clusters."""
    if images < clusters:
        raise UsageError(f"{images} image{'s' * (images != 1)} cannot form {clusters} clusters: lower -k or add images")


def final_labels(embedded: Embedded, config: RunConfig, metric: Metric) -> Tensor:
    """The method's own assignment where it has one; else k-means, clusters numbered by size."""
    if not bool(torch.isfinite(embedded.embeddings).all()):
        raise CoterieError("the embeddings are not finite (NaN): lower train.learning_rate, or use --precision float32")
    if embedded.probabilities is not None:
        return embedded.probabilities.argmax(dim=1)
    return cluster_embeddings(embedded.embeddings, config, metric)


def cluster_embeddings(embeddings: Tensor, config: RunConfig, metric: Metric) -> Tensor:
    """k-means (20 restarts) on embeddings (N, d): labels (N,), clusters numbered by size."""
    draw = generator(embeddings.device, config.seed, "final")
    result = kmeans(embeddings, config.clusters, metric=metric, n_init=20, generator=draw)
    return by_size(result.labels, config.clusters)
