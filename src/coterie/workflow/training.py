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
from coterie.config import plain
from coterie.data.base import Rows
from coterie.data.feeding.augment import Normalisation
from coterie.data.feeding.edges import EdgeFeed
from coterie.data.feeding.features import Features
from coterie.data.feeding.loader import ImageFeed
from coterie.data.feeding.points import PointFeed
from coterie.data.reading.store import Store
from coterie.errors import CoterieError, UsageError
from coterie.failures import translating
from coterie.methods import Method
from coterie.nn.pretrained import Pretrained, is_pretrained, open_pretrained
from coterie.processes import processes
from coterie.runs.config import STATISTICS, RunConfig
from coterie.runs.extractor import Extractor
from coterie.runs.folder import RunFolder
from coterie.runs.model import Blueprint, Embedded, Model, embed_rows
from coterie.seeding import generator
from coterie.train.checkpoint import Checkpoint
from coterie.train.loop import Loop
from coterie.train.runtime import Runtime, choose_runtime
from coterie.workflow.listener import Listener
from coterie.workflow.observer import Observer
from coterie.workflow.stopping import agree, stepped
from coterie.workflow.tracking import Tracking


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
    pretrained: Pretrained | None = None,
    tracking: Tracking | None = None,
) -> Fitted:
    """Train on images or features, and group them.

    Args:
        rows: at least as many as clusters.
        config: of the run.
        listener: hears of the progress.
        folder: where to keep checkpoints and metrics; a checkpoint found there is resumed. None keeps nothing.
        extractor: what made the features, for the model to keep.
        pretrained: the backbone to start from, which is used up; None for a fresh one.
        tracking: the run's trackers, which are begun.

    Raises:
        UsageError: fewer images than clusters. CoterieError: training failed; the last checkpoint is kept.
        ResourceError: disk, memory or device gave out; so is it then.
    """
    check_enough(len(rows), config.clusters)
    runtime = choose_runtime(
        config.device, config.precision, deterministic=config.deterministic, compiled=config.compiled
    )
    listener.shared = processes().count > 1
    with translating(), runtime.rules():
        return _train(rows, config, runtime, listener, folder, extractor, pretrained, tracking)


def reopen(config: RunConfig) -> Pretrained | None:
    """The pretrained backbone a configuration names, if any, for images of its size."""
    return open_pretrained(config.backbone, side=config.data.side) if is_pretrained(config.backbone) else None


def _train(
    rows: Rows,
    config: RunConfig,
    runtime: Runtime,
    listener: Listener,
    folder: RunFolder | None,
    extractor: Extractor | None,
    pretrained: Pretrained | None,
    tracking: Tracking | None,
) -> Fitted:
    architecture = None if pretrained is None else pretrained.architecture
    name = config.backbone if pretrained is None else pretrained.label
    blueprint = Blueprint(config.method, config.options, name, rows.shape, config.clusters, architecture)
    method = blueprint.build(config.seed, backbone=None if pretrained is None else pretrained.backbone)
    method.check(len(rows))
    runtime.prepare(method)
    normalisation = normalisation_of(rows, config, pretrained) if isinstance(rows, Store) else None
    feed = feed_for(rows, normalisation, method, config, runtime.device)
    began = time.perf_counter()
    before = _learn(method, feed, rows, config, listener, folder, tracking) if method.trains else 0.0
    listener.begin("embedding", len(rows), "images")
    embedded = embed_rows(
        method,
        rows,
        normalisation,
        batch_size=config.train.embed_batch,
        on_rows=listener.advance,
        group=processes(),
    )
    agree(listener, processes())
    listener.end()
    labels = final_labels(embedded, config, method.metric)
    groups = fit_groups(embedded.embeddings, embedded.features, labels, config.clusters, metric=method.metric)
    model = Model(blueprint, method, normalisation, groups, config.precision, extractor)
    held_out = feed.held_out.cpu().numpy() if isinstance(feed, EdgeFeed) else None
    return Fitted(model, embedded, model.group(embedded), before + time.perf_counter() - began, held_out)


def _learn(
    method: Method,
    feed: ImageFeed | PointFeed,
    rows: Rows,
    config: RunConfig,
    listener: Listener,
    folder: RunFolder | None,
    tracking: Tracking | None,
) -> float:
    """Run the loop, from the checkpoint if there is one; returns the seconds that earlier attempts took."""
    group = processes()
    loop = Loop(method, feed, config.train, config.seed, feed.device, on_step=lambda: stepped(listener, group))
    began = time.perf_counter()
    checkpoint = None if folder is None else Checkpoint(folder.checkpoint, rows.fingerprint())
    done, before = (0, 0.0) if checkpoint is None else checkpoint.restore(method, loop.optimizer)
    if done:
        listener.note(f"resuming after epoch {done} of {config.train.epochs}")
    group.wait()  # Until everyone has read the checkpoint, which the first one will write over.
    kept = (folder, checkpoint) if group.first else (None, None)
    if tracking is not None:
        tracking.begin(plain(config), done)
    began = time.perf_counter()
    loop.on_epoch = Observer(loop, rows, listener, *kept, began - before, done, tracking)
    listener.begin("learning", (config.train.epochs - done) * feed.steps_per_epoch, "steps")
    listener.describe(f"epoch {done}/{config.train.epochs}")
    loop.run(done)
    listener.end()
    return before


def feed_for(
    rows: Rows, normalisation: Normalisation | None, method: Method, config: RunConfig, device: torch.device
) -> ImageFeed | PointFeed:
    """What the method learns from: augmented views of images, or what it makes of features."""
    batch_size = config.train.batch_size
    if isinstance(rows, Features) and method.feeding is not None:
        return method.feeding.feed(rows, batch_size=batch_size, device=device, seed=config.seed)
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


def normalisation_of(store: Store, config: RunConfig, pretrained: Pretrained | None) -> Normalisation:
    """What is taken out of images: a pretrained backbone's mean and deviation, their own, or those of a name."""
    named = config.data.normalisation
    if named in STATISTICS and store.channels == 3:
        return Normalisation(*STATISTICS[named])
    if named == "auto" and pretrained is not None:
        return Normalisation(pretrained.mean, pretrained.deviation)
    return Normalisation(*store.channel_statistics())


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
