"""One process of several that train every method together; run by test_processes.py, and by itself as one alone."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import coterie.processes as talk
import small
from coterie.cluster import choice, groups, outliers, tied
from coterie.cluster.kmeans import Metric, kmeans
from coterie.cluster.tied import refined, tied_mixtures
from coterie.config import read
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.features import Features
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.store import Store
from coterie.launch import joined
from coterie.methods import build_method, method_type
from coterie.methods.base import EStep
from coterie.processes import processes
from coterie.runs.model import embed_rows
from coterie.train import estep
from coterie.train.config import TrainConfig
from coterie.train.loop import Epoch, Loop
from coterie.train.runtime import choose_runtime


def striped_images(count: int) -> np.ndarray:
    """Three plain kinds of three each, so that no cluster is decided by the last digit: (count, 3, 8, 8) uint8."""
    images = np.random.default_rng(0).integers(0, 20, (count, 3, 8, 8))
    for place in range(count):
        kind, variety = place % 3, place // 3 % 3
        images[place, kind, 2 * kind : 2 * kind + 3] += 200
        images[place, :, :, 3 * variety : 3 * variety + 2] += 60
    return images.clip(0, 255).astype(np.uint8)


IMAGES = striped_images(61)
# Without batch norm, whose statistics are those of a part, a batch taken in parts is the same batch.
IN_PARTS = "byol in parts"
KMEANS: list[tuple[Metric, int]] = [("euclidean", 7), ("cosine", 7), ("euclidean", 9)]


def loop_for(name: str) -> tuple[Loop, Any, Normalisation | None]:
    in_parts = name == IN_PARTS
    name = name.split()[0]
    grains = {"granularities": [9]} if name == "pcl" else {}
    options = read(method_type(name).Config, {**small.options(name), **grains})
    runtime = choose_runtime("cpu", "float32")
    keys = [str(place) for place in range(len(IMAGES))]
    rows: Store | Features = Store(IMAGES, keys)
    if method_type(name).inputs == "features":
        rows = Features(small.as_features(IMAGES), keys)
    built = build_method(name, options, backbone="convnet-small", shape=rows.shape, n_clusters=3, seed=0)
    if in_parts:
        small.norm_each_image(built)
    runtime.prepare(built)
    feed: Any
    normalisation = None
    if isinstance(rows, Features):
        assert built.feeding is not None
        feed = built.feeding.feed(rows, batch_size=20, device=runtime.device, seed=0)
    else:
        normalisation = Normalisation(*rows.channel_statistics())
        feed = ImageFeed(
            rows, normalisation, config=AugmentConfig(noise=0.05), views=built.views, batch_size=20,
            device=runtime.device, seed=0,
        )  # fmt: skip
    config = TrainConfig(epochs=2, warmup_epochs=1, batch_size=20, learning_rate=0.01, embed_batch=7)
    if in_parts and processes().count < 4:
        config = replace(config, accumulate=3)
    return Loop(built, feed, config, 0, runtime.device), rows, normalisation


def found(name: str) -> dict[str, Any]:
    """Losses, pseudo labels and embeddings of a short run."""
    loop, rows, normalisation = loop_for(name)
    losses: list[list[float]] = []
    labels: list[list[int]] = []

    def note(epoch: Epoch) -> None:
        losses.append([epoch.losses[key] for key in sorted(epoch.losses)])
        if epoch.expectation is not None:
            labels.append(epoch.expectation.pseudo_labels[:, 0].tolist())

    loop.on_epoch = note
    loop.run()
    every = processes()
    part = embed_rows(loop.method, rows, normalisation, batch_size=16, share=every.share(len(rows)))
    state = torch.cat([value.double().flatten() for value in loop.method.state_dict().values()])
    drift = float((state - processes().from_first(state.clone())).abs().max())
    return {
        "losses": losses,
        "labels": labels,
        "embeddings": every.gather_shares(part.embeddings).tolist(),
        "probabilities": None if part.probabilities is None else every.gather_shares(part.probabilities).tolist(),
        "drift": float(processes().sum(torch.tensor(drift))),
    }


def clustered(metric: Metric, n_clusters: int) -> dict[str, Any]:
    """k-means of points of which every process has a share: so many that centers are seeded from a sample.

    The points are few different ones, repeated: of more clusters than those, some are empty and move.
    """
    draw = torch.Generator().manual_seed(1)
    kinds = torch.randn(7, 5, generator=draw) * 3
    points = kinds[torch.randint(7, (16_411,), generator=draw)]
    if n_clusters <= len(kinds):
        points = points + 0.3 * torch.randn(points.shape, generator=draw)
    own = points[processes().share(len(points))]
    result = kmeans(
        own, n_clusters, metric=metric, n_init=3, generator=torch.Generator().manual_seed(0), group=processes()
    )
    return {"labels": result.labels.tolist(), "centers": result.centers.tolist(), "inertia": result.inertia}


def mixed() -> dict[str, Any]:
    """The likeliest mixture with one covariance: of a sample, and then of points of which every process has a share."""
    draw = torch.Generator().manual_seed(1)
    points = torch.randn(3, 4, generator=draw)[torch.randint(3, (20_411,), generator=draw)] * 6
    points = points + torch.randn(points.shape, generator=draw) * torch.tensor([3.0, 1, 1, 1])
    own, every = points[processes().share(len(points))], processes()
    found = tied_mixtures(own, 3, n_init=4, generator=torch.Generator().manual_seed(0), group=every)
    again = refined(own, found.of(torch.tensor([0])), group=every)
    return {"sample": found.means.tolist(), "means": again.means.tolist(), "likelihood": float(again.log_likelihood[0])}


def grouped(metric: Metric) -> dict[str, Any]:
    """The last groups of embeddings and features of which every process has a share, samples being small ones."""
    choice._SAMPLE = outliers._SAMPLE = tied._SAMPLE = 500
    groups._IMAGES, groups._POOL = 100, 400
    talk._PIECE = 1000
    draw = torch.Generator().manual_seed(1)
    kinds = torch.randint(3, (1511,), generator=draw)
    points = torch.randn(3, 6, generator=draw)[kinds] * 2
    points = points + 0.5 * torch.randn(points.shape, generator=draw)
    every = processes()
    share = every.share(len(points))
    part, features = points[share], points[share, :4]
    found = kmeans(part, 3, metric=metric, generator=torch.Generator().manual_seed(0), group=every)
    way, _ = choice.choose_way(
        part, choice.Way("own", found.labels), 3, metric=metric, mixture=True,
        generator=torch.Generator().manual_seed(0), group=every,
    )  # fmt: skip
    fitted = groups.fit_groups(part, features, way.labels, 3, metric=metric, rule=way.rule, group=every)
    grouping = fitted.assign(part, features).gathered(every)
    asked = EStep((3,), model="choice", metric=metric)
    pseudo = estep.cluster(part, len(points), 3, asked, torch.Generator().manual_seed(0))
    handed = [piece.tolist() for piece in every.pieces(part)]
    return {
        "way": way.name,
        "pseudo_labels": pseudo.labels.tolist(),
        "prototypes": pseudo.centers.tolist(),
        "clusters": grouping.clusters.tolist(),
        "confidence": grouping.confidence.tolist(),
        "outlier_score": grouping.outlier_score.tolist(),
        "concentration": float(fitted.concentration),
        "handed": [row for rows in handed for row in rows] == points.tolist(),
    }


def main(out: Path) -> None:
    torch.set_num_threads(1)
    with joined():
        results: dict[str, Any] = {f"kmeans {metric} {k}": clustered(metric, k) for metric, k in KMEANS}
        results["mixture"] = mixed()
        results |= {f"groups {metric}": grouped(metric) for metric, _ in KMEANS[:2]}
        results |= {name: found(name) for name in (*small.LEARNING, IN_PARTS)}
        if processes().first:
            out.write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
