"""What methods share that leave frozen features as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional as F

from coterie.cluster.spaces import as_one
from coterie.errors import UsageError
from coterie.methods.base import Method


class OnFeatures(Method):
    """What is mapped and compared are the features themselves, by direction."""

    inputs: ClassVar[Literal["images", "features"]] = "features"
    moves_embeddings: ClassVar[bool] = False

    def __init__(self, spaces: Sequence[int]) -> None:
        super().__init__()
        self.spaces = tuple(spaces)

    def embed(self, images: Tensor) -> Tensor:
        """The features (n, D) at unit length, each space's share of it alike."""
        return F.normalize(self.features(images), dim=1)

    def features(self, images: Tensor) -> Tensor:
        """The features (n, D) as they were given, those of several spaces at unit length in each."""
        return as_one(images, self.spaces)

    def at_length(self, images: Tensor) -> Tensor:
        """The features (n, D) at the length √D, where entries are about 1 in size, each space's share of it alike."""
        return self.embed(images) * math.sqrt(images.shape[1])


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
