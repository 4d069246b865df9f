from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from coterie.losses.cluster_contrast import assignment_entropy_gap, cluster_contrast
from coterie.losses.contrastive import info_nce, nt_xent


def pair(n: int = 5, d: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(2, n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def slow_nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> float:
    rows, n, total = [*z1.tolist(), *z2.tolist()], len(z1), 0.0
    for i, row in enumerate(rows):
        exps = {j: math.exp(cosine(row, other) / temperature) for j, other in enumerate(rows) if j != i}
        total -= math.log(exps[(i + n) % (2 * n)] / sum(exps.values()))
    return total / (2 * n)


def slow_info_nce(query: Tensor, positive: Tensor, queue: Tensor, temperature: float) -> float:
    total = 0.0
    for q, k in zip(query.tolist(), positive.tolist(), strict=True):
        own = math.exp(cosine(q, k) / temperature)
        total -= math.log(own / (own + sum(math.exp(cosine(q, past) / temperature) for past in queue.tolist())))
    return total / len(query)


def test_nt_xent_equals_its_slow_twin() -> None:
    z1, z2 = pair()
    assert float(nt_xent(z1, z2, temperature=0.3)) == pytest.approx(slow_nt_xent(z1, z2, 0.3), rel=1e-12)


def test_nt_xent_worked_by_hand() -> None:
    # Two opposite instances, both views alike: cosines 1 (positive) and −1 twice.
    z = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    expected = -math.log(math.e / (math.e + 2 / math.e))
    assert float(nt_xent(z, z, temperature=1.0)) == pytest.approx(expected, rel=1e-6)


def test_nt_xent_knows_neither_order_nor_length_nor_which_view_is_first() -> None:
    z1, z2 = pair()
    loss, order = nt_xent(z1, z2, temperature=0.5), torch.tensor([4, 2, 0, 1, 3])
    for same in ((z2, z1), (z1[order], z2[order]), (3 * z1, 0.1 * z2)):
        torch.testing.assert_close(nt_xent(*same, temperature=0.5), loss)


def test_nt_xent_gradient() -> None:
    z1, z2 = (view.requires_grad_() for view in pair(3, 3))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, temperature=0.5), (z1, z2))


def test_info_nce_equals_its_slow_twin() -> None:
    query, positive = pair()
    queue = F.normalize(pair(7, 4, seed=1)[0], dim=1)
    ours = float(info_nce(query, positive, queue, temperature=0.2))
    assert ours == pytest.approx(slow_info_nce(query, positive, queue, 0.2), rel=1e-12)


def test_info_nce_worked_by_hand() -> None:
    query = torch.tensor([[2.0, 0.0]])
    queue = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    assert float(info_nce(query, query, queue, temperature=1.0)) == pytest.approx(-math.log(math.e / (math.e + 2)))


def test_info_nce_gradient_is_right_and_spares_keys() -> None:
    query, positive = pair(3, 3)
    queue = F.normalize(pair(4, 3, seed=1)[0], dim=1)
    assert torch.autograd.gradcheck(lambda q: info_nce(q, positive, queue, temperature=0.2), query.requires_grad_())
    positive.requires_grad_()
    info_nce(query, positive, queue.requires_grad_(), temperature=0.2).backward()
    assert positive.grad is None
    assert queue.grad is None


def test_the_order_of_the_queue_does_not_matter() -> None:
    query, positive = pair()
    queue = F.normalize(pair(6, 4, seed=1)[0], dim=1)
    torch.testing.assert_close(
        info_nce(query, positive, queue.flip(0), temperature=0.2), info_nce(query, positive, queue, temperature=0.2)
    )


def test_cluster_contrast_is_nt_xent_of_columns() -> None:
    first, second = (logits.softmax(dim=1) for logits in pair(6, 3))
    ours = float(cluster_contrast(first, second, temperature=0.7))
    assert ours == pytest.approx(slow_nt_xent(first.T, second.T, 0.7), rel=1e-12)
    names = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        cluster_contrast(first[:, names], second[:, names], temperature=0.7),
        cluster_contrast(first, second, temperature=0.7),
    )


def test_the_entropy_gap_is_zero_for_balance_and_log_k_for_collapse() -> None:
    assert float(assignment_entropy_gap(torch.eye(4))) == pytest.approx(0.0, abs=1e-6)
    collapsed = torch.zeros(5, 4)
    collapsed[:, 2] = 1.0
    assert float(assignment_entropy_gap(collapsed)) == pytest.approx(math.log(4), rel=1e-6)
    logits = pair(4, 3)[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: assignment_entropy_gap(x.softmax(dim=1)), logits)
