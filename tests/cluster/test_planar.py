from __future__ import annotations

import numpy as np
import torch
from sklearn.manifold import trustworthiness

from coterie.cluster.neighbours import nearest_neighbours
from coterie.cluster.planar import planar_map


def mapped(points: torch.Tensor, k: int = 16, **options: int) -> np.ndarray:
    return planar_map(*nearest_neighbours(points, k), points[:, :2], **options).numpy()


def test_groups_that_overlap_in_the_start_come_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    points = 0.3 * torch.randn(240, 10, generator=generator)
    groups = torch.arange(240) % 4
    points[:, 4:8] += 2 * torch.eye(4)[groups]
    places = mapped(points)
    near = np.square(places[:, None] - places[None]).sum(axis=2).argsort(axis=1)[:, 1:6]
    assert (groups.numpy()[near] == groups.numpy()[:, None]).mean() > 0.99
    assert trustworthiness(points, places, n_neighbors=8) > trustworthiness(points, points[:, :2], n_neighbors=8) + 0.2


def test_the_same_seed_gives_the_same_map() -> None:
    points = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    first = mapped(points, steps=20)
    assert np.array_equal(first, mapped(points, steps=20))
    assert not np.array_equal(first, mapped(points, steps=20, seed=1))
    assert torch.equal(state, torch.get_rng_state())


def test_few_points_and_copies_have_finite_places() -> None:
    for points in (torch.zeros(1, 3), torch.tensor([[0.0, 1, 2], [3, 4, 5]]), torch.zeros(40, 3)):
        places = mapped(points, k=min(16, len(points)), steps=30)
        assert places.shape == (len(points), 2)
        assert np.isfinite(places).all()
