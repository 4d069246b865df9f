"""What the loop asks of data, whether images or the edges of a graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor


class Feed(Protocol):
    """Batches to learn from and everything to embed; see `coterie.data.feeding.loader.ImageFeed`."""

    batch_size: int

    def __len__(self) -> int: ...

    @property
    def steps_per_epoch(self) -> int: ...

    def batches(self, epoch: int, *, weights: Tensor | None = None) -> Iterator[tuple[Tensor, list[Tensor]]]: ...

    def heed(self, named: Tensor) -> None:
        """Let the names (N,) int64 that a person gave, −1 where none, say what is drawn together or more often."""
        ...

    def plain(self, batch_size: int) -> Iterator[Tensor]: ...

    def sample(self, most: int) -> tuple[Tensor, Tensor]: ...
