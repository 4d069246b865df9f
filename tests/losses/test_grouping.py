from __future__ import annotations

import math

import pytest
import torch

from coterie.losses.grouping import group_loss, moved_groups, nearest_groups


def case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(7, 3, dtype=torch.float64, generator=generator)
    return embeddings, torch.randn(4, 3, dtype=torch.float64, generator=generator)


def test_groups_move_towards_the_mean_of_those_who_chose_them() -> None:
    embeddings, groups = case()
    chosen = nearest_groups(embeddings, groups)
    moved = moved_groups(embeddings, groups, beta=0.9)
    for k in range(4):
        members = [z for z, c in zip(embeddings, chosen.tolist(), strict=True) if c == k]
        expected = 0.9 * groups[k] + 0.1 * sum(members) / len(members) if members else groups[k]
        torch.testing.assert_close(moved[k], expected)


def test_worked_by_hand() -> None:
    groups = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    embeddings = torch.tensor([[1.0, 0.1], [4.0, 0.0]])
    assert nearest_groups(embeddings, groups).tolist() == [0, 0]
    torch.testing.assert_close(moved_groups(embeddings, groups, beta=0.5)[0], torch.tensor([2.25, 0.025]))
    loss = group_loss(torch.tensor([[5.0, 0.0]]), groups, torch.tensor([0]), temperature=0.5)
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 1) - 2, rel=1e-6)


def test_gradients() -> None:
    embeddings, groups = case()
    assert torch.autograd.gradcheck(lambda z: moved_groups(z, groups, beta=0.9), embeddings.clone().requires_grad_())
    assert torch.autograd.gradcheck(
        lambda z, g: group_loss(z, g, torch.arange(7) % 4, temperature=0.1),
        (embeddings.clone().requires_grad_(), groups.clone().requires_grad_()),
    )


def test_lengths_do_not_count() -> None:
    embeddings, groups = case()
    assert torch.equal(nearest_groups(9 * embeddings, 0.1 * groups), nearest_groups(embeddings, groups))
    answers = torch.arange(7) % 4
    torch.testing.assert_close(
        group_loss(3 * embeddings, 5 * groups, answers, temperature=0.1),
        group_loss(embeddings, groups, answers, temperature=0.1),
    )
