"""A first-in-first-out memory of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Queue(nn.Module):
    """The latest embeddings, newest first, with the places in the data they came from; −1 where there is none yet.

    Args:
        size: how many are kept; may be 0.
        width: of an embedding.
        random: start with random directions instead of zeros, as negatives to begin with.
    """

    embeddings: Tensor
    index: Tensor

    def __init__(self, size: int, width: int, *, random: bool = False) -> None:
        super().__init__()
        start = F.normalize(torch.randn(size, width), dim=1) if random else torch.zeros(size, width)
        self.register_buffer("embeddings", start)
        self.register_buffer("index", torch.full((size,), -1))

    def __len__(self) -> int:
        return len(self.index)

    @torch.no_grad()
    def push(self, embeddings: Tensor, index: Tensor) -> None:
        """Take in the normalised embeddings (n, d) of places (n,); the oldest fall out."""
        if size := len(self):
            newest = F.normalize(embeddings, dim=1).to(self.embeddings.dtype)
            self.embeddings = torch.cat([newest, self.embeddings])[:size]
            self.index = torch.cat([index, self.index])[:size]
