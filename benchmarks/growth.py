"""Does time grow with the number of images and no faster, and memory not at all for a store on disk?

Run: python benchmarks/growth.py 5000 20000 60000

For each number, in a process of its own: random 32×32 grey images in a memory-mapped store, and epochs of ProPos with
their E-steps until as many images were seen as the largest epoch has. The processes take turns every few steps, so that
a machine that slows down meanwhile slows all of them alike. Prints seconds for a thousand images, and the process's own
memory (without pages of the file) beside what embeddings must take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE, BATCH = 32, 128
# Steps of one turn.
TURN = 39


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[5000, 20_000, 60_000], help="numbers of images")
    parser.add_argument("--child", type=int, metavar="EPOCHS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = options.counts
    if options.child:
        print(json.dumps(measure(counts[0], options.child)), flush=True)
        return
    rows = take_turns(
        [[sys.executable, __file__, str(count), "--child", str(max(counts) // count)] for count in counts]
    )
    print("| images | epochs | E-step | M-step | seconds for 1 000 images | own memory, MB | embeddings, MB |")
    print("|---|---|---|---|---|---|---|")
    for count, row in zip(counts, rows, strict=True):
        epochs = max(counts) // count
        e_step, m_step = row["e_step"] / epochs, row["m_step"] / epochs
        print(
            f"| {count} | {epochs} | {e_step:.1f} s | {m_step:.1f} s | {(e_step + m_step) / count * 1000:.3f} "
            f"| {row['memory']:.0f} | {row['embeddings']:.0f} |"
        )


def take_turns(commands: list[list[str]]) -> list[dict[str, float]]:
    """Let each process run until it says it pauses, then the next; returns what each prints in the end."""
    children = [subprocess.Popen(each, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for each in commands]
    found: dict[int, dict[str, float]] = {}
    while len(found) < len(children):
        for place, child in enumerate(children):
            if place in found:
                continue
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            line = child.stdout.readline()
            if line != "pause\n":
                found[place] = json.loads(line)
    return [found[place] for place in range(len(children))]


class Turns:
    """A stopwatch that stands still while the others run."""

    def __init__(self) -> None:
        self.steps = 0
        sys.stdin.readline()
        self.began = time.perf_counter()

    def step(self) -> None:
        self.steps += 1
        if self.steps % TURN == 0:
            before = time.perf_counter()
            print("pause", flush=True)
            sys.stdin.readline()
            self.began += time.perf_counter() - before

    def lap(self) -> float:
        now = time.perf_counter()
        seconds, self.began = now - self.began, now
        return seconds


def measure(count: int, epochs: int) -> dict[str, float]:
    import numpy as np

    from coterie.data.feeding.augment import AugmentConfig, Normalisation
    from coterie.data.feeding.loader import ImageFeed
    from coterie.data.reading.store import Store
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
        turns = Turns()
        loop.on_step = turns.step
        e_step = m_step = 0.0
        for epoch in range(epochs):
            expectation = loop.expect(epoch)
            e_step += turns.lap()
            loop.maximise(epoch, expectation)
            m_step += turns.lap()
    return {
        "e_step": e_step,
        "m_step": m_step,
        "memory": own_memory(),
        "embeddings": count * options.projection * 4 / 1e6,
    }


def own_memory() -> float:
    """MB of this process without mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


if __name__ == "__main__":
    main()
