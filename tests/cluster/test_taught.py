"""Groups under what a person said of some of the points."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from coterie.cluster.kmeans import kmeans
from coterie.cluster.linear import logistic
from coterie.cluster.taught import ranked, regroup


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(kinds: int = 4, each: int = 30, spread: float = 0.15, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Directions about the axes of a space, and which: (N, kinds + 2), (N,)."""
    labels = torch.arange(kinds * each) % kinds
    noise = spread * torch.randn(len(labels), kinds + 2, generator=draw(seed))
    return F.normalize(F.one_hot(labels, kinds + 2) + noise, dim=1), labels


def said(count: int, **told: int) -> torch.Tensor:
    found = torch.full((count,), -1)
    for row, group in told.items():
        found[int(row[1:])] = group
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_what_was_said_always_holds_however_odd(seed: int, metric: str) -> None:
    points, labels = blobs(spread=0.6, seed=seed)
    chosen = torch.randperm(len(points), generator=draw(seed))[:25]
    told = torch.full_like(labels, -1)
    told[chosen] = torch.randint(3, (25,), generator=draw(seed + 1))  # Whatever their kinds are.
    told[chosen[:3]] = torch.arange(3)
    start = torch.where(torch.rand(len(points), generator=draw(seed)) < 0.2, -1, labels)
    found = regroup(points, start, told, 6, parts={3: 2}, metric=metric, generator=draw())  # type: ignore[arg-type]
    assert torch.equal(found.labels[told >= 0], told[told >= 0])
    assert set(found.labels.tolist()) == set(range(6))
    assert found.origins == [0, 1, 2, 3, 3, -1]


def test_one_name_a_kind_brings_the_rest_along() -> None:
    points, labels = blobs()
    told = said(len(points), r0=0, r1=1, r2=2, r3=3)
    start = kmeans(points, 4, metric="cosine", generator=draw()).labels
    found = regroup(points, start, told, 4, found=True, generator=draw())
    assert torch.equal(found.labels, labels)
    assert torch.equal(found.rule.labels(points), labels)


def test_a_group_that_held_two_kinds_comes_apart_by_two_names() -> None:
    points, labels = blobs()
    together = torch.where(labels == 3, 2, labels)
    told = said(len(points), r2=2, r6=2, r3=3, r7=3)
    found = regroup(points, together, told, 4, generator=draw())
    assert torch.equal(found.labels, labels)


def test_names_leave_room_for_kinds_that_nobody_named() -> None:
    points, labels = blobs()
    told = said(len(points), r0=0, r4=0, r1=1, r5=1)
    found = regroup(points, (labels + 2) % 4, told, 4, found=True, generator=draw())
    same = torch.stack([found.labels, labels], dim=1).unique(dim=0)
    assert same[:2].tolist() == [[0, 0], [1, 1]]
    assert len(same) == 4


def test_a_name_in_a_foreign_group_takes_only_itself_along() -> None:
    points, labels = blobs()
    told = said(len(points), r0=0, r4=0, r8=0, r12=0, r1=0, r5=1, r9=1, r13=1)  # Row 1 is of kind 1.
    found = regroup(points, labels, told, 4, generator=draw())
    others = torch.arange(len(points)) != 1
    assert found.labels[1] == 0
    assert torch.equal(found.labels[others], labels[others])


def test_without_a_name_a_split_touches_no_other_group() -> None:
    points, labels = blobs()
    together = torch.where(labels == 3, 2, labels)
    found = regroup(points, together, said(len(points)), 4, parts={2: 2}, generator=draw())
    assert found.origins == [0, 1, 2, 2]
    assert torch.equal(found.labels[labels < 2], labels[labels < 2])
    assert len(set(zip(found.labels.tolist(), labels.tolist(), strict=True))) == 4


def test_further_groups_come_out_of_the_widest() -> None:
    points, labels = blobs()
    together = labels.clamp(max=2)
    found = regroup(points, together, said(len(points)), 4, generator=draw())
    assert found.origins == [0, 1, 2, -1]
    assert len(set(zip(found.labels.tolist(), labels.tolist(), strict=True))) == 4


def test_points_without_a_group_find_one() -> None:
    points, labels = blobs()
    start = torch.where(torch.arange(len(points)) % 3 == 0, -1, labels)
    found = regroup(points, start, said(len(points)), 4, generator=draw())
    assert torch.equal(found.labels, labels)


def test_points_that_are_all_alike_are_told_apart_by_name_alone() -> None:
    points = torch.ones(8, 3)
    found = regroup(points, torch.zeros(8, dtype=torch.int64), said(8, r0=0, r1=1), 2, generator=draw())
    assert found.labels[:2].tolist() == [0, 1]


def test_the_same_seed_finds_the_same() -> None:
    points, labels = blobs(spread=0.6)
    told = said(len(points), r0=0, r1=1)
    one, other = (regroup(points, labels, told, 6, generator=draw()) for _ in range(2))
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.rule.slopes, other.rule.slopes)


def test_ranks_go_by_size() -> None:
    ranks, order = ranked(torch.tensor([2, 0, 2, 1, 2, 1]), 3)
    assert ranks.tolist() == [0, 2, 0, 1, 0, 1]
    assert order.tolist() == [2, 1, 0]


def test_planes_are_those_of_logistic_regression() -> None:
    points = torch.randn(90, 3, dtype=torch.float64, generator=draw())
    points = points / points.square().mean().sqrt()
    labels = (points @ torch.randn(3, 3, dtype=torch.float64, generator=draw(1))).argmax(dim=1)
    slopes, intercepts = logistic(points, labels, 3)
    # The penalty λ‖W‖² of a mean is that of C = 1/(2λN) beside a sum.
    reference = LogisticRegression(C=1 / (2 * 1e-4 * 90), tol=1e-10, max_iter=10_000).fit(
        points.numpy(), labels.numpy()
    )
    logits = points @ slopes + intercepts
    expected = torch.from_numpy(reference.decision_function(points.numpy()))
    torch.testing.assert_close(logits.softmax(dim=1), expected.softmax(dim=1), atol=2e-3, rtol=0)
