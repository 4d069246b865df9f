"""What a backbone's features say in words: by the classifier it learnt with, or by the part of a CLIP that reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch
from torch import Tensor
from torch.nn import functional as F

# Probabilities held at a time: 64 MiB of float32.
_HELD = 1 << 24


@dataclass(frozen=True)
class Vocabulary:
    """Words, and how probable a backbone's features make each: a softmax over what they score.

    Args:
        words: W of them.
        weight: (W, d), a row a word.
        bias: (W,).
        projection: (d, F) of a CLIP, whose features are brought into the space of its text, and to unit length there;
            None takes features as they are, F = d.
    """

    words: tuple[str, ...]
    weight: Tensor
    bias: Tensor
    projection: Tensor | None = None

    def __post_init__(self) -> None:
        rows, width = self.weight.shape
        if len(self.words) != rows or self.bias.shape != (rows,):
            raise ValueError(f"{len(self.words)} words for {rows} rows")
        if self.projection is not None and (self.projection.ndim != 2 or len(self.projection) != width):
            raise ValueError("the projection leads elsewhere than the words lie")

    @property
    def features(self) -> int:
        """F."""
        return int((self.weight if self.projection is None else self.projection).shape[1])

    @torch.inference_mode()
    def probabilities(self, features: Tensor) -> Tensor:
        """(n, W) of features (n, F)."""
        if self.projection is not None:
            features = F.normalize(features @ self.projection.T, dim=1)
        return (features @ self.weight.T + self.bias).softmax(dim=1)

    def shares(self, features: Tensor, clusters: Tensor, n_clusters: int) -> Tensor:
        """(K, W): the mean probability of each word over the images of each cluster; 0 where a cluster has none.

        Args:
            features: (N, F).
            clusters: (N,) int64.
            n_clusters: K.
        """
        sums = torch.zeros(n_clusters, len(self.words))
        step = max(1, _HELD // len(self.words))
        for part, own in zip(torch.split(features, step), torch.split(clusters, step), strict=True):
            sums.index_add_(0, own, self.probabilities(part))
        return sums / torch.bincount(clusters, minlength=n_clusters).clamp(min=1).unsqueeze(1)


# From words to the vocabulary of them; the part of a CLIP that reads.
Reader = Callable[[Sequence[str]], Vocabulary]


@cache
def imagenet_words() -> tuple[str, ...]:
    """A short name of each of ImageNet's thousand classes, in their order (ILSVRC 2012)."""
    text = (files("coterie.nn.pretrained") / "imagenet.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def of_classifier(weight: Tensor | None, bias: Tensor | None, features: int) -> Vocabulary | None:
    """The vocabulary of a linear classifier (1000, F) of ImageNet's classes; None of others, whose names are unknown.

    Args:
        weight, bias: of the classifier, where there is one.
        features: F, of the backbone before it.
    """
    words = imagenet_words()
    if weight is None or bias is None or weight.shape != (len(words), features) or bias.shape != (len(words),):
        return None
    return Vocabulary(words, weight.float(), bias.float())
