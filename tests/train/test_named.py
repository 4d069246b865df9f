"""What feeds make of names."""

from __future__ import annotations

import numpy as np
import torch

import small
from coterie.cluster.whitening import fit_whitening
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.features import Features
from coterie.data.feeding.loader import ImageFeed
from coterie.data.feeding.pairs import Pairing
from coterie.data.reading.store import Store


def test_a_quarter_of_every_batch_are_images_that_were_named(blobs: tuple) -> None:
    images = np.repeat(blobs[0][:, None], 3, axis=1)
    store = Store(images, [str(row) for row in range(60)])
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(), views=("plain",), batch_size=20,
        device=torch.device("cpu"), seed=0,
    )  # fmt: skip
    before = [index.tolist() for index, _ in feed.batches(0)]
    named = torch.full((60,), -1)
    named[[3, 7, 11, 15, 19, 23, 27]] = 0
    feed.heed(named)
    for plain, (index, _) in zip(before, feed.batches(0), strict=True):
        assert bool((named[index[:5]] == 0).all())
        assert len(index[:5].unique()) == 5
        assert index[5:].tolist() == plain[5:]  # The others are as they were.
    feed.heed(torch.full((60,), -1))
    assert [index.tolist() for index, _ in feed.batches(0)] == before


def test_partners_of_a_named_point_have_its_name(blobs: tuple) -> None:
    features = Features(small.as_features(blobs[0]), [str(row) for row in range(60)])
    feed = Pairing(5).feed(features, batch_size=20, device=torch.device("cpu"), seed=0)
    before = feed.neighbours.clone()
    named = torch.full((60,), -1)
    named[[0, 1, 2]] = torch.tensor([0, 0, 1])  # The third has nobody of its name.
    feed.heed(named)
    assert feed.neighbours[0].tolist() == [1] * 5
    assert feed.neighbours[1].tolist() == [0] * 5
    assert torch.equal(feed.neighbours[2:], before[2:])


def test_whitening_divides_by_what_differs_within_a_name() -> None:
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(200, 4, generator=draw) + 3
    named = torch.full((200,), -1)
    plain = fit_whitening(points, 2)
    assert torch.equal(fit_whitening(points, 2, named=named).axes, plain.axes)
    # Images of one name differ in the first column alone, by far more than neighbours do.
    named[:100] = 0
    points[:100, 1:] = points[:1, 1:]
    points[:100, 0] *= 4
    axes = fit_whitening(points, 2, named=named).axes
    assert float(axes[0].norm()) < float(fit_whitening(points, 2).axes[0].norm())
