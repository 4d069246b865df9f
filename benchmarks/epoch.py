"""Seconds of an E-step and an epoch of ProPos on random images of CIFAR-10's number and size, and where they go.

Run: python benchmarks/epoch.py --device cuda
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import torch

from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.machine import machine
from coterie.methods import build_method
from coterie.methods.propos import ProPosConfig
from coterie.train.config import TrainConfig
from coterie.train.loop import Loop
from coterie.train.runtime import Runtime, choose_runtime

# Multiply-adds of ResNet-18 for small images on 32×32 pixels.
_MACS = 0.557e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="through torch's compiler")
    options = parser.parse_args()
    loop, runtime = propos(options.device, options.images, options.batch, compiled=options.compile)
    e_steps, epochs = [], []
    with runtime.rules():
        for epoch in range(options.epochs + 1):
            began = clock()
            expectation = loop.expect(epoch)
            middle = clock()
            loop.maximise(epoch, expectation)
            ended = clock()
            if epoch:  # The first one warms up.
                e_steps.append(middle - began)
                epochs.append(ended - middle)
    pairs = loop.feed.steps_per_epoch * loop.feed.batch_size
    # Online: two views forward and backward (twice the forward); target: two views forward.
    flops = pairs * 8 * 2 * _MACS
    print(
        json.dumps(
            {
                "machine": machine(),
                "images": options.images,
                "compiled": options.compile,
                "e_step_seconds": statistics.median(e_steps),
                "epoch_seconds": statistics.median(epochs),
                "pairs_per_second": pairs / statistics.median(epochs),
                "teraflops": flops / statistics.median(epochs) / 1e12,
            },
            indent=2,
        )
    )


def propos(device: str, count: int, batch: int, *, compiled: bool = False) -> tuple[Loop, Runtime]:
    """ProPos past its warm-up on random images of CIFAR-10's size, and where it computes."""
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    store = Store(images, [str(place) for place in range(count)])
    runtime = choose_runtime(device, compiled=compiled)
    method = build_method("propos", ProPosConfig(), backbone="resnet18-small", shape=store.shape, n_clusters=10, seed=0)
    runtime.prepare(method)
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(), views=method.views,
        batch_size=batch, device=runtime.device, seed=0,
    )  # fmt: skip
    return Loop(method, feed, TrainConfig(batch_size=batch, warmup_epochs=0), 0, runtime.device), runtime


def clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
