"""TURTLE: the labelling of frozen features that linear classifiers learn best (Gadetsky et al., arXiv 2406.07236)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coterie.data.feeding.loader import View
from coterie.data.feeding.subsets import SubsetConfig
from coterie.errors import UsageError
from coterie.losses.turtle import (
    Learner,
    in_spaces,
    label_entropy,
    learn,
    linear_logits,
    normalised_weight,
    prediction_loss,
)
from coterie.methods._on_features import OnFeatures, at_least, at_length, positive
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
        scaled: take the D features of each space at the length √D, so that no rate depends on their scale.
        spaces: widths of several feature spaces that lie side by side in a feature vector; empty for a single one.
    """

    gamma: float = 10.0
    inner_steps: int = 10
    inner_rate: float = 0.001
    warm_start: bool = False
    scaled: bool = True
    spaces: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, gamma=0, inner_steps=1)
        positive(self, "inner_rate")
        if any(width < 1 for width in self.spaces):
            raise UsageError(f"option 'options.spaces': every width must be at least 1, got {list(self.spaces)}")


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

    def __init__(self, config: TURTLEConfig, features: int, *, n_clusters: int) -> None:
        super().__init__()
        self.widths = config.spaces or (features,)
        if sum(self.widths) != features:
            raise UsageError(f"option 'options.spaces': {list(self.widths)} do not add up to {features} features")
        self.config = self.feeding = config
        self.n_clusters = n_clusters
        bounds = [1 / math.sqrt(width) for width in self.widths for _ in range(width)]
        bounds += [1 / math.sqrt(width) for width in self.widths]
        self.register_buffer("bounds", torch.tensor(bounds), persistent=False)
        weight, bias = self.linear_start(None)
        self.v, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        lengths = [part.norm(dim=1) for part in in_spaces(weight, self.widths)]
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
        learner = learn(start, features, labels.detach(), self.widths, steps, rate=rate)
        if self.config.warm_start:
            self.learner.copy_(torch.stack(learner))
        logits = linear_logits(features, *learner.split(len(self.widths)), self.widths)
        return {
            "prediction": prediction_loss(logits, labels),
            "balance": -self.config.gamma * label_entropy(own),
        }

    @property
    def rate(self) -> float:
        """By what learning rates are multiplied: a step of Adam changes scaled features' logits in proportion to D."""
        return _RATED_FOR * len(self.widths) / sum(self.widths) if self.config.scaled else 1.0

    def own_labels(self, features: Tensor) -> Tensor:
        """Soft labels (S, n, K) of features (n, D), scaled already where they are to be, in each space."""
        weight = normalised_weight(self.v, self.g, self.widths)
        return linear_logits(features, weight, self.bias, self.widths).softmax(dim=2)

    def embed(self, images: Tensor) -> Tensor:
        """The features (n, D), each space's at unit length."""
        return torch.cat([F.normalize(part, dim=1) for part in in_spaces(images, self.widths)], dim=1)

    def assign(self, images: Tensor) -> Tensor:
        """Labels t, (n, K)."""
        return self.own_labels(self._given(images)).mean(dim=0)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "rate": self.rate}]

    def _given(self, images: Tensor) -> Tensor:
        if not self.config.scaled:
            return images
        return torch.cat([at_length(part) for part in in_spaces(images, self.widths)], dim=1)

    def linear_start(self, draw: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Weights (K, D) and biases (S, K) as linear layers start, on the device of the draw.

        Without one, from torch's global generator; see `coterie.methods.build_method`.
        """
        weight = torch.rand(self.n_clusters, sum(self.widths), generator=draw, device=self.bounds.device)
        bias = torch.rand(self.n_clusters, len(self.widths), generator=draw, device=self.bounds.device)
        return (2 * weight - 1) * self.bounds[: weight.shape[1]], ((2 * bias - 1) * self.bounds[weight.shape[1] :]).T


METHOD = TURTLE
