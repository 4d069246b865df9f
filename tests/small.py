"""Every method at a size for tests, and runs without the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from coterie.data.base import Outline, Source
from coterie.files import write_json, write_text
from coterie.methods import learns, method_names, method_type
from coterie.nn.pretrained import Architecture, Pretrained
from coterie.plan import Request
from coterie.plan.layers import lay, settle
from coterie.plan.told import told
from coterie.report.page import write_report
from coterie.runs.assignments import Assignments
from coterie.runs.config import RunConfig
from coterie.runs.folder import RunFolder
from coterie.runs.words import Words, as_json
from coterie.workflow.steps.pictures import take_pictures

# Those that learn; the others only group what a pretrained backbone sees.
LEARNING = [name for name in method_names() if learns(name)]

_HEADS: dict[str, object] = {"hidden": 16, "projection": 8}
_MORE: dict[str, dict[str, object]] = {
    "pcl": {"granularities": [6, 9], "queue": 24},
    "moco": {"queue": 24},
    "lnscc": {"hidden": [16, 8], "neighbours": 5, "steps_per_epoch": 4, "n_init": 3, "dropout": 0.1},
    "temi": {"hidden": 16, "bottleneck": 8, "heads": 3, "neighbours": 5},
    "turtle": {"steps_per_epoch": 4},
}


def options(name: str) -> dict[str, object]:
    """Options of the method `name`."""
    heads = _HEADS if method_type(name).inputs == "images" else {}
    return {**heads, **_MORE.get(name, {})}


def settled(request: Request, outline: Outline, *, own_side: int = 0) -> RunConfig:
    """The configuration a request comes to for images of this outline, and a backbone that wants them this large."""
    layers = lay(request, told(request, outline), outline)
    if own_side:
        backbone = Pretrained(request.backbone, Architecture("coterie", ""), nn.Identity(), own_side)
        layers = layers.seeing([backbone], gpu=request.device != "cpu")
    return settle(layers, outline.count)[0]


def source(name: str, images: np.ndarray, path: Path) -> Path:
    """What the method `name` learns from, at `path`: the images, or their pixels as features."""
    if method_type(name).inputs == "images":
        np.savez(path, images=images)
    else:
        np.savez(path, features=as_features(images))
    return path


def as_features(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def finished_run(
    root: Path,
    source: Source,
    clusters: np.ndarray,
    *,
    name: str = "photos",
    embeddings: np.ndarray | None = None,
    words: Words = (),
) -> Path:
    """A run as `coterie fit` leaves it, but for the model: the source's images in the given clusters (N,).

    Embeddings lie about their cluster's axis unless they are given; every seventh image is doubtful, the last of each
    cluster an outlier. `words` are suggested for the clusters.
    """
    count, groups = len(source.keys), int(clusters.max()) + 1
    rng = np.random.default_rng(0)
    if embeddings is None:
        embeddings = np.eye(max(4, groups))[clusters] + 0.1 * rng.normal(size=(count, max(4, groups)))
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    confidence = np.where(np.arange(count) % 7 == 3, 0.4, 0.9) + 0.001 * (np.arange(count) % 50)
    outlier = np.isin(np.arange(count), [np.flatnonzero(clusters == group)[-1] for group in range(groups)])
    named = None if source.labels is None else [source.class_names[label] for label in source.labels]
    table = Assignments(source.keys, clusters, np.round(confidence, 6), outlier, named)
    folder = RunFolder(root)
    config = settled(Request(source=name, clusters=groups, size=16, device="cpu"), Outline(count, 16, False))
    folder.start(config)
    write_text(folder.assignments, table.to_csv())
    np.save(folder.embeddings, embeddings.astype(np.float32))
    take_pictures(source, table, embeddings).save(folder.thumbnails)
    folder.write_skipped(source.skipped)
    summary = {
        "method": "propos", "images": count, "skipped": len(source.skipped), "clusters": groups, "epochs": 1,
        "cluster_sizes": np.bincount(clusters).tolist(), "outliers": int(outlier.sum()), "seed": 0, "seconds": 1.0,
        "device": "cpu", "precision": "float32", "versions": {"coterie": "0"},
    }  # fmt: skip
    if words:
        summary["words"] = as_json(words)
    write_report(folder, summary)
    write_json(folder.summary, summary)
    return root


def norm_each_image(module: nn.Module) -> None:
    """Put a norm of each image by itself in place of every two-dimensional batch norm."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(4, child.num_features))
        else:
            norm_each_image(child)
