from __future__ import annotations

import pytest
import torch

from coterie.losses.student_t import divergence, plain_and_augmented, sharpened, soft_assignment


def case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(6, 3, dtype=torch.float64, generator=generator),
        torch.randn(4, 3, dtype=torch.float64, generator=generator),
    )


def test_assignment_and_target_equal_their_slow_twins() -> None:
    embeddings, centers = case()
    q = soft_assignment(embeddings, centers, alpha=2.0)
    p = sharpened(q)
    for i, e in enumerate(embeddings):
        weights = [(1 + float((e - c).square().sum()) / 2) ** -1.5 for c in centers]
        for k in range(4):
            assert float(q[i, k]) == pytest.approx(weights[k] / sum(weights))
        sharp = [float(q[i, k]) ** 2 / float(q[:, k].sum()) for k in range(4)]
        assert p[i].tolist() == pytest.approx([value / sum(sharp) for value in sharp])


def test_worked_by_hand() -> None:
    # Squared distances 0 and 4: weights 1 and 1/5.
    q = soft_assignment(torch.tensor([[0.0]]), torch.tensor([[0.0], [2.0]]))
    torch.testing.assert_close(q, torch.tensor([[5 / 6, 1 / 6]]))
    half = torch.tensor([[0.5, 0.5]])
    sure = torch.tensor([[1.0, 0.0]])
    assert float(divergence(sure, half)) == pytest.approx(0.6931, abs=1e-4)
    assert float(plain_and_augmented(half, half, half)) == pytest.approx(0.0, abs=1e-6)


def test_gradients_spare_the_targets() -> None:
    embeddings, centers = case()
    target = sharpened(soft_assignment(embeddings, centers)).requires_grad_()
    inputs = (embeddings.requires_grad_(), centers.requires_grad_())
    assert torch.autograd.gradcheck(lambda e, c: divergence(target, soft_assignment(e, c)), inputs)
    divergence(target, soft_assignment(*inputs)).backward()
    assert target.grad is None
    plain = soft_assignment(*inputs).detach().requires_grad_()
    view = plain.detach().clone().requires_grad_()
    plain_and_augmented(plain, view).backward()
    assert plain.grad is None
    assert view.grad is not None


def test_the_order_of_clusters_does_not_matter() -> None:
    embeddings, centers = case()
    names = torch.tensor([3, 1, 0, 2])
    q, renamed = soft_assignment(embeddings, centers), soft_assignment(embeddings, centers[names])
    torch.testing.assert_close(renamed, q[:, names])
    torch.testing.assert_close(divergence(sharpened(renamed), renamed), divergence(sharpened(q), q))
