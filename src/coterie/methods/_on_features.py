"""What methods share that leave frozen features as they are."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional as F

from coterie.errors import UsageError
from coterie.methods.base import Method


class OnFeatures(Method):
    """What is mapped and compared are the features themselves, by direction."""

    inputs: ClassVar[Literal["images", "features"]] = "features"
    moves_embeddings: ClassVar[bool] = False

    def embed(self, images: Tensor) -> Tensor:
        """The features (n, D) at unit length."""
        return F.normalize(images, dim=1)

    def features(self, images: Tensor) -> Tensor:
        """The features (n, D) as they were given."""
        return images


def at_length(features: Tensor) -> Tensor:
    """Each of the feature vectors (n, D) at the length √D, where its entries are about 1 in size."""
    return F.normalize(features, dim=1) * math.sqrt(features.shape[1])


def at_least(config: object, **least: float) -> None:
    """Raise a UsageError that names the first option below what it must be at least."""
    for name, value in least.items():
        if getattr(config, name) < value:
            raise UsageError(f"option 'options.{name}' must be at least {value}, got {getattr(config, name)}")


def positive(config: object, *names: str) -> None:
    """Raise a UsageError that names the first option not above 0."""
    for name in names:
        if not getattr(config, name) > 0:
            raise UsageError(f"option 'options.{name}' must be above 0, got {getattr(config, name)}")
