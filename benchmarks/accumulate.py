"""What taking a batch in parts costs, saves and changes (train.accumulate).

Run: python benchmarks/accumulate.py [--batch 256] [--side 32] [--backbone resnet18-small] [--parts 1 2 4 8]
     python benchmarks/accumulate.py --gradients [--batch 128]

The first prints peak memory and seconds a step of ProPos, each in a process of its own. The second trains every method
for three epochs on digits with convnet-small, small heads and whole batches, and prints how one more batch taken in
parts compares with it whole: the cosine of both gradients of the encoder, and the relative difference of the loss.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import fields
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--backbone", default="resnet18-small")
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--gradients", action="store_true", help="compare gradients instead")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options, options.one)))
        return
    if options.gradients:
        compare(options)
        return
    for parts in options.parts:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--one", str(parts)], check=True)


def measure(options: argparse.Namespace, parts: int) -> dict[str, float]:
    """Megabytes at the peak beyond those before the first step, and the median seconds of a step."""
    import torch

    from coterie.config import read
    from coterie.data.feeding.augment import AugmentConfig, Normalisation
    from coterie.data.feeding.loader import ImageFeed
    from coterie.data.reading.store import Store
    from coterie.methods import build_method, method_type
    from coterie.train.config import TrainConfig
    from coterie.train.loop import Loop
    from coterie.train.runtime import choose_runtime

    runtime = choose_runtime()
    count = options.batch * (options.steps + 1)
    shape = (3, options.side, options.side)
    store = Store(np.random.default_rng(0).integers(0, 255, (count, *shape), dtype=np.uint8), ["image"] * count)
    method = build_method(
        "propos", read(method_type("propos").Config, {}), backbone=options.backbone, shape=shape, n_clusters=10, seed=0
    )
    runtime.prepare(method)
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(), views=method.views,
        batch_size=options.batch, device=runtime.device, seed=0,
    )  # fmt: skip
    config = TrainConfig(epochs=1, warmup_epochs=1, batch_size=options.batch, accumulate=parts)
    times = [time.perf_counter()]
    loop = Loop(method, feed, config, 0, runtime.device, on_step=lambda: times.append(time.perf_counter()))
    before = peak()
    loop.maximise(0, None)
    steps = [after - earlier for earlier, after in itertools.pairwise(times[1:])]
    held = torch.cuda.max_memory_allocated() / 1e6 if runtime.device.type == "cuda" else peak() - before
    return {"parts": parts, "megabytes": round(held), "seconds_per_step": round(statistics.median(steps), 3)}


def compare(options: argparse.Namespace) -> None:
    """A row for every method on images: cosine of the gradients and relative difference of the loss by parts."""
    from coterie.methods import method_names, method_type

    several = [parts for parts in options.parts if parts > 1]
    print(f"| method | {' | '.join(f'{parts} parts' for parts in several)} |")
    print("|---" * (len(several) + 1) + "|")
    for name in method_names():
        if method_type(name).inputs == "images":
            found = in_parts(name, options.batch, [1, *several])
            cells = [f"{cosine(found[1][1], found[n][1]):.4f}, {found[n][0] / found[1][0] - 1:+.1%}" for n in several]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def in_parts(name: str, batch_size: int, several: list[int]) -> dict[int, tuple[float, Any]]:
    """Loss and gradient of the encoder of one batch, by the number of parts it is taken in."""
    import torch

    from coterie.config import read
    from coterie.data.feeding.augment import AugmentConfig, Normalisation
    from coterie.data.feeding.loader import ImageFeed
    from coterie.data.reading.store import Store
    from coterie.data.sources import open_source
    from coterie.methods import build_method, method_type
    from coterie.methods.base import Batch
    from coterie.seeding import generator
    from coterie.train.config import TrainConfig
    from coterie.train.loop import Loop, divide_batches

    source = open_source("digits")
    images = np.stack([source.decode(place, 8)[..., :1].transpose(2, 0, 1) for place in range(len(source.keys))])
    store = Store(images, list(source.keys))
    known = {field.name for field in fields(method_type(name).Config)}
    options = {key: value for key, value in {"hidden": 256, "projection": 64}.items() if key in known}
    method = build_method(
        name, read(method_type(name).Config, options), backbone="convnet-small", shape=(1, 8, 8), n_clusters=10, seed=0
    )
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(), views=method.views,
        batch_size=batch_size, device=torch.device("cpu"), seed=0,
    )  # fmt: skip
    settings = {"epochs": 3, "warmup_epochs": 1, "batch_size": batch_size, **method_type(name).train_defaults}
    loop = Loop(method, feed, read(TrainConfig, settings), 0, feed.device)
    loop.run()
    labels = None if (expectation := loop.expect(2)) is None else expectation.pseudo_labels
    index, views = next(iter(feed.batches(3)))
    state = copy.deepcopy(method.state_dict())
    found = {}
    for parts in several:
        method.load_state_dict(state)
        divide_batches(method, parts, batch_size)
        method.train()
        draw = generator(feed.device, 0, "method", 0)
        step = loop.progress(3 * feed.steps_per_epoch - 1)
        losses = method.losses(views, Batch(index, None if labels is None else labels[index], step, draw))
        method.zero_grad()
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        grads = [p.grad.flatten() for p in method.encoder.parameters() if p.grad is not None]
        found[parts] = (float(total.detach()), torch.cat(grads))
    return found


def cosine(first: Any, second: Any) -> float:
    return float(first @ second / (first.norm() * second.norm()))


def peak() -> float:
    """Megabytes this process has held at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
