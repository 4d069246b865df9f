from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from coterie.cluster.groups import fit_groups
from coterie.cluster.kmeans import Metric
from coterie.cluster.mixture import gaussian_mixture
from coterie.cluster.rules import nearest
from coterie.cluster.tied import tied_mixtures


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_centers_are_a_linear_rule(metric: Metric) -> None:
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(50, 6, generator=draw) + 100 * (metric == "euclidean")
    centers = points[:4]
    if metric == "cosine":
        centers = F.normalize(centers, dim=1)
        distances = 1 - F.normalize(points, dim=1) @ centers.T
    else:
        distances = torch.cdist(points.double(), centers.double()).square().float()
    rule = nearest(centers, metric)
    torch.testing.assert_close((3 * rule(points)).softmax(dim=1), (-3 * distances).softmax(dim=1), rtol=1e-3, atol=1e-3)
    assert torch.equal(rule.labels(points), distances.argmin(dim=1))
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(order[rule.ordered(order).labels(points)], rule.labels(points))


def test_a_mixture_is_one_too_and_its_confidence_is_calibrated() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    points = torch.randn(400, 2, generator=draw) * torch.tensor([9.0, 1.0]) + 6 * F.one_hot(labels)
    found = tied_mixtures(points, 2, tol=1e-9, generator=draw).of(torch.tensor([0]))
    slopes, intercepts = (part[0].float() for part in found.linear())
    rule = nearest(torch.zeros(2, 2), "euclidean")
    rule = type(rule)(torch.zeros(2), slopes, intercepts, "euclidean")
    book = gaussian_mixture(points, 2, covariance="tied", tol=1e-9, start=rule.labels(points), generator=draw)
    torch.testing.assert_close(rule(points).softmax(dim=1).double(), book.responsibilities, atol=0.02, rtol=0)
    groups = fit_groups(points, points, rule.labels(points), 2, metric="euclidean", rule=rule)
    grouping = groups.assign(points, points)
    assert torch.equal(grouping.clusters, rule.labels(points))
    right = (grouping.clusters == labels).float().mean()
    assert float(grouping.confidence.mean()) == pytest.approx(float(torch.maximum(right, 1 - right)), abs=0.1)
