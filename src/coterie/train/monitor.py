"""Noticing within an epoch that learning has collapsed, while the checkpoint of a better one is still there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.kmeans import Metric
from coterie.errors import CoterieError
from coterie.methods.base import Method
from coterie.train.estep import Expectation
from coterie.train.feed import Feed

# Images looked at after each epoch.
_SAMPLE = 512
# A spread of 0.01 is a mean cosine above 0.9999 between embeddings.
_LEAST_SPREAD = 0.01
# Fewer images may well lie near each other.
_TELLING = 8
_LARGEST_SHARE = 0.99
# Up to this a cluster that has nearly everything tells of a collapse, and not of the data.
_DOUBTFUL_SPREAD = 0.1


@dataclass(frozen=True)
class Health:
    """After an epoch: the `spread` of the embeddings, and the `largest` cluster's share by the method's own head.

    The spread is the root of their summed variance: by direction, 1 for embeddings all over the sphere and 0 for
    collapsed ones. `largest` is None for methods without a head. `embeddings` (n, d) are those looked at, of the data
    at `places` (n,).
    """

    spread: float
    largest: float | None
    embeddings: Tensor
    places: Tensor


@torch.inference_mode()
def examine(method: Method, feed: Feed, epoch: int) -> Health:
    """Look at evenly spaced data after epoch number `epoch`, counted from 0.

    Raises:
        CoterieError: the embeddings are not finite or all alike, or one cluster has everything.
    """
    training = method.training
    method.eval()
    places, sample = feed.sample(_SAMPLE)
    embedded = method.represent(sample)
    embeddings, probabilities = embedded.embeddings, embedded.probabilities
    method.train(training)
    if not bool(torch.isfinite(embeddings).all()):
        raise _collapse("the embeddings are no longer finite (NaN)", epoch, "or use --precision float32")
    largest = None if probabilities is None else _fullest(probabilities)
    health = Health(spread(embeddings, method.metric), largest, embeddings, places)
    if method.moves_embeddings and len(sample) >= _TELLING and health.spread < _LEAST_SPREAD:
        raise _collapse(
            f"the embeddings collapsed to one point (spread {health.spread:.4f})", epoch, "or raise train.batch_size"
        )
    if health.largest is not None and health.largest > _LARGEST_SHARE:
        raise _collapse(f"one cluster took {health.largest:.1%} of the images", epoch, "or start with another --seed")
    return health


def check_sizes(expectation: Expectation, n_clusters: int, epoch: int) -> None:
    """Raise a CoterieError if embeddings that are nearly alike were all put into one of the K clusters.

    Before anything is learnt, or where the embeddings do differ, the data may be so: nearly all of one kind.
    """
    if epoch == 0 or spread(expectation.embeddings, "cosine") > _DOUBTFUL_SPREAD:
        return
    for clustering in expectation.clusterings:
        largest = int(clustering.labels.bincount().max()) / len(clustering.labels)
        if len(clustering.centers) == n_clusters and largest > _LARGEST_SHARE:
            raise _collapse(f"one cluster took {largest:.1%} of the images", epoch - 1, "or start with another --seed")


def spread(embeddings: Tensor, metric: Metric) -> float:
    """The root of the summed variance of embeddings (n, d); of their directions where `metric` is cosine."""
    embeddings = F.normalize(embeddings, dim=1) if metric == "cosine" else embeddings
    return float(embeddings.var(dim=0, unbiased=False).sum().sqrt())


def _fullest(probabilities: Tensor) -> float:
    """The largest share of the mean assignment, which is even as long as a new head is undecided."""
    return float(probabilities.mean(dim=0).max())


def _collapse(what: str, epoch: int, remedy: str) -> CoterieError:
    return CoterieError(
        f"{what} in epoch {epoch + 1}: lower train.learning_rate, {remedy}, and start anew with another --out; "
        "the last checkpoint before is kept"
    )
