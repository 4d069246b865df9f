from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from coterie.cluster import approximate, chart
from coterie.cluster.approximate import approximate_neighbours
from coterie.cluster.neighbours import nearest_neighbours
from coterie.errors import CoterieError, UsageError

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="needs faiss: pip install 'coterie[atlas]'")


def groups(count: int = 900) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(count) % 6
    return 3 * torch.eye(6, 8)[kinds] + 0.4 * torch.randn(count, 8, generator=generator), kinds


@needs_faiss
def test_approximate_neighbours_are_nearly_all_and_tell_their_distances() -> None:
    points, _ = groups(9000)
    distances, places = approximate_neighbours(points, 9)
    exact, wanted = nearest_neighbours(points, 9)
    shared = (places.unsqueeze(2) == wanted.unsqueeze(1)).any(dim=2)
    assert shared.float().mean() > 0.97
    assert torch.equal(places[:, 0], torch.arange(len(points)))
    assert (distances[:, 1:] >= distances[:, :-1]).all()
    true = (points[places] - points.unsqueeze(1)).square().sum(dim=2).sqrt()
    torch.testing.assert_close(distances, true, atol=1e-5, rtol=1e-5)
    assert (distances >= exact - 1e-5).all()
    assert torch.equal(places, approximate_neighbours(points, 9)[1])


@needs_faiss
def test_neighbours_among_some_are_of_these() -> None:
    points, _ = groups()
    some = torch.arange(0, len(points), 7)
    _, places = approximate_neighbours(points, 5, some)
    assert torch.isin(places, some).all()
    assert torch.equal(places[some, 0], some)
    assert all(len(row) == 5 for row in map(set, places.tolist()))
    wanted = torch.cdist(points, points[some]).argmin(dim=1)
    others = torch.ones(len(points), dtype=torch.bool)
    others[some] = False
    assert torch.equal(some[wanted][others], places[others, 0])


@needs_faiss
def test_copies_are_neighbours_and_each_its_own_first() -> None:
    points = torch.cat([torch.ones(5000, 4), groups(300)[0][:, :4]])
    distances, places = approximate_neighbours(points, 6)
    assert distances[:5000].max() == 0
    assert torch.equal(places[:, 0], torch.arange(5300))
    assert all(len(row) == 6 for row in map(set, places.tolist()))
    assert distances.isfinite().all()


@needs_faiss
def test_a_map_of_many_keeps_groups_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    points, kinds = groups()
    monkeypatch.setattr(chart, "EXACT", 500)
    monkeypatch.setattr(chart, "_LAID_OUT", 200)
    found = chart.chart(points.numpy())
    assert found.places.shape == (900, 2)
    assert found.neighbours.shape == found.distances.shape == (900, 16)
    near = torch.cdist(found.places, found.places).topk(6, largest=False).indices[:, 1:]
    assert (kinds[near] == kinds.unsqueeze(1)).float().mean() > 0.95
    assert torch.equal(found.places, chart.chart(points.numpy()).places)


def test_without_faiss_or_where_it_fails_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(approximate, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"a map of 900 images needs faiss: pip install 'coterie\[atlas\]'"):
        approximate_neighbours(groups()[0], 5)
    monkeypatch.setattr(approximate, "find_spec", lambda _: object())
    (tmp_path / "failing.py").write_text("raise MemoryError('no room')")
    monkeypatch.setattr(approximate, "_PROGRAM", tmp_path / "failing.py")
    with pytest.raises(CoterieError, match="neighbours of 900 images: MemoryError: no room"):
        approximate_neighbours(groups()[0], 5)


def test_places_in_a_plane_stay_as_they_are() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    found = chart.chart(points)
    assert np.array_equal(found.places.numpy(), points)
    assert chart.chart(points[:3]).neighbours.shape == (3, 3)


def test_principal_axes_are_those_of_most_variance() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 3)) * [1, 10, 3] + 100
    axes = chart.principal_axes(points)
    np.testing.assert_allclose(np.abs(np.corrcoef(axes[:, 0], points[:, 1])[0, 1]), 1, atol=0.01)
    np.testing.assert_allclose(np.abs(np.corrcoef(axes[:, 1], points[:, 2])[0, 1]), 1, atol=0.01)
    assert np.array_equal(axes, chart.principal_axes(points))
