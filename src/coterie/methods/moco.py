"""MoCo: contrast with a queue of past keys (He et al., arXiv 1911.05722; heads of v2, 2003.04297)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from coterie.losses.contrastive import info_nce
from coterie.methods._target import TargetConfig, TargetMethod
from coterie.methods.base import Batch
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head
from coterie.nn.queue import Queue


@dataclass(frozen=True)
class MoCoConfig(TargetConfig):
    """Settings of MoCo, beside those of its networks.

    Args:
        temperature: τ, 0.1 for small images and 0.07 for ImageNet.
        queue: past keys to contrast with.
    """

    hidden: int = 512
    projection: int = 128
    momentum: float = 0.99
    momentum_rises: bool = False
    temperature: float = 0.1
    queue: int = 4096


class MoCo(TargetMethod):
    """Each view finds its target projection among those of past batches.

    Symmetric, and as in the reference the two directions are summed, so that its learning rates keep their meaning.
    """

    Config = MoCoConfig
    config: MoCoConfig
    # Without batch norm in its head, the rates that BYOL bears make its embeddings collapse.
    train_defaults: ClassVar[Mapping[str, Any]] = {"learning_rate": 0.06}

    def __init__(self, config: MoCoConfig, encoder: Encoder, *, n_clusters: int) -> None:
        projector = mlp_head(encoder.features, config.hidden, config.projection, batch_norm=False)
        super().__init__(config, encoder, projector, n_clusters=n_clusters)
        self.queue = Queue(config.queue, config.projection, random=True)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        return {"contrast": self.contrast(self.project(views), self.project_target(views), batch.index)}

    def contrast(self, online: Sequence[Tensor], target: Sequence[Tensor], index: Tensor) -> Tensor:
        """InfoNCE against the queue in both directions; then the queue takes in the keys of both views."""
        past, temperature = self.queue.embeddings.clone(), self.config.temperature
        forth = info_nce(online[0], target[1], past, temperature=temperature)
        back = info_nce(online[1], target[0], past, temperature=temperature)
        for keys in target:
            self.queue.push(keys, index)
        return forth + back


METHOD = MoCo
