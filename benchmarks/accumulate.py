"""What taking a batch in parts costs and saves: peak memory and seconds a step of ProPos, each in a process of its own.

Run: python benchmarks/accumulate.py [--batch 256] [--side 32] [--backbone resnet18-small] [--parts 1 2 4 8]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--backbone", default="resnet18-small")
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options, options.one)))
        return
    for parts in options.parts:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--one", str(parts)], check=True)


def measure(options: argparse.Namespace, parts: int) -> dict[str, float]:
    """Megabytes at the peak beyond those before the first step, and the median seconds of a step."""
    import torch

    from coterie.config import read
    from coterie.data.augment import AugmentConfig, Normalisation
    from coterie.data.loader import ImageFeed
    from coterie.data.store import Store
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


def peak() -> float:
    """Megabytes this process has held at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
