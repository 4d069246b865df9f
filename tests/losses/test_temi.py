from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coterie.losses.temi import agreement, pointwise_information, running_probabilities, temi

BETA = 0.6


def logs(seed: int, *, heads: int = 2, n: int = 5, clusters: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(heads, n, clusters, dtype=torch.float64, generator=draw).log_softmax(dim=2)


def setting() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor, Tensor]:
    students, teachers = (logs(0), logs(1)), (logs(2), logs(3))
    certain = [each.exp() for each in teachers]
    start = torch.full((2, 3), 1 / 3, dtype=torch.float64)
    probabilities = running_probabilities(start, torch.cat(certain, dim=1), momentum=0.9)
    return students, teachers, probabilities, agreement(*certain)


def slow(students: tuple[Tensor, Tensor], teachers: tuple[Tensor, Tensor], beta: float) -> list[float]:
    """The whole loss with loops, from the class probabilities of 1/K on."""
    p, q = ([each.exp().tolist() for each in side] for side in (students, teachers))
    heads, n, clusters = students[0].shape
    weights = []
    for i in range(n):
        products = [sum(q[0][h][i][c] * q[1][h][i][c] for c in range(clusters)) for h in range(heads)]
        weights.append(sum(products) / heads)
    losses = []
    for h in range(heads):
        rows = q[0][h] + q[1][h]
        pi = [0.9 / clusters + 0.1 * sum(row[c] for row in rows) / len(rows) for c in range(clusters)]
        total = 0.0
        for i in range(n):
            for one, other in ((0, 1), (1, 0)):
                terms = [(p[one][h][i][c] * q[other][h][i][c]) ** beta / pi[c] for c in range(clusters)]
                total += weights[i] * math.log(sum(terms))
        losses.append(-total / n / 2)
    return losses


@pytest.mark.parametrize("beta", [0.6, 1.0])
def test_equals_its_slow_twin(beta: float) -> None:
    students, teachers, probabilities, weights = setting()
    loss = temi(students, teachers, probabilities, weights, beta=beta)
    assert loss.tolist() == pytest.approx(slow(students, teachers, beta))


def test_worked_by_hand() -> None:
    # Two even classes; both are sure of the first: log(1·1/½) = log 2 for β = 1, and a weight of 1.
    sure = torch.tensor([[[1.0, 0.0]]])
    log = sure.log()
    even = torch.tensor([[0.5, 0.5]])
    assert agreement(sure, sure).tolist() == [1.0]
    assert float(temi((log, log), (log, log), even, agreement(sure, sure), beta=1.0)) == pytest.approx(-math.log(2))
    # Sure of different classes, nothing is shared and no weight is left; undecided, nothing is told: log(2·¼/½) = 0.
    assert agreement(sure, sure.flip(2)).tolist() == [0.0]
    undecided = torch.full((1, 1, 2), 0.5).log()
    assert float(temi((undecided, undecided), (undecided, undecided), even, beta=1.0)) == pytest.approx(0.0, abs=1e-6)
    # 0.9·½ + 0.1·1 for the class that all are sure of.
    torch.testing.assert_close(running_probabilities(even, sure, momentum=0.9), torch.tensor([[0.55, 0.45]]))


def test_classes_images_and_the_two_of_a_pair_may_be_exchanged() -> None:
    students, teachers, probabilities, weights = setting()
    loss = temi(students, teachers, probabilities, weights, beta=BETA)
    swapped = temi((students[1], students[0]), (teachers[1], teachers[0]), probabilities, weights, beta=BETA)
    torch.testing.assert_close(swapped, loss)
    renamed, order = torch.tensor([2, 0, 1]), torch.tensor([4, 2, 0, 1, 3])
    others = [tuple(each[:, order][:, :, renamed] for each in side) for side in (students, teachers)]
    again = temi(*others, probabilities[:, renamed], weights[order], beta=BETA)  # type: ignore[arg-type]
    torch.testing.assert_close(again, loss)


def test_heads_meet_in_the_weights_alone() -> None:
    students, teachers, probabilities, weights = setting()
    whole = temi(students, teachers, probabilities, weights, beta=BETA)
    for head in range(2):
        one = [tuple(each[head : head + 1] for each in side) for side in (students, teachers)]
        alone = temi(*one, probabilities[head : head + 1], weights, beta=BETA)  # type: ignore[arg-type]
        torch.testing.assert_close(alone, whole[head : head + 1])


def test_gradients_reach_the_student_alone() -> None:
    students, teachers, probabilities, weights = setting()
    students = (students[0].requires_grad_(), students[1].requires_grad_())
    assert torch.autograd.gradcheck(
        lambda one, other: temi((one, other), teachers, probabilities, weights, beta=BETA), students
    )
    for given in (*teachers, probabilities):
        given.requires_grad_()
    moved = running_probabilities(probabilities, torch.cat(teachers, dim=1).exp(), momentum=0.9)
    loss = temi(students, teachers, probabilities, agreement(*[t.exp() for t in teachers]), beta=BETA).sum()
    loss.backward()
    assert all(given.grad is None for given in (*teachers, probabilities))
    assert students[0].grad is not None
    assert moved.shape == probabilities.shape


def test_certainty_of_different_classes_has_a_finite_slope() -> None:
    logits = torch.tensor([[[300.0, 0.0]]], requires_grad=True)
    other = torch.tensor([[[0.0, 300.0]]]).log_softmax(dim=2)
    information = pointwise_information(logits.log_softmax(dim=2), other, torch.tensor([[0.5, 0.5]]), beta=BETA)
    information.sum().backward()
    assert logits.grad is not None
    assert information.isfinite().all()
    assert logits.grad.isfinite().all()
