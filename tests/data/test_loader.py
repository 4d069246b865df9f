from __future__ import annotations

import numpy as np
import torch

from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store


def feed(
    images: np.ndarray, *, batch_size: int = 16, views: tuple = ("augmented", "plain"), seed: int = 0
) -> ImageFeed:
    store = Store(images[:, None], [str(place) for place in range(len(images))])
    normalisation = Normalisation(*store.channel_statistics())
    return ImageFeed(
        store, normalisation, config=AugmentConfig(), views=views, batch_size=batch_size,
        device=torch.device("cpu"), seed=seed,
    )  # fmt: skip


def test_an_epoch_takes_every_image_at_most_once(blobs: tuple) -> None:
    source = feed(blobs[0])
    assert source.steps_per_epoch == 3
    index = torch.cat([index for index, _ in source.batches(0)])
    assert len(index.unique()) == 48
    for index, views in source.batches(0):
        assert [view.shape for view in views] == [(16, 1, 8, 8)] * 2
        torch.testing.assert_close(views[1], source.normalisation.plain(source.store.rows(index)))


def test_any_epoch_can_be_repeated_on_its_own(blobs: tuple) -> None:
    first, again = list(feed(blobs[0]).batches(5)), list(feed(blobs[0]).batches(5))
    for (index, views), (same_index, same_views) in zip(first, again, strict=True):
        assert torch.equal(index, same_index)
        assert torch.equal(views[0], same_views[0])
    other = next(iter(feed(blobs[0]).batches(6)))
    assert not torch.equal(first[0][0], other[0])
    assert not torch.equal(first[0][0], next(iter(feed(blobs[0], seed=1).batches(5)))[0])


def test_two_augmented_views_differ(blobs: tuple) -> None:
    _, views = next(iter(feed(blobs[0], views=("augmented", "augmented")).batches(0)))
    assert not torch.equal(*views)


def test_plain_gives_everything_in_order(blobs: tuple) -> None:
    source = feed(blobs[0])
    images = torch.cat(list(source.plain(7)))
    torch.testing.assert_close(images, source.normalisation.plain(torch.from_numpy(blobs[0][:, None])))
    assert abs(float(images.mean())) < 1e-3
    assert abs(float(images.std()) - 1) < 1e-2


def test_weights_decide_how_often_an_image_is_drawn(blobs: tuple) -> None:
    source = feed(blobs[0], batch_size=60)
    weights = torch.zeros(60)
    weights[[3, 4]] = torch.tensor([1.0, 3.0])
    drawn = torch.cat([next(iter(source.batches(epoch, weights=weights)))[0] for epoch in range(20)])
    assert set(drawn.tolist()) == {3, 4}
    assert abs(float((drawn == 4).float().mean()) - 0.75) < 0.05


def test_a_batch_is_never_larger_than_the_data(blobs: tuple) -> None:
    assert feed(blobs[0], batch_size=512).steps_per_epoch == 1
