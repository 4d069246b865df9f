from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from coterie.losses.prototypes import batch_prototypes, prototype_scattering


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def slow_prototypes(embeddings: Tensor, labels: Tensor, n_clusters: int) -> dict[int, list[float]]:
    found = {}
    for cluster in range(n_clusters):
        members = [unit(row) for row, y in zip(embeddings.tolist(), labels.tolist(), strict=True) if y == cluster]
        if members:
            found[cluster] = unit([sum(column) / len(members) for column in zip(*members, strict=True)])
    return found


def slow_scattering(online: Tensor, target: Tensor, labels: Tensor, n_clusters: int, temperature: float) -> float:
    own, other = (slow_prototypes(z, labels, n_clusters) for z in (online, target))
    total = 0.0
    for k in own:
        logits = {l: sum(a * b for a, b in zip(own[k], own[l], strict=True)) / temperature for l in own}  # noqa: E741
        logits[k] = sum(a * b for a, b in zip(own[k], other[k], strict=True)) / temperature
        total += math.log(sum(math.exp(value) for value in logits.values())) - logits[k]
    return total / len(own)


@pytest.fixture
def case() -> tuple[Tensor, Tensor, Tensor]:
    """Twelve embeddings of two views and labels of five clusters, of which the third has no member."""
    online, target = torch.randn(2, 12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return online, target, torch.tensor([0, 1, 3, 4, 0, 1, 3, 4, 0, 0, 1, 3])


def loss(online: Tensor, target: Tensor, labels: Tensor, n_clusters: int = 5) -> Tensor:
    return prototype_scattering(online, target, labels, n_clusters=n_clusters, temperature=0.5)


def test_equals_its_slow_twin(case: tuple[Tensor, Tensor, Tensor]) -> None:
    assert float(loss(*case)) == pytest.approx(slow_scattering(*case, n_clusters=5, temperature=0.5), rel=1e-12)


def test_worked_by_hand() -> None:
    # Two clusters along the axes, both views alike: logits are 1/τ on the diagonal and 0 beside it.
    embeddings, labels = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])
    expected = math.log(math.exp(2) + 1) - 2
    assert float(loss(embeddings, embeddings, labels, n_clusters=2)) == pytest.approx(expected, rel=1e-6)


def test_a_lone_cluster_has_nothing_to_scatter_from() -> None:
    embeddings = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    value = loss(embeddings, embeddings, torch.full((4,), 2))
    value.backward()
    assert float(value.detach()) == pytest.approx(0.0, abs=1e-6)
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


def test_knows_neither_the_order_of_images_nor_the_names_of_clusters(case: tuple[Tensor, Tensor, Tensor]) -> None:
    online, target, labels = case
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    names = torch.tensor([2, 0, 4, 1, 3])
    torch.testing.assert_close(loss(online[order], target[order], labels[order]), loss(*case))
    torch.testing.assert_close(loss(online, target, names[labels]), loss(*case))
    torch.testing.assert_close(loss(3 * online, 0.2 * target, labels), loss(*case))


def test_clusters_without_members_change_nothing(case: tuple[Tensor, Tensor, Tensor]) -> None:
    torch.testing.assert_close(loss(*case, n_clusters=9), loss(*case))


def test_members_of_no_cluster_change_nothing(case: tuple[Tensor, Tensor, Tensor]) -> None:
    online, target, labels = case
    more = (
        torch.cat([online, online[:3]]),
        torch.cat([target, target[:3]]),
        torch.cat([labels, labels.new_full((3,), -1)]),
    )
    torch.testing.assert_close(loss(*more), loss(*case))


def test_gradient_is_right_and_spares_the_target(case: tuple[Tensor, Tensor, Tensor]) -> None:
    online, target, labels = case
    assert torch.autograd.gradcheck(lambda z: loss(z, target, labels), online.requires_grad_())
    target.requires_grad_()
    loss(online, target, labels).backward()
    assert target.grad is None


def test_prototypes_of_absent_clusters_are_zero(case: tuple[Tensor, Tensor, Tensor]) -> None:
    prototypes, counts = batch_prototypes(case[0], case[2], n_clusters=5)
    assert counts.tolist() == [4, 3, 0, 3, 2]
    assert prototypes[2].eq(0).all()
    torch.testing.assert_close(prototypes[[0, 1, 3, 4]].norm(dim=1), torch.ones(4, dtype=torch.float64))


def test_soft_labels_that_are_certain_equal_hard_ones(case: tuple[Tensor, Tensor, Tensor]) -> None:
    online, target, labels = case
    certain = torch.nn.functional.one_hot(labels, 5).double()
    torch.testing.assert_close(loss(online, target, certain), loss(*case))


def test_soft_labels_by_hand() -> None:
    # Half of (1, 0) and half of (0, 1) point along the diagonal; a quarter of an image makes no prototype.
    embeddings = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    prototypes, counts = batch_prototypes(embeddings, torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.25, 0.25]]), n_clusters=3)
    assert counts.tolist() == [1.0, 0.75, 0.25]
    torch.testing.assert_close(prototypes[0], torch.tensor([0.5, 0.5]).sqrt())
    two = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    third_is_absent = torch.tensor([[0.9, 0.0, 0.1], [0.0, 0.9, 0.1]])
    torch.testing.assert_close(loss(two, two, third_is_absent, 3), loss(two, two, torch.tensor([0, 1]), 2))
