"""`coterie choose-k`: how many clusters a run's embeddings, a feature matrix or plain pixels fall into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from coterie.cluster.spaces import as_one
from coterie.data.feeding.features import Features
from coterie.data.reading.cache import read_images
from coterie.data.sources import open_source
from coterie.evaluate.choose_k import Choice, choose_k, most_told_apart
from coterie.listener import Listener
from coterie.surroundings import in_surroundings

# Larger images say no more by their pixels.
_SIDE = 32


@in_surroundings
def choose(
    source: str,
    least: int,
    most: int | None,
    listener: Listener,
    *,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> Choice:
    """Recommend a number of clusters for a finished run, or for a source of features or images.

    Args:
        least, most: of the numbers tried; None for the greatest that so many points allow, 30 at the most.
        reading: further arguments of `open_source`.

    Raises:
        UsageError: no such source, or a range it is too small for. CoterieError: the run's embeddings are damaged.
    """
    points = _points(source, listener, reading or {})
    allowed = max(least, most_told_apart(len(points)))
    if most is None and allowed < most_told_apart(1 << 30):
        listener.note(f"trying up to {allowed} groups, as {len(points)} images allow no more")
    return choose_k(points, least, allowed if most is None else most, seed=seed)


def _points(source: str, listener: Listener, reading: Mapping[str, Any]) -> Tensor:
    """Rows (N, D) to be compared by their distance; those of a run's embeddings are of unit length."""
    opened = open_source(source, **reading, note=listener.note)
    if isinstance(opened, Features):
        return as_one(torch.from_numpy(opened.values), opened.widths)
    listener.note("judging images by their pixels; the embeddings of a run tell more: coterie choose-k RUN")
    outline = opened.outline()
    store, _ = read_images(opened, min(_SIDE, max(8, outline.side)), scale=outline.scale)
    return torch.from_numpy(store.images).flatten(1).float() / 255
