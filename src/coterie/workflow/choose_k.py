"""`coterie choose-k`: how many clusters a run's embeddings, a feature matrix or plain pixels fall into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coterie.cluster.kmeans import Metric
from coterie.data.feeding.features import Features
from coterie.data.reading.cache import read_images
from coterie.data.sources import open_source
from coterie.errors import CoterieError
from coterie.evaluate.choose_k import Choice, choose_k
from coterie.methods import method_type
from coterie.runs.folder import RunFolder
from coterie.untrusted import read_matrix
from coterie.workflow.listener import Listener

# Larger images say no more by their pixels.
_SIDE = 32


def choose(
    source: str,
    least: int,
    most: int,
    listener: Listener,
    *,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> Choice:
    """Recommend a number of clusters for a finished run, or for a source of features or images.

    Args:
        reading: further arguments of `open_source`.

    Raises:
        UsageError: no such source, or a range it is too small for. CoterieError: the run's embeddings are damaged.
    """
    points, metric = _points(source, listener, reading or {})
    return choose_k(points, least, most, metric=metric, seed=seed)


def _points(source: str, listener: Listener, reading: Mapping[str, Any]) -> tuple[Tensor, Metric]:
    folder = RunFolder(Path(source))
    if folder.config.is_file():
        folder.read_summary()
        try:
            embeddings = read_matrix(folder.embeddings)
        except (OSError, ValueError):
            raise CoterieError(f"{folder.embeddings} is missing or damaged: repeat the run") from None
        return torch.from_numpy(embeddings), method_type(folder.read_config().method).metric
    opened = open_source(source, **reading, note=listener.note)
    if isinstance(opened, Features):
        return torch.from_numpy(opened.values), "euclidean"
    listener.note("judging images by their pixels; the embeddings of a run tell more: coterie choose-k RUN")
    store, _ = read_images(opened, min(_SIDE, max(8, opened.outline().side)))
    return torch.from_numpy(store.images).flatten(1).float() / 255, "euclidean"
