"""Does time grow with the number of images and no faster, and memory not at all for a store on disk?

Run: python benchmarks/growth.py 5000 20000 60000

For each number, in a process of its own: random 32×32 grey images in a memory-mapped store, one E-step and one epoch of
ProPos. Prints seconds for a thousand images, and the process's own memory (without pages of the file) beside what
embeddings, labels and keys must take.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE, BATCH = 32, 128


def main() -> None:
    counts = [int(text) for text in sys.argv[1:]] or [5000, 20_000, 60_000]
    if counts[0] < 0:
        print(json.dumps(measure(-counts[0])))
        return
    print("| images | E-step | epoch | seconds for 1 000 images | own memory, MB | embeddings, MB |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        child = subprocess.run([sys.executable, __file__, str(-count)], check=True, capture_output=True, text=True)
        row = json.loads(child.stdout)
        total = (row["e_step"] + row["epoch"]) / count * 1000
        print(
            f"| {count} | {row['e_step']:.1f} s | {row['epoch']:.1f} s | {total:.3f} | {row['memory']:.0f} "
            f"| {row['embeddings']:.0f} |",
            flush=True,
        )


def measure(count: int) -> dict[str, float]:
    import numpy as np

    from coterie.data.augment import AugmentConfig, Normalisation
    from coterie.data.loader import ImageFeed
    from coterie.data.store import Store
    from coterie.methods import build_method
    from coterie.methods.propos import ProPosConfig
    from coterie.train.config import TrainConfig
    from coterie.train.loop import Loop
    from coterie.train.runtime import choose_runtime

    with tempfile.TemporaryDirectory() as folder:
        images = np.lib.format.open_memmap(
            Path(folder) / "store.npy", mode="w+", dtype=np.uint8, shape=(count, 1, SIDE, SIDE)
        )
        rng = np.random.default_rng(0)
        for start in range(0, count, 4096):
            part = images[start : start + 4096]
            part[:] = rng.integers(0, 256, part.shape, dtype=np.uint8)
        store = Store(images, [str(place) for place in range(count)])
        options = ProPosConfig(hidden=512, projection=128)
        method = build_method("propos", options, backbone="convnet-small", shape=store.shape, n_clusters=10, seed=0)
        runtime = choose_runtime("cpu")
        runtime.prepare(method)
        feed = ImageFeed(
            store, Normalisation(*store.channel_statistics()), config=AugmentConfig(), views=method.views,
            batch_size=BATCH, device=runtime.device, seed=0,
        )  # fmt: skip
        loop = Loop(method, feed, TrainConfig(batch_size=BATCH, warmup_epochs=0), 0, runtime.device)
        began = time.perf_counter()
        expectation = loop.expect(0)
        middle = time.perf_counter()
        loop.maximise(0, expectation)
        ended = time.perf_counter()
    return {
        "e_step": middle - began,
        "epoch": ended - middle,
        "memory": own_memory(),
        "embeddings": count * options.projection * 4 / 1e6,
    }


def own_memory() -> float:
    """MB of this process without mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


if __name__ == "__main__":
    main()
