from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from coterie.data.feeding.features import Features
from coterie.data.feeding.pairs import PairFeed, Pairing, cosine_neighbours
from coterie.data.feeding.subsets import SubsetConfig, SubsetFeed
from coterie.errors import UsageError

CPU = torch.device("cpu")


def features(count: int = 40) -> Features:
    values = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    return Features(values, [str(place) for place in range(count)])


def pairs(count: int = 40, *, batch_size: int = 12, neighbours: int = 5, clusters: int = 1) -> PairFeed:
    return Pairing(neighbours, clusters).feed(features(count), batch_size=batch_size, device=CPU, seed=0)


def subsets(count: int = 40, *, batch_size: int = 12) -> SubsetFeed:
    return SubsetConfig(steps_per_epoch=4).feed(features(count), batch_size=batch_size, device=CPU, seed=0)


def test_neighbours_are_those_of_largest_cosine_without_the_point() -> None:
    points = torch.from_numpy(features().values)
    found = cosine_neighbours(points, 5)
    unit = F.normalize(points, dim=1)
    for place in range(40):
        cosines = [(-float(unit[place] @ unit[other]), other) for other in range(40) if other != place]
        assert found[place].tolist() == [other for _, other in sorted(cosines)[:5]]


def test_a_copy_of_a_point_is_its_neighbour_and_not_itself() -> None:
    found = cosine_neighbours(torch.ones(6, 2), 5)
    assert all(place not in row and len(set(row)) == 5 for place, row in enumerate(found.tolist()))


def test_an_epoch_has_every_point_once_with_a_neighbour_and_drops_a_short_batch() -> None:
    feed = pairs()
    assert (feed.steps_per_epoch, feed.batch_size) == (3, 12)
    batches = list(feed.batches(0))
    places = torch.cat([index for index, _ in batches])
    assert len(batches) == 3
    assert len(set(places.tolist())) == 36
    for index, (points, partners) in batches:
        assert torch.equal(points, feed.points[index])
        among = feed.points[feed.neighbours[index]]
        assert (among == partners.unsqueeze(1)).all(dim=2).any(dim=1).all()


def test_partners_are_drawn_evenly() -> None:
    feed = pairs(batch_size=40)
    drawn = torch.zeros(5)
    for epoch in range(200):
        for index, (_, partners) in feed.batches(epoch):
            same = (feed.points[feed.neighbours[index]] == partners.unsqueeze(1)).all(dim=2)
            drawn += same.sum(dim=0)
    torch.testing.assert_close(drawn / drawn.sum(), torch.full((5,), 0.2), atol=0.02, rtol=0)


@pytest.mark.parametrize("make", [pairs, subsets])
def test_any_epoch_can_be_repeated_on_its_own(make: object) -> None:
    def views(feed: PairFeed | SubsetFeed, epoch: int) -> list[list[float]]:
        return [torch.cat(views).flatten().tolist() for _, views in feed.batches(epoch)]

    undisturbed = make()  # type: ignore[operator]
    epochs = [views(undisturbed, epoch) for epoch in range(4)]
    assert views(make(), 2) == epochs[2] != epochs[3]  # type: ignore[operator]


def test_few_points_have_few_neighbours() -> None:
    assert [Pairing(50, 10).count(points) for points in (50_000, 1000, 200, 12)] == [50, 50, 10, 1]
    assert pairs(2, neighbours=50).neighbours.tolist() == [[1], [0]]
    with pytest.raises(UsageError, match="at least 2 points"):
        pairs(1)


def test_a_subset_has_no_point_twice_and_each_step_another() -> None:
    feed = subsets()
    batches = list(feed.batches(1))
    assert len(batches) == 4
    for index, (points,) in batches:
        assert len(set(index.tolist())) == 12
        assert torch.equal(points, feed.points[index])
    assert len({tuple(index.tolist()) for index, _ in batches}) == 4


def test_few_points_are_all_taken() -> None:
    feed = subsets(batch_size=10_000)
    for index, (points,) in feed.batches(0):
        assert torch.equal(index, torch.arange(40))
        assert torch.equal(points, feed.points)
    with pytest.raises(UsageError, match=r"options\.steps_per_epoch"):
        SubsetConfig(steps_per_epoch=0)


@pytest.mark.parametrize("make", [pairs, subsets])
def test_everything_and_a_sample(make: object) -> None:
    feed = make()  # type: ignore[operator]
    assert torch.equal(torch.cat(list(feed.plain(7))), feed.points)
    places, points = feed.sample(10)
    assert torch.equal(points, feed.points[places])
    assert len(places) == 10
