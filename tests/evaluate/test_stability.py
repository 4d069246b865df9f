from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from coterie.evaluate.stability import best_overlaps, stability_of


def test_overlaps_worked_by_hand() -> None:
    # Cluster 0 loses one of four to a cluster of three: 3 shared of 4; cluster 1 keeps its two and gains one: 2 of 3.
    clusters, others = np.array([0, 0, 0, 0, 1, 1]), np.array([5, 5, 5, 2, 2, 2])
    assert best_overlaps(clusters, others, 3).tolist() == [3 / 4, 2 / 3, 0]


def test_what_comes_back_is_stable_whatever_its_number() -> None:
    first = np.array([0] * 10 + [1] * 10 + [2] * 10)
    renumbered = (first + 1) % 3
    split = np.where(np.arange(30) % 2, 7, first)  # Half of every cluster goes to another.
    found = stability_of([first, renumbered, split], [4, 5, 6], 3)
    assert found.seeds == (4, 5, 6)
    assert found.ari == pytest.approx((1 + 2 * adjusted_rand_score(first, split)) / 3)
    assert [one.size for one in found.clusters] == [10, 10, 10]
    assert [one.overlap for one in found.clusters] == pytest.approx([0.75] * 3)
    assert [one.least for one in found.clusters] == pytest.approx([0.5] * 3)
    assert {one.verdict for one in found.clusters} == {"stable"}
    assert {one.verdict for one in stability_of([first, split], [0, 1], 3).clusters} == {"wavering"}
    assert stability_of([first, np.arange(30)], [0, 1], 4).clusters[3].verdict == "dissolved"
