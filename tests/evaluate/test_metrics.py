from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from coterie.evaluate.metrics import confusion, matching, purity, score


def test_four_images_worked_by_hand() -> None:
    # Clusters {0,1,2} and {3} against classes {0,1} and {2,3}: three of four match; 1 of 6 pairs is together in both.
    scores = score(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
    assert scores.acc == 0.75
    assert scores.ari == pytest.approx((1 - 2 * 3 / 6) / (0.5 * (2 + 3) - 1))
    joint = [0.5, 0.25, 0.25]
    entropy = {"joint": -sum(p * np.log(p) for p in joint), "classes": np.log(2)}
    clusters = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    information = entropy["classes"] + clusters - entropy["joint"]
    assert scores.nmi == pytest.approx(information / (0.5 * (entropy["classes"] + clusters)))


@pytest.mark.parametrize(("classes", "clusters"), [(2, 2), (3, 7), (7, 3), (1, 4), (4, 1), (1, 1)])
def test_agrees_with_scikit_learn(classes: int, clusters: int) -> None:
    rng = np.random.default_rng(classes * 10 + clusters)
    labels, found = rng.integers(0, classes, 200), rng.integers(0, clusters, 200)
    scores = score(labels, found)
    assert scores.nmi == pytest.approx(normalized_mutual_info_score(labels, found), abs=1e-12)
    assert scores.ari == pytest.approx(adjusted_rand_score(labels, found), abs=1e-12)


def test_renaming_clusters_changes_nothing() -> None:
    labels = np.random.default_rng(0).integers(0, 5, 300)
    scores = score(labels, (labels + 2) % 5)
    assert (scores.acc, scores.nmi, scores.ari) == (1.0, pytest.approx(1.0), 1.0)


def test_an_empty_cluster_and_more_clusters_than_classes() -> None:
    # Cluster 1 is empty; clusters 0 and 3 share class 0, of which one may match.
    assert score(np.array([0, 0, 0, 1]), np.array([0, 0, 3, 2])).acc == 0.75


def test_unlabelled_images_are_left_out() -> None:
    labels, clusters = np.array([0, 1, -1, -1]), np.array([1, 0, 0, 1])
    assert score(labels, clusters).acc == 1.0
    assert confusion(labels, clusters).sum() == 2
    with pytest.raises(ValueError, match="no label"):
        score(np.array([-1, -1]), np.array([0, 1]))
    with pytest.raises(ValueError, match="one length"):
        score(np.array([0, 1]), np.array([0, 1, 0]))


def test_purity_and_matching() -> None:
    table = np.array([[8, 0, 1], [2, 0, 3]])
    assert purity(table)[[0, 2]].tolist() == [0.8, 0.75]
    assert np.isnan(purity(table)[1])
    assert matching(table) == {0: 0, 2: 1}
