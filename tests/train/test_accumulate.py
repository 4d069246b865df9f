"""A batch taken in parts is the same batch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

import small
from coterie.config import read
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.features import Features
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.errors import UsageError
from coterie.methods import build_method, method_type
from coterie.nn.convnet import ConvNet
from coterie.nn.encoder import Encoder
from coterie.train.config import TrainConfig
from coterie.train.loop import Epoch, Loop
from coterie.train.runtime import choose_runtime

ON_IMAGES = [name for name in small.LEARNING if method_type(name).inputs == "images"]


def loop_for(name: str, images: np.ndarray, *, parts: int, batch_norm: bool = True) -> Loop:
    options = read(method_type(name).Config, small.options(name))
    built = build_method(name, options, backbone="convnet-small", shape=(1, 8, 8), n_clusters=3, seed=0)
    if not batch_norm:
        small.norm_each_image(built)
    runtime = choose_runtime("cpu", "float32")
    runtime.prepare(built)
    store = Store(images[:, None], [str(place) for place in range(len(images))])
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(noise=0.05), views=built.views,
        batch_size=20, device=runtime.device, seed=0,
    )  # fmt: skip
    config = TrainConfig(epochs=2, warmup_epochs=1, batch_size=20, learning_rate=0.01, accumulate=parts)
    return Loop(built, feed, config, 0, runtime.device)


@pytest.mark.parametrize("name", ON_IMAGES)
def test_without_batch_norm_parts_make_no_difference(name: str, blobs: tuple) -> None:
    found = []
    for parts in (1, 3):
        loop = loop_for(name, blobs[0], parts=parts, batch_norm=False)
        epochs: list[Epoch] = []
        loop.on_epoch = epochs.append
        loop.run()
        found.append(([epoch.losses for epoch in epochs], loop.method.state_dict()))
    (whole_losses, whole), (losses, state) = found
    for mine, its in zip(losses, whole_losses, strict=True):
        assert mine == pytest.approx(its, rel=1e-3, abs=1e-5)
    for key, value in whole.items():
        torch.testing.assert_close(state[key], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("joint", [True, False])
def test_parts_have_their_own_statistics_and_leave_the_exact_gradient(joint: bool) -> None:
    encoder = Encoder(ConvNet(channels=1, side=8)).double()
    plain = copy.deepcopy(encoder)
    encoder.parts = 3
    draw = torch.Generator().manual_seed(0)
    views = [torch.randn(10, 1, 8, 8, generator=draw, dtype=torch.float64) for _ in range(2)]
    wanted = torch.randn(20, encoder.features, generator=draw, dtype=torch.float64)

    def loss(features: list[torch.Tensor]) -> torch.Tensor:
        # Every feature acts on every other's gradient.
        return (torch.cat(features) - wanted).square().sum().sqrt()

    loss(list(encoder.each(views, joint=joint))).backward()
    by_part = [
        plain.each([view[rows] for view in views], joint=joint) for rows in (slice(4), slice(4, 7), slice(7, 10))
    ]
    loss([torch.cat(each) for each in zip(*by_part, strict=True)]).backward()
    for mine, its in zip(encoder.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, its.grad)
    # Running statistics took every part in once, however often it was computed.
    for mine, its in zip(encoder.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(mine, its)


def test_only_one_part_is_kept_for_the_backward_pass() -> None:
    encoder = Encoder(ConvNet(channels=1, side=8))
    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(0 if isinstance(tensor, nn.Parameter) else tensor.numel())
        return tensor

    counts = []
    for parts in (1, 4):
        encoder.parts = parts
        kept.clear()
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            encoder.each([torch.ones(16, 1, 8, 8), torch.ones(16, 1, 8, 8)], joint=True)
        counts.append(sum(kept))
    assert counts[1] < 0.3 * counts[0]


def test_parts_that_cannot_be_are_refused(blobs: tuple) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        TrainConfig(accumulate=0)
    with pytest.raises(UsageError, match=r"batch of 20 cannot be taken in 11 parts .* train.accumulate=10"):
        loop_for("byol", blobs[0], parts=11)
    built = build_method(
        "lnscc", read(method_type("lnscc").Config, small.options("lnscc")), backbone="convnet-small", shape=(64,),
        n_clusters=3, seed=0,
    )  # fmt: skip
    rows = Features(small.as_features(blobs[0]), [str(place) for place in range(len(blobs[0]))])
    assert built.feeding is not None
    feed = built.feeding.feed(rows, batch_size=20, device=torch.device("cpu"), seed=0)
    with pytest.raises(UsageError, match="method on features lacks"):
        Loop(built, feed, TrainConfig(epochs=2, warmup_epochs=1, accumulate=2), 0, torch.device("cpu"))
