from __future__ import annotations

import pytest
import torch
from sklearn.datasets import make_blobs
from torch.nn import functional as F

from coterie.cluster import many
from coterie.cluster.kmeans import kmeans
from coterie.cluster.many import kmeans_many, seeds


def blobs(count: int = 5, *, seed: int = 0) -> torch.Tensor:
    points, _ = make_blobs(200, 6, centers=count, cluster_std=1.0, center_box=(-9, 9), random_state=seed)
    points = torch.from_numpy(points).float()
    return points - points.mean(dim=0)


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("held", [1, 1 << 18])
def test_each_set_is_grouped_as_by_kmeans_alone(spherical: bool, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "_HELD", held)
    sets = torch.stack([blobs(seed=seed) for seed in range(3)])
    sets = F.normalize(sets, dim=2) if spherical else sets
    starts = seeds(sets, 7, 6, draw())
    for k in (2, 5, 7):
        found = kmeans_many(sets, starts[:, :, :k], spherical=spherical)
        assert found.labels.shape == (3, 200)
        assert found.centers.shape == (3, k, 6)
        for points, labels, centers, inertia in zip(sets, found.labels, found.centers, found.inertia, strict=True):
            alone = kmeans(points, k, metric="cosine" if spherical else "euclidean", n_init=6, generator=draw())
            assert float(inertia) * (0.5 if spherical else 1) == pytest.approx(alone.inertia, rel=0.02)
            distances = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist").double().square()
            assert torch.equal(labels, distances.argmin(dim=1))
            assert float(inertia) == pytest.approx(float(distances.amin(dim=1).sum()), rel=1e-4)
            if spherical:
                torch.testing.assert_close(centers.norm(dim=1), torch.ones(k))


def test_an_emptied_cluster_takes_the_farthest_point() -> None:
    # By hand: the second center is nearest to nobody, and moves to 10, farthest from the first.
    points = torch.tensor([[0.0], [1.0], [10.0]])
    found = kmeans_many(points[None], torch.tensor([[[[4.0], [99.0]]]]), spherical=False)
    assert found.labels.tolist() == [[0, 0, 1]]
    assert found.centers.flatten().tolist() == [0.5, 10.0]
    assert float(found.inertia) == pytest.approx(0.5)


def test_points_that_are_all_alike_leave_clusters_empty() -> None:
    points = torch.ones(1, 20, 2)
    found = kmeans_many(points, seeds(points, 3, 2, draw()), spherical=False)
    assert float(found.inertia) == pytest.approx(0.0, abs=1e-5)
    assert torch.equal(found.centers, torch.ones(1, 3, 2))


def test_what_was_given_stays() -> None:
    sets = blobs()[None]
    starts = seeds(sets, 4, 2, draw())
    before = starts.clone()
    kmeans_many(sets, starts, spherical=False)
    assert torch.equal(starts, before)
