from __future__ import annotations

import pytest
import torch
from torch import Tensor

from coterie.cluster import neighbours
from coterie.cluster.neighbours import nearest_neighbours
from coterie.errors import UsageError


def points(count: int = 60, width: int = 5) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def test_equals_its_slow_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = points()
    monkeypatch.setattr(neighbours, "_CHUNK_DISTANCES", 7 * 60)
    distances, places = nearest_neighbours(cloud, 6)
    for row, point in enumerate(cloud):
        exact = (cloud - point).double().square().sum(dim=1).sqrt()
        wanted = exact.argsort()[:6]
        assert places[row].tolist() == wanted.tolist()
        torch.testing.assert_close(distances[row].double(), exact[wanted], atol=1e-5, rtol=1e-5)


def test_worked_by_hand() -> None:
    distances, places = nearest_neighbours(torch.tensor([[0.0], [1.0], [3.0], [7.0]]), 3)
    assert places.tolist() == [[0, 1, 2], [1, 0, 2], [2, 1, 0], [3, 2, 1]]
    assert distances.tolist() == [[0, 1, 3], [0, 1, 2], [0, 2, 3], [0, 4, 6]]


def test_the_point_itself_is_first_among_its_copies() -> None:
    distances, places = nearest_neighbours(torch.zeros(5, 3), 2)
    assert places[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert (places[:, 1] != places[:, 0]).all()
    assert distances.abs().max() == 0


def test_precision_survives_a_distant_origin() -> None:
    near, far = points(), points() + 1000
    assert torch.equal(nearest_neighbours(near.double(), 4)[1], nearest_neighbours(far.double(), 4)[1])
    wrong = (nearest_neighbours(far, 4)[1] != nearest_neighbours(far.double(), 4)[1]).float().mean()
    assert wrong == 0


def test_too_many_neighbours_are_refused() -> None:
    with pytest.raises(UsageError, match="5 points do not have 6 neighbours"):
        nearest_neighbours(torch.zeros(5, 3), 6)
