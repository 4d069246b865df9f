"""Beside others: what runs while every core has a busy process, against the same alone; a fair share is half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch

from coterie.bench.base import Budget, Result, alternate
from coterie.cores import cores
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.evaluate.choose_k import choose_k
from coterie.methods import build_method
from coterie.methods.propos import ProPosConfig
from coterie.train.config import TrainConfig
from coterie.train.estep import embed_all
from coterie.train.loop import Loop
from coterie.train.runtime import choose_runtime

_SIDE, _BATCH = 8, 128


def measure(budget: Budget) -> Iterator[Result]:
    """Steps on small grey images as in the demo, embedding them, and choosing a number of clusters."""
    images = np.random.default_rng(0).integers(0, 256, (budget.size(1280, 128), 1, _SIDE, _SIDE), dtype=np.uint8)
    loop = _loop(images, budget)
    points = torch.randn(budget.size(1500, 100), 32, generator=torch.Generator().manual_seed(0))
    work: dict[str, Callable[[], object]] = {
        "contention": lambda: loop.maximise(0, None),
        "contention/embedding": lambda: [embed_all(loop.method, loop.feed, 256) for _ in range(budget.size(10, 1))],
        "contention/choose-k": lambda: choose_k(points, 2, budget.size(12, 3)),
    }
    with _Busy(cores()) as busy:
        for name, run in work.items():
            yield alternate(
                name, lambda run=run: busy.beside(run), run, "alone", budget  # type: ignore[misc]
            )  # fmt: skip


def _loop(images: np.ndarray, budget: Budget) -> Loop:
    """A run like the demo's, in its warm-up."""
    runtime = choose_runtime(budget.device)
    config = ProPosConfig(hidden=512, projection=64)
    method = build_method("propos", config, backbone="convnet-small", shape=images.shape[1:], n_clusters=10, seed=0)
    runtime.prepare(method)
    store = Store(images, [str(place) for place in range(len(images))])
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(flip=0.0), views=method.views,
        batch_size=_BATCH, device=runtime.device, seed=0,
    )  # fmt: skip
    return Loop(method, feed, TrainConfig(epochs=2, warmup_epochs=1, batch_size=_BATCH), 0, runtime.device)


class _Busy:
    """Processes that do nothing but take a core each, held until they are wanted; gone at the end."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> _Busy:
        self._running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(self._count)]
        self._tell(signal.SIGSTOP)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def beside(self, run: Callable[[], object]) -> None:
        """Run something while they are at work."""
        self._tell(signal.SIGCONT)
        try:
            run()
        finally:
            self._tell(signal.SIGSTOP)

    def _tell(self, number: int) -> None:
        for process in self._running:
            os.kill(process.pid, number)
