"""A backbone that comes with weights: how it is built, what it holds, and how it wants its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coterie.errors import UsageError
from coterie.nn.pretrained.vocabulary import Reader, Vocabulary, imagenet_words

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of any image: a description of unknown origin is not to fill the memory.
MOST_CHANNELS = 64
MOST_SIDE = 4096
# Of the photographs most models are trained on.
USUAL_SIDE = 224


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a backbone again, but for its weights; plain values that JSON can hold.

    Args:
        library: whose it is: "coterie", "transformers" or "timm".
        name: of the network there.
        settings: what the library builds it from.
    """

    library: str
    name: str
    settings: Any = field(default_factory=dict)


@dataclass(frozen=True)
class Pretrained:
    """A backbone with its weights.

    Args:
        name: as the user gave it.
        architecture: to build it again.
        backbone: images (n, C, S, S) to features (n, `backbone.features`); on the CPU, in evaluation mode.
        side: S, of the images it was trained on or of those asked for; 0 where any will do.
        mean, deviation: of each channel in [0, 1], taken out of images before it sees them.
        vocabulary: what its features say in words, where that is known.
        reader: makes a vocabulary of any words, where it is a CLIP as opened; it is not saved.
    """

    name: str
    architecture: Architecture
    backbone: nn.Module
    side: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    deviation: tuple[float, ...] = IMAGENET_DEVIATION
    vocabulary: Vocabulary | None = None
    reader: Reader | None = None

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def label(self) -> str:
        """The name without the way to it: where a file lies on this machine is nobody else's business."""
        prefix, colon, rest = self.name.rpartition(":")
        return f"{prefix}{colon}{Path(rest).resolve().name}" if Path(rest).exists() else self.name

    def having_read(self, words: Sequence[str] = ()) -> Pretrained:
        """With the vocabulary of these words, or of ImageNet's, and without its reader, if it has one.

        Raises:
            CoterieError: the reader's files are missing or damaged.
        """
        if self.reader is None:
            return self
        return replace(self, vocabulary=self.reader(words or imagenet_words()), reader=None)

    def silent(self) -> Pretrained:
        """Without vocabulary and reader: what it learns further, they do not know."""
        return replace(self, vocabulary=None, reader=None)


def joined_labels(backbones: Sequence[Pretrained]) -> str:
    """The labels of backbones that look at the same images, as a user names several."""
    return "+".join(each.label for each in backbones)


def width(backbone: nn.Module, name: str, channels: int, side: int) -> int:
    """How many features a backbone makes of an image, found by showing it one.

    Raises:
        UsageError: it takes no images of this side, or makes something else of them.
    """
    try:
        with torch.inference_mode():
            features = backbone(torch.zeros(1, channels, side, side))
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{name} takes no images of {side} pixels ({reason}): choose another --size, or none"
        ) from None
    if features.ndim != 2:
        raise UsageError(f"{name} makes {tuple(features.shape)} of an image and no feature vector: give another model")
    return int(features.shape[1])


def without_chance(backbone: nn.Module) -> nn.Module:
    """Silence dropout and stochastic depth, which draw from torch's global generator: a resumed run would differ."""
    for module in backbone.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if isinstance(getattr(module, "drop_prob", None), float):
            module.drop_prob = 0.0  # type: ignore[assignment]
    return backbone
