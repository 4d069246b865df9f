"""HaDis: hardness-aware self-distillation (arXiv 2401.14038)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from coterie.losses.distillation import hardness_aware_distillation
from coterie.methods.byol import Step
from coterie.methods.propos import ProPos, ProPosConfig


@dataclass(frozen=True)
class HaDisConfig(ProPosConfig):
    """Settings of HaDis, beside ProPos's.

    Args:
        distillation: weight of the distillation loss, from the first step on.
        distillation_temperature: τ of its logits.
    """

    distillation: float = 1.0
    distillation_temperature: float = 0.5


class HaDis(ProPos):
    """ProPos whose predictions also learn from the hardest positive and negative the target network shows them."""

    Config = HaDisConfig
    config: HaDisConfig

    def terms(self, step: Step) -> dict[str, Tensor]:
        losses = super().terms(step)
        temperature = self.config.distillation_temperature
        distillation = step.symmetric(
            lambda prediction, target, _: hardness_aware_distillation(target, prediction, temperature=temperature)
        )
        return losses | {"distillation": self.config.distillation * distillation}


METHOD = HaDis
