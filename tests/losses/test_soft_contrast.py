from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coterie.losses.soft_contrast import balance, curve, soft_contrast


def ends(n: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    head, tail = torch.randn(2, n, 2, dtype=torch.float64, generator=draw)
    return head, tail, torch.randperm(3 * n, generator=draw)


def slow(head: Tensor, tail: Tensor, permutation: Tensor, rate: int, a: float, b: float) -> float:
    def log_probability(x: Tensor, y: Tensor) -> float:
        return -math.log(1 + a * math.dist(x.tolist(), y.tolist()) ** (2 * b))

    def log_sigmoid(value: float) -> float:
        return -math.log(1 + math.exp(-value))

    total = -sum(log_sigmoid(log_probability(x, y)) for x, y in zip(head, tail, strict=True))
    for place, other in enumerate(permutation.tolist()):
        value = log_probability(head[place // rate], tail[other // rate])
        total -= log_sigmoid(value) - value
    return total / (len(head) * (1 + rate))


def test_equals_its_slow_twin() -> None:
    head, tail, permutation = ends()
    loss = soft_contrast(head, tail, permutation, negative_rate=3, a=1.5, b=0.9)
    assert float(loss) == pytest.approx(slow(head, tail, permutation, 3, 1.5, 0.9))


def test_worked_by_hand() -> None:
    # At distance 1 with a = b = 1, log p = −log 2 and σ = 1/3: −log(1/3) for an edge, −log(2/3) for a negative.
    head, tail = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    loss = soft_contrast(head, tail, torch.tensor([0]), negative_rate=1, a=1.0, b=1.0)
    assert float(loss) == pytest.approx((math.log(3) + math.log(1.5)) / 2, rel=1e-6)


def test_turning_and_moving_the_map_changes_nothing() -> None:
    head, tail, permutation = ends()
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    losses = [
        soft_contrast(h, t, permutation, negative_rate=3, a=1.5, b=0.9)
        for h, t in ((head, tail), (head @ turn + 4, tail @ turn + 4))
    ]
    torch.testing.assert_close(*losses)


def test_gradients() -> None:
    head, tail, permutation = ends()
    assert torch.autograd.gradcheck(
        lambda h, t: soft_contrast(h, t, permutation, negative_rate=3, a=1.577, b=0.895),
        (head.requires_grad_(), tail.requires_grad_()),
    )


def test_coinciding_points_have_a_finite_gradient() -> None:
    head = torch.zeros(3, 2, requires_grad=True)
    soft_contrast(head, head, torch.arange(3), negative_rate=1, a=1.5, b=0.9).backward()
    assert head.grad is not None
    assert head.grad.isfinite().all()


def test_the_curve_follows_the_minimal_distance() -> None:
    for min_dist in (0.01, 0.1, 0.5):
        a, b = curve(min_dist)
        assert 1 / (1 + a * min_dist ** (2 * b)) > 0.85
        assert 1 / (1 + a * 3.0 ** (2 * b)) < 0.12


def test_balance_by_hand() -> None:
    assignment = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert float(balance(assignment, torch.tensor([0.5, 0.5]))) == pytest.approx(0.0625)
    assert float(balance(assignment, torch.tensor([0.75, 0.25]))) == 0
