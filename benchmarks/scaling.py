"""The cost of the E-step and of the final groups beyond encoding, for many images, beside the model of docs/scaling.md.

Run: python benchmarks/scaling.py [10000 100000 1000000] [--clusters 100] [--restarts 3] [--width 128] [--features 512]

For each number, in a process of its own: synthetic embeddings about as many centers as clusters, k-means on them as the
E-step runs it, then the final groups. Prints what each took, and memory at the peak without the embeddings and features
themselves, beside what the model says; its one constant, products a second, is taken from the middle number.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="*", type=int, default=[10_000, 100_000, 1_000_000], help="numbers of images")
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--width", type=int, default=128, help="of embeddings")
    parser.add_argument("--features", type=int, default=512, help="width of features")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options, options.counts[0])))
        return
    settings = [f"--{name}={getattr(options, name)}" for name in ("clusters", "restarts", "width", "features")]
    rows = []
    for count in options.counts:
        command = [sys.executable, __file__, str(count), *settings, "--child"]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    work = [row["compared"] * options.clusters * options.width for row in rows]
    middle = len(rows) // 2
    rate = work[middle] / rows[middle]["kmeans"]
    print(f"{rate / 1e9:.1f} billion products a second, from {options.counts[middle]} images")
    print("| images | passes | k-means | model | own memory | model | final groups | own memory |")
    print("|---|---|---|---|---|---|---|---|")
    for count, row, products in zip(options.counts, rows, work, strict=True):
        memory = count * (8 * options.width + 24 * options.restarts) / 1e6
        print(
            f"| {count} | {row['compared'] / count:.0f} | {row['kmeans']:.2f} s | {products / rate:.2f} s "
            f"| {row['kmeans_memory']:.0f} MB | {memory:.0f} MB "
            f"| {row['groups']:.2f} s | {row['groups_memory']:.0f} MB |"
        )


def measure(options: argparse.Namespace, count: int) -> Figures:
    import torch

    from coterie.cluster.groups import fit_groups
    from coterie.cluster.kmeans import kmeans

    compared = count_compared()
    draw = torch.Generator().manual_seed(0)
    centers = torch.randn(options.clusters, options.features, generator=draw)
    labels = torch.randint(options.clusters, (count,), generator=draw)
    features = torch.empty(count, options.features)
    for part, own in zip(torch.split(features, 65_536), torch.split(labels, 65_536), strict=True):
        part.normal_(generator=draw).add_(centers[own])
    embeddings = features[:, : options.width].contiguous()
    before, began = peak(), time.perf_counter()
    found = kmeans(
        embeddings,
        options.clusters,
        metric="cosine",
        n_init=options.restarts,
        generator=torch.Generator().manual_seed(0),
    )
    seconds, memory = time.perf_counter() - began, peak() - before
    before, began = peak(), time.perf_counter()
    fit_groups(embeddings, features, found.labels, options.clusters).assign(embeddings, features)
    return {
        "compared": sum(compared),
        "kmeans": seconds,
        "kmeans_memory": memory,
        "groups": time.perf_counter() - began,
        "groups_memory": peak() - before,
    }


def count_compared() -> list[int]:
    """A list that gets, at every pass of k-means, how many points were compared with a set of centers."""
    from coterie.cluster import lloyd

    compared: list[int] = []
    plain = lloyd.assign

    def counted(points, norms, centers, before=None, named=None):  # type: ignore[no-untyped-def]
        compared.append(len(centers) * len(points))
        return plain(points, norms, centers, before, named)

    lloyd.assign = counted
    return compared


def peak() -> float:
    """Megabytes this process has held at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
