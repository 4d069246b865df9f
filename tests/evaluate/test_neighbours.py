from __future__ import annotations

import math

import pytest
import torch

from coterie.evaluate import neighbours
from coterie.evaluate.neighbours import monitor, predict_by_neighbours


def slow(memory: torch.Tensor, labels: torch.Tensor, query: torch.Tensor, k: int, temperature: float) -> list[int]:
    answers = []
    for q in query:
        cosines = [float(torch.nn.functional.cosine_similarity(q, m, dim=0)) for m in memory]
        votes: dict[int, float] = {}
        for place in sorted(range(len(memory)), key=lambda place: -cosines[place])[:k]:
            label = int(labels[place])
            votes[label] = votes.get(label, 0.0) + math.exp(cosines[place] / temperature)
        answers.append(max(votes, key=votes.__getitem__))
    return answers


def test_equals_its_slow_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    memory, query = torch.randn(40, 5, generator=generator), torch.randn(12, 5, generator=generator)
    labels = torch.randint(0, 4, (40,), generator=generator)
    ours = predict_by_neighbours(memory, labels, query, k=7, temperature=0.2)
    assert ours.tolist() == slow(memory, labels, query, 7, 0.2)


def test_worked_by_hand() -> None:
    # One very near neighbour of class 1 outweighs two of class 0 at a right angle: e^(1/τ) against 2.
    memory = torch.tensor([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0]])
    answer = predict_by_neighbours(memory, torch.tensor([0, 0, 1]), torch.tensor([[3.0, 0.0]]), k=3, temperature=1.0)
    assert answer.tolist() == [1]
    assert predict_by_neighbours(memory, torch.tensor([0, 0, 1]), torch.tensor([[1.0, 9.0]]), k=50).tolist() == [0]


def test_the_monitor_leaves_each_embedding_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_CHUNK", 7)
    generator = torch.Generator().manual_seed(0)
    embeddings, labels = torch.randn(30, 4, generator=generator), torch.randint(0, 3, (30,), generator=generator)
    right = 0
    for place in range(30):
        others = torch.arange(30) != place
        found = slow(embeddings[others], labels[others], embeddings[place : place + 1], 5, 0.07)
        right += found == [int(labels[place])]
    assert monitor(embeddings, labels, k=5) == pytest.approx(right / 30)


def test_the_monitor_by_hand() -> None:
    pairs = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [-1.0, 0.0]])
    assert monitor(pairs, torch.tensor([0, 0, 1, 1, -1]), k=1) == 1.0
    assert monitor(pairs, torch.tensor([0, 1, 0, 1, -1]), k=1) == 0.0
    assert math.isnan(monitor(pairs, torch.tensor([0, -1, -1, -1, -1])))
