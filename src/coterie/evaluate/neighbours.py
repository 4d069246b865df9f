"""Classification by nearest neighbours, the usual monitor of a representation (Wu et al., arXiv 1805.01978)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_CHUNK = 1024


def monitor(embeddings: Tensor, labels: Tensor, *, k: int = 20, temperature: float = 0.07) -> float:
    """The share of embeddings (N, d) whose class their nearest neighbours, without themselves, foretell.

    Args:
        labels: (N,) int64, −1 where unknown: those are left out. Fewer than two known ones give NaN.
    """
    embeddings, labels = embeddings[labels >= 0], labels[labels >= 0]
    if len(labels) < 2:
        return float("nan")
    predicted = predict_by_neighbours(embeddings, labels, embeddings, k=k, temperature=temperature, others_only=True)
    return float((predicted == labels).float().mean())


def predict_by_neighbours(
    memory: Tensor,
    memory_labels: Tensor,
    query: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
    others_only: bool = False,
) -> Tensor:
    """The class with most weight among the k nearest by cosine, weights `exp(cos/τ)`.

    Args:
        memory: labelled embeddings, (N, d), of any length.
        memory_labels: (N,) int64, from 0.
        query: embeddings to classify, (n, d), of any length.
        k: neighbours, no more than N.
        temperature: τ.
        others_only: the query is the memory itself, and no embedding votes for itself.

    Returns:
        Classes, (n,) int64.
    """
    memory, query = F.normalize(memory, dim=1), F.normalize(query, dim=1)
    classes = int(memory_labels.max()) + 1
    predicted = []
    for place, part in enumerate(torch.split(query, _CHUNK)):
        found = part @ memory.T
        if others_only:
            found.diagonal(place * _CHUNK).fill_(-torch.inf)
        cosines, nearest = found.topk(min(k, len(memory) - others_only))
        votes = torch.zeros(len(part), classes, dtype=memory.dtype, device=memory.device)
        votes.scatter_add_(1, memory_labels[nearest], (cosines / temperature).exp())
        predicted.append(votes.argmax(dim=1))
    return torch.cat(predicted)
