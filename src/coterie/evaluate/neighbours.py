"""Classification by nearest neighbours, the usual monitor of a representation (Wu et al., arXiv 1805.01978)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_CHUNK = 1024


def predict_by_neighbours(
    memory: Tensor, memory_labels: Tensor, query: Tensor, *, k: int = 20, temperature: float = 0.07
) -> Tensor:
    """The class with most weight among the k nearest by cosine, weights `exp(cos/τ)`.

    Args:
        memory: labelled embeddings, (N, d), of any length.
        memory_labels: (N,) int64, from 0.
        query: embeddings to classify, (n, d), of any length.
        k: neighbours, no more than N.
        temperature: τ.

    Returns:
        Classes, (n,) int64.
    """
    memory, query = F.normalize(memory, dim=1), F.normalize(query, dim=1)
    classes = int(memory_labels.max()) + 1
    predicted = []
    for part in torch.split(query, _CHUNK):
        cosines, nearest = (part @ memory.T).topk(min(k, len(memory)))
        votes = torch.zeros(len(part), classes, dtype=memory.dtype, device=memory.device)
        votes.scatter_add_(1, memory_labels[nearest], (cosines / temperature).exp())
        predicted.append(votes.argmax(dim=1))
    return torch.cat(predicted)
