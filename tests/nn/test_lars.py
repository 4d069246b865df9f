from __future__ import annotations

import copy

import torch

from coterie.nn.lars import LARS


def slow(weights: list[torch.Tensor], gradients: list[list[torch.Tensor]], lr: float, decay: float) -> None:
    velocities = [torch.zeros_like(weight) for weight in weights]
    for step in gradients:
        for weight, gradient, velocity in zip(weights, step, velocities, strict=True):
            if weight.ndim > 1:
                gradient = gradient + decay * weight
                gradient = gradient * (0.001 * weight.norm() / gradient.norm())
            velocity.mul_(0.9).add_(lr * gradient)
            weight.sub_(velocity)


def test_equals_its_slow_twin() -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = [(4, 3), (4,), (2, 4, 3, 3)]
    ours = [torch.randn(*shape, generator=draw).requires_grad_() for shape in shapes]
    twins = [weight.detach().clone() for weight in ours]
    gradients = [[torch.randn(*shape, generator=draw) for shape in shapes] for _ in range(4)]
    optimizer = LARS(ours, 0.5, weight_decay=0.01)
    for step in gradients:
        for weight, gradient in zip(ours, step, strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
    slow(twins, gradients, 0.5, 0.01)
    for weight, twin in zip(ours, twins, strict=True):
        torch.testing.assert_close(weight.detach(), twin)


def test_the_step_does_not_follow_the_size_of_the_gradient() -> None:
    steps = []
    for scale in (1.0, 1000.0):
        weight = torch.ones(2, 2, requires_grad=True)
        weight.grad = scale * torch.eye(2)
        LARS([weight], 1.0).step()
        steps.append(weight.detach().clone())
    torch.testing.assert_close(*steps)


def test_a_weight_or_gradient_of_zero_takes_a_plain_step() -> None:
    zero, still = torch.zeros(2, 2, requires_grad=True), torch.ones(2, 2, requires_grad=True)
    zero.grad, still.grad = torch.ones(2, 2), torch.zeros(2, 2)
    LARS([zero, still], 0.1).step()
    torch.testing.assert_close(zero.detach(), torch.full((2, 2), -0.1))
    assert torch.equal(still.detach(), torch.ones(2, 2))


def test_its_state_can_be_saved_and_taken_up() -> None:
    def stepped(optimizer: LARS, weight: torch.Tensor) -> None:
        weight.grad = torch.ones_like(weight)
        optimizer.step()

    weight = torch.ones(2, 2, requires_grad=True)
    first = LARS([weight], 0.1)
    stepped(first, weight)
    twin = weight.detach().clone().requires_grad_()
    second = LARS([twin], 0.1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    stepped(first, weight)
    stepped(second, twin)
    assert torch.equal(weight, twin)
