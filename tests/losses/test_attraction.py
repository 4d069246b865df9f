from __future__ import annotations

import math

import pytest
import torch

from coterie.losses.attraction import attraction


def drawn(seed: int, count: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, 4, dtype=torch.float64, generator=draw), torch.randint(-1, 3, (count,), generator=draw)


def slow_attraction(embeddings: torch.Tensor, named: torch.Tensor, temperature: float) -> float:
    total = 0.0
    for i, own in enumerate(named.tolist()):
        others = [j for j, name in enumerate(named.tolist()) if j != i and name >= 0 and own >= 0]
        alike = [j for j in others if named[j] == own]
        if not alike:
            continue
        logits = {j: float(torch.cosine_similarity(embeddings[i], embeddings[j], dim=0)) / temperature for j in others}
        norm = math.log(sum(math.exp(logit) for logit in logits.values()))
        total += sum(norm - logits[j] for j in alike) / len(alike)
    return total / len(embeddings)


@pytest.mark.parametrize("seed", range(4))
def test_equals_its_slow_twin(seed: int) -> None:
    embeddings, named = drawn(seed)
    expected = slow_attraction(embeddings, named, 0.5)
    assert float(attraction(embeddings, named, temperature=0.5)) == pytest.approx(expected, rel=1e-12)


def test_worked_by_hand() -> None:
    # Two of one name at a right angle, a third of another along the first: log(e⁰ + e¹) − 0 and log(e⁰ + e⁰) − 0.
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [5.0, 5.0]], dtype=torch.float64)
    named = torch.tensor([0, 0, 1, -1])
    expected = (math.log(1 + math.e) + math.log(2)) / 4
    assert float(attraction(embeddings, named, temperature=1.0)) == pytest.approx(expected)


def test_counts_by_the_share_that_is_named() -> None:
    embeddings, _ = drawn(1, 6)
    named = torch.tensor([0, 0, 1, 1, 0, 1])
    more = torch.cat([embeddings, drawn(2, 6)[0]])
    whole = attraction(embeddings, named)
    torch.testing.assert_close(attraction(more, torch.cat([named, torch.full((6,), -1)])), whole / 2)


def test_nothing_where_no_two_share_a_name() -> None:
    embeddings, _ = drawn(3, 4)
    for named in ([-1, -1, -1, -1], [0, 1, 2, -1], [-1, 0, -1, -1]):
        assert float(attraction(embeddings, torch.tensor(named))) == 0


def test_knows_neither_length_nor_order_nor_which_name_is_which() -> None:
    embeddings, named = drawn(4)
    loss, order = attraction(embeddings, named), torch.randperm(9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attraction(3 * embeddings, named), loss)
    torch.testing.assert_close(attraction(embeddings[order], named[order]), loss)
    torch.testing.assert_close(attraction(embeddings, torch.where(named >= 0, 2 - named, -1)), loss)


def test_gradient_is_right_and_spares_those_without_a_name() -> None:
    embeddings, named = drawn(5)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: attraction(z, named), embeddings)
    attraction(embeddings, named).backward()
    assert bool((embeddings.grad[named < 0] == 0).all())
