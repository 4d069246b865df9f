"""A fitted model: what embeds and groups new images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.groups import Grouping, Groups
from coterie.data.augment import Normalisation
from coterie.data.base import Rows
from coterie.methods import Method, build_method
from coterie.processes import ALONE, Processes
from coterie.runs.extractor import Extractor


@dataclass(frozen=True)
class Blueprint:
    """What it takes to build a method's networks again.

    `options` is an instance of the method's `Config`; `shape` that of one input, (C, S, S) or (D,).
    """

    method: str
    options: Any
    backbone: str
    shape: tuple[int, ...]
    clusters: int

    def build(self, seed: int = 0) -> Method:
        return build_method(
            self.method,
            self.options,
            backbone=self.backbone,
            shape=self.shape,
            n_clusters=self.clusters,
            seed=seed,
        )


@dataclass(frozen=True)
class Embedded:
    """Embeddings (N, d), of unit length where they are compared by direction, and the features (N, F) before any head.

    `probabilities` (N, K) are those of the method's own head, if it has one.
    """

    embeddings: Tensor
    features: Tensor
    probabilities: Tensor | None


@dataclass(frozen=True)
class Model:
    """A trained method with its groups.

    Args:
        blueprint: how its networks are built.
        method: the trained networks, on their device.
        normalisation: what images go through before them; None for features.
        groups: centers, concentration and outlier score.
        precision: of the backbone, "float32" or "bfloat16".
        extractor: what makes features of images, for a method on features that was given images.
    """

    blueprint: Blueprint
    method: Method
    normalisation: Normalisation | None
    groups: Groups
    precision: str
    extractor: Extractor | None = None

    def embed(self, rows: Rows, *, batch_size: int = 1024, on_rows: Callable[[int], None] = lambda _: None) -> Embedded:
        """Embeddings of every image or feature vector of this model's shape."""
        return embed_rows(self.method, rows, self.normalisation, batch_size=batch_size, on_rows=on_rows)

    def group(self, embedded: Embedded) -> Grouping:
        """Clusters, confidence and outliers."""
        return self.groups.assign(embedded.embeddings, embedded.features, embedded.probabilities)

    @property
    def channels(self) -> int:
        return self.blueprint.shape[0]

    @property
    def side(self) -> int:
        return self.blueprint.shape[1]

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Embeddings (n, d) of images (n, C, S, S) uint8, as features for another method."""
        assert self.normalisation is not None
        device = next(self.method.parameters()).device
        return F.normalize(self.method.embed(self.normalisation.plain(images.to(device))), dim=1)


def batches(
    rows: Rows,
    normalisation: Normalisation | None,
    device: torch.device,
    batch_size: int,
    share: slice = slice(None),
) -> Iterator[Tensor]:
    """Everything in order, or a share of it, as the networks take it, without augmentation."""
    for index in torch.split(torch.arange(len(rows))[share], batch_size):
        inputs = rows.rows(index).to(device)
        yield inputs if normalisation is None else normalisation.plain(inputs)


@torch.inference_mode()
def embed_rows(
    method: Method,
    rows: Rows,
    normalisation: Normalisation | None,
    *,
    batch_size: int,
    on_rows: Callable[[int], None] = lambda _: None,
    group: Processes = ALONE,
) -> Embedded:
    """Embed everything in evaluation mode, and ask the method's own head where it has one.

    The processes of a `group` embed a share each, and then have all.
    """
    method.eval()
    embeddings, features, heads = [], [], []
    device = next(method.parameters()).device
    for inputs in batches(rows, normalisation, device, batch_size, group.share(len(rows))):
        before, embedded = method.represent(inputs)
        embeddings.append(embedded)
        features.append(before)
        probabilities = method.assign(inputs)
        heads += [] if probabilities is None else [probabilities]
        on_rows(len(inputs))
    joined, before = (group.gather_shares(torch.cat(parts), len(rows)) for parts in (embeddings, features))
    joined = F.normalize(joined, dim=1) if method.metric == "cosine" else joined
    own = group.gather_shares(torch.cat(heads), len(rows)) if heads else None
    return Embedded(joined.clone(), before.clone(), None if own is None else own.clone())
