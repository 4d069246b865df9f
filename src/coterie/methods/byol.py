"""BYOL: bootstrap your own latent (Grill et al., arXiv 2006.07733)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from coterie.losses.alignment import alignment
from coterie.methods._target import TargetConfig, TargetMethod
from coterie.methods.base import Batch
from coterie.nn.encoder import Encoder
from coterie.nn.heads import mlp_head, start_small


@dataclass(frozen=True)
class BYOLConfig(TargetConfig):
    """Settings of BYOL, beside those of its networks.

    Args:
        predictor_rate: the predictor's learning rate as a multiple of the rest's.
    """

    predictor_rate: float = 10.0


@dataclass(frozen=True)
class Step:
    """What both networks make of a batch: online and target projections and predictions (n, d) of each view."""

    online: Sequence[Tensor]
    target: Sequence[Tensor]
    predictions: Sequence[Tensor]
    batch: Batch

    def symmetric(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """The mean over view 1→2 and 2→1 of `loss(prediction, target, online)`."""
        first = loss(self.predictions[0], self.target[1], self.online[0])
        return 0.5 * (first + loss(self.predictions[1], self.target[0], self.online[1]))


class BYOL(TargetMethod):
    """Predict the target network's projection of one view from the online network's projection of the other."""

    Config = BYOLConfig
    config: BYOLConfig

    def __init__(self, config: BYOLConfig, encoder: Encoder, *, n_clusters: int) -> None:
        projector = mlp_head(encoder.features, config.hidden, config.projection)
        super().__init__(config, encoder, projector, n_clusters=n_clusters)
        self.predictor = mlp_head(config.projection, config.hidden, config.projection)
        start_small(self.predictor)

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        online, target = self.project(views), self.project_target(views)
        predictions = [self.predictor(self.perturb(z, batch)) for z in online]
        return self.terms(Step(online, target, predictions, batch))

    def terms(self, step: Step) -> dict[str, Tensor]:
        """The losses of a step, each the mean over both directions; methods built on BYOL add theirs."""
        return {"alignment": step.symmetric(lambda prediction, target, _: alignment(prediction, target))}

    def perturb(self, projection: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """What the predictor sees of a projection; BYOL leaves it as it is."""
        return projection

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [*self.encoder.parameters(), *self.projector.parameters()], "rate": 1.0},
            {"params": list(self.predictor.parameters()), "rate": self.config.predictor_rate},
        ]


METHOD = BYOL
