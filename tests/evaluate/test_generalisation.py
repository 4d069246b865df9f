from __future__ import annotations

import numpy as np
import pytest

from coterie.errors import UsageError
from coterie.evaluate.generalisation import fold_accuracies, generalisation_score, random_folds


def clouds() -> tuple[np.ndarray, np.ndarray]:
    rng, kinds = np.random.default_rng(0), np.arange(90) % 3
    return rng.normal(size=(90, 4)) + 6 * np.eye(4)[kinds], kinds


def test_folds_hold_every_point_out_once() -> None:
    folds = random_folds(95, seed=1)
    assert np.bincount(folds).tolist() == [10] * 5 + [9] * 5
    assert not np.array_equal(folds, random_folds(95, seed=2))
    assert np.array_equal(folds, random_folds(95, seed=1))


def test_a_labelling_along_the_clouds_is_learnt_and_one_at_random_is_not() -> None:
    points, kinds = clouds()
    folds = random_folds(len(points))
    assert generalisation_score([points], kinds, folds) == 1
    chance = generalisation_score([points], np.random.default_rng(1).integers(0, 3, 90), folds)
    assert chance < 0.6


def test_spaces_count_alike_and_a_single_cluster_is_learnt_perfectly() -> None:
    points, kinds = clouds()
    noise = np.random.default_rng(2).normal(size=(90, 2))
    folds = random_folds(90, folds=5)
    both = fold_accuracies([points, noise], kinds, folds)
    assert both.shape == (2, 5)
    assert generalisation_score([points, noise], kinds, folds) == pytest.approx(both.mean(axis=1).mean())
    assert generalisation_score([noise], np.zeros(90, int), folds) == 1
    with pytest.raises(UsageError, match="a row for each"):
        fold_accuracies([points[:5]], kinds, folds)
