from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coterie.losses.distillation import hardness_aware_distillation


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def distance(a: list[float], b: list[float]) -> float:
    return max(math.dist(a, b), 1e-6)


def slow(teacher: Tensor, student: Tensor, temperature: float) -> float:
    t, s = [unit(row) for row in teacher.tolist()], [unit(row) for row in student.tolist()]
    n, total = len(t), 0.0
    for i in range(n):
        own = distance(t[i], s[i])
        negatives = [j for j in range(n) if distance(t[i], t[j]) > own]
        positives = [j for j in range(n) if j not in negatives]
        negative_logit = 0.0
        if negatives:
            a = min(negatives, key=lambda j: distance(t[i], s[j]))
            far = distance(t[i], s[a])
            negative_logit = max(distance(t[i], t[a]) - far, 0.0) * far / temperature
        p = max(positives, key=lambda j: distance(t[i], s[j]))
        near = distance(t[i], s[p])
        positive_logit = max(near - distance(t[i], t[p]), 0.0) * near / temperature
        total += math.log(math.exp(negative_logit) + math.exp(positive_logit)) - negative_logit
    return total / n


def loss(teacher: Tensor, student: Tensor) -> Tensor:
    return hardness_aware_distillation(teacher, student, temperature=0.5)


@pytest.mark.parametrize("noise", [0.1, 0.6, 3.0])
def test_equals_its_slow_twin(noise: float) -> None:
    """From students near their teachers to ones so far that some anchors have no negative."""
    teacher, other = torch.randn(2, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    student = teacher + noise * other
    assert float(loss(teacher, student)) == pytest.approx(slow(teacher, student, 0.5), rel=1e-9)


def test_worked_by_hand() -> None:
    # A perfect student of two opposite teachers: D_ii = 0 up to the clamp, so weights and logits are (nearly) 0.
    teacher = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert float(loss(teacher, 5 * teacher)) == pytest.approx(math.log(2), rel=1e-6)


def test_knows_neither_order_nor_length() -> None:
    teacher, student = torch.randn(2, 8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(loss(teacher[order], student[order]), loss(teacher, student))
    torch.testing.assert_close(loss(2 * teacher, 0.3 * student), loss(teacher, student))


def test_weights_and_teacher_carry_no_gradient() -> None:
    teacher, student = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    student.requires_grad_()
    teacher.requires_grad_()
    loss(teacher, student).backward()
    assert teacher.grad is None
    assert student.grad is not None
    # A numerical gradient of the logits with the weights held fixed must agree.
    with torch.no_grad():
        t, s = (torch.nn.functional.normalize(x, dim=1) for x in (teacher, student))
        between, across = torch.cdist(t, t), torch.cdist(t, s)
        negative = between > across.diagonal().unsqueeze(1)
        a = across.masked_fill(~negative, float("inf")).argmin(dim=1)
        p = across.masked_fill(negative, -float("inf")).argmax(dim=1)
        rows = torch.arange(6)
        weight_n = (between[rows, a] - across[rows, a]).clamp(min=0) * negative.any(dim=1)
        weight_p = (across[rows, p] - between[rows, p]).clamp(min=0)

    def held(z: Tensor) -> Tensor:
        distances = torch.cdist(t, torch.nn.functional.normalize(z, dim=1))
        logits = torch.stack([weight_n * distances[rows, a], weight_p * distances[rows, p]], dim=1) / 0.5
        return (logits.logsumexp(dim=1) - logits[:, 0]).mean()

    step = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4)) * 1e-6
    with torch.no_grad():
        numerical = float(held(student + step) - held(student - step)) / 2
    assert numerical == pytest.approx(float((student.grad * step).sum()), rel=1e-5)
