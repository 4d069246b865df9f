"""A fitted model: what embeds and groups new images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.cluster.groups import Grouping, Groups
from coterie.data.base import Rows
from coterie.data.feeding.augment import Normalisation
from coterie.data.feeding.collected import Collected
from coterie.data.reading.depth import Scale
from coterie.methods import Method, build_method
from coterie.methods.base import Embedded
from coterie.nn.pretrained import Architecture, Pretrained, build
from coterie.runs.words import Words

# Pixels embedded at a time: beyond, the activations of a CPU's networks leave its caches and what its allocator keeps.
_PIXELS_ON_CPU, _PIXELS_ON_GPU = 1 << 18, 1 << 22


@dataclass(frozen=True)
class Blueprint:
    """What it takes to build a method's networks again.

    `options` is an instance of the method's `Config`; `shape` that of one input, (C, S, S) or (D,); `architecture` that
    of a backbone that came with weights, where `backbone` says from where; None for coterie's own by name. `spaces` are
    the widths of the feature spaces in an input where there are several.
    """

    method: str
    options: Any
    backbone: str
    shape: tuple[int, ...]
    clusters: int
    architecture: Architecture | None = None
    spaces: tuple[int, ...] = ()

    def build(self, seed: int = 0, *, backbone: nn.Module | None = None) -> Method:
        """The method with fresh weights, but for those of a `backbone` that is given."""
        if backbone is None and self.architecture is not None:
            backbone = build(self.architecture)
        return build_method(
            self.method,
            self.options,
            backbone=backbone or self.backbone,
            shape=self.spaces or self.shape,
            n_clusters=self.clusters,
            seed=seed,
        )


@dataclass(frozen=True)
class Model:
    """A trained method with its groups.

    Args:
        blueprint: how its networks are built.
        method: the trained networks, on their device.
        normalisation: what images go through before them; None for features.
        groups: rule, concentration and outlier score.
        precision: of the backbone, "float32" or "bfloat16".
        backbones: what make features of images, frozen, for a method on features that was given images: a space each.
        scale: black and white of images of more than eight bits, as those learnt from had them; empty where none had.
        words: suggested for each group, where a backbone knows words.
    """

    blueprint: Blueprint
    method: Method
    normalisation: Normalisation | None
    groups: Groups
    precision: str
    backbones: tuple[Pretrained, ...] = ()
    scale: Scale = ()
    words: Words = ()

    def embed(self, rows: Rows, *, on_rows: Callable[[int], None] = lambda _: None) -> Embedded:
        """Embeddings of every image or feature vector of this model's shape."""
        side = rows.shape[-1] if len(rows.shape) == 3 else 0
        batch_size = embedding_batch(side, gpu=self.method.device.type != "cpu")
        return embed_rows(self.method, rows, self.normalisation, batch_size=batch_size, on_rows=on_rows)

    def group(self, embedded: Embedded) -> Grouping:
        """Clusters, confidence and outliers."""
        return self.groups.assign(embedded.embeddings, embedded.features, embedded.probabilities)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of what it groups: a feature vector (D,), or an image (C, S, S) as the backbone of most pixels takes it."""
        shapes = [(each.channels, each.side, each.side) for each in self.backbones]
        return max(shapes, key=math.prod, default=self.blueprint.shape)


def embedding_batch(side: int, *, gpu: bool) -> int:
    """How many images of `side` pixels are embedded at a time: up to 1024, on a CPU few enough for its caches."""
    return max(16, min(1024, (_PIXELS_ON_GPU if gpu else _PIXELS_ON_CPU) // max(1, side * side)))


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
    share: slice = slice(None),
) -> Embedded:
    """Embed everything, or a share of it, in evaluation mode, and ask the method's own head where it has one."""
    method.eval()
    device = method.device
    count = len(range(len(rows))[share])
    embeddings, features, heads = Collected(count), Collected(count), Collected(count)
    for inputs in batches(rows, normalisation, device, batch_size, share):
        part = embed_batch(method, inputs)
        embeddings.add(part.embeddings)
        features.add(part.features)
        if part.probabilities is not None:
            heads.add(part.probabilities)
        on_rows(len(inputs))
    return Embedded(embeddings.rows, features.rows, heads.rows if heads.some else None)


def embed_batch(method: Method, inputs: Tensor) -> Embedded:
    """Embed inputs (n, …) as the networks take them."""
    embedded = method.represent(inputs)
    return (
        replace(embedded, embeddings=F.normalize(embedded.embeddings, dim=1)) if method.metric == "cosine" else embedded
    )
