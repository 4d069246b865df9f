"""Suggested words for groups: what a backbone's vocabulary says of the images in each. Never applied by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coterie.config import coerce, plain
from coterie.errors import UsageError
from coterie.nn.pretrained.vocabulary import Vocabulary
from coterie.text import in_one_line

_MOST = 3
# Less than this is given to words where the network knows none that fits, see `docs/trust.md`.
_LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Word:
    """A word and its share of a group, 0–1: the mean probability over the group's images."""

    word: str
    share: float

    def __str__(self) -> str:
        return f"{in_one_line(self.word)} {100 * self.share:.0f} %"


# Of each group up to three, the greatest share first; () where nothing knows words.
Words = tuple[tuple[Word, ...], ...]


def words_of_groups(vocabulary: Vocabulary, features: Tensor, clusters: Tensor, n_clusters: int) -> Words:
    """Up to three words for each group: those of at least a tenth of it, and of more of it than of all images together.

    A word that is as common everywhere tells no group from the others.

    Args:
        features: (N, F), of the vocabulary's backbone.
        clusters: (N,) int64.
        n_clusters: K.
    """
    shares = vocabulary.shares(features, clusters, n_clusters)
    sizes = torch.bincount(clusters, minlength=n_clusters)
    usual = sizes.to(shares.dtype) @ shares / max(1, len(clusters))
    telling = shares.masked_fill((shares < _LEAST_SHARE) | (shares <= usual), 0)
    best = telling.topk(min(_MOST, len(vocabulary.words)), dim=1)
    return tuple(
        tuple(Word(vocabulary.words[place], round(share, 4)) for share, place in zip(*row, strict=True) if share > 0)
        for row in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    )


def as_json(words: Words) -> list[list[dict[str, Any]]]:
    """As `summary.json` and `model.json` hold them."""
    return [[plain(word) for word in group] for group in words]


def checked_words(values: Any, n_clusters: int) -> Words:
    """What `as_json` made.

    Raises:
        ValueError: it is something else, or not of so many groups.
    """
    try:
        words: Words = coerce(values, Words, where="words")
    except UsageError as error:
        raise ValueError(str(error)) from None
    if len(words) not in (0, n_clusters) or not all(0 <= word.share <= 1 for group in words for word in group):
        raise ValueError("the words are not those of its groups")
    return words
