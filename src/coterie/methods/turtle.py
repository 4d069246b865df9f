"""TURTLE: the labelling of frozen features that linear classifiers learn best (Gadetsky et al., arXiv 2406.07236)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from coterie.cluster.spaces import in_spaces
from coterie.data.feeding.loader import View
from coterie.data.feeding.subsets import SubsetConfig
from coterie.losses.turtle import (
    Learner,
    label_entropy,
    learn,
    linear_logits,
    normalised_weight,
    prediction_loss,
)
from coterie.methods._on_features import OnFeatures, at_least, positive
from coterie.methods.base import Batch

# Width of the features (CLIP ViT-L/14's) that the paper's learning rates are for.
_RATED_FOR = 768


@dataclass(frozen=True)
class TURTLEConfig(SubsetConfig):
    """Settings of TURTLE, beside the steps of an epoch.

    Args:
        gamma: weight of the entropy of the mean labels, which keeps clusters alive.
        inner_steps: Adam steps of the classifiers in each step of the labelling.
        inner_rate: their learning rate, where scaled for 768 features in a space; that of the labelling goes with it.
        warm_start: let the classifiers go on from the step before, instead of starting anew.
        scaled: take S spaces of D features in all at the length √(D/S) in each, so that no rate depends on their scale.
    """

    gamma: float = 10.0
    inner_steps: int = 10
    inner_rate: float = 0.001
    warm_start: bool = False
    scaled: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, gamma=0, inner_steps=1)
        positive(self, "inner_rate")


class TURTLE(OnFeatures):
    """A task encoder labels a batch, linear classifiers learn that for some steps, and it moves towards what they say.

    The labels are the mean over feature spaces of each space's own. Nothing flows through the classifiers' steps.
    """

    Config = TURTLEConfig
    views: ClassVar[tuple[View, ...]] = ("plain",)
    train_defaults: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "weight_decay": 0.0,
        "batch_size": 10_000,
        "epochs": 60,
        "warmup_epochs": 0,
    }
    bounds: Tensor
    learner: Tensor

    def __init__(self, config: TURTLEConfig, spaces: Sequence[int], *, n_clusters: int) -> None:
        super().__init__(spaces)
        self.config = self.feeding = config
        self.n_clusters = n_clusters
        bounds = [1 / math.sqrt(width) for width in self.spaces for _ in range(width)]
        bounds += [1 / math.sqrt(width) for width in self.spaces]
        self.register_buffer("bounds", torch.tensor(bounds), persistent=False)
        weight, bias = self.linear_start(None)
        self.v, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        lengths = [part.norm(dim=1) for part in in_spaces(weight, self.spaces)]
        self.g = nn.Parameter(torch.stack(lengths))
        if config.warm_start:
            self.register_buffer("learner", torch.stack(Learner.fresh(*self.linear_start(None))))

    def losses(self, views: Sequence[Tensor], batch: Batch) -> dict[str, Tensor]:
        features = self._given(views[0])
        own = self.own_labels(features)
        labels = own.mean(dim=0)
        done, count = batch.progress.step, self.config.inner_steps
        if self.config.warm_start:
            start, steps = Learner(*self.learner), range(done * count, (done + 1) * count)
        else:
            start, steps = Learner.fresh(*self.linear_start(batch.generator)), range(count)
        rate = self.config.inner_rate * self.rate
        learner = learn(start, features, labels.detach(), self.spaces, steps, rate=rate)
        if self.config.warm_start:
            self.learner.copy_(torch.stack(learner))
        logits = linear_logits(features, *learner.split(len(self.spaces)), self.spaces)
        return {
            "prediction": prediction_loss(logits, labels),
            "balance": -self.config.gamma * label_entropy(own),
        }

    @property
    def rate(self) -> float:
        """By what learning rates are multiplied: a step of Adam changes scaled features' logits in proportion to D."""
        return _RATED_FOR * len(self.spaces) / sum(self.spaces) if self.config.scaled else 1.0

    def own_labels(self, features: Tensor) -> Tensor:
        """Soft labels (S, n, K) of features (n, D), scaled already where they are to be, in each space."""
        weight = normalised_weight(self.v, self.g, self.spaces)
        return linear_logits(features, weight, self.bias, self.spaces).softmax(dim=2)

    def assign(self, images: Tensor) -> Tensor:
        """Labels t, (n, K)."""
        return self.own_labels(self._given(images)).mean(dim=0)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "rate": self.rate}]

    def _given(self, images: Tensor) -> Tensor:
        return self.at_length(images) if self.config.scaled else images

    def linear_start(self, draw: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Weights (K, D) and biases (S, K) as linear layers start, on the device of the draw.

        Without one, from torch's global generator; see `coterie.methods.build_method`.
        """
        weight = torch.rand(self.n_clusters, sum(self.spaces), generator=draw, device=self.bounds.device)
        bias = torch.rand(self.n_clusters, len(self.spaces), generator=draw, device=self.bounds.device)
        return (2 * weight - 1) * self.bounds[: weight.shape[1]], ((2 * bias - 1) * self.bounds[weight.shape[1] :]).T


METHOD = TURTLE
