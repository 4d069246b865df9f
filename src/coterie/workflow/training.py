"""Training a model on a store: what `coterie fit` and `Clusterer.fit` share."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.groups import Grouping, by_size, fit_groups
from coterie.cluster.kmeans import kmeans
from coterie.data.augment import Normalisation
from coterie.data.loader import ImageFeed
from coterie.data.store import Store
from coterie.errors import CoterieError, UsageError
from coterie.evaluate.metrics import confusion, normalised_mutual_information, score
from coterie.methods import Method
from coterie.runs.config import RunConfig
from coterie.runs.folder import RunFolder
from coterie.runs.model import Blueprint, Embedded, Model, embed_store
from coterie.seeding import generator
from coterie.train.checkpoint import Checkpoint
from coterie.train.loop import Epoch, Loop
from coterie.train.runtime import choose_runtime
from coterie.workflow.listener import Listener


@dataclass(frozen=True)
class Fitted:
    """A trained model, what it makes of its training data, and the seconds of learning (over all resumptions)."""

    model: Model
    embedded: Embedded
    grouping: Grouping
    seconds: float


def train(store: Store, config: RunConfig, listener: Listener, *, folder: RunFolder | None = None) -> Fitted:
    """Train on a store, and group it.

    Args:
        store: at least as many images as clusters.
        config: of the run.
        listener: hears of the progress.
        folder: where to keep checkpoints and metrics; a checkpoint found there is resumed. None keeps nothing.

    Raises:
        UsageError: fewer images than clusters. CoterieError: training failed; the last checkpoint is kept.
    """
    check_enough(len(store), config.clusters)
    runtime = choose_runtime(config.device, config.precision)
    blueprint = Blueprint(config.method, config.options, config.backbone, store.channels, store.side, config.clusters)
    method = blueprint.build(config.seed)
    method.check(len(store))
    runtime.prepare(method)
    normalisation = Normalisation(*store.channel_statistics())
    feed = _feed(store, normalisation, method, config, runtime.device)
    loop = Loop(method, feed, config.train, config.seed, runtime.device, on_step=listener.advance)
    began = time.perf_counter()
    checkpoint = None if folder is None else Checkpoint(folder.checkpoint, store.fingerprint())
    done, before = (0, 0.0) if checkpoint is None else checkpoint.restore(method, loop.optimizer)
    if folder is not None:
        folder.keep_metrics(done)
    if done:
        listener.note(f"resuming after epoch {done} of {config.train.epochs}")
    loop.on_epoch = _Observer(loop, store, listener, folder, checkpoint, began - before)
    listener.begin("learning", (config.train.epochs - done) * feed.steps_per_epoch, "steps")
    loop.run(done)
    listener.end()
    embedded = embed_store(method, store, normalisation, batch_size=config.train.embed_batch)
    labels = final_labels(embedded, config)
    groups = fit_groups(embedded.embeddings, labels, config.clusters)
    model = Model(blueprint, method, normalisation, groups, config.precision)
    return Fitted(model, embedded, model.group(embedded), before + time.perf_counter() - began)


def _feed(
    store: Store, normalisation: Normalisation, method: Method, config: RunConfig, device: torch.device
) -> ImageFeed:
    return ImageFeed(
        store,
        normalisation,
        config=config.augment,
        views=method.views,
        batch_size=config.train.batch_size,
        device=device,
        seed=config.seed,
    )


def check_enough(images: int, clusters: int) -> None:
    """Raise a UsageError where there are fewer images than clusters."""
    if images < clusters:
        raise UsageError(f"{images} image{'s' * (images != 1)} cannot form {clusters} clusters: lower -k or add images")


def final_labels(embedded: Embedded, config: RunConfig) -> Tensor:
    """The method's own assignment where it has one; else spherical k-means, clusters numbered by size."""
    if not bool(torch.isfinite(embedded.embeddings).all()):
        raise CoterieError("the embeddings are not finite (NaN): lower train.learning_rate, or use --precision float32")
    if embedded.probabilities is not None:
        return embedded.probabilities.argmax(dim=1)
    draw = generator(embedded.embeddings.device, config.seed, "final")
    result = kmeans(embedded.embeddings, config.clusters, metric="cosine", n_init=20, generator=draw)
    return by_size(result.labels, config.clusters)


@dataclass
class _Observer:
    """After every epoch: tell the listener, write the metrics, keep a checkpoint."""

    loop: Loop
    store: Store
    listener: Listener
    folder: RunFolder | None
    checkpoint: Checkpoint | None
    began: float
    previous: np.ndarray[Any, np.dtype[np.int64]] | None = None

    def __call__(self, epoch: Epoch) -> None:
        record = self.record(epoch)
        self.listener.describe(_status(record, self.loop.config.epochs))
        if self.folder is not None:
            self.folder.add_metrics(record)
        if self.checkpoint is not None:
            done, total = epoch.number + 1, self.loop.config.epochs
            seconds = time.perf_counter() - self.began
            self.checkpoint.save(
                self.loop.method, self.loop.optimizer, epochs=done, seconds=seconds, last=done == total
            )

    def record(self, epoch: Epoch) -> dict[str, Any]:
        """The line of `metrics.jsonl` for an epoch; what the E-step found describes the epoch's beginning."""
        record: dict[str, Any] = {
            "epoch": epoch.number + 1,
            "losses": epoch.losses,
            "learning_rate": epoch.learning_rate,
            "seconds": round(epoch.seconds, 4),
            "pairs_per_second": round(epoch.pairs_per_second, 1),
        }
        if epoch.expectation is None:
            return record
        embeddings = F.normalize(epoch.expectation.embeddings, dim=1)
        # 1 for embeddings all over the sphere, 0 for collapsed ones.
        record["spread"] = float(embeddings.std(dim=0).square().sum().sqrt())
        clustering = epoch.expectation.clusterings[0]
        if len(clustering.centers) != self.loop.method.n_clusters:
            return record  # A finer grain than the clusters that were asked for.
        labels = clustering.labels.cpu().numpy()
        sizes = np.bincount(labels)
        record["smallest"], record["largest"] = int(sizes.min()), int(sizes.max())
        if self.previous is not None:
            record["agreement"] = normalised_mutual_information(confusion(self.previous, labels))
        self.previous = labels
        if self.store.labels is not None and (self.store.labels >= 0).any():
            record |= asdict(score(self.store.labels, labels))
        return record


def _status(record: dict[str, Any], epochs: int) -> str:
    words = [f"epoch {record['epoch']}/{epochs}", f"loss {sum(record['losses'].values()):.3f}"]
    words += [f"acc {record['acc']:.3f}"] if "acc" in record else []
    return "  ".join(words)
