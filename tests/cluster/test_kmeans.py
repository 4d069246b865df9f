from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning

from coterie import CoterieError, KMeans, UsageError
from coterie.cluster.kmeans import kmeans, nearest_sizes
from coterie.cluster.lloyd import assign, lloyd
from coterie.cluster.seeding import plus_plus


def test_four_points_worked_by_hand() -> None:
    points = np.array([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 2.0]])
    fitted = KMeans(2).fit(points)
    assert fitted.inertia_ == pytest.approx(4.0)
    assert sorted(fitted.cluster_centers_.tolist()) == [[0.0, 1.0], [10.0, 1.0]]
    assert fitted.labels_[0] == fitted.labels_[1] != fitted.labels_[2] == fitted.labels_[3]


def test_four_directions_worked_by_hand() -> None:
    # Lengths do not count; each pair is a right angle apart, so its center lies at 45°, cos 45° = √½.
    points = torch.tensor([[1.0, 0.0], [0.0, 9.0], [-2.0, 0.0], [0.0, -0.5]])
    fitted = KMeans(2, metric="cosine").fit(points)
    assert fitted.inertia_ == pytest.approx(4 * (1 - 0.5**0.5), rel=1e-6)
    torch.testing.assert_close(torch.as_tensor(fitted.cluster_centers_).norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("n_clusters", [2, 10, 60])
def test_reaches_scikit_learns_inertia(n_clusters: int) -> None:
    points = load_digits().data.astype(np.float32)
    reference = Reference(n_clusters, n_init=10, random_state=0).fit(points)
    assert KMeans(n_clusters).fit(points).inertia_ <= reference.inertia_ * 1.005


def test_far_from_the_origin_float32_still_suffices() -> None:
    points, _ = make_blobs(300, centers=4, cluster_std=0.05, random_state=0)
    shifted = (points + 1000).astype(np.float32)
    near, far = KMeans(4).fit(points), KMeans(4).fit(shifted)
    assert far.inertia_ == pytest.approx(near.inertia_, rel=0.02)


def test_predict_gives_the_labels_of_the_training_points() -> None:
    points = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    for metric in ("euclidean", "cosine"):
        fitted = KMeans(7, metric=metric).fit(points)
        labels = fitted.predict(points)
        assert isinstance(labels, torch.Tensor)
        assert (labels == fitted.labels_).float().mean() > 0.99


def test_answers_in_the_kind_it_was_given() -> None:
    points = np.random.default_rng(0).random((50, 3))
    fitted = KMeans(3).fit(points)
    assert all(isinstance(value, np.ndarray) for value in (fitted.labels_, fitted.cluster_centers_))
    assert fitted.cluster_centers_.dtype == np.float64
    assert isinstance(fitted.predict(torch.from_numpy(points)), torch.Tensor)


def test_same_seed_same_result_and_no_global_state() -> None:
    points = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    first, second = KMeans(6, seed=3).fit(points), KMeans(6, seed=3).fit(points)
    assert torch.equal(first.labels_, second.labels_)
    assert first.inertia_ == second.inertia_
    assert torch.equal(state, torch.get_rng_state())


def test_restarts_side_by_side_equal_restarts_alone() -> None:
    points = torch.randn(300, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    starts = plus_plus(points, 5, 4, torch.Generator().manual_seed(1))
    centers, together, _ = lloyd(points, starts, spherical=False, max_iter=100, tol=1e-4)
    for place in range(4):
        alone, assignment, _ = lloyd(points, starts[place : place + 1], spherical=False, max_iter=100, tol=1e-4)
        torch.testing.assert_close(alone[0], centers[place])
        assert torch.equal(assignment.labels[0], together.labels[place])


def test_the_pass_over_the_data_equals_its_slow_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    points, centers = torch.randn(700, 3, generator=generator), torch.randn(2, 300, 3, generator=generator)
    found = assign(points, points.square().sum(dim=1), centers)  # 300 centers are sought in groups.
    few = assign(points, points.square().sum(dim=1), centers[:, :20])
    for answer, used in ((found, centers), (few, centers[:, :20])):
        distances = torch.cdist(points.unsqueeze(0), used, compute_mode="donot_use_mm_for_euclid_dist").square()
        assert torch.equal(answer.labels, distances.argmin(dim=2))
        torch.testing.assert_close(answer.distances, distances.min(dim=2).values, rtol=1e-3, atol=1e-4)
        for restart in range(2):
            for cluster in (0, 7, 19):
                members = points[answer.labels[restart] == cluster]
                assert int(answer.counts[restart, cluster]) == len(members)
                torch.testing.assert_close(answer.sums[restart, cluster].float(), members.sum(dim=0))


def test_an_emptied_cluster_is_seeded_again_at_the_farthest_point() -> None:
    points = torch.tensor([[0.0], [1.0], [2.0], [50.0]])
    starts = torch.tensor([[[1.0], [-900.0], [-901.0]]])
    centers, assignment, _ = lloyd(points, starts, spherical=False, max_iter=50, tol=0.0)
    assert (assignment.counts > 0).all()
    assert 50.0 in centers.flatten().tolist()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_as_many_clusters_as_points_and_duplicates(metric: str) -> None:
    assert KMeans(3, metric=metric).fit(np.eye(3)).inertia_ == pytest.approx(0, abs=1e-6)
    with pytest.warns(ConvergenceWarning, match="points are alike"):
        same = KMeans(2, metric=metric).fit(np.ones((5, 3)))
    assert same.inertia_ == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros((2, 3)), {"n_clusters": 3}, "2 samples cannot form 3 clusters"),
        (np.zeros(4), {"n_clusters": 2}, "shape"),
        (np.zeros((4, 2)), {"n_clusters": 2, "metric": "cosin"}, "metric"),
        (np.zeros((4, 2)), {"n_clusters": 0}, "at least 1"),
    ],
)
def test_bad_use_is_explained(points: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KMeans(**options).fit(points)


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(CoterieError, match="NaN"):
        KMeans(2).fit(np.array([[0.0], [np.nan], [1.0]]))
    with pytest.raises(UsageError, match="fit first"):
        KMeans(2).predict(np.zeros((2, 1)))


def test_the_restart_of_the_wanted_sizes() -> None:
    counts = torch.tensor([[50, 30, 20], [34, 33, 33], [98, 1, 1], [100, 0, 0]])
    assert nearest_sizes(counts, torch.ones(3)) == 1
    assert nearest_sizes(counts, torch.tensor([1.0, 98.0, 1.0])) == 2
    assert nearest_sizes(counts, torch.tensor([0.2, 0.5, 0.3])) == 0


def test_sums_by_what_moved_equal_sums_anew() -> None:
    draw = torch.Generator().manual_seed(0)
    points, centers = torch.randn(700, 3, generator=draw), torch.randn(2, 30, 3, generator=draw)
    norms = points.square().sum(dim=1)
    before = assign(points, norms, centers)
    for step in (0.02, 5.0):  # Few points move, or most of them.
        moved = centers + step * torch.randn(2, 30, 3, generator=draw)
        quick, anew = assign(points, norms, moved, before), assign(points, norms, moved)
        torch.testing.assert_close(quick.sums, anew.sums, rtol=1e-5, atol=1e-4)
        assert torch.equal(quick.counts, anew.counts)


def test_many_points_are_seeded_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("coterie.cluster.kmeans")
    points = torch.from_numpy(make_blobs(400, centers=4, cluster_std=0.5, random_state=0)[0])
    whole = kmeans(points, 4, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(module, "_SAMPLE", 20)
    monkeypatch.setattr(module, "_SAMPLE_EACH", 2)
    for ample in (1, 1000):
        monkeypatch.setattr(module, "_AMPLE", ample)
        sampled = kmeans(points, 4, generator=torch.Generator().manual_seed(0))
        assert sampled.inertia == pytest.approx(whole.inertia, rel=1e-4)


def test_of_many_points_the_best_restarts_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    module, passes = importlib.import_module("coterie.cluster.kmeans"), []

    def watched(points: torch.Tensor, centers: torch.Tensor, **options: Any) -> tuple:
        passes.append((len(points), len(centers)))
        return lloyd(points, centers, **options)

    monkeypatch.setattr(module, "lloyd", watched)
    points = torch.from_numpy(make_blobs(20_000, centers=10, cluster_std=1.0, random_state=0)[0])
    found = kmeans(points, 10, generator=torch.Generator().manual_seed(0))
    assert passes == [(8192, 10), (20_000, 3)]
    reference = Reference(10, n_init=10, random_state=0).fit(points.numpy())
    assert found.inertia <= reference.inertia_ * 1.005
    passes.clear()
    kmeans(points, 10, proportions=torch.full((10,), 0.1), generator=torch.Generator().manual_seed(0))
    assert passes == [(8192, 10), (20_000, 10)]
