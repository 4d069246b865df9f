from __future__ import annotations

import pytest
import torch

from coterie.cluster.outliers import fit_outlier_score


def clouds(count: int = 300, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three clouds of twelve features, of which the first two vary ten times as much and together."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    features = torch.randn(count, 12, generator=draw)
    shared = 10 * torch.randn(count, generator=draw)
    features[:, 0] += shared
    features[:, 1] += shared
    features[:, 2:5] += 20 * torch.eye(3)[labels]
    return features, labels


def auc(scores: torch.Tensor, foreign: torch.Tensor) -> float:
    """How often a foreign score is above another, by the definition."""
    return float((scores[foreign].unsqueeze(1) > scores[~foreign]).float().mean())


def test_few_of_what_was_learnt_from_and_of_its_like_are_outliers() -> None:
    score = fit_outlier_score(*clouds(), 3)
    for features, labels in (clouds(), clouds(seed=1)):
        assert 0 <= float((score(features, labels) > 1).float().mean()) < 0.06


def test_the_distance_is_asked_of_the_kth_neighbour_by_a_slow_twin() -> None:
    features, labels = clouds(24)
    score = fit_outlier_score(features, labels, 3)
    assert score.nearer.tolist() == [2, 2, 2]  # A quarter of eight.
    whitened = features @ score.whitening.T
    for place in (0, 7, 23):
        distances = sorted(float((whitened[place] - other).norm()) for other in whitened)
        expected = distances[2] / float(score.fence)  # The first is its own.
        assert float(score(features[place : place + 1], labels[place : place + 1])) == pytest.approx(expected, rel=1e-3)


def test_an_odd_image_counts_by_the_spread_of_its_direction() -> None:
    features, labels = clouds()
    score = fit_outlier_score(features, labels, 3)
    along, across = features[0].clone(), features[0].clone()
    along[:2] += 12
    across[:2] += torch.tensor([12.0, -12.0])
    found = score(torch.stack([along, across]), labels[:1].expand(2))
    assert float(found[0]) < 1 < float(found[1])


@pytest.mark.parametrize("spread", [0.2, 5.0])
def test_foreigners_mixed_in_are_found_whether_alike_or_not(spread: float) -> None:
    features, labels = clouds(570)
    draw = torch.Generator().manual_seed(2)
    features = torch.cat([features, 8 + spread * torch.randn(30, 12, generator=draw)])
    labels = torch.cat([labels, torch.zeros(30, dtype=torch.int64)])
    foreign = torch.arange(600) >= 570
    assert auc(fit_outlier_score(features, labels, 3)(features, labels), foreign) > 0.95


def test_tiny_empty_and_identical_clusters() -> None:
    features, labels = torch.eye(4)[[0, 1, 2, 2]], torch.tensor([0, 1, 2, 2])
    assert fit_outlier_score(features, labels, 4)(features, labels).isfinite().all()
    same = torch.ones(5, 3)
    assert not (fit_outlier_score(same, torch.zeros(5, dtype=torch.int64), 2)(same, torch.zeros(5).long()) > 1).any()


def test_scores_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clouds()
    score = fit_outlier_score(features, labels, 3)
    whole = score(features, labels)
    monkeypatch.setattr("coterie.cluster.outliers._HELD", 1)
    torch.testing.assert_close(score(features, labels), whole, rtol=1e-3, atol=1e-4)
