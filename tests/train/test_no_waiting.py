"""A step never asks the device for a value: on an accelerator each such question waits for all work given so far."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import small
from coterie.config import read
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.features import Features
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.methods import build_method, method_type
from coterie.train.config import TrainConfig
from coterie.train.loop import Loop

# Operations whose result, or the shape of it, the host must know; and copies of the host's numbers to a device.
WAITING = {
    "_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "_unique2", "unique_dim",
    "unique_consecutive", "bincount", "lift_fresh", "_linalg_check_errors",
}  # fmt: skip
EVERYTHING = AugmentConfig(
    noise=0.05, blur=(0.5, 0.5), solarize=(0.2, 0.2), rotation=10, zoom=0.1, shear=5, shift=0.1, gamma=0.1
)


class Watch(TorchDispatchMode):
    """Writes down every operation that would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(each, torch.Tensor) and each.dtype is torch.bool
            for each in (args[1] if isinstance(args[1], (list, tuple)) else ())
        )
        if name in WAITING or by_mask:
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", [name for name in small.LEARNING if method_type(name).inputs == "images"])
def test_a_step_waits_for_nothing(name: str) -> None:
    rng = np.random.default_rng(0)
    store = Store(rng.integers(0, 255, (60, 3, 8, 8), dtype=np.uint8), [str(place) for place in range(60)])
    # DigPro's groups are found anew between steps, by k-means, which may wait.
    seldom = {"regroup_every": 100} if name == "digpro" else {}
    options = read(method_type(name).Config, {**small.options(name), **seldom})
    method = build_method(name, options, backbone="convnet-small", shape=store.shape, n_clusters=3, seed=0)
    device = torch.device("cpu")
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=EVERYTHING, views=method.views, batch_size=20,
        device=device, seed=0,
    )  # fmt: skip
    feed._resident = torch.from_numpy(store.images)  # As on an accelerator.
    assert waiting(Loop(method, feed, TrainConfig(epochs=3, warmup_epochs=0, batch_size=20), 0, device)) == []


@pytest.mark.parametrize("name", ["temi", "turtle"])
def test_nor_does_one_of_heads_on_features(name: str) -> None:
    values = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    options = read(method_type(name).Config, small.options(name))
    method = build_method(name, options, backbone="none", shape=(6,), n_clusters=3, seed=0)
    assert method.feeding is not None
    features = Features(values, [str(place) for place in range(60)])
    feed = method.feeding.feed(features, batch_size=20, device=torch.device("cpu"), seed=0)
    train = TrainConfig(epochs=3, warmup_epochs=0, batch_size=20, optimizer="adamw", schedule="constant")
    assert waiting(Loop(method, feed, train, 0, torch.device("cpu"))) == []


def waiting(loop: Loop) -> list[str]:
    """What a loop waits for in an epoch's steps and batches."""
    expectation = loop.expect(0)
    loop.maximise(0, expectation)  # What is made once is made by now.
    step, watch = loop.step, Watch()

    def watched(*of_step: Any) -> Any:
        with watch:
            return step(*of_step)

    loop.step = watched  # type: ignore[method-assign]
    loop.maximise(1, expectation)
    with watch:
        for _ in loop.feed.batches(1):
            pass
    return watch.seen


def test_the_watch_sees_what_waits() -> None:
    watch = Watch()
    numbers = torch.arange(4)
    with watch:
        numbers.sum().item()
        numbers[numbers > 2]
        torch.tensor([1.0])
        numbers.nonzero()
    assert watch.seen == ["_local_scalar_dense", "index", "lift_fresh", "nonzero"]
