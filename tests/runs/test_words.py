"""Words suggested for groups."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from coterie.nn.pretrained.vocabulary import Vocabulary
from coterie.runs.summary import checked_summary
from coterie.runs.words import Word, as_json, checked_words, words_of_groups

NAMES = ("sea", "sky", "boat", "fish", "gull")


def vocabulary() -> Vocabulary:
    """Whose features are the probabilities' logarithms, so that cases can be written down as shares."""
    return Vocabulary(NAMES, torch.eye(5), torch.zeros(5))


def words(shares: list[list[float]], clusters: list[int], n_clusters: int) -> list[list[tuple[str, float]]]:
    features = torch.tensor(shares).clamp(min=1e-6).log()
    found = words_of_groups(vocabulary(), features, torch.tensor(clusters), n_clusters)
    return [[(word.word, round(word.share, 2)) for word in group] for group in found]


def test_a_group_gets_what_it_has_more_of_than_all_images() -> None:
    # The sea is everywhere, and a little less so in the second group.
    images = [[0.6, 0.0, 0.4, 0.0, 0.0], [0.6, 0.3, 0.04, 0.06, 0.0], [0.5, 0.0, 0.0, 0.5, 0.0]]
    assert words(images, [0, 0, 1], 2) == [[("sea", 0.6), ("boat", 0.22), ("sky", 0.15)], [("fish", 0.5)]]


def test_no_more_than_three_and_none_below_a_tenth() -> None:
    images = [[0.28, 0.26, 0.24, 0.22, 0.0], [0.0, 0.0, 0.03, 0.0, 0.97], [0.92, 0.08, 0.0, 0.0, 0.0]]
    assert words(images, [0, 1, 2], 4) == [
        [("sky", 0.26), ("boat", 0.24), ("fish", 0.22)], [("gull", 0.97)], [("sea", 0.92)], [],
    ]  # fmt: skip


def test_what_is_alike_everywhere_tells_nothing() -> None:
    assert words([[0.5, 0.5, 0.0, 0.0, 0.0]] * 4, [0, 1, 0, 1], 2) == [[], []]


def test_the_way_to_json_and_back() -> None:
    given = ((Word("sea", 0.5),), ())
    assert checked_words(as_json(given), 2) == given
    assert checked_words([], 2) == ()
    assert str(Word("s\x1b[31m\nea", 0.714)) == "s\\x1b[31m\\nea 71 %"


BAD: list[Any] = [
    None, 3, "sea", {}, [[]], [[], [], []], [[], ["sea"]], [[], [{"word": "sea"}]], [[], [{"word": 1, "share": 0.5}]],
    *([[], [{"word": "sea", "share": share}]] for share in ("much", 1.5, -1, float("nan"), None)),
    [[], [{"word": "sea", "share": 0.5, "more": 1}]],
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_anything_else_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        checked_words(bad, 2)
    summary = {
        "method": "kmeans", "images": 2, "skipped": 0, "clusters": 2, "epochs": 0, "cluster_sizes": [1, 1],
        "outliers": 0, "seed": 0, "seconds": 1.0, "device": "cpu", "precision": "float32", "versions": {},
    }  # fmt: skip
    assert checked_summary(summary) == summary
    with pytest.raises(ValueError, match=r"\w"):
        checked_summary({**summary, "words": bad})
