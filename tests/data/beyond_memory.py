"""A process that may use little memory, and a store that is larger: ingest it, walk an epoch, embed it.

Called with a file for the store, a number of images and the bytes of memory that may be had beyond what the imports
took; prints what it did as JSON. The limit is on private memory (RLIMIT_DATA), in which a mapped file does not count.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from coterie.data.base import OneByOne, Outline
from coterie.data.feeding.augment import AugmentConfig, Normalisation
from coterie.data.feeding.loader import ImageFeed
from coterie.data.reading.ingest import ingest
from coterie.memory import memory
from coterie.methods.base import Embedded
from coterie.runs.model import embed_rows

SIDE = 96


class Plain(OneByOne):
    """Images of one colour each."""

    def __init__(self, count: int) -> None:
        self.keys = [str(place) for place in range(count)]
        self.labels, self.class_names, self.skipped = None, (), []

    def outline(self) -> Outline:
        return Outline(len(self.keys), SIDE, grey=False)

    def identity(self) -> None:
        return None

    def decode(self, place: int, side: int, scale: tuple[float, ...] = ()) -> np.ndarray:  # noqa: ARG002
        return np.full((side, side, 3), (place % 251, place % 13, place % 7), dtype=np.uint8)


class Embedder(nn.Module):
    """As much of a method as embeds."""

    metric = "euclidean"
    device = torch.device("cpu")

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def represent(self, images: torch.Tensor) -> Embedded:
        return Embedded(*(self.network(images),) * 2)


def private_memory() -> int:
    """Bytes, as the limit counts them."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmData")).split()[1]) * 1024


def main(scratch: Path, count: int, headroom: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # Every thread takes memory of its own.
    torch.set_num_threads(1)
    network = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(27, 8))
    with torch.inference_mode():
        network(torch.zeros(2, 3, SIDE, SIDE))
    limit = private_memory() + headroom
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    assert memory() <= limit
    size = count * 3 * SIDE * SIDE
    with contextlib.suppress(MemoryError):
        np.ones(size, dtype=np.uint8)
        raise AssertionError("the limit does not hold")
    store, skipped = ingest(Plain(count), SIDE, scratch=scratch)
    assert isinstance(store.images, np.memmap)
    assert not skipped
    feed = ImageFeed(
        store, Normalisation(*store.channel_statistics()), config=AugmentConfig(), views=("plain", "augmented"),
        batch_size=32, device=torch.device("cpu"), seed=0,
    )  # fmt: skip
    seen = torch.zeros(count, dtype=torch.bool)
    for step, (index, views) in enumerate(feed.batches(0)):
        assert views[0].shape == (32, 3, SIDE, SIDE)
        seen[index] = True
        if step == 0:  # Once made, views cost time and no further memory.
            feed.views = ("plain",)
    assert int(seen.sum()) == feed.steps_per_epoch * 32
    embedded = embed_rows(Embedder(network), store, feed.normalisation, batch_size=32)
    assert embedded.embeddings.shape == (count, 8)
    assert isinstance(store.fingerprint(), int)
    print(json.dumps({"store": store.images.nbytes, "headroom": headroom, "limit": limit}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
