"""A ProPos training step end to end, images to updated weights, beside a plain implementation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from coterie.bench._convolution import BestConvolution, counted
from coterie.bench._plain import PlainProPos
from coterie.bench.base import Budget, Result, alternate
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.methods import build_method
from coterie.methods.propos import ProPosConfig
from coterie.train.config import TrainConfig
from coterie.train.loop import Loop
from coterie.train.runtime import choose_runtime

_SIDE = 32
_NOTHING = AugmentConfig(crop=None, flip=0.0, jitter=0.0, grey=0.0)


def measure(budget: Budget) -> Iterator[Result]:
    """Image pairs a second, ResNet-18 for small images; the data path alone, against views made beforehand; and the
    share of the machine's own best convolution rate that such steps reach."""
    on_gpu = budget.device.startswith("cuda")
    batch_size, steps = budget.size(512 if on_gpu else 128, 16), budget.size(20 if on_gpu else 2, 1)
    images = np.random.default_rng(0).integers(0, 256, (steps * batch_size, 3, _SIDE, _SIDE), dtype=np.uint8)
    with_views, without = (_Epochs(images, batch_size, config, budget) for config in (AugmentConfig(), _NOTHING))
    pairs = steps * batch_size
    with PlainProPos(images, batch_size, budget.device, workers=16 if on_gpu else 1) as plain:
        yield alternate("train-step", with_views.run, plain.epoch, "plain ProPos", budget, amount=pairs, unit="pairs/s")
    yield alternate(
        "train-step/data-path", with_views.run, without.run, "without augmentation", budget, amount=pairs,
        unit="pairs/s",
    )  # fmt: skip
    arithmetic, best = counted(with_views.run), BestConvolution(with_views.runtime, batch_size)
    yield alternate(
        "train-step/arithmetic", with_views.run, lambda: best.run(max(1, round(arithmetic / best.flops))),
        "the best convolution", budget, amount=arithmetic / 1e9, unit="GFLOP/s",
    )  # fmt: skip


class _Epochs:
    """Epochs of ours, past the warm-up, with pseudo labels."""

    def __init__(self, images: np.ndarray, batch_size: int, augment: AugmentConfig, budget: Budget) -> None:
        self.runtime = runtime = choose_runtime(budget.device)
        method = build_method(
            "propos", ProPosConfig(), backbone="resnet18-small", shape=images.shape[1:], n_clusters=10, seed=0
        )
        runtime.prepare(method)
        store = Store(images, [str(place) for place in range(len(images))])
        feed = ImageFeed(
            store, Normalisation(*store.channel_statistics()), config=augment, views=method.views,
            batch_size=batch_size, device=runtime.device, seed=0,
        )  # fmt: skip
        self._loop = Loop(method, feed, TrainConfig(batch_size=batch_size, warmup_epochs=0), 0, runtime.device)
        self._epoch = 0
        self._expectation = self._loop.expect(0)

    def run(self) -> None:
        self._loop.maximise(self._epoch, self._expectation)
        self._epoch += 1
