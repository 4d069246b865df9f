"""What a run says of its own certainty, on real digits with a few foreign images among them."""

from __future__ import annotations

import foreign
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from coterie import Clusterer
from coterie.evaluate.metrics import confusion, matching

_DIGITS, _LETTERS, _PATCHES = 900, 24, 23


@pytest.fixture(scope="module")
def mixed() -> tuple[Clusterer, np.ndarray]:
    """A short run on 900 digits with one foreign image in twenty, and what each is: 0–9, −1 a letter, −2 a patch."""
    images, classes = foreign.digits()
    kinds = [classes[:_DIGITS], np.full(_LETTERS, -1), np.full(_PATCHES, -2)]
    among = np.concatenate([images[:_DIGITS], foreign.letters(_LETTERS), foreign.patches(_PATCHES)])
    return Clusterer(10, recipe="digits", epochs=14, device="cpu").fit(among), np.concatenate(kinds)


def test_the_surer_the_more_are_right(mixed: tuple[Clusterer, np.ndarray]) -> None:
    clusterer, kinds = mixed
    known = kinds >= 0
    matched = matching(confusion(kinds, clusterer.labels_))
    right = np.array([matched.get(cluster) for cluster in clusterer.labels_.tolist()]) == kinds
    shares = [right[known & (clusterer.confidence_ >= least)].mean() for least in (0.0, 0.5, 0.7, 0.9, 0.95)]
    assert shares == sorted(set(shares))
    assert shares[-1] > shares[0] + 0.05
    assert (known & (clusterer.confidence_ >= 0.9)).sum() > 0.3 * known.sum()


@pytest.mark.parametrize("kind", [-1, -2])
def test_foreign_images_are_found(mixed: tuple[Clusterer, np.ndarray], kind: int) -> None:
    clusterer, kinds = mixed
    asked = (kinds >= 0) | (kinds == kind)
    assert roc_auc_score(kinds[asked] == kind, clusterer.outlier_scores_[asked]) >= 0.85
    assert clusterer.outliers_[kinds >= 0].mean() < 0.1
    assert clusterer.outliers_[kinds == kind].mean() > 3 * clusterer.outliers_[kinds >= 0].mean()
