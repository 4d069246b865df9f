from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from coterie.data.feeding.edges import EdgeFeed, GraphConfig
from coterie.data.feeding.features import Features
from coterie.errors import UsageError


def feed(count: int = 40, *, batch_size: int = 25, **options: object) -> EdgeFeed:
    values = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    features = Features(values, [str(place) for place in range(count)])
    config = GraphConfig(**{"neighbours": 5, "repeats": 20, "steps_per_epoch": 6, **options})  # type: ignore[arg-type]
    return EdgeFeed(features, config, batch_size=batch_size, device=torch.device("cpu"), seed=0)


def test_a_pass_holds_every_edge_as_often_as_its_weight_says() -> None:
    whole = feed(batch_size=1, held_out=0.0)
    total = int(whole._ends_at[-1])
    found = Counter(int(edge) for step in range(total) for edge in whole._edges(step))
    repeats = whole._ends_at.diff(prepend=torch.zeros(1, dtype=torch.int64))
    assert found == Counter({edge: int(count) for edge, count in enumerate(repeats)})


def test_any_epoch_can_be_repeated_on_its_own() -> None:
    undisturbed = feed()
    all_epochs = [[index.tolist() for index, _ in undisturbed.batches(epoch)] for epoch in range(30)]
    assert [index.tolist() for index, _ in feed().batches(17)] == all_epochs[17]
    assert all_epochs[17] != all_epochs[18]


def test_batches_are_features_of_neighbours_and_spare_the_held_out() -> None:
    edges = feed(held_out=0.25)
    assert int(edges.held_out.sum()) == 10
    for heads, (head, tail) in edges.batches(0):
        assert torch.equal(head, edges.points[heads])
        assert not edges.held_out[heads].any()
        assert head.shape == tail.shape == (25, 3)
        assert (head != tail).any(dim=1).all()
    assert torch.equal(torch.cat(list(edges.plain(7))), edges.points)
    places, points = edges.sample(10)
    assert torch.equal(points, edges.points[places])
    assert len(places) == 10


def test_the_whole_list_is_one_batch_where_it_is_short() -> None:
    short = feed(5, batch_size=100_000, held_out=0.0)
    assert short.batch_size == int(short._ends_at[-1])
    assert len(list(short.batches(0))) == 6


def test_from_a_long_list_edges_are_drawn_by_their_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coterie.data.feeding.edges._LONGEST", 10)
    drawn = feed(batch_size=50, held_out=0.0)
    found = torch.cat([drawn._edges(step) for step in range(2000)]).bincount(minlength=len(drawn.heads))
    repeats = drawn._ends_at.diff(prepend=torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(found / found.sum(), repeats / repeats.sum(), rtol=0.3, atol=2e-4)
    assert [index.tolist() for index, _ in drawn.batches(3)] == [index.tolist() for index, _ in drawn.batches(3)]


@pytest.mark.parametrize("wrong", [{"neighbours": 1}, {"repeats": 0}, {"held_out": 1.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        GraphConfig(**wrong)  # type: ignore[arg-type]


def test_too_few_points_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 3 points"):
        feed(2, held_out=0.0)
