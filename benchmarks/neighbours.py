"""Approximate neighbours of many points, by coterie and by packages for that, one thread.

Run: python benchmarks/neighbours.py [100000 1000000] [--cifar CIFAR10.npz] [--by coterie usearch …]

Points are 64 numbers about 100 centers, or with --cifar the 64 principal axes of its images at 8 × 8 pixels. For each
way, in a process of its own: the time on the processor until all have 16 neighbours, themselves among them, the share
of the 15 others found of those that a thousand of the points have, and memory at the peak beyond what it was before. A
way whose package is missing is passed over. coterie's way is faiss's inverted file in a child, whose time counts.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

NEIGHBOURS, WIDTH, ASKED = 16, 64, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[100_000])
    parser.add_argument("--cifar", type=Path, help="an .npz of CIFAR-10 with the arrays jpeg and offsets")
    parser.add_argument("--by", nargs="+", choices=[*WAYS], default=[*WAYS])
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.by[0])))
        return
    print("| points | way | seconds | found | memory |\n|---|---|---|---|---|")
    made = [(f"{count} about centers", mixture(count)) for count in options.counts]
    made += [("CIFAR-10", of_cifar(options.cifar))] if options.cifar else []
    for name, points in made:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "points.npy"
            np.save(path, points)
            for way in options.by:
                told = subprocess.run(
                    [sys.executable, __file__, "--by", way, "--child", str(path)], capture_output=True, text=True,
                    env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
                )  # fmt: skip
                if told.returncode:
                    print(f"{way}: {told.stderr.splitlines()[-1]}", file=sys.stderr)
                    continue
                row = json.loads(told.stdout.splitlines()[-1])
                print(f"| {name} | {way} | {row['seconds']:.1f} | {row['found']:.3f} | {row['memory']:.0f} MB |")


def measure(path: Path, way: str) -> dict[str, float]:
    points = np.load(path)
    run = WAYS[way](points)
    before, began = peak(), sum(os.times()[:4])
    found = run()
    seconds, memory = sum(os.times()[:4]) - began, peak() - before
    asked = np.linspace(0, len(points) - 1, ASKED).astype(np.int64)
    shares = []
    for row in asked:
        distances = np.square(points - points[row]).sum(axis=1)
        distances[row] = np.inf
        wanted = np.argpartition(distances, NEIGHBOURS - 1)[: NEIGHBOURS - 1]
        others = [place for place in found[row].tolist() if place != row][: NEIGHBOURS - 1]
        shares.append(len({*others} & {*wanted.tolist()}) / (NEIGHBOURS - 1))
    return {"seconds": seconds, "memory": memory, "found": float(np.mean(shares))}


Run = Callable[[], np.ndarray]


def by_coterie(points: np.ndarray) -> Run:
    import torch

    from coterie.cluster.approximate import approximate_neighbours

    torch.set_num_threads(1)
    return lambda: approximate_neighbours(torch.from_numpy(points), NEIGHBOURS)[1].numpy()


def by_faiss_graph(points: np.ndarray) -> Run:
    import faiss

    def run() -> np.ndarray:
        index = faiss.IndexHNSWFlat(WIDTH, 16)
        index.hnsw.efConstruction = index.hnsw.efSearch = 128
        index.add(points)
        return index.search(points, NEIGHBOURS)[1]

    return run


def by_usearch(points: np.ndarray) -> Run:
    from usearch.index import Index

    def run() -> np.ndarray:
        index = Index(ndim=WIDTH, metric="l2sq", dtype="f32", connectivity=16, expansion_add=128, expansion_search=128)
        index.add(np.arange(len(points)), points, threads=1)
        return index.search(points, NEIGHBOURS, threads=1).keys.astype(np.int64)

    return run


def by_pynndescent(points: np.ndarray) -> Run:
    from pynndescent import NNDescent

    def run(points: np.ndarray = points) -> np.ndarray:
        return NNDescent(points, n_neighbors=NEIGHBOURS, random_state=0, n_jobs=1).neighbor_graph[0]

    run(points[:3000])  # It compiles at first use.
    return run


WAYS: dict[str, Callable[[np.ndarray], Run]] = {
    "coterie": by_coterie,
    "faiss-hnsw": by_faiss_graph,
    "usearch": by_usearch,
    "pynndescent": by_pynndescent,
}


def mixture(count: int) -> np.ndarray:
    draw = np.random.default_rng(0)
    centers = draw.normal(size=(100, WIDTH)).astype(np.float32)
    return centers[draw.integers(100, size=count)] + 0.5 * draw.normal(size=(count, WIDTH)).astype(np.float32)


def of_cifar(path: Path) -> np.ndarray:
    from PIL import Image

    from coterie.cluster.chart import principal_axes

    with np.load(path) as pack:
        content, ends = pack["jpeg"].tobytes(), pack["offsets"].tolist()
    opened = (Image.open(io.BytesIO(content[start:end])) for start, end in itertools.pairwise(ends))
    pictures = [picture.resize((8, 8), Image.Resampling.BOX) for picture in opened]
    pixels = np.stack([np.asarray(picture, dtype=np.float32) / 255 for picture in pictures])
    return principal_axes(pixels.reshape(len(pixels), -1), WIDTH).astype(np.float32)


def peak() -> float:
    """Megabytes this process or its greatest child has held at the most, by Linux; `getrusage` counts its parent's."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1e3


if __name__ == "__main__":
    main()
