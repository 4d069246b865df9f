from __future__ import annotations

import math

import pytest
import torch

from coterie.losses.alignment import alignment


def slow_alignment(prediction: torch.Tensor, target: torch.Tensor) -> float:
    total = 0.0
    for p, t in zip(prediction.tolist(), target.tolist(), strict=True):
        dot = sum(a * b for a, b in zip(p, t, strict=True))
        total += dot / math.sqrt(sum(a * a for a in p)) / math.sqrt(sum(b * b for b in t))
    return -2 * total / len(prediction)


def test_equals_its_slow_twin() -> None:
    prediction, target = torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(alignment(prediction, target)) == pytest.approx(slow_alignment(prediction, target), rel=1e-12)


def test_worked_by_hand() -> None:
    # Cosines 1 and 0: the mean is ½.
    prediction = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    target = torch.tensor([[5.0, 0.0], [1.0, 0.0]])
    assert float(alignment(prediction, target)) == pytest.approx(-1.0)


def test_knows_neither_length_nor_order() -> None:
    prediction, target = torch.randn(2, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    loss = alignment(prediction, target)
    torch.testing.assert_close(alignment(4 * prediction, 0.1 * target), loss)
    torch.testing.assert_close(alignment(prediction[order], target[order]), loss)


def test_gradient_is_right_and_spares_the_target() -> None:
    prediction, target = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.autograd.gradcheck(lambda p: alignment(p, target), prediction.requires_grad_())
    target.requires_grad_()
    alignment(prediction, target).backward()
    assert target.grad is None
