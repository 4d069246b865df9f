"""Heads on frozen features, on an equal footing: every head is given the same features, seeds and number of groups.

Run: python benchmarks/frozen.py flowers=flowers/ clothes=clothes/ --runs RUNS
     python benchmarks/frozen.py cifar=cifar.npz --size 128 --images 0 100 1000 --runs RUNS
     python benchmarks/frozen.py --table

Data is NAME=SOURCE, with labels as its folders' names or in its file. Each backbone (`coterie backbones` lists what
installs them) looks at a set once, and its features stay in the folder of runs; the heads are fitted to them as
`Clusterer` does by itself, on the CPU. `--images N` draws N of them, others for each seed, and 0 takes all. `--tail 10`
draws groups whose sizes fall geometrically, the largest ten times the smallest. Results are added to
benchmarks/frozen.json one by one; what is there is not computed again. Seconds are the head's, without looking.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import SpectralClustering

from coterie import Clusterer, GaussianMixture
from coterie.cluster.mixture import Covariance
from coterie.data.sources import open_source
from coterie.errors import CoterieError
from coterie.evaluate.metrics import score
from methods import Row, add, deviation, load, mean

RESULTS = Path(__file__).with_suffix(".json")
BACKBONES = ["efficientnet-lite2", "efficientnet-lite0", "mobilenetv2"]
# Figures whose means over sets are given, and their decimals.
MEANS = {"acc": 3, "nmi": 3, "ari": 3, "seconds": 1}
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Head:
    """A method on features.

    Args:
        options: of the method.
        covariance: of the mixture that groups the method's embeddings, where one does.
        cut: group them by scikit-learn's cut of the graph of their 15 nearest neighbours.
        halved: take them along principal axes, each divided by the square root of its deviation.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    covariance: Covariance | None = None
    cut: bool = False
    halved: bool = False


HEADS = {
    "k-means": Head("kmeans", {"options.axes": 0}),
    "k-means on principal axes": Head("kmeans", {"options.whitening": 0.0, "options.axes": 1.5}),
    "k-means, half whitened": Head("kmeans", {"options.axes": 0}, halved=True),
    "k-means, whitened": Head("kmeans"),
    "cut of the neighbour graph": Head("kmeans", cut=True),
    "mixture, spherical": Head("kmeans", covariance="spherical"),
    "mixture, diagonal": Head("kmeans", covariance="diagonal"),
    "lnscc": Head("lnscc"),
    "temi": Head("temi"),
    "turtle": Head("turtle"),
}
# Less and more of what asks for equal groups.
SETTINGS = {
    "temi, β 0.8": Head("temi", {"options.beta": 0.8}),
    "temi, β 1": Head("temi", {"options.beta": 1.0}),
    "turtle, γ 1": Head("turtle", {"options.gamma": 1.0}),
    "turtle, γ 3": Head("turtle", {"options.gamma": 3.0}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", metavar="NAME=SOURCE")
    parser.add_argument("--backbones", nargs="*", default=BACKBONES)
    parser.add_argument("--heads", nargs="*", default=list(HEADS), choices=[*HEADS, *SETTINGS], metavar="HEAD")
    parser.add_argument("--size", type=int, default=224, help="pixels of the square that backbones look at")
    parser.add_argument("--images", type=int, nargs="*", default=[0], help="how many, or 0 for all")
    parser.add_argument("--tail", type=float, default=1.0, help="size of the largest group by that of the smallest")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("frozen-runs"), help="folder that keeps the features")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the results")
    parser.add_argument("--table", action="store_true", help="print the tables of what is there")
    options = parser.parse_args()
    for backbone, entry in product(options.backbones, options.data):
        name, _, source = entry.partition("=")
        features, labels = looked_at(backbone, source, options.runs / f"{backbone}-{name}-{options.size}", options.size)
        where = {"data": name, "backbone": backbone, "size": options.size, "tail": options.tail}
        for images, seed, head in product(options.images, range(options.seeds), options.heads):
            key = {**where, "images": images, "head": head, "seed": seed}
            if images <= len(labels) and not any(key.items() <= row.items() for row in load(options.results)):
                add({**key, **scores(key, features, labels)}, options.results)
    if options.table:
        print(tables(load(options.results)))


def looked_at(backbone: str, source: str, run: Path, size: int) -> tuple[Array, Array]:
    """Features (N, D) and labels (N,) of a source, from the run that keeps them, run unless it is there."""
    if not (run / "summary.json").is_file():
        named = Path(source).is_dir()
        clusters = str(len(np.unique(open_source(source, labels_from_folders=named).labels)))
        command = [sys.executable, "-m", "coterie", "fit", source, "-k", clusters, "--out", str(run), "--resume"]
        command += ["--method", "kmeans", "--backbone", backbone, "--size", str(size), "--device", "cpu", "--quiet"]
        command += ["--labels-from-folders"] * named
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with np.load(run / "features.npz") as kept:
        return kept["features"], kept["labels"]


def scores(key: Row, features: Array, labels: Array) -> Row:
    """Scores and seconds of one head."""
    chosen = drawn(labels, key["images"], key["tail"], np.random.default_rng(key["seed"]))
    clusters = len(np.unique(labels))
    began = time.perf_counter()
    try:
        found = assigned((HEADS | SETTINGS)[key["head"]], features[chosen], clusters, key["seed"])
    except CoterieError as error:
        return {"failed": str(error)}
    seconds = time.perf_counter() - began
    scored = score(labels[chosen], found)
    return {
        "count": len(chosen),
        **{name: round(getattr(scored, name), 4) for name in ("acc", "nmi", "ari")},
        "seconds": round(seconds, 2),
    }


def assigned(head: Head, features: Array, clusters: int, seed: int) -> Array:
    """The cluster (N,) of each feature vector."""
    features = halved(features, math.ceil(1.5 * clusters)) if head.halved else features
    clusterer = Clusterer(clusters, method=head.method, options=head.options, seed=seed, device="cpu").fit(features)
    if head.cut:
        cut = SpectralClustering(
            clusters, affinity="nearest_neighbors", n_neighbors=15, assign_labels="cluster_qr", random_state=seed
        )
        return cut.fit_predict(clusterer.embeddings_)
    if head.covariance is None:
        return clusterer.labels_
    mixture = GaussianMixture(clusters, covariance=head.covariance, metric="cosine", n_init=20, seed=seed)
    return mixture.fit_predict(clusterer.embeddings_)


def halved(features: Array, axes: int) -> Array:
    """Unit features (N, D) along their principal axes, each divided by the square root of its deviation: (N, axes)."""
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    centered = (units - units.mean(axis=0)).astype(np.float64)
    _, deviations, directions = np.linalg.svd(centered, full_matrices=False)
    scale = (deviations[:axes] / math.sqrt(len(units))) ** 0.5
    halved: Array = (centered @ directions[:axes].T / scale).astype(np.float32)
    return halved


def drawn(labels: Array, images: int, tail: float, rng: np.random.Generator) -> Array:
    """Places (n,) of the images that are taken, in order.

    With a tail, groups are shuffled, and of the i-th of K are taken `m·tail^(−i/(K−1))`, m the size of the smallest.
    """
    order = rng.permutation(len(labels))
    if tail > 1:
        names, sizes = np.unique(labels, return_counts=True)
        wanted = sizes.min() * tail ** -np.linspace(0, 1, len(names))
        groups = zip(rng.permutation(names), wanted, strict=True)
        order = rng.permutation(np.concatenate([order[labels[order] == name][: round(size)] for name, size in groups]))
    return np.sort(order[: images or None])


def tables(rows: list[Row]) -> str:
    """Markdown: for each backbone, number of images and tail, heads by sets, the best mean first."""
    fitted = [row for row in rows if "failed" not in row]
    kinds = dict.fromkeys((row["tail"], row["images"], row["backbone"]) for row in fitted)
    return "\n\n".join(
        "\n".join([caption(*kind), "", *table([row for row in fitted if kind == kind_of(row)])]) for kind in kinds
    )


def kind_of(row: Row) -> tuple[float, int, str]:
    return row["tail"], row["images"], row["backbone"]


def caption(tail: float, images: int, backbone: str) -> str:
    drawn = f"{images} images" if images else "all images"
    return f"**{backbone}**, {drawn}{f', largest group {tail:g} times the smallest' if tail > 1 else ''}:"


def table(rows: list[Row]) -> Iterator[str]:
    """ACC on each set, then the means over all sets, of the heads that were measured on each."""
    sets = list(dict.fromkeys(row["data"] for row in rows))
    heads = {
        head: [[row for row in rows if (row["head"], row["data"]) == (head, name)] for name in sets]
        for head in dict.fromkeys(row["head"] for row in rows)
    }
    yield f"| head | {' | '.join(sets)} | mean ACC | NMI | ARI | seconds |"
    yield "|---" * (len(sets) + 5) + "|"

    def over_sets(by_set: list[list[Row]], figure: str) -> float:
        return statistics.mean(mean(runs, figure) for runs in by_set) if all(by_set) else 0.0

    for head, by_set in sorted(heads.items(), key=lambda item: -over_sets(item[1], "acc")):
        cells = [f"{mean(runs, 'acc'):.3f}{deviation(runs, 'acc')}" if runs else "–" for runs in by_set]
        means = [f"{over_sets(by_set, figure):.{digits}f}" for figure, digits in MEANS.items()]
        yield f"| {' | '.join([head, *cells, *(means if all(by_set) else '–' * len(MEANS))])} |"


if __name__ == "__main__":
    main()
